//! `generation_config.json`.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::error::{HubError, fault};
use crate::json;

/// How the model's authors want text to be generated. What a file does not say is none here; transformers' own values for it
/// are in brackets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationConfig {
    /// Whether tokens are drawn at random; otherwise the likeliest is taken (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub do_sample: Option<bool>,
    /// What logits are divided by before a token is drawn, above 0 (1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// From how many of the likeliest tokens one is drawn; 0 for all (50).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// The least total probability of the likeliest tokens that one is drawn from, in [0, 1] (1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The least probability of a token that is drawn, as a part of the likeliest one's, in [0, 1] (0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// What logits of tokens that are there already are divided by where positive and multiplied with where not, above 0 (1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f64>,
    /// The most tokens of prompt and answer together (20).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// The most tokens of an answer (as `max_length` allows).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_new_tokens: Option<usize>,
    /// The token that begins a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bos_token_id: Option<u32>,
    /// The tokens that end an answer.
    #[serde(skip_serializing_if = "Tokens::is_none")]
    pub eos_token_id: Tokens,
    /// The token that fills up.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "first")]
    pub pad_token_id: Option<u32>,
    /// Texts that end an answer.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "texts")]
    pub stop_strings: Option<Vec<String>>,
    /// Everything else that a file says, kept for saving it again.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// No token, one, or several: written as nothing, a number, or numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Tokens {
    /// None.
    #[default]
    None,
    /// One.
    One(u32),
    /// Several.
    Several(Vec<u32>),
}

impl Tokens {
    /// The tokens.
    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::None => &[],
            Self::One(token) => std::slice::from_ref(token),
            Self::Several(tokens) => tokens,
        }
    }

    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// A token, written as a number or as the first of numbers.
fn first<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    Ok(Tokens::deserialize(from)?.as_slice().first().copied())
}

/// Texts, or one.
fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        None,
        One(String),
        Several(Vec<String>),
    }
    Ok(match Texts::deserialize(from)? {
        Texts::None => None,
        Texts::One(text) => Some(vec![text]),
        Texts::Several(texts) => Some(texts),
    })
}

impl GenerationConfig {
    /// Reads the content of a file. Errors call it by `path`.
    ///
    /// # Errors
    /// Names the field, what was found and what was expected.
    pub fn from_json(path: &Path, bytes: &[u8]) -> Result<Self, HubError> {
        let config: Self = json::parse(path, bytes)?;
        let check = |name: &str, value: Option<f64>, expected: &str, good: fn(f64) -> bool| match value {
            Some(x) if !good(x) => Err(fault(path, format!("`{name}`: found {x}; expected {expected}"))),
            _ => Ok(()),
        };
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let part = |x: f64| (0.0..=1.0).contains(&x);
        // 0 is written by some for the likeliest token.
        check("temperature", config.temperature, "a number, not negative", |x| {
            x >= 0.0 && x.is_finite()
        })?;
        check(
            "repetition_penalty",
            config.repetition_penalty,
            "a positive number",
            positive,
        )?;
        check("top_p", config.top_p, "a number in [0, 1]", part)?;
        check("min_p", config.min_p, "a number in [0, 1]", part)?;
        Ok(config)
    }
}
