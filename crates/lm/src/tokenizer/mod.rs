//! Text to token ids and back.
//!
//! A [`Tokenizer`] is read from `tokenizer.json` or rebuilt from the vocabulary inside a GGUF file; both give the ids that
//! transformers gives. Or it is made anew from texts. The work is done by Hugging Face's `tokenizers`, without its parts in C and C++: byte-pair encoding
//! (Sennrich, Haddow and Birch, 2016), over bytes (Radford et al., 2019) or over characters with a fallback to bytes
//! (SentencePiece: Kudo and Richardson, 2018).
//!
//! Decoding is by bytes: the bytes of all tokens side by side, read as UTF-8, with a replacement character for what can never
//! become one. transformers does so for byte-level vocabularies; for SentencePiece's it replaces every byte of a run in which
//! any is wrong, also those of sound characters, which a stream that has handed them out cannot.

mod gguf;
mod json;
mod pieces;
mod pre_tokenizer;
mod special;
mod steps;
mod stream;
mod train;

use std::ops::Range;

use serde_json::{Value, json};

pub use gguf::GgufVocabulary;
pub use special::SpecialIds;
pub use stream::StreamDecoder;

use tokenizers::{DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, TokenizerImpl};

use crate::LmError;
use pieces::Pieces;
use pre_tokenizer::Cutter;

/// The library's tokenizer, with its own steps but for how text is cut.
type Inner = TokenizerImpl<ModelWrapper, NormalizerWrapper, Cutter, PostProcessorWrapper, DecoderWrapper>;

/// Cuts text into tokens, and makes text of tokens.
///
/// Every thread that encodes remembers up to 10,000 words with their tokens, and forgets them when it ends, not when the
/// tokenizer goes.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: Inner,
    pieces: Pieces,
    special: SpecialIds,
}

