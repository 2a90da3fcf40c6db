//! Attention of heads in groups (Ainslie et al. 2023, arXiv:2305.13245), with rotary embeddings, and in some families norms of
//! queries and keys.

use burn::module::Module;
use burn::tensor::Tensor;
use etude_kernels::attention::Attention;
use etude_kernels::burn::{Input, attention, rotary};

use super::Pass;
use super::linear::Linear;
use super::norm::Norm;
use super::parameters::Source;
use crate::LmError;
use crate::config::{DecoderConfig, LayerConfig};

#[derive(Module, Debug)]
pub(super) struct SelfAttention {
    pub(super) q_proj: Linear,
    pub(super) k_proj: Linear,
    pub(super) v_proj: Linear,
    pub(super) o_proj: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
}

impl SelfAttention {
    pub(super) fn new(config: &DecoderConfig, path: &str, source: &mut Source<'_>) -> Result<Self, LmError> {
        let (hidden, size) = (config.hidden, config.head_size);
        let (queries, keys) = (config.heads * size, config.key_value_heads * size);
        let mut linear =
            |name: &str, shape: [usize; 2], biased: bool| Linear::new(shape, biased, &format!("{path}.{name}"), source);
        let q_proj = linear("q_proj", [queries, hidden], config.attention_bias)?;
        let k_proj = linear("k_proj", [keys, hidden], config.attention_bias)?;
        let v_proj = linear("v_proj", [keys, hidden], config.attention_bias)?;
        let o_proj = linear("o_proj", [hidden, queries], config.output_bias)?;
        let mut norm = |name: &str| {
            let path = format!("{path}.{name}");
            Norm::optional(config.query_key_norm, config, size, &path, source)
        };
        Ok(Self {
            q_proj,
            k_proj,
            v_proj,
            o_proj,
            q_norm: norm("q_norm")?,
            k_norm: norm("k_norm")?,
        })
    }

    /// [tokens, hidden] to [tokens, hidden].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a tensor is a handle, and the caller has no use for it"
    )]
    pub(super) fn forward(&self, x: Input<2>, layer: &LayerConfig, pass: &Pass<'_>) -> Tensor<2> {
        let config = pass.config;
        let heads = |linear: &Linear, heads: usize| {
            let tokens = pass.positions.len();
            linear
                .forward(x.clone(), pass.precision)
                .reshape([tokens, heads, config.head_size])
        };
        let queries = heads(&self.q_proj, config.heads);
        let keys = heads(&self.k_proj, config.key_value_heads);
        let values = heads(&self.v_proj, config.key_value_heads);

        let rotated = |x: Tensor<3>, norm: &Option<Norm>| {
            let x = match norm {
                Some(norm) => norm.forward(x),
                None => x,
            };
            rotary(x, pass.positions, &pass.tables[layer.rotary])
        };
        let attended = attention(
            rotated(queries, &self.q_norm),
            rotated(keys, &self.k_norm),
            values,
            pass.offsets,
            &Attention {
                heads: config.heads,
                key_value_heads: config.key_value_heads,
                head_size: config.head_size,
                scale: config.attention_scale,
                causal: true,
                window: layer.window,
                soft_cap: config.attention_soft_cap,
            },
        );
        self.o_proj.forward(attended.flatten(1, 2), pass.precision)
    }
}
