//! Real models in GGUF files against transformers, where the environment names folders that scripts/lm_real_models.py has written:
//! `ETUDE_TEST_SMOLLM2` and `ETUDE_TEST_GEMMA3`. Without them the tests say that they skip. Run with `--release`.
#![expect(
    clippy::print_stdout,
    reason = "figures, and that a test is skipped, are for whoever looks"
)]

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use etude_hub::{Checkpoint, GgufCheckpoint, SafetensorsCheckpoint};
use etude_lm::config::DecoderConfig;
use etude_lm::decoder::Decoder;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn integers(checkpoint: &dyn Checkpoint, name: &str) -> Vec<u32> {
    let raw = checkpoint.raw(name).unwrap();
    raw.bytes
        .as_chunks()
        .0
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect()
}

fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).fold(0.0, |most, (a, b)| {
        let difference = (a - b).abs();
        if difference <= most { most } else { difference }
    })
}

/// Logits and log-probabilities of next tokens must be equal to 1e-4.
fn compare(variable: &str) {
    let Ok(folder) = std::env::var(variable) else {
        println!("skipped: {variable} names no folder that scripts/lm_real_models.py has written");
        return;
    };
    let folder = Path::new(&folder);
    let file = GgufCheckpoint::open(&folder.join("model.gguf")).unwrap();
    let reference = SafetensorsCheckpoint::open(&folder.join("reference.safetensors")).unwrap();
    let config = DecoderConfig::from_gguf(&file).unwrap();
    let decoder = Decoder::load(config, &file, &Device::flex()).unwrap();

    let tokens = integers(&reference, "tokens");
    let ends = integers(&reference, "lengths").into_iter().scan(0, |end, length| {
        *end += length as usize;
        Some(*end)
    });
    let offsets: Vec<usize> = std::iter::once(0).chain(ends).collect();
    let targets: Vec<u32> = tokens[1..].iter().copied().chain([0]).collect();
    let hidden = decoder.hidden(&tokens, &offsets);

    let expected = reference.read_f32("log_probabilities").unwrap();
    let mut found: Vec<f32> = decoder
        .log_probabilities(hidden.clone(), &targets)
        .to_data()
        .iter()
        .collect();
    // The last token of a text has none that follows.
    offsets[1..].iter().for_each(|end| found[end - 1] = 0.0);
    let of_log_probabilities = largest_difference(&found, &expected);

    let rows = integers(&reference, "rows");
    let indices: Vec<i64> = rows.iter().map(|row| i64::from(*row)).collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [rows.len()]), &Device::flex());
    let logits: Vec<f32> = decoder.logits(hidden.select(0, indices)).to_data().iter().collect();
    let of_logits = largest_difference(&logits, &reference.read_f32("logits").unwrap());

    println!(
        "{variable}: {} tokens in {} texts: largest difference of logits {of_logits:e}, of log-probabilities \
         {of_log_probabilities:e}",
        tokens.len(),
        offsets.len() - 1
    );
    assert!(of_logits < 1e-4 && of_log_probabilities < 1e-4);
}

#[test]
fn smollm2_is_that_of_transformers() {
    compare("ETUDE_TEST_SMOLLM2");
}

#[test]
fn gemma3_is_that_of_transformers() {
    compare("ETUDE_TEST_GEMMA3");
}