/// A text as tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The ids.
    pub ids: Vec<u32>,
    /// Which bytes of the text each token covers; empty for tokens that were added around it. Several tokens may cover the
    /// same character.
    pub offsets: Vec<Range<usize>>,
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// Where it is no JSON, where a part is missing or of a kind that is not there (only BPE is, byte-level or like
    /// SentencePiece's), and where its parts contradict each other.
    pub fn from_json(json: &[u8]) -> Result<Self, LmError> {
        json::read(json)
    }

    /// Rebuilds the tokenizer whose vocabulary is in a GGUF file.
    ///
    /// # Errors
    ///
    /// Where the model or the pre-tokenizer is not known, and where lists differ in length or name tokens that are not there.
    pub fn from_gguf(vocabulary: &GgufVocabulary) -> Result<Self, LmError> {
        gguf::build(vocabulary)
    }

    /// A new byte-level tokenizer with at most `size` tokens, whose merges are the most frequent pairs of the texts. Its token 0,
    /// `<|endoftext|>`, ends a text.
    ///
    /// # Errors
    ///
    /// `size` leaves no room for a token for each byte.
    pub fn train(texts: &[&str], size: usize) -> Result<Self, LmError> {
        train::train(texts, size)
    }

    /// Takes the special tokens from `tokenizer_config.json` or `special_tokens_map.json`, since `tokenizer.json` does not say
    /// which token is for what.
    #[must_use]
    pub fn with_config(mut self, config: &Value) -> Self {
        self.special = SpecialIds::from_config(&self, config);
        self
    }

    /// The text of a `tokenizer.json` that says this tokenizer, wherever it was read from.
    ///
    /// # Errors
    ///
    /// A part cannot be said in JSON.
    pub fn to_json(&self) -> Result<String, LmError> {
        let text = self.inner.to_string(true);
        text.map_err(|error| LmError::TokenizerJson(error.to_string()))
    }

    /// The fields of a `tokenizer_config.json` for it: which tokens are for what, and the template of conversations, if there is one.
    pub fn config_json(&self, chat_template: Option<&str>) -> Value {
        let mut fields = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": false,
        });
        let ids = &self.special;
        for (name, id) in [
            ("bos_token", ids.bos),
            ("eos_token", ids.eos),
            ("pad_token", ids.pad),
            ("unk_token", ids.unk),
        ] {
            if let Some(token) = id.and_then(|id| self.token(id)) {
                fields[name] = json!(token);
            }
        }
        if let Some(template) = chat_template {
            fields["chat_template"] = json!(template);
        }
        fields
    }

    /// The ids of `text`. Special tokens that are spelled out in it are recognised; `add_special` puts those around it that
    /// the tokenizer asks for, such as the first one.
    ///
    /// # Errors
    ///
    /// Where the text has something that the vocabulary cannot express, and where it is hostile to the expressions that cut
    /// it into words.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>, LmError> {
        let encoding = self
            .inner
            .encode_fast(text, add_special)
            .map_err(|error| LmError::Encode(error.to_string()))?;
        self.known(encoding.get_ids())
    }

    /// As [`Tokenizer::encode`], with the bytes that each token covers.
    ///
    /// # Errors
    ///
    /// As for [`Tokenizer::encode`].
    pub fn encode_with_offsets(&self, text: &str, add_special: bool) -> Result<Encoded, LmError> {
        let encoding = self
            .inner
            .encode(text, add_special)
            .map_err(|error| LmError::Encode(error.to_string()))?;
        let offsets = encoding.get_offsets().iter().map(|&(start, end)| start..end).collect();
        let ids = self.known(encoding.get_ids())?;
        Ok(Encoded { ids, offsets })
    }

    /// A file can make the library give ids that no token has.
    fn known(&self, ids: &[u32]) -> Result<Vec<u32>, LmError> {
        match ids.iter().find(|id| self.pieces.text(**id).is_none()) {
            Some(&id) => Err(LmError::TokenId {
                id,
                size: self.vocabulary_size(),
            }),
            None => Ok(ids.to_vec()),
        }
    }

    /// The text of `ids`, with or without special tokens.
    ///
    /// # Errors
    ///
    /// Where an id has no token.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, LmError> {
        let mut bytes = Vec::new();
        for &id in ids {
            let piece = self.token_bytes(id)?;
            if !(skip_special && self.is_special(id)) {
                bytes.extend_from_slice(piece);
            }
        }
        let bytes = if self.pieces.strips() {
            bytes.strip_prefix(b" ").unwrap_or(&bytes)
        } else {
            &bytes
        };
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The text of a token as the vocabulary spells it; `None` where there is no such token.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.pieces.text(id)
    }

    /// The bytes that a token adds to a text. They need not be whole characters.
    ///
    /// # Errors
    ///
    /// Where there is no such token.
    pub fn token_bytes(&self, id: u32) -> Result<&[u8], LmError> {
        self.pieces.bytes(id).ok_or(LmError::TokenId {
            id,
            size: self.vocabulary_size(),
        })
    }

    /// The id of a token, by its spelling in the vocabulary.
    pub fn token_id(&self, text: &str) -> Option<u32> {
        self.inner.token_to_id(text)
    }

    /// Whether the token means something other than text, and is left out where special tokens are skipped.
    pub fn is_special(&self, id: u32) -> bool {
        self.pieces.is_special(id)
    }

    /// What the special tokens are for.
    pub fn special_ids(&self) -> &SpecialIds {
        &self.special
    }

    /// One more than the largest id.
    pub fn vocabulary_size(&self) -> usize {
        self.pieces.len()
    }

    /// All tokens, by id, as the vocabulary spells them.
    pub fn tokens(&self) -> impl Iterator<Item = (u32, &str)> {
        self.pieces.ids()
    }

    /// Whether a model with `rows` embeddings has one for every token. Models may have more: padded vocabularies do.
    ///
    /// # Errors
    ///
    /// Where it has fewer.
    pub fn check_model(&self, rows: usize) -> Result<(), LmError> {
        match self.vocabulary_size().checked_sub(1) {
            Some(largest) if largest >= rows => Err(LmError::VocabularySize {
                largest: largest as u32,
                rows,
            }),
            _ => Ok(()),
        }
    }
}
