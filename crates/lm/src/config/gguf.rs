//! `DecoderConfig::from_gguf`: the metadata of a GGUF file, read as llama.cpp reads it (`llama-model.cpp`).
//!
//! GGUF leaves out what the architecture says by itself: the pattern of Gemma 3's windows, its local rotary base, its
//! scale of scores. Llama 3's scaling of frequencies is a tensor of divisors there.

use std::fmt::Display;

use etude_hub::gguf::Metadata;
use etude_hub::{Checkpoint, GgufCheckpoint};

use super::fields::field_error;
use super::rotary::{Rotary, RotaryScaling, yarn_attention_factor};
use super::{Architecture, DecoderConfig, Gate, LayerConfig, gemma3_layers, score_scale, square_root};
use crate::LmError;

/// Keys below the architecture's name that are read here, or that change nothing.
#[rustfmt::skip]
const KNOWN: &[&str] = &[
    "attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.layer_norm_rms_epsilon",
    "attention.sliding_window", "attention.value_length", "block_count", "context_length", "embedding_length",
    "feed_forward_length", "final_logit_softcapping", "rope.dimension_count", "rope.freq_base",
    "rope.scaling.factor", "rope.scaling.finetuned", "rope.scaling.original_context_length",
    "rope.scaling.type", "tensor_data_layout", "vocab_size",
];

impl DecoderConfig {
    /// Reads what a GGUF file of Llama, Qwen2, Qwen3 or Gemma 3 says about its model. Whether the head is tied to the
    /// embedding, and what has biases, is seen from its tensors.
    ///
    /// # Errors
    /// Another architecture, a key of the architecture that is not known here, a value missing, of another type or out of its
    /// range: the error names the key.
    pub fn from_gguf(file: &GgufCheckpoint) -> Result<Self, LmError> {
        let name = file.metadata().architecture()?;
        let architecture = match name {
            "llama" => Architecture::Llama,
            "qwen2" => Architecture::Qwen2,
            "qwen3" => Architecture::Qwen3,
            "gemma3" => Architecture::Gemma3,
            other => {
                return Err(LmError::Architecture {
                    field: "general.architecture",
                    found: other.to_owned(),
                    expected: "llama, qwen2, qwen3, gemma3",
                });
            }
        };
        let keys = Keys {
            file,
            metadata: file.metadata(),
            name,
        };
        keys.all_known()?;
        keys.decoder(architecture)?.checked()
    }
}

struct Keys<'a> {
    file: &'a GgufCheckpoint,
    metadata: &'a Metadata,
    name: &'a str,
}

