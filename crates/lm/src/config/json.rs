//! `DecoderConfig::from_json`: config.json, field by field as transformers 5.24 reads it, with the defaults of each family.

use serde_json::Value;

use super::fields::Fields;
use super::rope_fields::{gemma3_rotaries, rotary};
use super::{Architecture, DecoderConfig, Gate, LayerConfig, gemma3_layer, gemma3_layers, score_scale, square_root};
use crate::LmError;

const MODEL_TYPES: &str = "llama, qwen2, qwen3, gemma3_text, gemma3";

/// Fields that change nothing in what the model computes: names and versions, storage, what is returned, settings of
/// generation (transformers drops them), labels of classifiers.
#[rustfmt::skip]
const HARMLESS: &[&str] = &[
    "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_model_name_or_path", "_name_or_path",
    "_sliding_window_pattern",
    "architectures", "attn_implementation", "bad_words_ids", "begin_suppress_tokens", "cache_implementation",
    "chunk_size_feed_forward", "decoder_start_token_id", "diversity_penalty", "do_sample", "dtype", "early_stopping",
    "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id",
    "forced_eos_token_id", "id2label", "is_decoder", "is_llama_config", "label2id", "length_penalty", "max_length",
    "max_new_tokens", "min_length", "min_p", "model_type", "name_or_path", "no_repeat_ngram_size", "num_beam_groups",
    "num_beams", "num_labels", "num_return_sequences", "output_attentions", "output_hidden_states", "output_scores",
    "prefix", "pretraining_tp", "problem_type", "remove_invalid_values", "repetition_penalty", "return_dict",
    "return_dict_in_generate", "sep_token_id", "suppress_tokens", "task_specific_params", "temperature",
    "tf_legacy_loss", "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript", "transformers.js_config",
    "transformers_version", "typical_p", "unsloth_fixed", "unsloth_version", "use_bfloat16", "unk_token_id", "use_cache",
];

/// What Gemma 3 with pictures has beside its text model.
const BESIDE_TEXT: &[&str] = &[
    "boi_token_index",
    "eoi_token_index",
    "image_token_index",
    "initializer_range",
    "mm_tokens_per_image",
    "text_config",
    "vision_config",
];

impl DecoderConfig {
    /// Reads a config.json of Llama, Qwen2, Qwen3 or Gemma 3 (of the latter also the text part of a model with pictures).
    ///
    /// # Errors
    ///
    /// Another architecture, a field that is not known here and may change the mathematics, a value out of its range:
    /// the error names the field.
    pub fn from_json(json: &Value) -> Result<Self, LmError> {
        let mut fields = Fields::new("", json)?;
        let config = match fields.text("model_type")? {
            Some("llama") => llama(&mut fields)?,
            Some("qwen2") => qwen(&mut fields, Architecture::Qwen2)?,
            Some("qwen3") => qwen(&mut fields, Architecture::Qwen3)?,
            Some("gemma3_text") => gemma3(&mut fields)?,
            Some("gemma3") => gemma3_text_part(&mut fields)?,
            other => {
                return Err(LmError::Architecture {
                    field: "model_type",
                    found: other.unwrap_or("nothing").to_owned(),
                    expected: MODEL_TYPES,
                });
            }
        };
        common(&mut fields)?;
        fields.finish()?;
        config.checked()
    }
}

