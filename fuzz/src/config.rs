//! Configurations of decoders: config.json of the fuzzer's choice, and what holds for each that is read.

use etude_lm::config::{DecoderConfig, Rotary};
use serde_json::{Value, json};

use crate::input::Input;

/// What a field is, where it is what it should be.
#[derive(Clone, Copy)]
enum Kind {
    Count,
    Positive,
    Number,
    Flag,
    Tokens,
    Gate,
    LayerTypes,
    RopeType,
    /// The parameters of a rotary embedding.
    Rope,
    /// The same by the type of a layer.
    ByLayer,
}

const FAMILIES: [&str; 6] = ["llama", "qwen2", "qwen3", "gemma3_text", "gemma3", "mamba"];

const FIELDS: [(&str, Kind); 36] = [
    ("vocab_size", Kind::Count),
    ("hidden_size", Kind::Count),
    ("intermediate_size", Kind::Count),
    ("num_hidden_layers", Kind::Count),
    ("num_attention_heads", Kind::Count),
    ("num_key_value_heads", Kind::Count),
    ("head_dim", Kind::Count),
    ("max_position_embeddings", Kind::Count),
    ("original_max_position_embeddings", Kind::Count),
    ("sliding_window", Kind::Count),
    ("sliding_window_pattern", Kind::Count),
    ("query_pre_attn_scalar", Kind::Count),
    ("max_window_layers", Kind::Number),
    ("rms_norm_eps", Kind::Positive),
    ("initializer_range", Kind::Positive),
    ("final_logit_softcapping", Kind::Positive),
    ("attn_logit_softcapping", Kind::Positive),
    ("rope_theta", Kind::Positive),
    ("rope_local_base_freq", Kind::Positive),
    ("partial_rotary_factor", Kind::Number),
    ("attention_dropout", Kind::Number),
    ("tie_word_embeddings", Kind::Flag),
    ("attention_bias", Kind::Flag),
    ("mlp_bias", Kind::Flag),
    ("use_sliding_window", Kind::Flag),
    ("use_bidirectional_attention", Kind::Flag),
    ("rope_interleaved", Kind::Flag),
    ("bos_token_id", Kind::Tokens),
    ("eos_token_id", Kind::Tokens),
    ("pad_token_id", Kind::Tokens),
    ("hidden_act", Kind::Gate),
    ("hidden_activation", Kind::Gate),
    ("layer_types", Kind::LayerTypes),
    ("rope_scaling", Kind::Rope),
    ("rope_parameters", Kind::Rope),
    ("rope_parameters", Kind::ByLayer),
];

const ROPE_FIELDS: [(&str, Kind); 14] = [
    ("rope_type", Kind::RopeType),
    ("type", Kind::RopeType),
    ("rope_theta", Kind::Positive),
    ("factor", Kind::Positive),
    ("low_freq_factor", Kind::Positive),
    ("high_freq_factor", Kind::Positive),
    ("original_max_position_embeddings", Kind::Count),
    ("beta_fast", Kind::Number),
    ("beta_slow", Kind::Number),
    ("truncate", Kind::Flag),
    ("mscale", Kind::Number),
    ("mscale_all_dim", Kind::Number),
    ("attention_factor", Kind::Positive),
    ("partial_rotary_factor", Kind::Number),
];

/// A config.json of a small model in which the fuzzer sets fields: mostly to what they may be, at times to anything. Those of
/// Gemma 3 with pictures have a text model in them.
pub fn config_json(input: &mut Input<'_>) -> Value {
    let family = FAMILIES[input.below(6)];
    if family != "gemma3" {
        return small(family, input);
    }
    let mut whole = json!({"model_type": family, "text_config": small("gemma3_text", input)});
    for name in ["tie_word_embeddings", "bos_token_id", "eos_token_id", "pad_token_id"] {
        if input.flag() {
            let (_, kind) = FIELDS
                .into_iter()
                .find(|(field, _)| *field == name)
                .expect("it is there");
            whole[name] = value(kind, input);
        }
    }
    whole
}

fn small(family: &str, input: &mut Input<'_>) -> Value {
    let mut fields = json!({
        "model_type": family, "vocab_size": 64, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 3,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "max_position_embeddings": 64,
    });
    for _ in 0..input.below(8) {
        let (name, kind) = FIELDS[input.below(36)];
        fields[name] = value(kind, input);
    }
    fields
}

