//! Configurations: what transformers' frequencies are, what GGUF and config.json say of the same model, and what is refused.

use std::collections::BTreeMap;
use std::path::Path;

use etude_hub::GgufCheckpoint;
use etude_lm::config::{Architecture, DecoderConfig, LayerConfig};
use etude_lm::{LmError, Memory};
use proptest::prelude::*;
use serde_json::{Value, json};

/// From the configurations that the two models are published with.
fn smollm2() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 1,
        "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.02,
        "intermediate_size": 1536, "is_llama_config": true, "max_position_embeddings": 8192, "mlp_bias": false,
        "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
        "pad_token_id": 2, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_interleaved": false,
        "rope_scaling": null, "rope_theta": 100_000, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
        "transformers.js_config": {"kv_cache_dtype": {"fp16": "float16"}}, "transformers_version": "4.42.3",
        "use_cache": true, "vocab_size": 49152,
    })
}

fn gemma3_270m() -> Value {
    let layers: Vec<_> = (1..=18)
        .map(|layer| {
            if layer % 6 == 0 {
                "full_attention"
            } else {
                "sliding_attention"
            }
        })
        .collect();
    json!({
        "_sliding_window_pattern": 6, "architectures": ["Gemma3ForCausalLM"], "attention_bias": false,
        "attention_dropout": 0.0, "attn_logit_softcapping": null, "bos_token_id": 2, "eos_token_id": 1,
        "final_logit_softcapping": null, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 640, "initializer_range": 0.02, "intermediate_size": 2048, "layer_types": layers,
        "max_position_embeddings": 32768, "model_type": "gemma3_text", "num_attention_heads": 4,
        "num_hidden_layers": 18, "num_key_value_heads": 1, "pad_token_id": 0, "query_pre_attn_scalar": 256,
        "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000.0, "rope_scaling": null, "rope_theta": 1_000_000.0,
        "sliding_window": 512, "torch_dtype": "bfloat16", "transformers_version": "4.55.0.dev0",
        "use_bidirectional_attention": false, "use_cache": true, "vocab_size": 262_144,
    })
}

/// A GGUF file: numbers, texts, how many tokens its tokenizer has, and divisors of frequencies.
#[derive(Default, Clone)]
struct Gguf {
    numbers: BTreeMap<String, f64>,
    texts: BTreeMap<String, String>,
    tokens: usize,
    rope_factors: Vec<f32>,
}

impl Gguf {
    fn new(architecture: &str, numbers: &[(&str, f64)]) -> Self {
        let name = |key: &str| {
            if key.starts_with("tokenizer.") {
                key.to_owned()
            } else {
                format!("{architecture}.{key}")
            }
        };
        Self {
            numbers: numbers.iter().map(|(key, number)| (name(key), *number)).collect(),
            texts: BTreeMap::from([("general.architecture".to_owned(), architecture.to_owned())]),
            ..Self::default()
        }
    }

    /// Version 3, little endian. Whole numbers are u32, others f32.
    fn bytes(&self) -> Vec<u8> {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        let text = |file: &mut Vec<u8>, text: &str| {
            file.extend((text.len() as u64).to_le_bytes());
            file.extend(text.bytes());
        };
        let values = self.numbers.len() + self.texts.len() + 2 * usize::from(self.tokens > 0);
        file.extend(u64::from(!self.rope_factors.is_empty()).to_le_bytes());
        file.extend((values as u64).to_le_bytes());
        for (key, number) in &self.numbers {
            text(&mut file, key);
            if number.fract() == 0.0 {
                file.extend(4_u32.to_le_bytes());
                file.extend((*number as u32).to_le_bytes());
            } else {
                file.extend(6_u32.to_le_bytes());
                file.extend((*number as f32).to_le_bytes());
            }
        }
        for (key, value) in &self.texts {
            text(&mut file, key);
            file.extend(8_u32.to_le_bytes());
            text(&mut file, value);
        }
        if self.tokens > 0 {
            text(&mut file, "tokenizer.ggml.model");
            file.extend(8_u32.to_le_bytes());
            text(&mut file, "llama");
            text(&mut file, "tokenizer.ggml.tokens");
            file.extend([9_u32, 8].map(u32::to_le_bytes).as_flattened());
            file.extend((self.tokens as u64).to_le_bytes());
            (0..self.tokens).for_each(|token| text(&mut file, &token.to_string()));
        }
        if !self.rope_factors.is_empty() {
            text(&mut file, "rope_freqs.weight");
            file.extend(1_u32.to_le_bytes());
            file.extend((self.rope_factors.len() as u64).to_le_bytes());
            file.extend(0_u32.to_le_bytes());
            file.extend(0_u64.to_le_bytes());
            file.resize(file.len().next_multiple_of(32), 0);
            file.extend(self.rope_factors.iter().flat_map(|x| x.to_le_bytes()));
        }
        file
    }

