//! The decoder as a Burn module: Llama 2 and 3, SmolLM2, Qwen2 and 2.5, Qwen3, Gemma 3.
//!
//! Embedding -> layers, each x + attention(norm(x)) and then x + feed_forward(norm(x)) -> norm -> head. Gemma 3 has a norm
//! after each part too, norms of queries and keys, and layers with a window. What a model has is in its [`DecoderConfig`].
//!
//! Sequences of different lengths lie one after the other, without padding: tokens are rows, `offsets` hold where each sequence
//! begins, with 0 first and the number of all tokens last. What a sequence gives does not depend on what lies beside it, bit
//! by bit.
//!
//! Fields are named as Hugging Face names the tensors of a checkpoint, so that a path through the module is a key:
//! `model.layers.0.self_attn.q_proj.weight`.
//!
//! A decoder may have adapters, LoRA's or DoRA's ([`with_lora`](Decoder::with_lora), [`with_adapter`](Decoder::with_adapter)).
//! They alone are trained then, and their parameters are further fields: `model.layers.0.self_attn.q_proj.adapter.down`.

mod activation_checkpointing;
mod adapter;
mod attention;
mod embedding;
mod feed_forward;
mod initial;
mod layer;
mod linear;
mod load;
mod lora;
mod norm;
mod parameters;
mod save;

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use etude_hub::peft::LoraConfig;
use etude_kernels::Precision;
use etude_kernels::burn::{
    linear_cross_entropy, linear_cross_entropy_with_statistics, token_log_probabilities,
    token_log_probabilities_with_statistics,
};
use etude_kernels::linear_cross_entropy::TokenStatistics;
use etude_kernels::rotary::RotaryTable;

use crate::LmError;
use crate::config::DecoderConfig;
use embedding::Embedding;
use layer::Layer;
use linear::Linear;
use norm::Norm;
use parameters::Source;

pub use activation_checkpointing::LayerInputs;
pub use lora::LoraOptions;
pub use parameters::parameters;
pub use save::DecoderCheckpoint;

/// A decoder with its parameters, in f32.
#[derive(Module, Debug)]
pub struct Decoder {
    model: Body,
    /// None where the embedding is the head.
    lm_head: Option<Linear>,
    #[module(skip)]
    config: Arc<DecoderConfig>,
    #[module(skip)]
    precision: Precision,
    /// What PEFT is told of the adapters, where there are any.
    #[module(skip)]
    lora: Option<Arc<LoraConfig>>,
}

/// All but the head.
#[derive(Module, Debug)]
struct Body {
    embed_tokens: Embedding,
    layers: Vec<Layer>,
    norm: Norm,
}

/// What all layers of one forward pass share.
struct Pass<'a> {
    config: &'a DecoderConfig,
    precision: Precision,
    offsets: &'a [usize],
    /// [tokens], each counted from the beginning of its sequence.
    positions: &'a [u32],
    /// One for each of the configuration's rotary embeddings.
    tables: &'a [Arc<RotaryTable>],
}

impl Decoder {
    /// Takes every parameter from `source`, in the order of [`parameters`].
    fn build(config: DecoderConfig, source: &mut Source<'_>) -> Result<Self, LmError> {
        let config = config.checked()?;
        Ok(Self {
            model: Body {
                embed_tokens: Embedding::new(&config, "model.embed_tokens", source)?,
                layers: (0..config.layers.len())
                    .map(|layer| Layer::new(&config, layer, source))
                    .collect::<Result<_, _>>()?,
                norm: Norm::new(&config, config.hidden, "model.norm", source)?,
            },
            lm_head: if config.tied_embeddings {
                None
            } else {
                Some(Linear::new(
                    [config.vocabulary, config.hidden],
                    false,
                    "lm_head",
                    source,
                )?)
            },
            config: Arc::new(config),
            precision: Precision::F32,
            lora: None,
        })
    }

    /// Products with weights are computed so from here on: in bf16 both factors are rounded and the sums are f32. Parameters,
    /// norms, attention's softmax and losses remain f32. A new decoder is in f32.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// In what products with weights are computed.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// What the model is made of.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The hidden states after the last norm, [tokens, hidden]: of all sequences one after the other.
    ///
    /// # Panics
    /// `offsets` do not rise from 0 to the number of tokens, or a token is not in the vocabulary.
    pub fn hidden(&self, tokens: &[u32], offsets: &[usize]) -> Tensor<2> {
        self.hidden_with_noise(tokens, offsets, None)
    }

