//! Tokenizers and records that the tests share.

use std::path::Path;

use etude_align::AlignError;
use etude_align::data::{DataOptions, Example, Format, Message, Record, Records, Text};
use etude_lm::tokenizer::Tokenizer;
use serde_json::{Value, json};

/// A tokenizer of the fixtures of `crates/lm`, with the end-of-sequence token that the fixtures of TRL were made with.
pub(crate) fn tokenizer(name: &str) -> Tokenizer {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../lm/tests/fixtures/tokenizer")
        .join(format!("{name}.json"));
    let fixture: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let eos = if name == "qwen_2" {
        "<|im_end|>"
    } else {
        "<|end_of_text|>"
    };
    Tokenizer::from_json(fixture["tokenizer"].to_string().as_bytes())
        .unwrap()
        .with_config(&json!({ "eos_token": eos, "bos_token": "<|begin_of_text|>" }))
}

/// The records of a file of that name.
pub(crate) fn read(name: &str, bytes: impl Into<Vec<u8>>) -> Vec<Result<Record, AlignError>> {
    read_with(name, bytes, &DataOptions::default())
}

pub(crate) fn read_with(
    name: &str,
    bytes: impl Into<Vec<u8>>,
    options: &DataOptions,
) -> Vec<Result<Record, AlignError>> {
    Records::of_bytes(Path::new(name), bytes.into(), options).collect()
}

/// The one record of a line of JSON.
pub(crate) fn record(line: &str) -> Record {
    read("a.jsonl", line).remove(0).unwrap()
}

pub(crate) fn record_as(line: &Value, format: Format) -> Record {
    let options = DataOptions {
        format: Some(format),
        ..DataOptions::default()
    };
    read_with("a.jsonl", line.to_string(), &options).remove(0).unwrap()
}

/// The parts of a record, as JSON.
pub(crate) fn parts(example: &Example) -> Vec<Value> {
    example.texts().map(part).collect()
}

fn part(text: &Text) -> Value {
    let message = |message: &Message| serde_json::to_value(&message.value).unwrap();
    match text {
        Text::Standard(text) => json!(text),
        Text::Conversational(messages) => messages.iter().map(message).collect(),
    }
}

/// What the only record's error says.
pub(crate) fn failure(name: &str, bytes: impl Into<Vec<u8>>) -> String {
    let mut records = read(name, bytes);
    records.remove(0).unwrap_err().to_string()
}
