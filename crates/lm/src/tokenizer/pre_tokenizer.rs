//! How text is cut into words before bytes are merged, under the names that GGUF files give.
//!
//! The names are those of `tokenizer.ggml.pre` in llama.cpp, the expressions those of the tokenizers that were converted.

use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior};

use crate::LmError;

/// What belongs to a name.
pub(super) struct Words {
    names: &'static [&'static str],
    /// Each cuts what the one before it left.
    expressions: &'static [&'static str],
    /// Whether a word that is in the vocabulary is a token without any merging.
    pub(super) ignore_merges: bool,
    /// Whether text begins with the first special token where the file does not say.
    pub(super) add_bos: bool,
    /// Whether text is composed (Unicode's form C) first, as the converted tokenizers do.
    compose: bool,
}

const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN_2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DIGIT: &str = r"\p{N}";
const DIGITS: &str = r"\p{N}+";
const FALCON_PUNCTUATION: &str = r"[\p{P}\$\+<=>\^~\|`]+";
const PUNCTUATION: &str = r"[\p{P}\$\+<=>\^~\|]+";
const THREE_DIGITS: &str = "[0-9][0-9][0-9]";

/// Of the tokenizers that no more is known of than their expressions.
const PLAIN: Words = Words {
    names: &[],
    expressions: &[],
    ignore_merges: false,
    add_bos: false,
    compose: false,
};

const WORDS: [Words; 7] = [
    Words {
        names: &["gpt-2", "phi-2", "exaone4", "mpt", "olmo", "jais"],
        expressions: &[GPT_2],
        ..PLAIN
    },
    Words {
        names: &[
            "smollm",
            "starcoder",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
        ],
        expressions: &[DIGIT, GPT_2],
        ..PLAIN
    },
    Words {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3"],
        expressions: &[LLAMA_3],
        ignore_merges: true,
        add_bos: true,
        ..PLAIN
    },
    Words {
        names: &["smaug-bpe", "dbrx"],
        expressions: &[LLAMA_3],
        ..PLAIN
    },
    Words {
        names: &["qwen2", "deepseek-r1-qwen", "megrez"],
        expressions: &[QWEN_2],
        compose: true,
        ..PLAIN
    },
    Words {
        names: &["falcon"],
        expressions: &[FALCON_PUNCTUATION, GPT_2, THREE_DIGITS],
        ..PLAIN
    },
    Words {
        names: &["default"],
        expressions: &[PUNCTUATION, GPT_2, DIGITS, THREE_DIGITS],
        ..PLAIN
    },
];

impl Words {
    /// What belongs to `name`.
    pub(super) fn named(name: &str) -> Result<&'static Words, LmError> {
        let known = || {
            WORDS
                .iter()
                .flat_map(|words| words.names)
                .copied()
                .collect::<Vec<_>>()
                .join(", ")
        };
        let found = WORDS.iter().find(|words| words.names.contains(&name));
        found.ok_or_else(|| LmError::PreTokenizer {
            name: name.to_owned(),
            known: known(),
        })
    }

    pub(super) fn normalizer(&self) -> Option<NormalizerWrapper> {
        self.compose.then(|| NFC.into())
    }

    /// Words, and their bytes as the visible characters by which vocabularies name them.
    pub(super) fn pre_tokenizer(&self) -> Result<PreTokenizerWrapper, LmError> {
        let mut steps = Vec::with_capacity(self.expressions.len() + 1);
        for expression in self.expressions {
            let pattern = SplitPattern::Regex((*expression).to_owned());
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
            steps.push(split.map_err(|error| LmError::TokenizerJson(error.to_string()))?.into());
        }
        steps.push(ByteLevel::new(false, true, false).into());
        Ok(Sequence::new(steps).into())
    }
}
