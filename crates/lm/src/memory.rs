//! How much memory a model needs, before it is loaded.

use etude_hub::{Checkpoint, Dtype, TensorInfo};

use crate::config::DecoderConfig;

/// Bytes that a model needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Weights as they are held for generation: quantised ones as they are, others as f32.
    pub weights: usize,
    /// Keys and values of one token, in all layers.
    pub cache_per_token: usize,
    parameters: usize,
    activations_per_token: usize,
}

impl Memory {
    /// Of the model in a checkpoint.
    pub fn new(config: &DecoderConfig, checkpoint: &dyn Checkpoint) -> Self {
        const F32: usize = size_of::<f32>();
        let held = |tensor: &TensorInfo| match tensor.dtype {
            Dtype::Block(_) => tensor.bytes(),
            _ => tensor.elements() * F32,
        };
        let tensors = checkpoint.tensors();
        let keys = config.key_value_heads * config.head_size;
        let queries = config.heads * config.head_size;
        // What the backward pass of a layer reads again: the residual stream twice, queries before and after they are rotated, keys
        // likewise, values, what attention gives, and both halves of the gated unit, whose product is computed again.
        let layer = 2 * config.hidden + 3 * queries + 3 * keys + 2 * config.intermediate;
        Self {
            weights: tensors.iter().map(held).sum(),
            cache_per_token: 2 * config.layers.len() * keys * F32,
            parameters: tensors.iter().map(TensorInfo::elements).sum(),
            activations_per_token: config.layers.len() * layer * F32,
        }
    }

    /// To generate with one sequence of so many tokens. Where the number would be too large, it is the largest.
    pub fn run(&self, tokens: usize) -> usize {
        self.weights.saturating_add(tokens.saturating_mul(self.cache_per_token))
    }

    /// To train in f32 with AdamW on so many tokens at a time: parameters, gradients, two moments, and activations. Where the
    /// number would be too large, it is the largest.
    pub fn train(&self, tokens: usize) -> usize {
        let activations = tokens.saturating_mul(self.activations_per_token);
        (4 * self.parameters * size_of::<f32>()).saturating_add(activations)
    }
}
