//! What tests of tokenizers share: the vocabulary of a GGUF file.

use std::collections::HashMap;
use std::path::Path;

use etude_lm::tokenizer::GgufVocabulary;
use serde_json::{Value, json};

/// Reads the vocabulary, and nothing else. For files that are known to be sound; the reader for others is in `etude-hub`.
pub(crate) fn vocabulary(path: &Path) -> GgufVocabulary {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = &bytes[24..];
    let entries = u64::from_le_bytes(bytes[16..24].try_into().unwrap());
    assert_eq!(&bytes[..4], b"GGUF");
    let fields: HashMap<String, Value> = (0..entries)
        .map(|_| {
            let key = text(&mut rest);
            let kind = number::<4>(&mut rest);
            (key, value(&mut rest, kind))
        })
        .collect();
    let names = [
        ("model", "model"),
        ("pre_tokenizer", "pre"),
        ("tokens", "tokens"),
        ("scores", "scores"),
        ("token_types", "token_type"),
        ("merges", "merges"),
        ("bos", "bos_token_id"),
        ("eos", "eos_token_id"),
        ("unknown", "unknown_token_id"),
        ("padding", "padding_token_id"),
        ("eot", "eot_token_id"),
        ("add_bos", "add_bos_token"),
        ("add_eos", "add_eos_token"),
        ("add_space_prefix", "add_space_prefix"),
    ];
    let known = names
        .into_iter()
        .filter_map(|(name, key)| Some((name.to_owned(), fields.get(&format!("tokenizer.ggml.{key}"))?.clone())));
    serde_json::from_value(Value::Object(known.collect())).unwrap()
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> &'b [u8] {
    let (taken, left) = rest.split_at(length);
    *rest = left;
    taken
}

fn number<const N: usize>(rest: &mut &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..N].copy_from_slice(take(rest, N));
    u64::from_le_bytes(bytes)
}

fn text(rest: &mut &[u8]) -> String {
    let length = number::<8>(rest) as usize;
    String::from_utf8_lossy(take(rest, length)).into_owned()
}

fn value(rest: &mut &[u8], kind: u64) -> Value {
    match kind {
        0 => json!(number::<1>(rest)),
        1 => json!(number::<1>(rest) as i8),
        2 => json!(number::<2>(rest)),
        3 => json!(number::<2>(rest) as i16),
        4 => json!(number::<4>(rest)),
        5 => json!(number::<4>(rest) as i32),
        6 => json!(f32::from_bits(number::<4>(rest) as u32)),
        7 => json!(number::<1>(rest) != 0),
        8 => json!(text(rest)),
        9 => {
            let (kind, length) = (number::<4>(rest), number::<8>(rest));
            (0..length).map(|_| value(rest, kind)).collect()
        }
        10 => json!(number::<8>(rest)),
        11 => json!(number::<8>(rest) as i64),
        12 => json!(f64::from_bits(number::<8>(rest))),
        _ => panic!("a value of kind {kind}"),
    }
}
