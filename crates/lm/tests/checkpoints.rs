//! Decoders from checkpoints and back; what is refused; parameters drawn anew.

use std::path::Path;

use burn::tensor::Device;
use etude_hub::{Checkpoint, Dtype, MemoryCheckpoint, SafetensorsCheckpoint};
use etude_lm::LmError;
use etude_lm::config::DecoderConfig;
use etude_lm::decoder::{Decoder, parameters};
use serde_json::{Value, json};

fn config(json: &Value) -> DecoderConfig {
    DecoderConfig::from_json(json).unwrap()
}

fn tiny() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 19, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32, "pad_token_id": 3,
        "tie_word_embeddings": true,
    })
}

fn tiny_gemma() -> Value {
    json!({
        "model_type": "gemma3_text", "vocab_size": 19, "hidden_size": 8, "intermediate_size": 12,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 6,
        "max_position_embeddings": 32, "sliding_window": 3,
    })
}

fn decoder(json: &Value, seed: u64) -> Decoder {
    Decoder::random(config(json), seed, &Device::flex()).unwrap()
}

/// The tensors of a checkpoint, to be changed.
fn copy(checkpoint: &dyn Checkpoint, rename: impl Fn(&str) -> Option<String>) -> MemoryCheckpoint {
    let mut copy = MemoryCheckpoint::new(Path::new("a copy"));
    for tensor in checkpoint.tensors() {
        if let Some(name) = rename(&tensor.name) {
            let numbers = checkpoint.read_f32(&tensor.name).unwrap();
            copy.insert_f32(&name, &tensor.shape, &numbers, Dtype::F32);
        }
    }
    copy
}

#[expect(clippy::unnecessary_wraps, reason = "`copy` takes what may leave a tensor out")]
fn same(name: &str) -> Option<String> {
    Some(name.to_owned())
}

fn logits(decoder: &Decoder) -> Vec<f32> {
    let logits = decoder.logits(decoder.hidden(&[1, 7, 3, 11, 2], &[0, 3, 5]));
    logits.to_data().iter().collect()
}

fn tensors(decoder: &Decoder) -> Vec<(String, Vec<f32>)> {
    let checkpoint = decoder.checkpoint();
    let names = checkpoint.tensors().iter().map(|tensor| tensor.name.clone());
    names
        .map(|name| {
            let numbers = checkpoint.read_f32(&name).unwrap();
            (name, numbers)
        })
        .collect()
}

