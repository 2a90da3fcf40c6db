//! The names that tensors have in Hugging Face's models.

use super::metadata::Metadata;
use crate::error::{HubError, fault};

/// Kinds of models whose tensors are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    Llama,
    Qwen2,
    Qwen3,
    Gemma3,
}

/// What llama.cpp did to a tensor, and what is undone when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// Row 2 i + h of each head was row h n / 2 + i, n rows a head: the two halves that rotary turns lie side by side.
    Interleaved {
        /// The number of heads.
        heads: usize,
    },
    /// 1 was added, so that a norm multiplies by what is stored.
    PlusOne,
}

/// A factor for each frequency of rotary, which llama.cpp keeps as a tensor and Hugging Face as a rule in the configuration.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";

impl Architecture {
    pub(super) fn of(metadata: &Metadata) -> Result<Self, HubError> {
        match metadata.architecture()? {
            "llama" => Ok(Self::Llama),
            "qwen2" => Ok(Self::Qwen2),
            "qwen3" => Ok(Self::Qwen3),
            "gemma3" => Ok(Self::Gemma3),
            other => Err(fault(
                metadata.path(),
                format!("`general.architecture`: found `{other}`; expected llama, qwen2, qwen3 or gemma3"),
            )),
        }
    }

    /// The name that Hugging Face has for a tensor of this model, and what is to be undone.
    pub(super) fn translate(self, name: &str, metadata: &Metadata) -> Result<(String, Change), HubError> {
        let unknown = || {
            let detail = format!(
                "tensor `{name}`: there is none of this name in models of architecture {self:?}, as far as is known here \
                 (mixtures of experts and adapters are not read)"
            );
            fault(metadata.path(), detail)
        };
        let plus_one = if self == Self::Gemma3 {
            Change::PlusOne
        } else {
            Change::None
        };
        match name {
            "token_embd.weight" => return Ok(("model.embed_tokens.weight".into(), Change::None)),
            "output_norm.weight" => return Ok(("model.norm.weight".into(), plus_one)),
            "output.weight" => return Ok(("lm_head.weight".into(), Change::None)),
            _ => {}
        }
        let (layer, part) = layer(name).ok_or_else(unknown)?;
        let (module, kind) = part.rsplit_once('.').ok_or_else(unknown)?;
        let new = self.module(module).ok_or_else(unknown)?;
        let change = match module {
            _ if new.ends_with("norm") => plus_one,
            "attn_q" if self == Self::Llama => Change::Interleaved {
                heads: heads(metadata, "llama.attention.head_count", layer)?,
            },
            "attn_k" if self == Self::Llama => Change::Interleaved {
                heads: key_value_heads(metadata, layer)?,
            },
            _ => Change::None,
        };
        // Only products have biases.
        if kind != "weight" && (kind != "bias" || new.ends_with("norm")) {
            return Err(unknown());
        }
        Ok((format!("model.layers.{layer}.{new}.{kind}"), change))
    }

    /// A part of a layer.
    fn module(self, module: &str) -> Option<&'static str> {
        let gemma = self == Self::Gemma3;
        Some(match module {
            "attn_norm" => "input_layernorm",
            "attn_q" => "self_attn.q_proj",
            "attn_k" => "self_attn.k_proj",
            "attn_v" => "self_attn.v_proj",
            "attn_output" => "self_attn.o_proj",
            "attn_q_norm" if gemma || self == Self::Qwen3 => "self_attn.q_norm",
            "attn_k_norm" if gemma || self == Self::Qwen3 => "self_attn.k_norm",
            "ffn_norm" if gemma => "pre_feedforward_layernorm",
            "ffn_norm" => "post_attention_layernorm",
            "post_attention_norm" if gemma => "post_attention_layernorm",
            "post_ffw_norm" if gemma => "post_feedforward_layernorm",
            "ffn_gate" => "mlp.gate_proj",
            "ffn_up" => "mlp.up_proj",
            "ffn_down" => "mlp.down_proj",
            _ => return None,
        })
    }
}

/// The number of a layer, and the name of a tensor in it.
fn layer(name: &str) -> Option<(usize, &str)> {
    let (number, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let layer: usize = number.parse().ok()?;
    // Written in one way only, so that no two names become one.
    (layer.to_string() == number).then_some((layer, part))
}

/// The number of heads, the same in all layers or each layer's own.
fn heads(metadata: &Metadata, key: &str, layer: usize) -> Result<usize, HubError> {
    let each = match metadata.unsigned(key) {
        Ok(heads) => heads,
        Err(error) => {
            let all = metadata.integers(key).ok().flatten().ok_or(error)?;
            all.get(layer).and_then(|&heads| heads.try_into().ok())
        }
    };
    // Far above every real model, and far below what would overflow.
    let found = each.filter(|heads| (1..=1 << 30).contains(heads));
    found.map(|heads| heads as usize).ok_or_else(|| {
        let found = each.map_or("none".to_owned(), |heads| heads.to_string());
        let detail = format!("`{key}`: found {found} for layer {layer}; expected a number of heads from 1 to 2^30");
        fault(metadata.path(), detail)
    })
}

fn key_value_heads(metadata: &Metadata, layer: usize) -> Result<usize, HubError> {
    let own = "llama.attention.head_count_kv";
    let key = if metadata.values().contains_key(own) {
        own
    } else {
        "llama.attention.head_count"
    };
    heads(metadata, key, layer)
}
