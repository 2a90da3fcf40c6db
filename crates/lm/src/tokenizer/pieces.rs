//! The bytes of each token, which make text when they are put side by side.

use std::collections::HashMap;

use serde_json::Value;

use crate::LmError;

/// How the text of a token becomes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Each character stands for a byte, as in GPT-2.
    ByteLevel,
    /// As in SentencePiece: U+2581 is a space and `<0xE2>` a byte; one space that begins a text may be dropped.
    SentencePiece {
        /// Whether the first character of a text is dropped where it is a space.
        strip: bool,
    },
}

const DECODERS: &str = "ByteLevel, or Replace, ByteFallback and Fuse with or without Strip, in a sequence";

impl Spelling {
    /// Reads it off the field `decoder` of `tokenizer.json`.
    pub(super) fn of_decoder(decoder: &Value) -> Result<Self, LmError> {
        let error = || LmError::TokenizerPart {
            part: "decoder",
            found: shorten(&decoder.to_string()),
            expected: DECODERS,
        };
        let steps = match decoder["type"].as_str() {
            Some("Sequence") => decoder["decoders"].as_array().ok_or_else(error)?.as_slice(),
            Some(_) => std::slice::from_ref(decoder),
            None => return Err(error()),
        };
        let (mut byte_level, mut replace, mut fallback, mut strip) = (false, false, false, false);
        for step in steps {
            match step["type"].as_str() {
                Some("ByteLevel") => byte_level = true,
                Some("Replace") if step["pattern"]["String"] == "\u{2581}" && step["content"] == " " => replace = true,
                Some("ByteFallback") => fallback = true,
                Some("Fuse") => {}
                Some("Strip") if step["content"] == " " && step["start"] == 1 && step["stop"] == 0 => strip = true,
                _ => return Err(error()),
            }
        }
        match (byte_level, replace && fallback) {
            (true, false) if !replace && !fallback && !strip => Ok(Spelling::ByteLevel),
            (false, true) => Ok(Spelling::SentencePiece { strip }),
            _ => Err(error()),
        }
    }

    fn bytes(self, text: &str, alphabet: &HashMap<char, u8>) -> Vec<u8> {
        match self {
            Spelling::ByteLevel => {
                let bytes: Option<Vec<u8>> = text
                    .chars()
                    .map(|character| alphabet.get(&character).copied())
                    .collect();
                bytes.unwrap_or_else(|| text.as_bytes().to_vec())
            }
            Spelling::SentencePiece { .. } => match byte_of(text) {
                Some(byte) => vec![byte],
                None => text.replace('\u{2581}', " ").into_bytes(),
            },
        }
    }
}

/// The byte that a token such as `<0x0A>` stands for.
fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let hexadecimal = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hexadecimal.then(|| u8::from_str_radix(digits, 16).ok())?
}

/// GPT-2's names for bytes: printable ones name themselves, the others are named by U+0100 and what follows it, in order.
pub(super) fn byte_alphabet() -> HashMap<char, u8> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 0x100;
    let mut name = |byte: u8| {
        if printable(&byte) {
            return char::from(byte);
        }
        next += 1;
        char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    (0..=u8::MAX).map(|byte| (name(byte), byte)).collect()
}

/// Text, bytes and kind of every token, by id.
#[derive(Debug, Clone)]
pub(super) struct Pieces {
    pub(super) spelling: Spelling,
    texts: Vec<Option<Box<str>>>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    special: Vec<bool>,
}

impl Pieces {
    /// Of `texts` by id; ids without a token are `None`.
    pub(super) fn new(spelling: Spelling, texts: Vec<Option<Box<str>>>, special: Vec<bool>) -> Self {
        let alphabet = byte_alphabet();
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(texts.len()));
        for text in &texts {
            bytes.extend(
                text.as_ref()
                    .map(|text| spelling.bytes(text, &alphabet))
                    .unwrap_or_default(),
            );
            ends.push(bytes.len());
        }
        Self {
            spelling,
            texts,
            bytes,
            ends,
            special,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn text(&self, id: u32) -> Option<&str> {
        self.texts.get(id as usize)?.as_deref()
    }

    pub(super) fn bytes(&self, id: u32) -> Option<&[u8]> {
        let id = id as usize;
        self.texts.get(id)?.as_ref()?;
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..self.ends[id]])
    }

    pub(super) fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize).copied().unwrap_or(false)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..)
            .zip(&self.texts)
            .filter_map(|(id, text)| Some((id, text.as_deref()?)))
    }

    /// Whether the space that begins a text is dropped.
    pub(super) fn strips(&self) -> bool {
        self.spelling == Spelling::SentencePiece { strip: true }
    }
}

/// The beginning of what may be long, for a message.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain("...".chars()).collect()
}
