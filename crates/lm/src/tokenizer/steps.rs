//! Looks at the steps of `tokenizer.json` before and after the model, for what would make the `tokenizers` crate panic.

use serde_json::Value;

use super::pieces::{Pieces, shorten};
use crate::LmError;

/// One field of the file.
struct Part(&'static str);

impl Part {
    fn wrong(&self, found: &Value, expected: &'static str) -> LmError {
        LmError::TokenizerPart {
            part: self.0,
            found: shorten(&found.to_string()),
            expected,
        }
    }

    /// The kind of a step; `None` where there is no step. Without a name the library guesses from the other fields.
    fn kind<'s>(&self, step: &'s Value) -> Result<Option<&'s str>, LmError> {
        match &step["type"] {
            Value::String(kind) => Ok(Some(kind)),
            _ if step.is_null() => Ok(None),
            _ => Err(self.wrong(step, "null or an object whose type is a name")),
        }
    }

    /// The steps of a sequence.
    fn list<'s>(&self, step: &'s Value, field: &str) -> Result<&'s [Value], LmError> {
        let list = step[field].as_array();
        list.map(Vec::as_slice)
            .ok_or_else(|| self.wrong(step, "a Sequence with a list of steps"))
    }
}

/// Steps that change a text before it is cut. One that puts or replaces nothing goes over its end.
pub(super) fn check_normalizer(step: &Value) -> Result<(), LmError> {
    let part = Part("normalizer");
    let empty = |text: &Value| text == "";
    match part.kind(step)? {
        Some("Sequence") => part.list(step, "normalizers")?.iter().try_for_each(check_normalizer),
        Some("Prepend") if empty(&step["prepend"]) => Err(part.wrong(step, "some text to put before others")),
        Some("Replace") if empty(&step["pattern"]["String"]) || empty(&step["pattern"]["Regex"]) => {
            Err(part.wrong(step, "some text to be replaced"))
        }
        _ => Ok(()),
    }
}

/// Steps that cut text into words. One of fixed length may have the length 0.
pub(super) fn check_pre_tokenizer(step: &Value) -> Result<(), LmError> {
    let part = Part("pre_tokenizer");
    match part.kind(step)? {
        Some("Sequence") => part
            .list(step, "pretokenizers")?
            .iter()
            .try_for_each(check_pre_tokenizer),
        Some("FixedLength") => Err(part.wrong(step, "one that cuts by characters, such as Split or ByteLevel")),
        _ => Ok(()),
    }
}

/// Steps that put special tokens around a text: each must name its tokens, and have the text in its place.
pub(super) fn check_post_processor(step: &Value, pieces: &Pieces) -> Result<(), LmError> {
    let part = Part("post_processor");
    match part.kind(step)? {
        None | Some("ByteLevel") => Ok(()),
        Some("Sequence") => part
            .list(step, "processors")?
            .iter()
            .try_for_each(|step| check_post_processor(step, pieces)),
        Some("TemplateProcessing") => check_template(&part, step, pieces),
        _ => Err(part.wrong(
            &step["type"],
            "ByteLevel, TemplateProcessing, a Sequence of them, or null",
        )),
    }
}

fn check_template(part: &Part, step: &Value, pieces: &Pieces) -> Result<(), LmError> {
    let known = |id: &Value| {
        id.as_u64()
            .and_then(|id| pieces.text(u32::try_from(id).ok()?))
            .is_some()
    };
    let tokens = &step["special_tokens"];
    for token in tokens.as_object().into_iter().flat_map(|tokens| tokens.values()) {
        let list = |field: &str| token[field].as_array().map_or(&[][..], Vec::as_slice);
        let (ids, texts) = (list("ids"), list("tokens"));
        if ids.is_empty() || ids.len() != texts.len() || !ids.iter().all(known) {
            return Err(part.wrong(token, "ids of the vocabulary and as many tokens"));
        }
    }
    for field in ["single", "pair"] {
        for piece in step[field].as_array().into_iter().flatten() {
            let name = piece["SpecialToken"]["id"].as_str();
            if name.is_some_and(|name| tokens[name].is_null()) {
                return Err(part.wrong(piece, "one of special_tokens"));
            }
            if field == "single" && piece["Sequence"]["id"] == "B" {
                return Err(part.wrong(piece, "the one text A in single"));
            }
        }
    }
    Ok(())
}
