//! Reads `tokenizer.json`.
//!
//! The `tokenizers` crate trusts the file: a merge that is not in the vocabulary makes it panic, an id of its own replaces one
//! that does not fit. So what it relies on is looked at first.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::pieces::{Pieces, Spelling, shorten};
use super::special::SpecialIds;
use super::steps::{check_normalizer, check_post_processor, check_pre_tokenizer};
use super::{Inner, Tokenizer};
use crate::LmError;

#[derive(Deserialize)]
struct File {
    model: Value,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

#[derive(Deserialize)]
struct Model {
    vocab: HashMap<Box<str>, u32>,
    merges: Merges,
    unk_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merges {
    Pairs(Vec<(String, String)>),
    Lines(Vec<String>),
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    special: bool,
}

pub(super) fn read(bytes: &[u8]) -> Result<Tokenizer, LmError> {
    let broken = |error: &dyn ToString| LmError::TokenizerJson(error.to_string());
    let file: File = serde_json::from_slice(bytes).map_err(|error| broken(&error))?;
    let part = |part, found: &Value, expected| LmError::TokenizerPart {
        part,
        found: shorten(&found.to_string()),
        expected,
    };
    let kind = &file.model["type"];
    // Old files of byte-level models do not name the kind.
    if !(kind == "BPE" || kind.is_null()) {
        return Err(part("model.type", kind, "BPE"));
    }
    for (field, name) in [
        ("continuing_subword_prefix", "model.continuing_subword_prefix"),
        ("end_of_word_suffix", "model.end_of_word_suffix"),
        ("dropout", "model.dropout"),
    ] {
        let value = &file.model[field];
        if !(value.is_null() || value == "" || value == 0.0) {
            return Err(part(name, value, "null"));
        }
    }
    let spelling = Spelling::of_decoder(&file.decoder)?;
    let model: Model = serde_json::from_value(file.model).map_err(|error| broken(&error))?;
    check_merges(&model)?;
    if let Some(unknown) = &model.unk_token
        && !model.vocab.contains_key(unknown.as_str())
    {
        return Err(LmError::TokenizerPart {
            part: "model.unk_token",
            found: shorten(unknown),
            expected: "a token of the vocabulary",
        });
    }

    let pieces = pieces(spelling, model.vocab, &file.added_tokens)?;
    check_normalizer(&file.normalizer)?;
    check_pre_tokenizer(&file.pre_tokenizer)?;
    check_post_processor(&file.post_processor, &pieces)?;
    let mut inner = Inner::from_bytes(bytes).map_err(|error| broken(&error))?;
    // They are settings of training pipelines; transformers sets them anew in every call.
    inner.with_padding(None);
    inner.with_truncation(None).map_err(|error| broken(&error))?;
    for added in &file.added_tokens {
        let found = inner.token_to_id(&added.content);
        if found != Some(added.id) {
            let message = format!(
                "an added token that would get the id {found:?}; its id must be that of the vocabulary or follow it"
            );
            return Err(LmError::Token {
                id: added.id,
                text: shorten(&added.content),
                message,
            });
        }
    }
    let mut tokenizer = Tokenizer {
        inner,
        pieces,
        special: SpecialIds::default(),
    };
    tokenizer.special.eot = super::special::end_of_turn(&tokenizer);
    Ok(tokenizer)
}

fn check_merges(model: &Model) -> Result<(), LmError> {
    let check = |index: usize, left: &str, right: &str| {
        let known = |text: &str| model.vocab.contains_key(text);
        if known(left) && known(right) && known(&[left, right].concat()) {
            return Ok(());
        }
        Err(LmError::Merge {
            index,
            left: shorten(left),
            right: shorten(right),
        })
    };
    match &model.merges {
        Merges::Pairs(pairs) => pairs
            .iter()
            .enumerate()
            .try_for_each(|(index, (left, right))| check(index, left, right)),
        Merges::Lines(lines) => lines.iter().enumerate().try_for_each(|(index, line)| {
            if line.starts_with("#version") {
                return Ok(());
            }
            let (left, right) = line.split_once(' ').unwrap_or((line, ""));
            check(index, left, right)
        }),
    }
}

fn pieces(spelling: Spelling, vocabulary: HashMap<Box<str>, u32>, added: &[Added]) -> Result<Pieces, LmError> {
    let count = vocabulary.len() + added.len();
    let largest = vocabulary
        .values()
        .copied()
        .chain(added.iter().map(|added| added.id))
        .max();
    let size = largest.map_or(0, |largest| largest as usize + 1);
    // Tables are made for every id up to the largest, so a large one must not stand alone.
    if size > 2 * count + 4096 {
        return Err(LmError::TokenizerPart {
            part: "the largest id",
            found: format!("{} with {count} tokens", size - 1),
            expected: "ids with few gaps between them",
        });
    }
    let mut texts: Vec<Option<Box<str>>> = vec![None; size];
    for (text, id) in vocabulary {
        if let Some(other) = &texts[id as usize] {
            return Err(LmError::Token {
                id,
                text: shorten(&text),
                message: format!("{:?} has this id too", shorten(other)),
            });
        }
        texts[id as usize] = Some(text);
    }
    let mut special = vec![false; size];
    for added in added {
        texts[added.id as usize] = Some(added.content.as_str().into());
        special[added.id as usize] |= added.special;
    }
    Ok(Pieces::new(spelling, texts, special))
}
