//! What gives answers their scores.

use crate::AlignError;
use crate::data::Record;

/// An answer that a policy has given.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// What was asked, with all that the data say of it.
    pub record: &'a Record,
    /// What was asked, as the policy has read it.
    pub prompt: &'a str,
    /// The answer, without special tokens.
    pub text: &'a str,
    /// The tokens of prompt and answer, with the token that ended it where there is one.
    pub tokens: &'a [u32],
}

/// Something that gives answers their scores: a reward model, rules, a command.
pub trait RewardFunction {
    /// What it is called in logs.
    fn name(&self) -> &str;

    /// A score for each answer, in their order.
    ///
    /// # Errors
    /// An answer cannot be scored; the error names its record.
    fn score(&mut self, answers: &[Answer<'_>]) -> Result<Vec<f32>, AlignError>;
}

/// Scores of answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewards {
    /// The sum of what all functions give, `[answers]`.
    pub total: Vec<f32>,
    /// What each gives, by its name.
    pub parts: Vec<(String, Vec<f32>)>,
}

/// What several functions give.
///
/// # Errors
/// As [`RewardFunction::score`]; or a score is no finite number.
pub fn total_rewards(functions: &mut [Box<dyn RewardFunction>], answers: &[Answer<'_>]) -> Result<Rewards, AlignError> {
    let mut total = vec![0.0; answers.len()];
    let mut parts = Vec::with_capacity(functions.len());
    for function in functions {
        let rewards = function.score(answers)?;
        for ((sum, reward), answer) in total.iter_mut().zip(&rewards).zip(answers) {
            if !reward.is_finite() {
                return Err(AlignError::Reward {
                    place: answer.record.place.clone(),
                    function: function.name().to_owned(),
                    detail: format!("found {reward}, expected a finite number"),
                });
            }
            *sum += reward;
        }
        parts.push((function.name().to_owned(), rewards));
    }
    Ok(Rewards { total, parts })
}
