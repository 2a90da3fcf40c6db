//! One layer: attention and feed-forward, each between norms and added to what came in.

use burn::module::Module;
use burn::tensor::Tensor;

use super::Pass;
use super::attention::SelfAttention;
use super::feed_forward::FeedForward;
use super::norm::Norm;
use super::parameters::Source;
use crate::LmError;
use crate::config::{DecoderConfig, LayerConfig};

#[derive(Module, Debug)]
pub(super) struct Layer {
    input_layernorm: Norm,
    pub(super) self_attn: SelfAttention,
    /// In Gemma after attention, and elsewhere before the feed-forward layer: the name is the same.
    post_attention_layernorm: Norm,
    pre_feedforward_layernorm: Option<Norm>,
    pub(super) mlp: FeedForward,
    post_feedforward_layernorm: Option<Norm>,
}

impl Layer {
    pub(super) fn new(config: &DecoderConfig, layer: usize, source: &mut Source<'_>) -> Result<Self, LmError> {
        let path = |name: &str| format!("model.layers.{layer}.{name}");
        let (width, posts) = (config.hidden, config.post_norms);
        let optional = |name: &str, source: &mut Source<'_>| Norm::optional(posts, config, width, &path(name), source);
        Ok(Self {
            input_layernorm: Norm::new(config, width, &path("input_layernorm"), source)?,
            self_attn: SelfAttention::new(config, &path("self_attn"), source)?,
            post_attention_layernorm: Norm::new(config, width, &path("post_attention_layernorm"), source)?,
            pre_feedforward_layernorm: optional("pre_feedforward_layernorm", source)?,
            mlp: FeedForward::new(config, &path("mlp"), source)?,
            post_feedforward_layernorm: optional("post_feedforward_layernorm", source)?,
        })
    }

    /// [tokens, hidden] to [tokens, hidden].
    pub(super) fn forward(&self, x: Tensor<2>, layer: &LayerConfig, pass: &Pass<'_>) -> Tensor<2> {
        let attended = self
            .self_attn
            .forward(self.input_layernorm.input(x.clone()), layer, pass);
        if let (Some(before), Some(after)) = (&self.pre_feedforward_layernorm, &self.post_feedforward_layernorm) {
            let x = x + self.post_attention_layernorm.forward(attended);
            let fed = self.mlp.forward(before.input(x.clone()), pass);
            x + after.forward(fed)
        } else {
            let x = x + attended;
            let fed = self.mlp.forward(self.post_attention_layernorm.input(x.clone()), pass);
            x + fed
        }
    }
}