/// Fields that every family may have, and that must not say anything unusual.
fn common(fields: &mut Fields<'_>) -> Result<(), LmError> {
    for name in [
        "is_encoder_decoder",
        "add_cross_attention",
        "rope_interleaved",
        "use_mrope",
    ] {
        fields.off(name)?;
    }
    if let Some(dropout) = fields.number("attention_dropout")?.filter(|dropout| *dropout != 0.0) {
        return Err(fields.error("attention_dropout", &dropout.to_string(), "0; dropout is not supported"));
    }
    if let Some(heads) = fields.value("pruned_heads").filter(|heads| !is_empty(heads)) {
        return Err(fields.error("pruned_heads", &heads.to_string(), "no pruned heads"));
    }
    fields.harmless(HARMLESS);
    Ok(())
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn llama(fields: &mut Fields<'_>) -> Result<DecoderConfig, LmError> {
    let sizes = Sizes::read(fields, [32_000, 4096, 11_008, 32, 32, 2048])?;
    let head_size = match fields.count("head_dim")? {
        Some(size) => size,
        None => sizes.head_size(fields)?,
    };
    let bias = fields.flag("attention_bias")?.unwrap_or(false);
    let layer = LayerConfig {
        window: None,
        rotary: 0,
    };
    Ok(DecoderConfig {
        key_value_heads: sizes.key_value_heads(fields, None)?,
        gate: gate(fields, "hidden_act", Gate::Silu)?,
        attention_bias: bias,
        output_bias: bias,
        feed_forward_bias: fields.flag("mlp_bias")?.unwrap_or(false),
        layers: vec![layer; sizes.layers],
        rotaries: vec![rotary(fields, head_size, sizes.context)?],
        ..plain(
            fields,
            Architecture::Llama,
            &sizes,
            head_size,
            [None, Some(1), Some(2)],
            false,
        )?
    })
}

fn qwen(fields: &mut Fields<'_>, architecture: Architecture) -> Result<DecoderConfig, LmError> {
    let sizes = Sizes::read(fields, [151_936, 4096, 22_016, 32, 32, 32_768])?;
    let third = architecture == Architecture::Qwen3;
    let head_size = match fields.count("head_dim")? {
        Some(size) => size,
        None if third => 128,
        None => sizes.head_size(fields)?,
    };
    let output_bias = third && fields.flag("attention_bias")?.unwrap_or(false);
    Ok(DecoderConfig {
        key_value_heads: sizes.key_value_heads(fields, Some(32))?,
        gate: gate(fields, "hidden_act", Gate::Silu)?,
        query_key_norm: third,
        attention_bias: !third || output_bias,
        output_bias,
        layers: qwen_layers(fields, sizes.layers)?,
        rotaries: vec![rotary(fields, head_size, sizes.context)?],
        ..plain(fields, architecture, &sizes, head_size, [None, None, None], false)?
    })
}

/// Windows count only with `use_sliding_window`, and then from layer `max_window_layers` on or where `layer_types` says.
fn qwen_layers(fields: &mut Fields<'_>, count: usize) -> Result<Vec<LayerConfig>, LmError> {
    let used = fields.flag("use_sliding_window")?.unwrap_or(false);
    let window = nullable(fields, "sliding_window", Fields::count, Some(4096))?.filter(|_| used);
    // Zero is allowed here: then all layers have the window.
    let first = fields.number("max_window_layers")?.unwrap_or(28.0);
    let windows = match layer_windows(fields, count, window)? {
        Some(windows) => windows,
        None => (0..count)
            .map(|layer| window.filter(|_| layer as f64 >= first))
            .collect(),
    };
    let layer = |window| LayerConfig { window, rotary: 0 };
    Ok(windows.into_iter().map(layer).collect())
}

fn gemma3(fields: &mut Fields<'_>) -> Result<DecoderConfig, LmError> {
    let sizes = Sizes::read(fields, [262_208, 2304, 9216, 26, 8, 131_072])?;
    let head_size = fields.count("head_dim")?.unwrap_or(256);
    let bias = fields.flag("attention_bias")?.unwrap_or(false);
    fields.off("use_bidirectional_attention")?;
    if let Some(cap) = fields.number("attn_logit_softcapping")? {
        return Err(fields.error(
            "attn_logit_softcapping",
            &cap.to_string(),
            "none; transformers reads this field for Gemma 3 and does not apply it",
        ));
    }
    let pattern = fields.count("sliding_window_pattern")?.unwrap_or(6);
    let window = nullable(fields, "sliding_window", Fields::count, Some(4096))?;
    let layers = match layer_windows(fields, sizes.layers, window)? {
        Some(windows) => windows.into_iter().map(gemma3_layer).collect(),
        None => gemma3_layers(sizes.layers, pattern, sliding(fields, window)?),
    };
    let scalar = fields.count("query_pre_attn_scalar")?.unwrap_or(256);
    Ok(DecoderConfig {
        key_value_heads: sizes.key_value_heads(fields, Some(4))?,
        norm_offset: 1.0,
        gate: gate(fields, "hidden_activation", Gate::GeluTanh)?,
        query_key_norm: true,
        post_norms: true,
        attention_bias: bias,
        output_bias: bias,
        embedding_scale: Some(square_root(sizes.hidden)),
        attention_scale: score_scale(scalar as f64),
        logit_soft_cap: fields.positive("final_logit_softcapping")?.map(|cap| cap as f32),
        layers,
        rotaries: gemma3_rotaries(fields, head_size, sizes.context)?,
        ..plain(
            fields,
            Architecture::Gemma3,
            &sizes,
            head_size,
            [Some(0), Some(2), Some(1)],
            true,
        )?
    })
}

/// The text model inside a model with pictures. Tokens that the outer object names win.
fn gemma3_text_part(fields: &mut Fields<'_>) -> Result<DecoderConfig, LmError> {
    fields.harmless(BESIDE_TEXT);
    let Some(mut text) = fields.object("text_config")? else {
        return Err(fields.error("text_config", "nothing", "the configuration of the text model"));
    };
    if let Some(other) = text.text("model_type")?.filter(|kind| *kind != "gemma3_text") {
        return Err(text.error("model_type", other, "gemma3_text"));
    }
    let mut config = gemma3(&mut text)?;
    common(&mut text)?;
    text.finish()?;
    config.tied_embeddings = fields.flag("tie_word_embeddings")?.unwrap_or(config.tied_embeddings);
    config.bos_token = fields.token("bos_token_id")?.or(config.bos_token);
    config.pad_token = fields.token("pad_token_id")?.or(config.pad_token);
    config.eos_tokens = fields.tokens("eos_token_id")?.unwrap_or(config.eos_tokens);
    Ok(config)
}

/// What most families have in common; `tokens` are the defaults of padding, beginning and end.
fn plain(
    fields: &mut Fields<'_>,
    architecture: Architecture,
    sizes: &Sizes,
    head_size: usize,
    [pad, bos, eos]: [Option<u32>; 3],
    tied: bool,
) -> Result<DecoderConfig, LmError> {
    let eos = eos.map(|eos| vec![eos]);
    Ok(DecoderConfig {
        architecture,
        vocabulary: sizes.vocabulary,
        hidden: sizes.hidden,
        intermediate: sizes.intermediate,
        heads: sizes.heads,
        key_value_heads: sizes.heads,
        head_size,
        context: sizes.context,
        norm_epsilon: fields.positive("rms_norm_eps")?.unwrap_or(1e-6) as f32,
        norm_offset: 0.0,
        gate: Gate::Silu,
        query_key_norm: false,
        post_norms: false,
        attention_bias: false,
        output_bias: false,
        feed_forward_bias: false,
        tied_embeddings: fields.flag("tie_word_embeddings")?.unwrap_or(tied),
        embedding_scale: None,
        attention_scale: score_scale(head_size as f64),
        attention_soft_cap: None,
        logit_soft_cap: None,
        layers: Vec::new(),
        rotaries: Vec::new(),
        initializer_range: fields.positive("initializer_range")?.unwrap_or(0.02) as f32,
        bos_token: nullable(fields, "bos_token_id", Fields::token, bos)?,
        eos_tokens: nullable(fields, "eos_token_id", Fields::tokens, eos)?.unwrap_or_default(),
        pad_token: nullable(fields, "pad_token_id", Fields::token, pad)?,
    })
}

struct Sizes {
    vocabulary: usize,
    hidden: usize,
    intermediate: usize,
    layers: usize,
    heads: usize,
    context: usize,
}

impl Sizes {
    fn read(fields: &mut Fields<'_>, defaults: [usize; 6]) -> Result<Self, LmError> {
        let [vocabulary, hidden, intermediate, layers, heads, context] = defaults;
        let layers = fields.count("num_hidden_layers")?.unwrap_or(layers);
        // Checked before one entry a layer is made.
        if layers > 1 << 14 {
            return Err(fields.error("num_hidden_layers", &layers.to_string(), "16384 at most"));
        }
        let head_size = fields.count("head_dim")?.unwrap_or(2);
        if head_size > 1 << 16 {
            return Err(fields.error("head_dim", &head_size.to_string(), "65536 at most"));
        }
        Ok(Self {
            vocabulary: fields.count("vocab_size")?.unwrap_or(vocabulary),
            hidden: fields.count("hidden_size")?.unwrap_or(hidden),
            intermediate: fields.count("intermediate_size")?.unwrap_or(intermediate),
            layers,
            heads: fields.count("num_attention_heads")?.unwrap_or(heads),
            context: fields.count("max_position_embeddings")?.unwrap_or(context),
        })
    }

    /// hidden / heads, where no field says it.
    fn head_size(&self, fields: &Fields<'_>) -> Result<usize, LmError> {
        let size = self.hidden / self.heads;
        if !self.hidden.is_multiple_of(self.heads) || size > 1 << 16 {
            let expected = format!("a divisor of hidden_size ({})", self.hidden);
            return Err(fields.error("num_attention_heads", &self.heads.to_string(), &expected));
        }
        Ok(size)
    }

    /// As many as heads of queries where the field is null, or absent in a family without a default.
    fn key_value_heads(&self, fields: &mut Fields<'_>, default: Option<usize>) -> Result<usize, LmError> {
        Ok(nullable(fields, "num_key_value_heads", Fields::count, default)?.unwrap_or(self.heads))
    }
}

/// A field whose null says none, while its absence says the default.
fn nullable<'a, T>(
    fields: &mut Fields<'a>,
    name: &'static str,
    read: impl Fn(&mut Fields<'a>, &'static str) -> Result<Option<T>, LmError>,
    default: Option<T>,
) -> Result<Option<T>, LmError> {
    if fields.is_absent(name) {
        return Ok(default);
    }
    read(fields, name)
}

