//! Tokens that mean something other than text.

use serde_json::Value;

use super::Tokenizer;

/// The ids of tokens that begin, end or fill sequences. Those that a tokenizer does not have are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecialIds {
    /// Begins a sequence.
    pub bos: Option<u32>,
    /// Ends a sequence.
    pub eos: Option<u32>,
    /// Fills batches.
    pub pad: Option<u32>,
    /// Stands for what the vocabulary cannot express.
    pub unk: Option<u32>,
    /// Ends a turn of a conversation.
    pub eot: Option<u32>,
}

/// How well-known models call the token that ends a turn.
const END_OF_TURN: [&str; 6] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<end_of_turn>",
    "<|end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
];

impl SpecialIds {
    /// From `tokenizer_config.json` or `special_tokens_map.json`: `bos_token` and its kin, each a string or an object with the
    /// field `content`. A token that is not in the vocabulary counts as absent.
    pub(super) fn from_config(tokenizer: &Tokenizer, config: &Value) -> Self {
        let id = |field: &str| {
            let text = config[field].as_str().or_else(|| config[field]["content"].as_str());
            text.and_then(|text| tokenizer.token_id(text))
        };
        Self {
            bos: id("bos_token"),
            eos: id("eos_token"),
            pad: id("pad_token"),
            unk: id("unk_token"),
            eot: end_of_turn(tokenizer),
        }
    }

    /// The tokens that end an answer.
    pub fn ends(&self) -> impl Iterator<Item = u32> {
        self.eos
            .into_iter()
            .chain(self.eot.filter(|eot| Some(*eot) != self.eos))
    }
}

/// The token that ends a turn, by its name.
pub(super) fn end_of_turn(tokenizer: &Tokenizer) -> Option<u32> {
    END_OF_TURN
        .iter()
        .filter_map(|text| tokenizer.token_id(text))
        .find(|id| tokenizer.is_special(*id))
}
