//! y = x W^T + b.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use etude_kernels::Precision;

use super::parameters::Source;
use crate::LmError;

#[derive(Module, Debug)]
pub(super) struct Linear {
    /// [outputs, inputs].
    pub(super) weight: Param<Tensor<2>>,
    /// [outputs].
    pub(super) bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    pub(super) fn new(shape: [usize; 2], biased: bool, path: &str, source: &mut Source<'_>) -> Result<Self, LmError> {
        let [outputs, _] = shape;
        Ok(Self {
            weight: source.parameter(path, "weight", shape)?,
            bias: if biased {
                Some(source.parameter(path, "bias", [outputs])?)
            } else {
                None
            },
        })
    }

    /// [tokens, inputs] to [tokens, outputs].
    pub(super) fn forward(&self, x: Tensor<2>, precision: Precision) -> Tensor<2> {
        let bias = self.bias.as_ref().map(Param::val);
        etude_kernels::burn::linear(x, self.weight.val(), bias, precision)
    }
}