fn gate(fields: &mut Fields<'_>, name: &'static str, default: Gate) -> Result<Gate, LmError> {
    match fields.text(name)? {
        None => Ok(default),
        Some("silu" | "swish") => Ok(Gate::Silu),
        Some("gelu_pytorch_tanh") => Ok(Gate::GeluTanh),
        Some(other) => Err(fields.error(name, other, "silu or gelu_pytorch_tanh")),
    }
}

/// The window of each layer as `layer_types` says, if it is there.
fn layer_windows(
    fields: &mut Fields<'_>,
    count: usize,
    window: Option<usize>,
) -> Result<Option<Vec<Option<usize>>>, LmError> {
    let Some(types) = fields.texts("layer_types")? else {
        return Ok(None);
    };
    if types.len() != count {
        let expected = format!("one type for each of the {count} layers");
        return Err(fields.error("layer_types", &format!("{} types", types.len()), &expected));
    }
    let windows = types.into_iter().map(|kind| match kind {
        "full_attention" => Ok(None),
        "sliding_attention" => sliding(fields, window).map(Some),
        other => Err(fields.error("layer_types", other, "full_attention or sliding_attention")),
    });
    windows.collect::<Result<_, _>>().map(Some)
}

/// Layers with a window need its width.
fn sliding(fields: &Fields<'_>, window: Option<usize>) -> Result<usize, LmError> {
    window.ok_or_else(|| fields.error("sliding_window", "nothing", "the width of the window of sliding layers"))
}
