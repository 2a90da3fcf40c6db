//! Tokens to vectors.

use burn::module::{Module, Param};
use burn::tensor::{Bool, Int, Tensor, TensorData};

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

    /// The rows of the tokens, [tokens, hidden], times Gemma's scale.
    ///
    /// The token that pads learns nothing here, as in PyTorch's Embedding with `padding_idx`; instructed models use one that
    /// texts have too.
    pub(super) fn forward(&self, tokens: &[u32], config: &DecoderConfig) -> Tensor<2> {
        let outside = tokens.iter().find(|token| **token as usize >= config.vocabulary);
        assert!(
            outside.is_none(),
            "token {outside:?} in a vocabulary of {}",
            config.vocabulary
        );
        let device = self.weight.val().device();
        let indices: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [tokens.len()]), &device);
        let mut rows = self.weight.val().select(0, indices);
        if let Some(pad) = config.pad_token.filter(|pad| tokens.contains(pad)) {
            let pads: Vec<bool> = tokens.iter().map(|token| *token == pad).collect();
            let pads = Tensor::<2, Bool>::from_data(TensorData::new(pads, [tokens.len(), 1]), &device);
            let fixed = rows.clone().detach();
            rows = rows.mask_where(pads.expand([tokens.len(), config.hidden]), fixed);
        }
        match config.embedding_scale {
            Some(scale) => rows * scale,
            None => rows,
        }
    }
}
