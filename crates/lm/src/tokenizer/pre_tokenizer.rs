//! How text is cut into words before bytes are merged: as a file says, or under the names that GGUF files give.
//!
//! The names are those of `tokenizer.ggml.pre` in llama.cpp, the expressions those of the tokenizers that were converted.

use std::sync::OnceLock;

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{NormalizerWrapper, PreTokenizedString, PreTokenizer, PreTokenizerWrapper, SplitDelimiterBehavior};

use crate::LmError;

/// Cuts text into words.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "PreTokenizerWrapper")]
pub(super) enum Cutter {
    /// As `tokenizer.json` says.
    Read(PreTokenizerWrapper),
    /// By expressions that are compiled already.
    Named(&'static Words),
}

impl From<PreTokenizerWrapper> for Cutter {
    fn from(read: PreTokenizerWrapper) -> Self {
        Self::Read(read)
    }
}

/// As `tokenizer.json` says it.
impl Serialize for Cutter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words = match self {
            Self::Read(steps) => return steps.serialize(serializer),
            Self::Named(words) => words,
        };
        let splits = words.expressions.iter().map(|expression| expression.split());
        let splits: Result<Vec<&Split>, String> = splits.collect();
        let mut steps: Vec<PreTokenizerWrapper> = (splits.map_err(S::Error::custom)?.into_iter())
            .map(|split| split.clone().into())
            .collect();
        steps.push(bytes().into());
        Sequence::new(steps).serialize(serializer)
    }
}

/// Bytes as the visible characters by which vocabularies name them.
fn bytes() -> ByteLevel {
    ByteLevel::new(false, true, false)
}

impl PreTokenizer for Cutter {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        let words = match self {
            Self::Read(steps) => return steps.pre_tokenize(text),
            Self::Named(words) => words,
        };
        for expression in words.expressions {
            expression.split()?.pre_tokenize(text)?;
        }
        bytes().pre_tokenize(text)
    }
}

/// A regular expression whose matches become words.
#[derive(Debug)]
struct Expression {
    pattern: &'static str,
    // Those over all letters of Unicode take milliseconds.
    compiled: OnceLock<Result<Split, String>>,
}

impl Expression {
    const fn new(pattern: &'static str) -> Self {
        Self {
            pattern,
            compiled: OnceLock::new(),
        }
    }

    /// Compiled at the first call of a process.
    fn split(&self) -> Result<&Split, String> {
        let compile = || {
            let pattern = SplitPattern::Regex(self.pattern.to_owned());
            Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|error| error.to_string())
        };
        self.compiled.get_or_init(compile).as_ref().map_err(Clone::clone)
    }
}

/// What belongs to a name.
#[derive(Debug)]
pub(super) struct Words {
    names: &'static [&'static str],
    /// Each cuts what the one before it left.
    expressions: &'static [&'static Expression],
    /// Whether a word that is in the vocabulary is a token without any merging.
    pub(super) ignore_merges: bool,
    /// Whether text begins with the first special token where the file does not say.
    pub(super) add_bos: bool,
    /// Whether text is composed (Unicode's form C) first, as the converted tokenizers do.
    compose: bool,
}

static GPT_2: Expression =
    Expression::new(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+");
static LLAMA_3: Expression = Expression::new(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
static QWEN_2: Expression = Expression::new(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
static DIGIT: Expression = Expression::new(r"\p{N}");
static DIGITS: Expression = Expression::new(r"\p{N}+");
static FALCON_PUNCTUATION: Expression = Expression::new(r"[\p{P}\$\+<=>\^~\|`]+");
static PUNCTUATION: Expression = Expression::new(r"[\p{P}\$\+<=>\^~\|]+");
static THREE_DIGITS: Expression = Expression::new("[0-9][0-9][0-9]");

/// Of the tokenizers that no more is known of than their expressions.
const PLAIN: Words = Words {
    names: &[],
    expressions: &[],
    ignore_merges: false,
    add_bos: false,
    compose: false,
};

static WORDS: [Words; 7] = [
    Words {
        names: &["gpt-2", "phi-2", "exaone4", "mpt", "olmo", "jais"],
        expressions: &[&GPT_2],
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
        expressions: &[&DIGIT, &GPT_2],
        ..PLAIN
    },
    Words {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3"],
        expressions: &[&LLAMA_3],
        ignore_merges: true,
        add_bos: true,
        ..PLAIN
    },
    Words {
        names: &["smaug-bpe", "dbrx"],
        expressions: &[&LLAMA_3],
        ..PLAIN
    },
    Words {
        names: &["qwen2", "deepseek-r1-qwen", "megrez"],
        expressions: &[&QWEN_2],
        compose: true,
        ..PLAIN
    },
    Words {
        names: &["falcon"],
        expressions: &[&FALCON_PUNCTUATION, &GPT_2, &THREE_DIGITS],
        ..PLAIN
    },
    Words {
        names: &["default"],
        expressions: &[&PUNCTUATION, &GPT_2, &DIGITS, &THREE_DIGITS],
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

    /// A cutter whose expressions are compiled.
    pub(super) fn cutter(&'static self) -> Result<Cutter, LmError> {
        for expression in self.expressions {
            expression.split().map_err(LmError::TokenizerJson)?;
        }
        Ok(Cutter::Named(self))
    }
}

#[cfg(test)]
mod tests {
    use super::WORDS;

    #[test]
    fn every_expression_compiles_once() {
        for words in &WORDS {
            words.cutter().unwrap();
            let first = words.expressions[0].split().unwrap();
            assert!(std::ptr::eq(first, words.expressions[0].split().unwrap()));
        }
    }
}