#[test]
fn what_is_saved_is_loaded_to_the_same_bits() {
    for json in [tiny(), tiny_gemma()] {
        let saved = decoder(&json, 4);
        let folder = tempfile::tempdir().unwrap();
        saved.save(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
        let config = config(&serde_json::from_str(&text).unwrap());
        let checkpoint = SafetensorsCheckpoint::open(folder.path()).unwrap();
        let loaded = Decoder::load(config, &checkpoint, &Device::flex()).unwrap();
        assert_eq!(loaded.config(), saved.config());
        assert_eq!(tensors(&loaded), tensors(&saved));
        assert_eq!(logits(&loaded), logits(&saved));
    }
}

#[test]
fn wrong_checkpoints_are_errors_that_name_the_tensor() {
    let decoder = decoder(&tiny(), 5);
    let refused = |checkpoint: &MemoryCheckpoint, names: &[&str]| {
        let error = Decoder::load(config(&tiny()), checkpoint, &Device::flex()).unwrap_err();
        let text = error.to_string();
        assert!(
            names.iter().all(|name| text.contains(name)),
            "{text} does not name {names:?}"
        );
    };
    let whole = decoder.checkpoint();

    let name = "model.layers.1.mlp.up_proj.weight";
    refused(
        &copy(&whole, |other| same(other).filter(|other| other != name)),
        &[name, "missing"],
    );

    let mut surplus = copy(&whole, same);
    surplus.insert_f32("model.layers.2.mlp.up_proj.weight", &[1], &[0.0], Dtype::F32);
    refused(&surplus, &["model.layers.2.mlp.up_proj.weight", "not of this model"]);

    let mut transposed = copy(&whole, same);
    transposed.insert_f32(name, &[8, 12], &[0.5; 96], Dtype::F32);
    refused(&transposed, &[name, "[8, 12]", "[12, 8]"]);

    for number in [f32::NAN, f32::INFINITY] {
        let mut broken = copy(&whole, same);
        let mut numbers = broken.read_f32(name).unwrap();
        numbers[17] = number;
        broken.insert_f32(name, &[12, 8], &numbers, Dtype::F32);
        refused(&broken, &[name, "17", &number.to_string()]);
    }

    let mut untied = copy(&whole, same);
    untied.insert_f32("lm_head.weight", &[19, 8], &[0.5; 152], Dtype::F32);
    refused(&untied, &["lm_head.weight", "tie_word_embeddings"]);
}

#[test]
fn harmless_tensors_beside_the_parameters_are_no_mistake() {
    let decoder = decoder(&tiny(), 6);
    let mut checkpoint = copy(&decoder.checkpoint(), same);
    let embedding = checkpoint.read_f32("model.embed_tokens.weight").unwrap();
    checkpoint.insert_f32("lm_head.weight", &[19, 8], &embedding, Dtype::F32);
    checkpoint.insert_f32(
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        &[2],
        &[1.0, 0.1],
        Dtype::F32,
    );
    let loaded = Decoder::load(config(&tiny()), &checkpoint, &Device::flex()).unwrap();
    assert_eq!(tensors(&loaded), tensors(&decoder));
}

#[test]
fn text_part_of_a_checkpoint_with_pictures() {
    let decoder = decoder(&tiny_gemma(), 7);
    for (theirs, vision) in [
        ("language_model.model.", "vision_tower.patch.weight"),
        ("model.language_model.", "model.multi_modal_projector.weight"),
    ] {
        let mut checkpoint = copy(&decoder.checkpoint(), |name| Some(name.replacen("model.", theirs, 1)));
        checkpoint.insert_f32(vision, &[1], &[0.0], Dtype::F32);
        let loaded = Decoder::load(config(&tiny_gemma()), &checkpoint, &Device::flex()).unwrap();
        assert_eq!(tensors(&loaded), tensors(&decoder));
    }
}

#[test]
fn parameters_drawn_anew_depend_on_the_seed_alone() {
    let first = tensors(&decoder(&tiny(), 8));
    assert_eq!(first, tensors(&decoder(&tiny(), 8)));
    assert_ne!(first, tensors(&decoder(&tiny(), 9)));

    let wide = json!({"model_type": "qwen2", "vocab_size": 64, "hidden_size": 64, "intermediate_size": 64,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "pad_token_id": 5,
        "initializer_range": 0.05});
    for (name, numbers) in tensors(&decoder(&wide, 1)) {
        if name.ends_with("norm.weight") {
            assert!(numbers.iter().all(|x| (x - 1.0).abs() < f32::EPSILON), "{name}");
        } else if name.ends_with("bias") {
            assert!(numbers.iter().all(|x| x.abs() < f32::EPSILON), "{name}");
        } else {
            let count = numbers.len() as f32;
            let mean = numbers.iter().sum::<f32>() / count;
            let deviation = (numbers.iter().map(|x| x * x).sum::<f32>() / count).sqrt();
            assert!(mean.abs() < 0.004, "{name}: mean {mean}");
            assert!((deviation - 0.05).abs() < 0.004, "{name}: deviation {deviation}");
        }
        if name == "model.embed_tokens.weight" {
            assert!(numbers[5 * 64..6 * 64].iter().all(|x| x.abs() < f32::EPSILON));
        }
    }
    // Gemma's norms add 1 to their weights.
    let gemma = tensors(&decoder(&tiny_gemma(), 1));
    assert!(
        gemma
            .iter()
            .any(|(name, numbers)| name == "model.norm.weight" && numbers == &[0.0; 8])
    );
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let mut wrong = config(&tiny());
    wrong.key_value_heads = 3;
    let error = Decoder::random(wrong, 0, &Device::flex()).unwrap_err();
    assert!(matches!(error, LmError::Field { field, .. } if field == "num_key_value_heads"));
    let count: usize = parameters(&config(&tiny()))
        .iter()
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum();
    assert_eq!(count, 19 * 8 + 2 * (2 * 8 * 8 + 2 * 4 * 8 + 3 * 8 * 12 + 2 * 8) + 8);
}
