//! What is logged, by TRL's names.

/// What the losses of a minibatch are computed from, each `[tokens]`.
#[derive(Debug, Clone, Copy)]
pub struct MinibatchTokens<'a> {
    /// ln pi.
    pub log_probabilities: &'a [f32],
    /// ln pi_old.
    pub old_log_probabilities: &'a [f32],
    /// A.
    pub advantages: &'a [f32],
    /// v.
    pub values: &'a [f32],
    /// The values during the rollout.
    pub old_values: &'a [f32],
    /// R.
    pub returns: &'a [f32],
    /// The entropy of pi.
    pub entropies: &'a [f32],
    /// Which tokens count.
    pub mask: &'a [bool],
}

/// Means over the tokens of a minibatch that count; NaN where there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MinibatchStatistics {
    /// Of (ln rho)^2 / 2, an estimate of KL(pi_old || pi).
    pub approximate_kl: f64,
    /// The share of tokens whose loss is the clipped one.
    pub clip_fraction: f64,
    /// Of the policy's entropy.
    pub entropy: f64,
    /// Of rho.
    pub ratio: f64,
    /// Of the policy's loss.
    pub policy_loss: f64,
    /// Of the values' loss.
    pub value_loss: f64,
    /// The share of tokens whose value's loss is the clipped one.
    pub value_clip_fraction: f64,
}

impl MinibatchStatistics {
    /// With the ranges by which rho and values are clipped.
    pub fn new(tokens: &MinibatchTokens<'_>, range: f64, value_range: f64) -> Self {
        let mut sums = Self::default();
        let mut count = 0.0;
        for (token, _) in tokens.mask.iter().enumerate().filter(|(_, counts)| **counts) {
            let at = |numbers: &[f32]| f64::from(numbers[token]);
            let log_ratio = at(tokens.log_probabilities) - at(tokens.old_log_probabilities);
            let (ratio, advantage) = (log_ratio.exp(), at(tokens.advantages));
            let loss = -advantage * ratio;
            let clipped_loss = -advantage * ratio.clamp(1.0 - range, 1.0 + range);
            let (value, old_value, target) = (at(tokens.values), at(tokens.old_values), at(tokens.returns));
            let value_loss = (value - target).powi(2);
            let near = old_value + (value - old_value).clamp(-value_range, value_range);
            let clipped_value_loss = (near - target).powi(2);
            count += 1.0;
            sums.approximate_kl += log_ratio * log_ratio / 2.0;
            sums.clip_fraction += f64::from(clipped_loss > loss);
            sums.entropy += at(tokens.entropies);
            sums.ratio += ratio;
            sums.policy_loss += loss.max(clipped_loss);
            sums.value_loss += value_loss.max(clipped_value_loss) / 2.0;
            sums.value_clip_fraction += f64::from(clipped_value_loss > value_loss);
        }
        Self {
            approximate_kl: sums.approximate_kl / count,
            clip_fraction: sums.clip_fraction / count,
            entropy: sums.entropy / count,
            ratio: sums.ratio / count,
            policy_loss: sums.policy_loss / count,
            value_loss: sums.value_loss / count,
            value_clip_fraction: sums.value_clip_fraction / count,
        }
    }

    /// Each under the name that TRL logs its mean over the minibatches of an update by.
    pub fn named(&self) -> [(&'static str, f64); 7] {
        [
            ("policy/approxkl_avg", self.approximate_kl),
            ("policy/clipfrac_avg", self.clip_fraction),
            ("policy/entropy_avg", self.entropy),
            ("loss/policy_avg", self.policy_loss),
            ("loss/value_avg", self.value_loss),
            ("val/clipfrac_avg", self.value_clip_fraction),
            (RATIO, self.ratio),
        ]
    }
}

/// The name of the mean of rho.
pub(super) const RATIO: &str = "val/ratio";

/// TRL's `val/ratio_var`: the variance of the minibatches' ratios, with one less than their number below it; 0 of one alone.
pub fn ratio_variance(ratios: &[f64]) -> f64 {
    let count = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / count;
    let squares: f64 = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum();
    squares / (count - 1.0).max(1.0)
}

/// Means over the answers of a rollout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RolloutStatistics {
    /// The sum over an answer's tokens of the estimates of KL(pi || pi_ref): what [`KlCoefficient::update`](super::KlCoefficient::update)
    /// wants.
    pub kl: f64,
    /// The sum over an answer's tokens of -ln pi.
    pub entropy: f64,
    /// The sum over an answer's tokens of the KL penalty, at most 0 in expectation.
    pub non_score_reward: f64,
    /// The score.
    pub score: f64,
}

impl RolloutStatistics {
    /// From the estimates of the KL divergence, log-probabilities and the mask, each `[tokens]`, the scores, `[answers]`, and the coefficient of
    /// the KL penalty.
    pub fn new(
        divergences: &[f32],
        log_probabilities: &[f32],
        mask: &[bool],
        scores: &[f32],
        coefficient: f64,
    ) -> Self {
        let answers = scores.len() as f64;
        let sum = |numbers: &[f32]| -> f64 {
            let counted = numbers.iter().zip(mask).filter(|(_, counts)| **counts);
            counted.map(|(number, _)| f64::from(*number)).sum()
        };
        let kl = sum(divergences) / answers;
        Self {
            kl,
            entropy: -sum(log_probabilities) / answers,
            non_score_reward: -coefficient * kl,
            score: scores.iter().map(|score| f64::from(*score)).sum::<f64>() / answers,
        }
    }

    /// Each under the name that TRL logs it by.
    pub fn named(&self) -> [(&'static str, f64); 5] {
        [
            ("objective/kl", self.kl),
            ("objective/entropy", self.entropy),
            ("objective/non_score_reward", self.non_score_reward),
            ("objective/rlhf_reward", self.non_score_reward + self.score),
            ("objective/scores", self.score),
        ]
    }
}