    fn config(&self) -> Result<DecoderConfig, LmError> {
        let file = GgufCheckpoint::from_bytes(Path::new("a file"), self.bytes())?;
        DecoderConfig::from_gguf(&file)
    }
}

/// As in the files of both models.
fn smollm2_gguf() -> Gguf {
    Gguf::new(
        "llama",
        &[
            ("block_count", 30.0),
            ("context_length", 8192.0),
            ("embedding_length", 576.0),
            ("feed_forward_length", 1536.0),
            ("attention.head_count", 9.0),
            ("attention.head_count_kv", 3.0),
            ("rope.freq_base", 100_000.0),
            ("attention.layer_norm_rms_epsilon", f64::from(1e-5_f32)),
            ("vocab_size", 49152.0),
            ("rope.dimension_count", 64.0),
            ("tokenizer.ggml.bos_token_id", 1.0),
            ("tokenizer.ggml.eos_token_id", 2.0),
            ("tokenizer.ggml.padding_token_id", 2.0),
        ],
    )
}

fn gemma3_270m_gguf() -> Gguf {
    let mut gguf = Gguf::new(
        "gemma3",
        &[
            ("context_length", 32768.0),
            ("embedding_length", 640.0),
            ("block_count", 18.0),
            ("feed_forward_length", 2048.0),
            ("attention.head_count", 4.0),
            ("attention.layer_norm_rms_epsilon", f64::from(1e-6_f32)),
            ("attention.key_length", 256.0),
            ("attention.value_length", 256.0),
            ("rope.freq_base", 1_000_000.0),
            ("attention.sliding_window", 512.0),
            ("attention.head_count_kv", 1.0),
            ("tokenizer.ggml.bos_token_id", 2.0),
            ("tokenizer.ggml.eos_token_id", 1.0),
            ("tokenizer.ggml.padding_token_id", 0.0),
        ],
    );
    gguf.tokens = 262_144;
    gguf
}

fn read(json: &Value) -> DecoderConfig {
    DecoderConfig::from_json(json).unwrap_or_else(|error| panic!("{error}"))
}

fn with(mut json: Value, field: &str, value: Value) -> Value {
    json[field] = value;
    json
}

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/decoder/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

const FAMILIES: [&str; 10] = [
    "llama2",
    "llama3",
    "smollm2",
    "llama_biases",
    "qwen2",
    "qwen3",
    "gemma3",
    "gemma3_soft_caps",
    "yarn",
    "linear",
];