    /// [`hidden`](Self::hidden), where `noise`, [tokens, hidden] row by row, is added to the embeddings.
    ///
    /// # Panics
    /// As there, or the noise has another length.
    pub fn hidden_with_noise(&self, tokens: &[u32], offsets: &[usize], noise: Option<&[f32]>) -> Tensor<2> {
        self.with_pass(tokens, offsets, |pass| {
            let embedded = self.embedded(tokens, noise);
            let layers = self.model.layers.iter().zip(&self.config.layers);
            let hidden = layers.fold(embedded, |hidden, (layer, kind)| layer.forward(hidden, kind, pass));
            self.model.norm.forward(hidden)
        })
    }

    /// What goes into the first layer, [tokens, hidden].
    fn embedded(&self, tokens: &[u32], noise: Option<&[f32]>) -> Tensor<2> {
        let embedded = self.model.embed_tokens.forward(tokens, &self.config);
        let Some(noise) = noise else { return embedded };
        let noise = TensorData::new(noise.to_vec(), [tokens.len(), self.config.hidden]);
        let noise = Tensor::from_data(noise, &embedded.device());
        embedded + noise
    }

    /// Gives `forward` what all layers share.
    fn with_pass<T>(&self, tokens: &[u32], offsets: &[usize], forward: impl FnOnce(&Pass<'_>) -> T) -> T {
        let positions = positions(offsets, tokens.len());
        let longest = positions.iter().max().map_or(0, |last| *last as usize + 1);
        let tables: Vec<_> = self
            .config
            .rotaries
            .iter()
            .map(|rotary| Arc::new(RotaryTable::new(&rotary.frequencies, rotary.attention_factor, longest)))
            .collect();
        let pass = Pass {
            config: &self.config,
            precision: self.precision,
            offsets,
            positions: &positions,
            tables: &tables,
        };
        forward(&pass)
    }

    /// The logits of the next token, [tokens, vocabulary], of hidden states [tokens, hidden].
    ///
    /// For losses there are [`log_probabilities`](Self::log_probabilities) and [`loss`](Self::loss), which never hold these.
    ///
    /// # Panics
    /// The hidden states have another width.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let logits = etude_kernels::burn::linear(hidden, self.head(), None, self.precision);
        match self.config.logit_soft_cap {
            Some(cap) => (logits / cap).tanh() * cap,
            None => logits,
        }
    }

    /// The log-probability of each target after its hidden state, `[tokens]`.
    ///
    /// # Panics
    /// There are not as many targets as hidden states, or one is not in the vocabulary.
    pub fn log_probabilities(&self, hidden: Tensor<2>, targets: &[u32]) -> Tensor<1> {
        token_log_probabilities(hidden, self.head(), targets, self.config.logit_soft_cap, self.precision)
    }

    /// Minus the sum of the targets' log-probabilities, each times its weight, `[1]`. Targets of weight 0 cost nothing and may be
    /// any number. For a mean the weights are one over the number of targets that count.
    ///
    /// # Panics
    /// There are not as many targets or weights as hidden states, or a target that counts is not in the vocabulary.
    pub fn loss(&self, hidden: Tensor<2>, targets: &[u32], weights: &[f32]) -> Tensor<1> {
        let soft_cap = self.config.logit_soft_cap;
        linear_cross_entropy(hidden, self.head(), targets, weights, soft_cap, self.precision)
    }

    /// [`log_probabilities`](Self::log_probabilities), and what the distribution of each token is like, without gradients.
    ///
    /// # Panics
    /// As there.
    pub fn log_probabilities_with_statistics(
        &self,
        hidden: Tensor<2>,
        targets: &[u32],
    ) -> (Tensor<1>, Vec<TokenStatistics>) {
        let soft_cap = self.config.logit_soft_cap;
        token_log_probabilities_with_statistics(hidden, self.head(), targets, soft_cap, self.precision)
    }

    /// [`loss`](Self::loss), and what the distribution of each token that counts is like, without gradients.
    ///
    /// # Panics
    /// As there.
    pub fn loss_with_statistics(
        &self,
        hidden: Tensor<2>,
        targets: &[u32],
        weights: &[f32],
    ) -> (Tensor<1>, Vec<TokenStatistics>) {
        let soft_cap = self.config.logit_soft_cap;
        linear_cross_entropy_with_statistics(hidden, self.head(), targets, weights, soft_cap, self.precision)
    }

    /// [vocabulary, hidden].
    fn head(&self) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.weight.val(),
            None => self.model.embed_tokens.weight.val(),
        }
    }
}

/// 0, 1, 2 .. of each sequence.
fn positions(offsets: &[usize], tokens: usize) -> Vec<u32> {
    assert!(
        offsets.first() == Some(&0) && offsets.is_sorted() && offsets.last() == Some(&tokens),
        "offsets of sequences: found {offsets:?}, expected a rise from 0 to {tokens}"
    );
    let sequences = offsets.windows(2).flat_map(|ends| 0..(ends[1] - ends[0]) as u32);
    sequences.collect()
}