fn value(kind: Kind, input: &mut Input<'_>) -> Value {
    let token = |input: &mut Input<'_>| json!(input.below(80));
    match (input.below(32), kind) {
        (31, _) => Value::Null,
        (30, _) => json!(input.number()),
        (29, _) => json!(FAMILIES[input.below(6)]),
        (28, _) => (0..input.below(4)).map(|_| input.below(4)).collect(),
        (0..16, Kind::Count) => json!(input.below(32) + 1),
        (_, Kind::Count) => json!((input.below(2) + 1) << input.below(31)),
        (_, Kind::Positive) => json!(input.positive()),
        (0..16, Kind::Number) => json!(input.number()),
        (_, Kind::Number) => json!(-input.positive()),
        (_, Kind::Flag) => json!(input.flag()),
        (0..16, Kind::Tokens) => token(input),
        (_, Kind::Tokens) => (0..input.below(4)).map(|_| token(input)).collect(),
        (_, Kind::Gate) => json!(["silu", "swish", "gelu_pytorch_tanh", "relu"][input.below(4)]),
        (_, Kind::LayerTypes) => (0..input.below(2) + 2)
            .map(|_| ["full_attention", "sliding_attention"][input.below(2)])
            .collect(),
        (_, Kind::RopeType) => json!(["default", "linear", "llama3", "yarn", "dynamic"][input.below(5)]),
        (_, Kind::Rope) => rope(input),
        (_, Kind::ByLayer) => json!({"full_attention": rope(input), "sliding_attention": rope(input)}),
    }
}

/// Parameters of a rotary embedding: all that its type needs, and others.
fn rope(input: &mut Input<'_>) -> Value {
    let kind = ["yarn", "linear", "llama3", "default"][input.below(4)];
    let mut fields = json!({"rope_type": kind});
    let needed: &[&str] = match kind {
        "linear" | "yarn" => &["factor"],
        "llama3" => &["factor", "low_freq_factor", "high_freq_factor"],
        _ => &[],
    };
    for name in needed {
        fields[name] = json!(input.positive());
    }
    for _ in 0..input.below(4) {
        let (name, kind) = ROPE_FIELDS[input.below(14)];
        fields[name] = value(kind, input);
    }
    fields
}

/// Checks that the sizes of a configuration that was read fit together, that their products can be computed with, and that
/// every number is one.
///
/// # Panics
///
/// Where they do not.
pub fn check_config(config: &DecoderConfig) {
    let sizes = [
        config.vocabulary,
        config.hidden,
        config.intermediate,
        config.heads,
        config.key_value_heads,
        config.head_size,
        config.context,
        config.layers.len(),
    ];
    assert!(sizes.iter().all(|size| (1..=1 << 30).contains(size)), "{sizes:?}");
    assert!(config.heads.is_multiple_of(config.key_value_heads));
    assert!(config.head_size.is_multiple_of(2) && config.head_size <= 1 << 16);
    assert!(config.layers.len() <= 1 << 14);
    for width in [config.vocabulary, config.intermediate, config.heads * config.head_size] {
        assert!(width * config.hidden <= 1 << 40);
    }
    for layer in &config.layers {
        assert!(layer.rotary < config.rotaries.len());
        assert!(layer.window != Some(0));
    }
    for Rotary {
        theta,
        frequencies,
        attention_factor,
        ..
    } in &config.rotaries
    {
        assert_eq!(frequencies.len(), config.head_size / 2);
        assert!(frequencies.iter().all(|frequency| frequency.is_finite()));
        assert!(is_scale(*attention_factor) && theta.is_finite());
    }
    let always = [config.norm_epsilon, config.attention_scale, config.initializer_range];
    let scales = [config.embedding_scale, config.attention_soft_cap, config.logit_soft_cap];
    assert!(
        always.into_iter().chain(scales.into_iter().flatten()).all(is_scale),
        "{config:?}"
    );
    assert!(config.pad_token.is_none_or(|pad| (pad as usize) < config.vocabulary));
}

fn is_scale(number: f32) -> bool {
    number.is_finite() && number > 0.0
}