#[test]
fn frequencies_and_cosines_are_those_of_transformers() {
    let cases = fixture("rotary.json");
    let (mut frequencies, mut same) = (0, 0);
    for case in cases.as_array().unwrap() {
        let config = read(&case["config"]);
        let expected = case["rotaries"].as_array().unwrap();
        assert_eq!(config.rotaries.len(), expected.len(), "{}", case["name"]);
        for (rotary, expected) in config.rotaries.iter().zip(expected) {
            let factor = expected["attention_factor"].as_f64().unwrap() as f32;
            assert_eq!(rotary.attention_factor.to_bits(), factor.to_bits());
            let numbers = |value: &Value| -> Vec<f32> {
                value
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|x| x.as_f64().unwrap() as f32)
                    .collect()
            };
            let wanted = numbers(&expected["frequencies"]);
            assert_eq!(rotary.frequencies.len(), wanted.len());
            for (found, wanted) in rotary.frequencies.iter().zip(&wanted) {
                // The vector power of PyTorch is not always the nearest f32.
                assert!(
                    found.to_bits().abs_diff(wanted.to_bits()) <= 1,
                    "{}: {found} {wanted}",
                    case["name"]
                );
                frequencies += 1;
                same += usize::from(found.to_bits() == wanted.to_bits());
            }
            let positions = numbers(&expected["positions"]);
            for (position, cosines) in positions.iter().zip(expected["cosines"].as_array().unwrap()) {
                for (frequency, cosine) in rotary.frequencies.iter().zip(numbers(cosines)) {
                    let angle = position * frequency;
                    let found = angle.cos() * rotary.attention_factor;
                    // One unit in the last place of the angle, where the frequency is one off.
                    let allowed = 2e-7 + angle * f32::EPSILON;
                    assert!((found - cosine).abs() <= allowed, "{}: {found} {cosine}", case["name"]);
                }
            }
        }
    }
    assert!(frequencies > 500);
    assert!(
        same * 100 >= frequencies * 99,
        "{same} of {frequencies} frequencies are equal bit by bit"
    );
}

#[test]
fn gguf_and_json_say_the_same_of_both_models() {
    let smollm2_json = read(&smollm2());
    assert_eq!(smollm2_json, smollm2_gguf().config().unwrap());
    assert_eq!(smollm2_json.head_size, 64);
    assert!(smollm2_json.tied_embeddings);

    let gemma = read(&gemma3_270m());
    assert_eq!(gemma, gemma3_270m_gguf().config().unwrap());
    assert_eq!(gemma.attention_scale.to_bits(), 0.0625_f32.to_bits());
    assert_eq!(
        gemma.layers[4],
        LayerConfig {
            window: Some(512),
            rotary: 1
        }
    );
    assert_eq!(
        gemma.layers[5],
        LayerConfig {
            window: None,
            rotary: 0
        }
    );
}

#[test]
fn what_is_saved_is_read_to_the_same_configuration() {
    let published = fixture("rotary.json");
    let published = published.as_array().unwrap().iter().map(|case| case["config"].clone());
    let families = FAMILIES.map(|name| fixture(&format!("{name}/config.json")));
    for json in published.chain(families).chain([smollm2(), gemma3_270m()]) {
        let config = read(&json);
        let saved = config.to_json().unwrap();
        assert_eq!(config, read(&saved), "{saved}");
    }
}

#[test]
fn a_scale_of_scores_is_saved_to_its_last_bit() {
    // In f32 the square of this one's reciprocal is that of another.
    let config = read(&with(gemma3_270m(), "query_pre_attn_scalar", json!(2_802_815)));
    assert_eq!(config, read(&config.to_json().unwrap()));
}

