//! Rebuilds a tokenizer from the vocabulary inside a GGUF file.
//!
//! Two kinds are there: `gpt2`, byte-level merges with a list of merges, and `llama`, SentencePiece with scores. The second kind
//! has no list of merges: two tokens merge where the vocabulary has what they make, in the order of its score, and between
//! equals in that of the lengths of both, as transformers converts SentencePiece models.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, BpeBuilder, Merges, Vocab};
use tokenizers::normalizers::{Prepend, Replace};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, DecoderWrapper, NormalizerWrapper};

use super::pieces::{Pieces, Spelling, shorten};
use super::pre_tokenizer::Words;
use super::special::{SpecialIds, end_of_turn};
use super::{Inner, Tokenizer};
use crate::LmError;

/// The keys `tokenizer.ggml.*` of a GGUF file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GgufVocabulary {
    /// `model`: `llama` or `gpt2`.
    pub model: String,
    /// `pre`: the name of the expressions that cut text into words, for `gpt2`.
    pub pre_tokenizer: Option<String>,
    /// `tokens`, by id.
    pub tokens: Vec<String>,
    /// `scores`, by id, for `llama`.
    pub scores: Vec<f32>,
    /// `token_type`, by id: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. Empty where all are normal.
    pub token_types: Vec<i32>,
    /// `merges`: pairs of tokens with a space between them, for `gpt2`.
    pub merges: Vec<String>,
    /// `bos_token_id`.
    pub bos: Option<u32>,
    /// `eos_token_id`.
    pub eos: Option<u32>,
    /// `unknown_token_id`.
    pub unknown: Option<u32>,
    /// `padding_token_id`.
    pub padding: Option<u32>,
    /// `eot_token_id`.
    pub eot: Option<u32>,
    /// `add_bos_token`.
    pub add_bos: Option<bool>,
    /// `add_eos_token`.
    pub add_eos: Option<bool>,
    /// `add_space_prefix`, for `llama`.
    pub add_space_prefix: Option<bool>,
}

const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

/// The longest token of a SentencePiece vocabulary, in bytes. Each is cut at every place, so the work grows with the square.
const LONGEST: usize = 1024;

pub(super) fn build(vocabulary: &GgufVocabulary) -> Result<Tokenizer, LmError> {
    let count = vocabulary.tokens.len();
    let sized = |part, found: usize| {
        let expected = "one entry for each of tokenizer.ggml.tokens";
        Err(LmError::TokenizerPart {
            part,
            found: format!("{found} entries for {count} tokens"),
            expected,
        })
    };
    if !(vocabulary.token_types.is_empty() || vocabulary.token_types.len() == count) {
        return sized("tokenizer.ggml.token_type", vocabulary.token_types.len());
    }
    let ids = [
        vocabulary.bos,
        vocabulary.eos,
        vocabulary.unknown,
        vocabulary.padding,
        vocabulary.eot,
    ];
    if let Some(id) = ids.into_iter().flatten().find(|id| *id as usize >= count) {
        return Err(LmError::TokenId { id, size: count });
    }
    let mut known = Vocab::with_capacity(count);
    for (id, text) in (0..).zip(&vocabulary.tokens) {
        // Padded vocabularies repeat tokens; text is encoded with the first.
        known.entry(text.clone()).or_insert(id);
    }
    let (mut inner, spelling, add_bos) = match vocabulary.model.as_str() {
        "gpt2" => {
            let words = Words::named(vocabulary.pre_tokenizer.as_deref().unwrap_or("default"))?;
            let merges = listed_merges(vocabulary, &known)?;
            let model = BPE::builder()
                .vocab_and_merges(known, merges)
                .ignore_merges(words.ignore_merges);
            let mut inner = finish(model)?;
            inner.with_normalizer(words.normalizer()).map_err(broken)?;
            inner.with_pre_tokenizer(Some(words.cutter()?));
            inner.with_decoder(Some(ByteLevel::default()));
            (inner, Spelling::ByteLevel, words.add_bos)
        }
        "llama" => {
            if vocabulary.scores.len() != count {
                return sized("tokenizer.ggml.scores", vocabulary.scores.len());
            }
            let prefix = vocabulary.add_space_prefix.unwrap_or(true);
            (
                sentence_piece(vocabulary, known, prefix)?,
                Spelling::SentencePiece { strip: prefix },
                true,
            )
        }
        _ => {
            return Err(LmError::TokenizerPart {
                part: "tokenizer.ggml.model",
                found: format!("{:?}", shorten(&vocabulary.model)),
                expected: "\"llama\" or \"gpt2\"",
            });
        }
    };

    let kind = |id: u32| vocabulary.token_types.get(id as usize).copied().unwrap_or(1);
    let marked = |kind| matches!(kind, UNKNOWN | CONTROL | USER_DEFINED);
    let added = (0..).zip(&vocabulary.tokens).filter(|(id, _)| marked(kind(*id)));
    let added = added.map(|(id, text)| AddedToken::from(text, kind(id) != USER_DEFINED).normalized(false));
    inner.add_tokens(added).map_err(broken)?;
    let bos = vocabulary.bos.filter(|_| vocabulary.add_bos.unwrap_or(add_bos));
    let eos = vocabulary.eos.filter(|_| vocabulary.add_eos.unwrap_or(false));
    inner.with_post_processor(Some(frame(&vocabulary.tokens, bos, eos)?));

    let texts = vocabulary
        .tokens
        .iter()
        .map(|text| Some(text.as_str().into()))
        .collect();
    let special = (0..count)
        .map(|id| matches!(kind(id as u32), UNKNOWN | CONTROL))
        .collect();
    let mut tokenizer = Tokenizer {
        inner,
        pieces: Pieces::new(spelling, texts, special),
        special: SpecialIds::default(),
    };
    tokenizer.special = SpecialIds {
        bos: vocabulary.bos,
        eos: vocabulary.eos,
        pad: vocabulary.padding,
        unk: vocabulary.unknown,
        eot: vocabulary.eot.or_else(|| end_of_turn(&tokenizer)),
    };
    Ok(tokenizer)
}

