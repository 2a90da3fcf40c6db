//! Answers that are drawn from a policy.

use etude_lm::LmError;
use etude_lm::cpu_decoder::CpuDecoder;
use etude_lm::decoder::Decoder;
use etude_lm::engine::{Engine, EngineOptions, FinishReason, Request, Sampling};
use etude_lm::tokenizer::Tokenizer;
use etude_train::Seed;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use crate::AlignError;
use crate::data::{Record, Tokenized};
use crate::reward::Answer;

/// The most answers that are drawn at a time.
const AT_A_TIME: usize = 32;

/// What the policy is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Its tokens, at least one.
    pub tokens: Vec<u32>,
    /// Its text, as the policy reads it.
    pub text: String,
    /// Where it comes from, with all that the data say of it.
    #[serde(with = "json")]
    pub record: Record,
}

/// What was drawn.
#[derive(Debug, Clone)]
pub struct Rollout<'a> {
    /// What was asked.
    pub question: &'a Question,
    /// Question and answer as tokens, of which the answer counts.
    pub sequence: Tokenized,
    /// The answer, without special tokens.
    pub text: String,
    /// Whether it has ended by itself.
    pub ended: bool,
    /// The log-probability of each token of the answer at temperature 1, as the engine that drew it says, `[tokens of the answer]`.
    pub log_probabilities: Vec<f32>,
}

impl Rollout<'_> {
    /// As reward functions take it.
    pub fn answer(&self) -> Answer<'_> {
        Answer {
            record: &self.question.record,
            prompt: &self.question.text,
            text: &self.text,
            tokens: &self.sequence.ids,
        }
    }
}

/// How answers are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Drawing<'a> {
    /// Makes text of tokens.
    pub tokenizer: &'a Tokenizer,
    /// Tokens that end an answer, and are its last.
    pub stop_tokens: &'a [u32],
    /// The most tokens of an answer.
    pub length: usize,
    /// Logits are divided by it; 0 takes the likeliest tokens.
    pub temperature: f64,
}

impl Drawing<'_> {
    /// Draws an answer to each question, with the engine that also serves, in the precision in which the policy is trained. Each draws from
    /// random numbers of its own, so that it does not matter what is drawn beside it.
    ///
    /// # Errors
    /// A question leaves no room in the model's context, or the policy's numbers are not finite.
    pub fn draw<'q>(
        &self,
        policy: &Decoder,
        questions: &[&'q Question],
        seed: Seed,
        stream: &str,
        first: u64,
    ) -> Result<Vec<Rollout<'q>>, AlignError> {
        let decoder = CpuDecoder::load(policy.config().clone(), &policy.checkpoint(), policy.precision())?;
        let requests = questions.iter().zip(first..).map(|(question, index)| Request {
            sampling: Sampling {
                temperature: self.temperature as f32,
                seed: seed.stream_indexed(stream, index).next_u64(),
                ..Sampling::default()
            },
            stop_tokens: self.stop_tokens.to_vec(),
            log_probabilities: Some(0),
            ..Request::new(question.tokens.clone(), self.length)
        });
        let options = EngineOptions {
            max_batch: AT_A_TIME,
            ..EngineOptions::default()
        };
        let completions = Engine::new(&decoder, options).complete(requests)?;
        let rollouts = questions.iter().zip(completions).map(|(&question, completion)| {
            let answer: Vec<u32> = completion.tokens.iter().map(|generated| generated.token).collect();
            let log_probabilities = completion
                .tokens
                .iter()
                .filter_map(|generated| generated.log_probabilities.as_ref());
            Ok(Rollout {
                question,
                text: self.tokenizer.decode(&answer, true)?,
                sequence: Tokenized::answer(&question.tokens, &answer),
                ended: completion.reason == FinishReason::Stop,
                log_probabilities: log_probabilities.map(|found| found.token).collect(),
            })
        });
        let rollouts: Result<_, LmError> = rollouts.collect();
        Ok(rollouts?)
    }
}

/// A record as text that says itself of what kinds its columns are.
mod json {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::data::Record;

    pub(super) fn serialize<S: Serializer>(record: &Record, to: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(record).map_err(S::Error::custom)?;
        to.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Record, D::Error> {
        let text = String::deserialize(from)?;
        serde_json::from_str(&text).map_err(D::Error::custom)
    }
}
