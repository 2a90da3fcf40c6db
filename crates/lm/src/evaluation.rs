//! How well a model knows texts: perplexity in sliding windows, and multiple choice by likelihood.

use serde::Deserialize;

use crate::engine::Engine;
use crate::error::LmError;
use crate::tokenizer::Tokenizer;

/// How unlikely a text was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likelihood {
    /// The mean negative log-likelihood of a token; its exponential is the perplexity.
    pub mean: f64,
    /// Its standard error, as if tokens were independent.
    pub standard_error: f64,
    /// Tokens that were scored: all but the first.
    pub tokens: usize,
}

/// The likelihood of a text in windows of `window` tokens whose starts are `stride` apart. Each token but the first is scored once,
/// in the first window that holds it, after at least `window - stride` tokens where there are as many.
///
/// `report` hears how many tokens are scored and the perplexity so far, and says whether to go on; none is returned where it does not.
///
/// # Errors
/// There are fewer than two tokens, the window is below 2 or beyond the context, the stride is not between 1 and the window less
/// one; or as [`Engine::score`].
pub fn perplexity(
    engine: &mut Engine<'_>,
    tokens: &[u32],
    window: usize,
    stride: usize,
    mut report: impl FnMut(usize, f64) -> bool,
) -> Result<Option<Likelihood>, LmError> {
    let context = engine.decoder().config().context;
    if tokens.len() < 2 {
        return Err(LmError::EmptyPrompt);
    }
    if !(2..=context).contains(&window) {
        return Err(LmError::Setting {
            name: "window",
            found: window.to_string(),
            expected: "2 or more, and the context at most",
        });
    }
    if !(1..window).contains(&stride) {
        return Err(LmError::Setting {
            name: "stride",
            found: stride.to_string(),
            expected: "1 or more, and less than the window",
        });
    }
    let (mut count, mut mean, mut squares) = (0_usize, 0.0_f64, 0.0_f64);
    let mut start = 0;
    loop {
        let end = (start + window).min(tokens.len());
        let scores = engine.score([tokens[start..end].to_vec()])?.remove(0);
        // Those before were scored in the window before.
        let new = end - (count + 1);
        for &score in &scores[scores.len() - new..] {
            // Welford's sums.
            count += 1;
            let difference = -f64::from(score) - mean;
            mean += difference / count as f64;
            squares += difference * (-f64::from(score) - mean);
        }
        if !report(count, mean.exp()) {
            return Ok(None);
        }
        if end == tokens.len() {
            break;
        }
        start += stride;
    }
    let variance = squares / (count.max(2) - 1) as f64;
    Ok(Some(Likelihood {
        mean,
        standard_error: (variance / count as f64).sqrt(),
        tokens: count,
    }))
}

/// A question with answers to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What comes before each choice.
    pub question: String,
    /// The answers; each is appended to the question as it is, so one that is a word begins with its space.
    pub choices: Vec<String>,
    /// The place of the right one, from 0.
    pub answer: usize,
}

impl Question {
    /// Checks that there is something to choose.
    ///
    /// # Errors
    /// There are fewer than two choices, one is empty, or the answer is none of them.
    pub fn check(&self) -> Result<(), LmError> {
        let wrong = |name, found: String, expected| Err(LmError::Setting { name, found, expected });
        if self.choices.len() < 2 {
            return wrong("choices", self.choices.len().to_string(), "two or more");
        }
        if self.choices.iter().any(String::is_empty) {
            return wrong("choices", "an empty one".into(), "text in each");
        }
        if self.answer >= self.choices.len() {
            return wrong("answer", self.answer.to_string(), "the place of a choice, from 0");
        }
        Ok(())
    }
}

/// Which choice a model takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The one whose text is the likeliest.
    pub likeliest: usize,
    /// The one whose text is the likeliest a byte, which does not favour short ones.
    pub likeliest_by_bytes: usize,
    /// Log-probability of each choice after the question.
    pub log_probabilities: Vec<f64>,
}

/// Lets the model choose. Question and choice are tokenised together; what is scored are the tokens after those that the question
/// alone has in common with both.
///
/// # Errors
/// As [`Engine::score`].
pub fn choose(engine: &mut Engine<'_>, tokenizer: &Tokenizer, question: &Question) -> Result<Choice, LmError> {
    let alone = tokenizer.encode(&question.question, true)?;
    let mut texts = Vec::with_capacity(question.choices.len());
    for choice in &question.choices {
        texts.push(tokenizer.encode(&format!("{}{choice}", question.question), true)?);
    }
    // At least one token has to come before the first that is scored, and one has to be scored.
    let starts: Vec<usize> = texts
        .iter()
        .map(|text| {
            let common = text
                .iter()
                .zip(&alone)
                .take_while(|(token, other)| token == other)
                .count();
            common.clamp(1, text.len().max(2) - 1)
        })
        .collect();
    let scores = engine.score(texts)?;
    let log_probabilities: Vec<f64> = scores
        .iter()
        .zip(&starts)
        .map(|(scores, &start)| scores[start - 1..].iter().map(|&score| f64::from(score)).sum())
        .collect();
    let by_bytes: Vec<f64> = log_probabilities
        .iter()
        .zip(&question.choices)
        .map(|(score, choice)| score / choice.len() as f64)
        .collect();
    Ok(Choice {
        likeliest: highest(&log_probabilities),
        likeliest_by_bytes: highest(&by_bytes),
        log_probabilities,
    })
}

/// The place of the highest number, the first of equals.
fn highest(numbers: &[f64]) -> usize {
    let best = numbers
        .iter()
        .enumerate()
        .reduce(|best, other| if other.1 > best.1 { other } else { best });
    best.map_or(0, |(index, _)| index)
}
