//! `DecoderConfig::to_json`: a config.json that transformers (4 or 5) and this crate read to the same model.

use serde_json::{Map, Value, json};

use super::rotary::RotaryScaling;
use super::{Architecture, DecoderConfig, Gate, LayerConfig};
use crate::LmError;

impl DecoderConfig {
    /// The fields of config.json, for a model whose weights are f32 (`"dtype"`).
    ///
    /// # Errors
    ///
    /// No config.json says this model, since it was put together by hand or comes from a GGUF file with tensors that its family
    /// has not: windows of different widths, some biases without the others, or a soft cap of attention, which transformers
    /// does not apply to these families. Where a number is out of its range, the error names the field.
    pub fn to_json(&self) -> Result<Value, LmError> {
        if self.attention_soft_cap.is_some() {
            return Err(LmError::NotSayable {
                detail: "attention has a soft cap",
            });
        }
        let window = self.window()?;
        let gemma = self.architecture == Architecture::Gemma3;
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| {
            fields.insert(name.to_owned(), value);
        };
        let (model_type, class) = match self.architecture {
            Architecture::Llama => ("llama", "LlamaForCausalLM"),
            Architecture::Qwen2 => ("qwen2", "Qwen2ForCausalLM"),
            Architecture::Qwen3 => ("qwen3", "Qwen3ForCausalLM"),
            Architecture::Gemma3 => ("gemma3_text", "Gemma3ForCausalLM"),
        };
        set("model_type", json!(model_type));
        set("architectures", json!([class]));
        set("dtype", json!("float32"));
        set("vocab_size", json!(self.vocabulary));
        set("hidden_size", json!(self.hidden));
        set("intermediate_size", json!(self.intermediate));
        set("num_hidden_layers", json!(self.layers.len()));
        set("num_attention_heads", json!(self.heads));
        set("num_key_value_heads", json!(self.key_value_heads));
        set("head_dim", json!(self.head_size));
        set("max_position_embeddings", json!(self.context));
        set("rms_norm_eps", short(self.norm_epsilon));
        set("initializer_range", short(self.initializer_range));
        set("tie_word_embeddings", json!(self.tied_embeddings));
        set("bos_token_id", json!(self.bos_token));
        set("pad_token_id", json!(self.pad_token));
        set(
            "eos_token_id",
            match self.eos_tokens.as_slice() {
                [] => Value::Null,
                [one] => json!(one),
                several => json!(several),
            },
        );
        let gate = match self.gate {
            Gate::Silu => "silu",
            Gate::GeluTanh => "gelu_pytorch_tanh",
        };
        set(if gemma { "hidden_activation" } else { "hidden_act" }, json!(gate));
        if self.architecture != Architecture::Qwen2 {
            set("attention_bias", json!(self.attention_bias));
        }
        if self.architecture == Architecture::Llama {
            set("mlp_bias", json!(self.feed_forward_bias));
        } else {
            set("sliding_window", json!(window));
            set("layer_types", self.layer_types());
        }
        if gemma {
            set(
                "final_logit_softcapping",
                self.logit_soft_cap.map_or(Value::Null, short),
            );
            // The scale is the root of its reciprocal, and whole in every model.
            set(
                "query_pre_attn_scalar",
                json!((1.0 / f64::from(self.attention_scale).powi(2)).round() as u64),
            );
        } else if self.architecture != Architecture::Llama {
            set("use_sliding_window", json!(window.is_some()));
        }
        self.set_rotaries(&mut fields)?;
        let json = Value::Object(fields);
        // What has no field here must not be lost in silence.
        if Self::from_json(&json)? != *self {
            return Err(LmError::NotSayable {
                detail: "it has other parts than its family",
            });
        }
        Ok(json)
    }

    /// The one window of all layers that have one.
    fn window(&self) -> Result<Option<usize>, LmError> {
        let mut windows = self.layers.iter().filter_map(|layer| layer.window);
        let first = windows.next();
        if windows.any(|window| Some(window) != first) {
            return Err(LmError::NotSayable {
                detail: "layers have windows of different widths",
            });
        }
        Ok(first)
    }

    fn layer_types(&self) -> Value {
        let kind = |window: Option<usize>| {
            if window.is_some() {
                "sliding_attention"
            } else {
                "full_attention"
            }
        };
        self.layers.iter().map(|layer| kind(layer.window)).collect()
    }

    /// In the spelling of transformers 4, which 5 reads as well; only a scaling of Gemma's local layers needs that of 5.
    fn set_rotaries(&self, fields: &mut Map<String, Value>) -> Result<(), LmError> {
        let gemma = self.architecture == Architecture::Gemma3;
        let fits = |layer: &LayerConfig| layer.rotary == usize::from(gemma && layer.window.is_some());
        let (global, local) = match (gemma, self.rotaries.as_slice()) {
            (true, [global, local]) => (global, Some(local)),
            (false, [one]) => (one, None),
            _ => return Err(LmError::NotSayable { detail: ROTARIES }),
        };
        if !self.layers.iter().all(fits) {
            return Err(LmError::NotSayable { detail: ROTARIES });
        }
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        match local {
            Some(local) if local.scaling != RotaryScaling::Default => {
                let mut by_layer = [scaling(&global.scaling), scaling(&local.scaling)];
                by_layer[0]["rope_theta"] = json!(global.theta);
                by_layer[1]["rope_theta"] = json!(local.theta);
                let [global, local] = by_layer;
                set(
                    "rope_parameters",
                    json!({"full_attention": global, "sliding_attention": local}),
                );
                return Ok(());
            }
            Some(local) => set("rope_local_base_freq", json!(local.theta)),
            None => None,
        };
        set("rope_theta", json!(global.theta));
        if global.scaling != RotaryScaling::Default {
            set("rope_scaling", scaling(&global.scaling));
        }
        Ok(())
    }
}

const ROTARIES: &str = "layers of one type have different rotary embeddings";

/// A number as short as f32 can be told apart, and not with the digits of its f64.
fn short(x: f32) -> Value {
    x.to_string().parse::<f64>().map_or(Value::Null, |x| json!(x))
}

fn scaling(scaling: &RotaryScaling) -> Value {
    match scaling {
        RotaryScaling::Default => json!({"rope_type": "default"}),
        RotaryScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
        RotaryScaling::Llama3 {
            factor,
            low_frequency_factor,
            high_frequency_factor,
            original_context,
        } => json!({
            "rope_type": "llama3", "factor": factor, "low_freq_factor": low_frequency_factor,
            "high_freq_factor": high_frequency_factor, "original_max_position_embeddings": original_context,
        }),
        RotaryScaling::Yarn {
            factor,
            beta_fast,
            beta_slow,
            truncate,
            original_context,
            attention_factor,
        } => json!({
            "rope_type": "yarn", "factor": factor, "beta_fast": beta_fast, "beta_slow": beta_slow,
            "truncate": truncate, "original_max_position_embeddings": original_context,
            "attention_factor": attention_factor,
        }),
    }
}