fn broken(error: impl Into<tokenizers::Error>) -> LmError {
    LmError::TokenizerJson(error.into().to_string())
}

fn finish(model: BpeBuilder) -> Result<Inner, LmError> {
    Ok(Inner::new(model.build().map_err(broken)?.into()))
}

/// The merges of the file.
fn listed_merges(vocabulary: &GgufVocabulary, known: &Vocab) -> Result<Merges, LmError> {
    let merges = vocabulary.merges.iter().enumerate().map(|(index, line)| {
        let (left, right) = line.split_once(' ').unwrap_or((line, ""));
        let whole = [left, right].concat();
        if [left, right, &whole].into_iter().all(|text| known.contains_key(text)) {
            return Ok((left.to_owned(), right.to_owned()));
        }
        Err(LmError::Merge {
            index,
            left: shorten(left),
            right: shorten(right),
        })
    });
    merges.collect()
}

fn sentence_piece(vocabulary: &GgufVocabulary, known: Vocab, prefix: bool) -> Result<Inner, LmError> {
    let merges = scored_merges(vocabulary, &known)?;
    let mut model = BPE::builder()
        .vocab_and_merges(known, merges)
        .byte_fallback(true)
        .fuse_unk(true);
    let unknown = vocabulary.unknown.and_then(|id| vocabulary.tokens.get(id as usize));
    if let Some(unknown) = unknown {
        model = model.unk_token(unknown.clone());
    }
    let mut inner = finish(model)?;
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if prefix {
        steps.push(Prepend::new("\u{2581}".to_owned()).into());
    }
    steps.push(Replace::new(" ", "\u{2581}").map_err(broken)?.into());
    inner
        .with_normalizer(Some(tokenizers::normalizers::Sequence::new(steps)))
        .map_err(broken)?;
    let replace = Replace::new("\u{2581}", " ").map_err(broken)?;
    let mut decoders: Vec<DecoderWrapper> = vec![replace.into(), ByteFallback::new().into(), Fuse::new().into()];
    if prefix {
        decoders.push(Strip::new(' ', 1, 0).into());
    }
    inner.with_decoder(Some(tokenizers::decoders::sequence::Sequence::new(decoders)));
    Ok(inner)
}

/// The merges that follow from the scores.
fn scored_merges(vocabulary: &GgufVocabulary, known: &Vocab) -> Result<Merges, LmError> {
    // (score, characters left, characters right), the best first; the order of the vocabulary between equals.
    let mut merges = Vec::new();
    for (id, text) in (0..).zip(&vocabulary.tokens) {
        if text.len() > LONGEST {
            let message = format!("{} bytes long, expected at most {LONGEST}", text.len());
            return Err(LmError::Token {
                id,
                text: shorten(text),
                message,
            });
        }
        let score = vocabulary.scores[id as usize];
        if score.is_nan() {
            return Err(LmError::Token {
                id,
                text: shorten(text),
                message: "its score is NaN".to_owned(),
            });
        }
        if known.get(text.as_str()) != Some(&id) {
            continue;
        }
        let length = text.chars().count();
        let first = merges.len();
        for (cut, (place, _)) in text.char_indices().enumerate().skip(1) {
            let (left, right) = text.split_at(place);
            if let Some(&left_id) = known.get(left)
                && let Some(&right_id) = known.get(right)
            {
                merges.push((score, cut, length - cut, (left_id, right_id)));
            }
        }
        merges[first..].sort_by_key(|merge| merge.3);
    }
    merges.sort_by(|a, b| {
        b.0.total_cmp(&a.0)
            .then_with(|| Reverse((a.1, a.2)).cmp(&Reverse((b.1, b.2))))
    });
    let text = |id: u32| vocabulary.tokens[id as usize].clone();
    Ok(merges
        .into_iter()
        .map(|(.., (left, right))| (text(left), text(right)))
        .collect())
}

/// Puts the special tokens around a text.
fn frame(tokens: &[String], bos: Option<u32>, eos: Option<u32>) -> Result<TemplateProcessing, LmError> {
    let ids = [("bos", bos), ("eos", eos)];
    let special: Vec<_> = ids
        .iter()
        .filter_map(|(name, id)| {
            let id = (*id)?;
            let text = tokens.get(id as usize)?.clone();
            Some(tokenizers::processors::template::SpecialToken::new(
                (*name).to_owned(),
                vec![id],
                vec![text],
            ))
        })
        .collect::<Result<_, _>>()
        .map_err(broken)?;
    let single = [bos.map(|_| "bos"), Some("$A"), eos.map(|_| "eos")];
    let single: Vec<&str> = single.into_iter().flatten().collect();
    let mut builder = TemplateProcessing::builder();
    builder
        .try_single(single.join(" "))
        .map_err(broken)?
        .special_tokens(special);
    builder.build().map_err(broken)
}
