//! Checkpoints of a few thousand random weights, in memory.

use std::collections::BTreeMap;
use std::path::Path;

use etude_hub::{Dtype, MemoryCheckpoint};
use etude_lm::config::DecoderConfig;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

/// The families that are tried.
pub(crate) const FAMILIES: [&str; 4] = ["llama", "qwen2", "qwen3", "gemma3"];

/// Random weights, by name, with their shapes.
#[derive(Debug)]
pub(crate) struct TinyCheckpoint {
    pub(crate) config: DecoderConfig,
    entries: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl TinyCheckpoint {
    pub(crate) fn new(family: &str, seed: u64) -> Self {
        let mut fields = json!({
            "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 96, "rms_norm_eps": 1e-5,
        });
        let (model_type, more) = match family {
            "llama" => ("llama", json!({ "hidden_act": "silu", "tie_word_embeddings": true })),
            "qwen2" => ("qwen2", json!({ "hidden_act": "silu", "tie_word_embeddings": false })),
            "qwen3" => ("qwen3", json!({ "hidden_act": "silu", "tie_word_embeddings": true })),
            _ => (
                "gemma3_text",
                json!({
                    "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": true, "sliding_window": 8,
                    "query_pre_attn_scalar": 8, "layer_types": ["sliding_attention", "full_attention"],
                    "final_logit_softcapping": 20.0,
                }),
            ),
        };
        fields["model_type"] = json!(model_type);
        fields
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let config = DecoderConfig::from_json(&fields).unwrap();

        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let mut this = Self {
            config: config.clone(),
            entries: BTreeMap::new(),
        };
        let mut add = |name: String, shape: &[usize], middle: f32, width: f32| {
            let entries = (0..shape.iter().product::<usize>()).map(|_| middle + width * (random.random::<f32>() - 0.5));
            this.entries.insert(name, (shape.to_vec(), entries.collect()));
        };
        let (hidden, inner) = (config.hidden, config.intermediate);
        let (queries, keys) = (
            config.heads * config.head_size,
            config.key_value_heads * config.head_size,
        );
        let unit = 1.0 - config.norm_offset;
        add(
            "model.embed_tokens.weight".into(),
            &[config.vocabulary, hidden],
            0.0,
            2.0,
        );
        add("model.norm.weight".into(), &[hidden], unit, 0.5);
        if !config.tied_embeddings {
            add("lm_head.weight".into(), &[config.vocabulary, hidden], 0.0, 2.0);
        }
        for layer in 0..config.layers.len() {
            let name = |part: &str| format!("model.layers.{layer}.{part}");
            for (part, outputs, inputs) in [
                ("self_attn.q_proj", queries, hidden),
                ("self_attn.k_proj", keys, hidden),
                ("self_attn.v_proj", keys, hidden),
                ("self_attn.o_proj", hidden, queries),
                ("mlp.gate_proj", inner, hidden),
                ("mlp.up_proj", inner, hidden),
                ("mlp.down_proj", hidden, inner),
            ] {
                add(name(&format!("{part}.weight")), &[outputs, inputs], 0.0, 1.0);
                let bias =
                    config.attention_bias && ["q_proj", "k_proj", "v_proj"].iter().any(|end| part.ends_with(end));
                if bias {
                    add(name(&format!("{part}.bias")), &[outputs], 0.0, 1.0);
                }
            }
            let mut norms = vec![("input_layernorm", hidden), ("post_attention_layernorm", hidden)];
            if config.post_norms {
                norms.extend([
                    ("pre_feedforward_layernorm", hidden),
                    ("post_feedforward_layernorm", hidden),
                ]);
            }
            if config.query_key_norm {
                norms.extend([
                    ("self_attn.q_norm", config.head_size),
                    ("self_attn.k_norm", config.head_size),
                ]);
            }
            for (norm, size) in norms {
                add(name(&format!("{norm}.weight")), &[size], unit, 0.5);
            }
        }
        this
    }

    pub(crate) fn set(&mut self, name: &str, index: usize, value: f32) {
        self.entries.get_mut(name).unwrap().1[index] = value;
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.entries.remove(name);
    }

    /// What a decoder is loaded from.
    pub(crate) fn checkpoint(&self) -> MemoryCheckpoint {
        let mut checkpoint = MemoryCheckpoint::new(Path::new("tiny"));
        for (name, (shape, entries)) in &self.entries {
            checkpoint.insert_f32(name, shape, entries, Dtype::F32);
        }
        checkpoint
    }
}
