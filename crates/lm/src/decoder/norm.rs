//! RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467, eq. 4): x / sqrt(mean(x^2) + epsilon) times the weight, to which
//! Gemma adds 1.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use etude_kernels::burn::{Input, rms_norm};

use super::parameters::Source;
use crate::LmError;
use crate::config::DecoderConfig;

#[derive(Module, Debug)]
pub(super) struct Norm {
    /// [width].
    weight: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f32,
    /// What is added to the weight.
    #[module(skip)]
    offset: f32,
}

impl Norm {
    pub(super) fn new(
        config: &DecoderConfig,
        width: usize,
        path: &str,
        source: &mut Source<'_>,
    ) -> Result<Self, LmError> {
        Ok(Self {
            weight: source.parameter(path, "weight", [width])?,
            epsilon: config.norm_epsilon,
            offset: config.norm_offset,
        })
    }

    /// A norm that only some families have.
    pub(super) fn optional(
        there: bool,
        config: &DecoderConfig,
        width: usize,
        path: &str,
        source: &mut Source<'_>,
    ) -> Result<Option<Self>, LmError> {
        there.then(|| Self::new(config, width, path, source)).transpose()
    }

    /// [.., width], each row by itself.
    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        rms_norm(x, self.weight.val(), self.epsilon, self.offset)
    }

    /// The same for layers, which do not keep it for the backward.
    pub(super) fn input(&self, x: Tensor<2>) -> Input<2> {
        Input::rms_norm(x, self.weight.val(), self.epsilon, self.offset)
    }
}
