//! What a decoder is made of, so that every part of the model is built from these fields and nothing else.
//!
//! Read from config.json as transformers 5 reads it (`modeling_rope_utils.py`, `models/*/configuration_*.py`), or from
//! the metadata of a GGUF file as llama.cpp reads it. What is not known here and may change the mathematics is an error.

mod fields;
mod gguf;
mod json;
mod rope_fields;
mod rotary;
mod save;

use std::fmt;

pub use etude_kernels::gated::Gate;
pub use rotary::{Rotary, RotaryScaling};

use crate::LmError;
use fields::field_error;

/// A family of decoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Llama 2 and 3, SmolLM2.
    Llama,
    /// Qwen2 and Qwen2.5: biases of queries, keys and values.
    Qwen2,
    /// Qwen3: norms of queries and keys.
    Qwen3,
    /// Gemma 3, text: local and global layers, norms before and after each part.
    Gemma3,
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Llama => "Llama",
            Self::Qwen2 => "Qwen 2",
            Self::Qwen3 => "Qwen 3",
            Self::Gemma3 => "Gemma 3",
        })
    }
}

/// What differs from layer to layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerConfig {
    /// How many keys a query sees at most, its own included. None: all before it.
    pub window: Option<usize>,
    /// The index of its rotary embedding in [`DecoderConfig::rotaries`].
    pub rotary: usize,
}

/// A decoder: its sizes, its parts, and its tokens with a meaning.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a part that a model has or has not, by itself"
)]
pub struct DecoderConfig {
    /// The family.
    pub architecture: Architecture,
    /// The number of tokens.
    pub vocabulary: usize,
    /// The width of the hidden states.
    pub hidden: usize,
    /// The width inside the feed-forward layers.
    pub intermediate: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values, each for `heads / key_value_heads` heads of queries.
    pub key_value_heads: usize,
    /// Entries of a head.
    pub head_size: usize,
    /// The longest sequence, in tokens.
    pub context: usize,
    /// What RMSNorm adds to the mean square.
    pub norm_epsilon: f32,
    /// What RMSNorm adds to its weight: 1 for Gemma, else 0.
    pub norm_offset: f32,
    /// The gate of the feed-forward layers.
    pub gate: Gate,
    /// Whether the heads of queries and keys pass a norm before they are rotated.
    pub query_key_norm: bool,
    /// Whether attention and feed-forward layers are followed by a norm of their own.
    pub post_norms: bool,
    /// Whether queries, keys and values have biases.
    pub attention_bias: bool,
    /// Whether the output of attention has one.
    pub output_bias: bool,
    /// Whether the three products of a feed-forward layer have them.
    pub feed_forward_bias: bool,
    /// Whether the embedding is the head as well.
    pub tied_embeddings: bool,
    /// What embeddings are multiplied with.
    pub embedding_scale: Option<f32>,
    /// What the scores of attention are multiplied with.
    pub attention_scale: f32,
    /// c, where scores of attention become c tanh(score / c).
    pub attention_soft_cap: Option<f32>,
    /// c, where logits become c tanh(logit / c).
    pub logit_soft_cap: Option<f32>,
    /// One a layer.
    pub layers: Vec<LayerConfig>,
    /// The rotary embeddings that the layers choose from: one, or for Gemma 3 the global and the local one.
    pub rotaries: Vec<Rotary>,
    /// The standard deviation of weights that are drawn anew.
    pub initializer_range: f32,
    /// The token that begins a text.
    pub bos_token: Option<u32>,
    /// The tokens that end one.
    pub eos_tokens: Vec<u32>,
    /// The token that fills up batches. Its row of the embedding learns nothing as an input, as in PyTorch.
    pub pad_token: Option<u32>,
}

impl DecoderConfig {
    /// The numbers must fit together.
    pub(crate) fn checked(self) -> Result<Self, LmError> {
        let product = |a: usize, b: usize| a.checked_mul(b).filter(|product| *product <= 1 << 40);
        let wrong =
            |field: &str, found: usize, expected: String| Err(field_error(field, &found.to_string(), &expected));
        if !self.head_size.is_multiple_of(2) || self.head_size > 1 << 16 {
            return wrong("head_dim", self.head_size, "an even number, 65536 at most".to_owned());
        }
        if !self.heads.is_multiple_of(self.key_value_heads) {
            let expected = format!("a divisor of num_attention_heads ({})", self.heads);
            return wrong("num_key_value_heads", self.key_value_heads, expected);
        }
        if self.layers.iter().any(|layer| layer.rotary >= self.rotaries.len()) {
            return wrong(
                "rope_scaling",
                self.rotaries.len(),
                "a rotary embedding for each layer".to_owned(),
            );
        }
        if self.layers.len() > 1 << 14 {
            return wrong("num_hidden_layers", self.layers.len(), "16384 at most".to_owned());
        }
        for (field, size) in [
            ("vocab_size", product(self.vocabulary, self.hidden)),
            ("intermediate_size", product(self.intermediate, self.hidden)),
            (
                "num_attention_heads",
                product(self.heads, self.head_size).and_then(|width| product(width, self.hidden)),
            ),
        ] {
            if size.is_none() {
                return wrong(
                    field,
                    self.hidden,
                    "sizes whose product with hidden_size is 2^40 at most".to_owned(),
                );
            }
        }
        if let Some(rotary) = self.rotaries.iter().find(|rotary| !rotary.is_finite()) {
            let found = format!("{:?} of theta {}", rotary.scaling, rotary.theta);
            return Err(field_error("rope_scaling", &found, "a scaling with finite frequencies"));
        }
        if let Some(pad) = self.pad_token.filter(|pad| *pad as usize >= self.vocabulary) {
            let expected = format!("a token of the vocabulary ({} tokens), or none", self.vocabulary);
            return wrong("pad_token_id", pad as usize, expected);
        }
        Ok(self)
    }
}

/// What is sqrt for widths in transformers: a Python float.
fn square_root(width: usize) -> f32 {
    (width as f64).sqrt() as f32
}

/// The scale of scores, for heads of this many entries (or the scalar that stands for it).
fn score_scale(size: f64) -> f32 {
    size.powf(-0.5) as f32
}

/// Gemma 3's layers: every `pattern`-th sees everything, the others a window, with rotary embeddings 0 and 1.
fn gemma3_layers(count: usize, pattern: usize, window: usize) -> Vec<LayerConfig> {
    (1..=count)
        .map(|layer| gemma3_layer((!layer.is_multiple_of(pattern)).then_some(window)))
        .collect()
}

fn gemma3_layer(window: Option<usize>) -> LayerConfig {
    LayerConfig {
        window,
        rotary: usize::from(window.is_some()),
    }
}