#[test]
fn both_spellings_of_rotary_embeddings_are_the_same() {
    let scaling = json!({"type": "linear", "factor": 2.0});
    let old = with(with(smollm2(), "rope_theta", json!(5e5)), "rope_scaling", scaling);
    let mut new = with(
        smollm2(),
        "rope_parameters",
        json!({"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5}),
    );
    new.as_object_mut().unwrap().remove("rope_theta");
    assert_eq!(read(&old), read(&new));

    let mut gemma = gemma3_270m();
    let object = gemma.as_object_mut().unwrap();
    for name in ["rope_theta", "rope_local_base_freq", "rope_scaling"] {
        object.remove(name);
    }
    gemma["rope_parameters"] = json!({
        "full_attention": {"rope_type": "default", "rope_theta": 1_000_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    });
    assert_eq!(read(&gemma), read(&gemma3_270m()));
}

#[test]
fn absent_fields_have_the_defaults_of_their_family() {
    let llama = read(&json!({"model_type": "llama"}));
    assert_eq!(
        (llama.vocabulary, llama.key_value_heads, llama.head_size),
        (32_000, 32, 128)
    );
    assert_eq!((llama.bos_token, llama.eos_tokens), (Some(1), vec![2]));
    let qwen2 = read(&json!({"model_type": "qwen2"}));
    assert!(qwen2.attention_bias && !qwen2.output_bias && !qwen2.query_key_norm);
    let qwen3 = read(&json!({"model_type": "qwen3", "num_attention_heads": 64}));
    assert!(!qwen3.attention_bias && qwen3.query_key_norm);
    assert_eq!((qwen3.head_size, qwen3.key_value_heads), (128, 32));
    let gemma = read(&json!({"model_type": "gemma3_text"}));
    assert!(gemma.tied_embeddings && gemma.post_norms);
    assert_eq!(gemma.embedding_scale, Some(48.0));
    assert_eq!(gemma.pad_token, Some(0));
    // Null says none where absence says a default.
    assert_eq!(
        read(&json!({"model_type": "llama", "bos_token_id": null})).bos_token,
        None
    );
}

#[test]
fn windows_of_qwen_count_only_where_they_are_turned_on() {
    let json = json!({"model_type": "qwen2", "num_hidden_layers": 3, "sliding_window": 5, "max_window_layers": 2});
    let windows = |json: &Value| read(json).layers.iter().map(|layer| layer.window).collect::<Vec<_>>();
    assert_eq!(windows(&json), [None; 3]);
    let on = with(json, "use_sliding_window", json!(true));
    assert_eq!(windows(&on), [None, None, Some(5)]);
    let listed = with(
        on,
        "layer_types",
        json!(["sliding_attention", "full_attention", "full_attention"]),
    );
    assert_eq!(windows(&listed), [Some(5), None, None]);
    let off = with(listed, "use_sliding_window", json!(false));
    assert!(
        DecoderConfig::from_json(&off)
            .unwrap_err()
            .to_string()
            .contains("sliding_window")
    );
}

#[test]
fn text_part_of_a_model_with_pictures() {
    let mut text = gemma3_270m();
    text.as_object_mut().unwrap().remove("architectures");
    let whole = json!({
        "model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "text_config": text,
        "vision_config": {"hidden_size": 1152}, "eos_token_id": [1, 106], "mm_tokens_per_image": 256,
    });
    let config = read(&whole);
    assert_eq!(config.eos_tokens, [1, 106]);
    assert_eq!(
        DecoderConfig {
            eos_tokens: vec![1],
            ..config
        },
        read(&gemma3_270m())
    );
}

#[test]
fn what_is_not_known_is_an_error_that_names_it() {
    let refused = |json: Value, name: &str| {
        let error = DecoderConfig::from_json(&json).unwrap_err().to_string();
        assert!(error.contains(name), "{error} does not name {name}");
    };
    refused(json!({"model_type": "mamba"}), "mamba");
    refused(json!({}), "model_type");
    refused(json!([]), "object");
    for (field, value) in [
        ("quantization_config", json!({"quant_method": "awq"})),
        ("auto_map", json!({"AutoModelForCausalLM": "modeling.Model"})),
        ("rope_interleaved", json!(true)),
        ("attention_dropout", json!(0.1)),
        ("partial_rotary_factor", json!(0.5)),
        ("hidden_act", json!("relu")),
        ("sliding_window", json!(4096)),
        ("num_key_value_heads", json!(2)),
        ("num_hidden_layers", json!(1_000_000)),
        ("num_hidden_layers", json!(-1)),
        ("hidden_size", json!("576")),
        ("head_dim", json!(63)),
        ("head_dim", json!(1 << 20)),
        ("rms_norm_eps", json!(0)),
        ("rope_theta", json!(-1.0)),
        ("pad_token_id", json!(49152)),
        ("pad_token_id", json!(-1)),
        ("rope_scaling", json!({"type": "dynamic", "factor": 2.0})),
        ("rope_scaling", json!({"rope_type": "longrope", "factor": 2.0})),
        ("rope_scaling", json!({"rope_type": "linear"})),
        (
            "rope_scaling",
            json!({"rope_type": "default", "mrope_section": [16, 24, 24]}),
        ),
        // The factor of cosines and sines would be negative, and infinite.
        (
            "rope_scaling",
            json!({"rope_type": "yarn", "factor": 4.0, "mscale": -100.0, "mscale_all_dim": 1.0}),
        ),
        (
            "rope_scaling",
            json!({"rope_type": "yarn", "factor": 1e30, "mscale": 1e308, "mscale_all_dim": 1e-300}),
        ),
    ] {
        let name = if field == "rope_scaling" {
            "rope_scaling."
        } else {
            field
        };
        refused(with(smollm2(), field, value), name);
    }
    refused(
        with(gemma3_270m(), "use_bidirectional_attention", json!(true)),
        "use_bidirectional_attention",
    );
    refused(
        with(gemma3_270m(), "attn_logit_softcapping", json!(50.0)),
        "attn_logit_softcapping",
    );
    refused(with(gemma3_270m(), "sliding_window", Value::Null), "sliding_window");
    refused(
        with(gemma3_270m(), "layer_types", json!(["full_attention"])),
        "layer_types",
    );
}

#[test]
fn gguf_metadata_that_is_not_known_is_an_error_that_names_it() {
    let refused = |change: &dyn Fn(&mut Gguf), name: &str| {
        let mut gguf = smollm2_gguf();
        change(&mut gguf);
        let error = gguf.config().unwrap_err().to_string();
        assert!(error.contains(name), "{error} does not name {name}");
    };
    let number = |key: &'static str, value: f64| {
        move |gguf: &mut Gguf| {
            gguf.numbers.insert(key.to_owned(), value);
        }
    };
    refused(&number("llama.expert_count", 8.0), "llama.expert_count");
    refused(
        &number("llama.rope.dimension_count", 32.0),
        "llama.rope.dimension_count",
    );
    refused(&number("llama.block_count", 1e9), "llama.block_count");
    refused(
        &number("llama.attention.sliding_window", 64.0),
        "llama.attention.sliding_window",
    );
    refused(
        &number("llama.attention.layer_norm_rms_epsilon", f64::NAN),
        "layer_norm_rms_epsilon",
    );
    refused(
        &|gguf| {
            gguf.numbers.remove("llama.embedding_length");
        },
        "llama.embedding_length",
    );
    refused(
        &|gguf| {
            gguf.texts.insert("general.architecture".to_owned(), "mamba".to_owned());
        },
        "mamba",
    );
    refused(
        &|gguf| {
            gguf.texts
                .insert("llama.rope.scaling.type".to_owned(), "longrope".to_owned());
        },
        "llama.rope.scaling.type",
    );
}

#[test]
fn divisors_of_frequencies_in_gguf_are_llama_3s_scaling() {
    let json = &fixture("rotary.json");
    let json = json
        .as_array()
        .unwrap()
        .iter()
        .find(|case| case["name"] == "Llama 3.2 1B")
        .unwrap();
    let expected = read(&json["config"]);
    let mut gguf = smollm2_gguf();
    gguf.numbers.insert("llama.rope.freq_base".to_owned(), 500_000.0);
    gguf.numbers.insert("llama.context_length".to_owned(), 131_072.0);
    let unscaled = gguf.config().unwrap();
    gguf.rope_factors = unscaled.rotaries[0]
        .frequencies
        .iter()
        .zip(&expected.rotaries[0].frequencies)
        .map(|(plain, scaled)| plain / scaled)
        .collect();
    assert_eq!(gguf.config().unwrap().rotaries, expected.rotaries);
    gguf.rope_factors[20] *= 1.01;
    assert!(gguf.config().unwrap_err().to_string().contains("rope_freqs.weight"));

    // The rule of two frequencies, with a factor that no config.json may have.
    for (key, number) in [
        ("llama.embedding_length", 8.0),
        ("llama.attention.head_count", 2.0),
        ("llama.attention.head_count_kv", 1.0),
        ("llama.rope.dimension_count", 4.0),
        ("llama.rope.freq_base", 1e8),
    ] {
        gguf.numbers.insert(key.to_owned(), number);
    }
    gguf.rope_factors = vec![1.0, 1e29];
    assert!(gguf.config().unwrap().to_json().is_ok());
    gguf.rope_factors = vec![1.0, 1e31];
    assert!(gguf.config().unwrap_err().to_string().contains("rope_freqs.weight"));
}

#[test]
fn an_embedding_narrower_than_its_heads_gives_scores_no_scale() {
    let mut gguf = gemma3_270m_gguf();
    for (key, number) in [("gemma3.block_count", 62.0), ("gemma3.embedding_length", 2.0)] {
        gguf.numbers.insert(key.to_owned(), number);
    }
    assert!(
        gguf.config()
            .unwrap_err()
            .to_string()
            .contains("gemma3.embedding_length")
    );
}

#[test]
fn memory_that_cannot_be_counted_is_the_largest_number() {
    let mut gguf = smollm2_gguf();
    for (key, number) in [
        ("llama.block_count", f64::from(1 << 14)),
        ("llama.embedding_length", 1.0),
        ("llama.feed_forward_length", 1.0),
        ("llama.attention.head_count", f64::from(1 << 24)),
        ("llama.attention.head_count_kv", f64::from(1 << 24)),
        ("llama.attention.key_length", f64::from(1 << 16)),
        ("llama.rope.dimension_count", f64::from(1 << 16)),
        ("llama.context_length", f64::from(1 << 30)),
    ] {
        gguf.numbers.insert(key.to_owned(), number);
    }
    let config = gguf.config().unwrap();
    let file = GgufCheckpoint::from_bytes(Path::new("a file"), gguf.bytes()).unwrap();
    let memory = Memory::new(&config, &file);
    assert_eq!(memory.run(config.context), usize::MAX);
    assert_eq!(memory.train(config.context), usize::MAX);
}

#[test]
fn a_configuration_that_no_file_says_is_not_saved() {
    let mut config = read(&gemma3_270m());
    config.attention_soft_cap = Some(50.0);
    assert!(config.to_json().is_err());
    config.attention_soft_cap = None;
    config.layers[0].window = Some(7);
    assert!(config.to_json().is_err());
    config.layers[0] = LayerConfig {
        window: Some(512),
        rotary: 0,
    };
    assert!(config.to_json().is_err());
    assert_eq!(config.architecture, Architecture::Gemma3);

    // Every Qwen2 has biases of queries, keys and values, and config.json has no field for them.
    let mut gguf = smollm2_gguf();
    gguf.texts.insert("general.architecture".to_owned(), "qwen2".to_owned());
    gguf.numbers = gguf
        .numbers
        .into_iter()
        .map(|(key, number)| (key.replace("llama.", "qwen2."), number))
        .collect();
    let error = gguf.config().unwrap().to_json().unwrap_err();
    assert!(matches!(error, LmError::NotSayable { .. }), "{error}");
}

fn hostile() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0_u64..70_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9_]{0,9}".prop_map(Value::from),
        Just(json!([])),
        Just(json!([0, 1])),
        Just(json!({})),
        Just(json!({"rope_type": "yarn", "factor": 1e-300})),
        Just(json!({"rope_type": "yarn", "factor": 3.0, "beta_fast": -1.0})),
        Just(
            json!({"full_attention": {"rope_type": "llama3", "factor": 1.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0}})
        ),
    ]
}

proptest! {
    /// Whatever a field holds: a configuration that is saved and read again, or an error that is some sentence.
    #[test]
    fn hostile_fields_are_read_or_refused(
        gemma in any::<bool>(),
        changes in prop::collection::vec((0_usize..40, hostile()), 1..4),
    ) {
        let mut json = if gemma { gemma3_270m() } else { smollm2() };
        let mut names: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
        names.push("rope_parameters".to_owned());
        for (name, value) in changes {
            json[&names[name % names.len()]] = value;
        }
        match DecoderConfig::from_json(&json) {
            Ok(config) => {
                prop_assert!(config.heads.is_multiple_of(config.key_value_heads));
                prop_assert!(config.rotaries.iter().all(|rotary| rotary.frequencies.len() == config.head_size / 2));
                prop_assert_eq!(&config, &read(&config.to_json().unwrap()));
            }
            Err(error) => prop_assert!(error.to_string().len() > 20),
        }
    }
}
