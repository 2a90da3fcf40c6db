//! Scores of answers, and the rewards of their tokens.

use serde::{Deserialize, Serialize};

/// Scores times a gain plus a bias.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RewardNormalization {
    /// The factor.
    pub gain: f64,
    /// What is added.
    pub bias: f64,
}

impl RewardNormalization {
    /// What gives these scores the mean 0 and the variance 1, with the variance of the population. Ziegler et al. 2019 (section 2.1 and
    /// their code) fit it to answers of the reference, before the reward model is trained and again before PPO.
    ///
    /// None where all scores are the same, or not all are finite.
    pub fn fit(scores: &[f32]) -> Option<Self> {
        let count = scores.len() as f64;
        let mean = scores.iter().map(|score| f64::from(*score)).sum::<f64>() / count;
        let squares = scores.iter().map(|score| (f64::from(*score) - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        let gain = 1.0 / deviation;
        (deviation > 0.0 && gain.is_finite()).then_some(Self {
            gain,
            bias: -mean * gain,
        })
    }

    /// The normalised score.
    pub fn apply(&self, score: f32) -> f32 {
        (f64::from(score) * self.gain + self.bias) as f32
    }
}

/// What becomes of the score of an answer that has not ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingEos {
    /// The penalty is taken off it: TRL's `missing_eos_penalty`.
    Subtract(f32),
    /// This takes its place: OpenAI's code, with -1.
    Replace(f32),
}

impl MissingEos {
    /// The score of an answer that has `ended` by itself, or not.
    pub fn apply(self, score: f32, ended: bool) -> f32 {
        match self {
            _ if ended => score,
            Self::Subtract(penalty) => score - penalty,
            Self::Replace(other) => other,
        }
    }
}

/// The reward of each token, `[tokens]`: -c kl_t, and the answer's score at its last token that counts (Ouyang et al. 2022, equation 2).
///
/// `divergences` and `mask` are `[tokens]`, `lengths` and `scores` `[answers]`. Tokens that do not count have no reward.
///
/// # Panics
/// The lengths do not add up to the number of tokens, or there are not as many scores as answers.
pub fn token_rewards(
    divergences: &[f32],
    mask: &[bool],
    lengths: &[usize],
    scores: &[f32],
    coefficient: f64,
) -> Vec<f32> {
    assert_eq!(lengths.iter().sum::<usize>(), divergences.len(), "tokens of answers");
    assert_eq!(mask.len(), divergences.len(), "a mask of tokens");
    assert_eq!(lengths.len(), scores.len(), "scores of answers");
    let penalty = |(divergence, counts): (&f32, &bool)| if *counts { -coefficient * f64::from(*divergence) } else { 0.0 } as f32;
    let mut rewards: Vec<f32> = divergences.iter().zip(mask).map(penalty).collect();
    let mut first = 0;
    for (length, score) in lengths.iter().zip(scores) {
        if let Some(last) = mask[first..first + length].iter().rposition(|counts| *counts) {
            rewards[first + last] += score;
        }
        first += length;
    }
    rewards
}
