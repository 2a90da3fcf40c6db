//! Tokens to vectors.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use etude_kernels::burn::embedding;

use super::parameters::Source;
use crate::LmError;
use crate::config::DecoderConfig;

#[derive(Module, Debug)]
pub(super) struct Embedding {
    /// [vocabulary, hidden].
    pub(super) weight: Param<Tensor<2>>,
}

impl Embedding {
    pub(super) fn new(config: &DecoderConfig, path: &str, source: &mut Source<'_>) -> Result<Self, LmError> {
        Ok(Self {
            weight: source.parameter(path, "weight", [config.vocabulary, config.hidden])?,
        })
    }

    /// The rows of the tokens, [tokens, hidden], times Gemma's scale. The token that pads learns nothing here; instructed models use one
    /// that texts have too.
    pub(super) fn forward(&self, tokens: &[u32], config: &DecoderConfig) -> Tensor<2> {
        let rows = embedding(self.weight.val(), tokens, config.pad_token);
        match config.embedding_scale {
            Some(scale) => rows * scale,
            None => rows,
        }
    }
}
