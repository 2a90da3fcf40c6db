//! What a sequence has read.

use etude_kernels::attention::{Attention, KeyValueCache};

use crate::config::{DecoderConfig, LayerConfig};
use crate::error::LmError;

/// Keys and values of a sequence in every layer, and its tokens. All memory is taken when it is made.
#[derive(Debug)]
pub struct Cache {
    pub(super) layers: Vec<KeyValueCache>,
    tokens: Vec<u32>,
    capacity: usize,
}

impl Cache {
    pub(super) fn new(config: &DecoderConfig, capacity: usize) -> Self {
        Self {
            layers: config
                .layers
                .iter()
                .map(|layer| KeyValueCache::new(&attention(config, layer), capacity))
                .collect(),
            tokens: Vec::with_capacity(capacity),
            capacity,
        }
    }

    /// Tokens that were read.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The most tokens that there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The tokens that were read.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(KeyValueCache::bytes).sum()
    }

    /// Forgets all but the first `length` tokens.
    ///
    /// # Panics
    /// There are fewer.
    pub fn truncate(&mut self, length: usize) {
        assert!(length <= self.len(), "{length} of {} tokens", self.len());
        self.tokens.truncate(length);
        self.layers.iter_mut().for_each(|layer| layer.truncate(length));
    }

    pub(super) fn check_room(&self, tokens: usize) -> Result<(), LmError> {
        if self.len() + tokens <= self.capacity {
            Ok(())
        } else {
            Err(LmError::Cache {
                held: self.len(),
                more: tokens,
                capacity: self.capacity,
            })
        }
    }

    pub(super) fn remember(&mut self, tokens: &[u32]) {
        self.tokens.extend_from_slice(tokens);
    }
}

/// The attention of a layer.
pub(super) fn attention(config: &DecoderConfig, layer: &LayerConfig) -> Attention {
    Attention {
        heads: config.heads,
        key_value_heads: config.key_value_heads,
        head_size: config.head_size,
        scale: config.attention_scale,
        causal: true,
        window: layer.window,
        soft_cap: config.attention_soft_cap,
    }
}