impl Keys<'_> {
    fn all_known(&self) -> Result<(), LmError> {
        let prefix = format!("{}.", self.name);
        for key in self.metadata.values().keys() {
            if key.strip_prefix(&prefix).is_some_and(|rest| !KNOWN.contains(&rest)) {
                return Err(LmError::UnknownField {
                    field: key.to_owned(),
                    found: "a value".to_owned(),
                });
            }
        }
        Ok(())
    }

    fn decoder(&self, architecture: Architecture) -> Result<DecoderConfig, LmError> {
        let gemma = architecture == Architecture::Gemma3;
        let hidden = self.count("embedding_length")?;
        let heads = self.count("attention.head_count")?;
        let context = self.count("context_length")?;
        let head_size = self.head_size(hidden, heads)?;
        let layers = self.count("block_count")?;
        if layers > 1 << 14 {
            return Err(self.wrong("block_count", layers, "16384 at most"));
        }
        let layers = if gemma {
            gemma3_layers(layers, 6, self.count("attention.sliding_window")?)
        } else if let Some(window) = self.optional("attention.sliding_window")? {
            return Err(self.wrong("attention.sliding_window", window, "none for this architecture"));
        } else {
            vec![
                LayerConfig {
                    window: None,
                    rotary: 0
                };
                layers
            ]
        };
        // The one size of Gemma 3 with another scale than that of its heads is the one with 62 layers.
        let scale = if gemma && layers.len() == 62 {
            hidden / heads
        } else {
            head_size
        };
        if scale == 0 {
            return Err(self.wrong("embedding_length", hidden, "at least one entry for each head"));
        }
        let mut rotaries = vec![self.rotary(head_size, context, gemma)?];
        if gemma {
            rotaries.push(Rotary::new(10_000.0, RotaryScaling::Default, head_size));
        }
        Ok(DecoderConfig {
            architecture,
            vocabulary: self.vocabulary()?,
            hidden,
            intermediate: self.count("feed_forward_length")?,
            heads,
            key_value_heads: self.optional("attention.head_count_kv")?.unwrap_or(heads),
            head_size,
            context,
            norm_epsilon: self
                .positive("attention.layer_norm_rms_epsilon")?
                .ok_or_else(|| self.wrong("attention.layer_norm_rms_epsilon", "nothing", "a number above zero"))?
                as f32,
            norm_offset: if gemma { 1.0 } else { 0.0 },
            gate: if gemma { Gate::GeluTanh } else { Gate::Silu },
            query_key_norm: gemma || architecture == Architecture::Qwen3,
            post_norms: gemma,
            attention_bias: self.has("model.layers.0.self_attn.q_proj.bias"),
            output_bias: self.has("model.layers.0.self_attn.o_proj.bias"),
            feed_forward_bias: self.has("model.layers.0.mlp.gate_proj.bias"),
            tied_embeddings: !self.has("lm_head.weight"),
            embedding_scale: gemma.then(|| square_root(hidden)),
            attention_scale: score_scale(scale as f64),
            attention_soft_cap: None,
            logit_soft_cap: self.positive("final_logit_softcapping")?.map(|cap| cap as f32),
            layers,
            rotaries,
            initializer_range: 0.02,
            bos_token: self.token("bos")?,
            eos_tokens: self.token("eos")?.into_iter().collect(),
            pad_token: self.token("padding")?,
        })
    }

    fn head_size(&self, hidden: usize, heads: usize) -> Result<usize, LmError> {
        let size = self.optional("attention.key_length")?.unwrap_or(hidden / heads);
        if size == 0 || size > 1 << 16 {
            return Err(self.wrong("attention.key_length", size, "a size from 1 to 65536"));
        }
        for key in ["rope.dimension_count", "attention.value_length"] {
            if let Some(other) = self.optional(key)?.filter(|other| *other != size) {
                let expected =
                    format!("{size}, the size of a head; heads that differ within themselves are not supported");
                return Err(self.wrong(key, other, &expected));
            }
        }
        Ok(size)
    }

    fn rotary(&self, head_size: usize, context: usize, gemma: bool) -> Result<Rotary, LmError> {
        let default = if gemma { 1_000_000.0 } else { 10_000.0 };
        let theta = self.positive("rope.freq_base")?.unwrap_or(default);
        let factor = self.positive("rope.scaling.factor")?;
        let kind = self.metadata.text(&self.key("rope.scaling.type"))?;
        let scaling = match (kind, factor) {
            (None | Some("none"), None) => RotaryScaling::Default,
            (Some("linear") | None, Some(factor)) => RotaryScaling::Linear { factor },
            (Some("yarn"), Some(factor)) => RotaryScaling::Yarn {
                factor,
                beta_fast: 32.0,
                beta_slow: 1.0,
                truncate: true,
                original_context: self
                    .optional("rope.scaling.original_context_length")?
                    .unwrap_or(context),
                attention_factor: yarn_attention_factor(factor, None, None),
            },
            (Some("linear" | "yarn"), None) => {
                return Err(self.wrong("rope.scaling.factor", "nothing", "a number above zero"));
            }
            (Some(other), _) => {
                return Err(self.wrong("rope.scaling.type", other, "none, linear or yarn"));
            }
        };
        let Some(divisors) = self.file.rope_factors() else {
            return Ok(Rotary::new(theta, scaling, head_size));
        };
        if scaling != RotaryScaling::Default {
            return Err(self.wrong(
                "rope.scaling.type",
                "a scaling",
                "none beside the tensor rope_freqs.weight",
            ));
        }
        llama3_of_divisors(theta, head_size, divisors)
    }

    /// From its own key, or from the list of tokens.
    fn vocabulary(&self) -> Result<usize, LmError> {
        if let Some(size) = self.optional("vocab_size")? {
            return Ok(size);
        }
        match self.metadata.texts("tokenizer.ggml.tokens")? {
            Some(tokens) if !tokens.is_empty() => Ok(tokens.len()),
            _ => Err(self.wrong(
                "vocab_size",
                "nothing",
                "the number of tokens, or tokenizer.ggml.tokens",
            )),
        }
    }

    fn token(&self, which: &str) -> Result<Option<u32>, LmError> {
        let id = self.metadata.unsigned(&format!("tokenizer.ggml.{which}_token_id"))?;
        Ok(id.and_then(|id| u32::try_from(id).ok()))
    }

    fn has(&self, tensor: &str) -> bool {
        self.file.info(tensor).is_some()
    }

    fn count(&self, key: &str) -> Result<usize, LmError> {
        self.optional(key)?
            .ok_or_else(|| self.wrong(key, "nothing", "a whole number from 1 to 2^30"))
    }

    fn optional(&self, key: &str) -> Result<Option<usize>, LmError> {
        match self.metadata.unsigned(&self.key(key))? {
            None => Ok(None),
            Some(count @ 1..=0x4000_0000) => Ok(Some(count as usize)),
            Some(count) => Err(self.wrong(key, count, "a whole number from 1 to 2^30")),
        }
    }

    fn positive(&self, key: &str) -> Result<Option<f64>, LmError> {
        match self.metadata.number(&self.key(key))? {
            Some(number) if (1e-30..=1e30).contains(&number) => Ok(Some(number)),
            Some(number) => Err(self.wrong(key, number, "a number from 1e-30 to 1e30")),
            None => Ok(None),
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    fn wrong(&self, key: &str, found: impl Display, expected: &str) -> LmError {
        field_error(&self.key(key), &found.to_string(), expected)
    }
}

/// llama.cpp's converter writes Llama 3's scaling as one divisor a frequency. The parameters that all Llama 3 models
/// have are tried with the largest divisor as the factor; other divisors are an error.
fn llama3_of_divisors(theta: f64, head_size: usize, divisors: &[f32]) -> Result<Rotary, LmError> {
    let plain = Rotary::new(theta, RotaryScaling::Default, head_size);
    let factor = f64::from(divisors.iter().copied().fold(1.0, f32::max));
    let scaling = RotaryScaling::Llama3 {
        factor,
        low_frequency_factor: 1.0,
        high_frequency_factor: 4.0,
        original_context: 8192,
    };
    let rotary = Rotary::new(theta, scaling, head_size);
    let same = |((scaled, plain), divisor): ((&f32, &f32), &f32)| (scaled * divisor / plain - 1.0).abs() < 1e-4;
    let all = rotary.frequencies.iter().zip(&plain.frequencies).zip(divisors);
    if divisors.len() == head_size / 2 && factor <= 1e30 && all.into_iter().all(same) {
        Ok(rotary)
    } else {
        Err(field_error(
            "rope_freqs.weight",
            &format!("{} divisors of frequencies", divisors.len()),
            "one for each pair of a head, as from Llama 3's scaling of a context of 8192",
        ))
    }
}
