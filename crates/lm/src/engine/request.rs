//! What the engine is asked for, and what it answers.

use super::Sampling;

/// Tokens to continue, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The tokens to continue; at least one.
    pub prompt: Vec<u32>,
    /// The most tokens to generate; 0 only scores the prompt.
    pub max_tokens: usize,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Tokens that end the answer, and are its last.
    pub stop_tokens: Vec<u32>,
    /// Whether log-probabilities are wanted, and of how many of the likeliest tokens beside the drawn one.
    pub log_probabilities: Option<usize>,
    /// Whether the log-probabilities of the prompt's tokens are wanted.
    pub score_prompt: bool,
}

impl Request {
    /// A greedy continuation of `prompt` by at most `max_tokens`.
    pub fn new(prompt: Vec<u32>, max_tokens: usize) -> Self {
        Self {
            prompt,
            max_tokens,
            sampling: Sampling::default(),
            stop_tokens: Vec::new(),
            log_probabilities: None,
            score_prompt: false,
        }
    }
}

/// A request in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// A token of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratedToken {
    /// The token.
    pub token: u32,
    /// Its log-probability and those of the likeliest tokens, by the model's own distribution (temperature 1, no penalties); where
    /// they are wanted.
    pub log_probabilities: Option<LogProbabilities>,
}

/// How likely a token was, and which tokens were the likeliest.
#[derive(Debug, Clone, PartialEq)]
pub struct LogProbabilities {
    /// Of the token that was drawn.
    pub token: f32,
    /// The likeliest tokens, the likeliest first.
    pub alternatives: Vec<(u32, f32)>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// A stop token or a stop string.
    Stop,
    /// `max_tokens` were generated.
    Length,
    /// It was cancelled.
    Cancelled,
}

/// What happened to a request in a step of the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The whole prompt was read; with `score_prompt`, the log-probability of each of its tokens but the first, given those before.
    PromptRead {
        /// The request.
        id: RequestId,
        /// Empty without `score_prompt`.
        log_probabilities: Vec<f32>,
    },
    /// The next token of an answer.
    Token {
        /// The request.
        id: RequestId,
        /// The token.
        token: GeneratedToken,
    },
    /// The last event of a request.
    Finished {
        /// The request.
        id: RequestId,
        /// Why.
        reason: FinishReason,
    },
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The answer, with the stop token where one ended it.
    pub tokens: Vec<GeneratedToken>,
    /// Why it ended.
    pub reason: FinishReason,
    /// With `score_prompt`, the log-probability of each token of the prompt but the first.
    pub prompt_log_probabilities: Vec<f32>,
}
