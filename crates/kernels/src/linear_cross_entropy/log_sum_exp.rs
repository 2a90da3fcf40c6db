//! log sum exp of a row of logits, in one pass over blocks of it (Milakov and Gimelshein 2018, "Online normalizer calculation for
//! softmax", algorithm 3).

use super::COLUMNS;
use crate::Instructions;
use crate::perceptron::tanh;
use crate::vectorized::{exp, max, sum, vectorized};

/// The sum of the exponentials of a token's logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogSumExp {
    largest: f32,
    /// Of exp(logit - largest).
    sum: f64,
}

impl LogSumExp {
    /// Of no logits yet. The largest one is finite, so that logits of minus infinity count as nothing.
    pub(super) const EMPTY: Self = Self {
        largest: f32::MIN,
        sum: 0.0,
    };

    /// Of all the logits of a token, soft cap included.
    pub fn of(logits: &[f32]) -> Self {
        let mut all = Self::EMPTY;
        for block in logits.chunks(COLUMNS) {
            all.add(Instructions::best(), block);
        }
        all
    }

    /// Adds a block of logits.
    pub(super) fn add(&mut self, instructions: Instructions, logits: &[f32]) {
        let [largest, sum] = block(instructions, logits, self.largest);
        self.sum = self.sum * f64::from(self.largest - largest).exp() + f64::from(sum);
        self.largest = largest;
    }

    /// The logarithm of the sum.
    pub fn value(self) -> f32 {
        (f64::from(self.largest) + self.sum.ln()) as f32
    }

    /// The log-probability of a token that has this logit, which is one of those in the sum.
    pub fn log_probability(self, logit: f32) -> f32 {
        (f64::from(logit) - f64::from(self.largest) - self.sum.ln()) as f32
    }
}

vectorized! {
    /// The largest logit, or `largest` if it is larger; and the sum of exponentials of what the logits are below it.
    fn block(logits: &[f32], largest: f32) -> [f32; 2] {
        let largest = max(logits, largest);
        [largest, sum([logits], |[logit]| exp(logit - largest))]
    }
}

/// Puts a row of logits through the soft cap of a model that has one: c tanh(logit / c).
pub fn cap_logits(logits: &mut [f32], soft_cap: f32) {
    cap(Instructions::best(), logits, soft_cap);
}

vectorized! {
    pub(super) fn cap(logits: &mut [f32], soft_cap: f32) {
        for logit in logits {
            *logit = soft_cap * tanh(*logit / soft_cap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectorized::testing::numbers;

    #[test]
    fn probabilities_sum_to_one() {
        for count in [1, 2, 1000, 1024, 3000] {
            let logits: Vec<f32> = numbers(count, 5).iter().map(|logit| 20.0 * logit).collect();
            let all = LogSumExp::of(&logits);
            let exact = logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln();
            assert!(
                (f64::from(all.value()) - exact).abs() < 4e-6,
                "{count}: {all:?}, {exact}"
            );
            let total: f64 = logits
                .iter()
                .map(|&logit| f64::from(all.log_probability(logit)).exp())
                .sum();
            assert!((total - 1.0).abs() < 2e-6, "{count}: {total}");
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "limits are exact")]
    fn masked_logits_count_as_nothing_and_what_is_not_a_number_stays_so() {
        let masked = f32::NEG_INFINITY;
        let mut logits = vec![masked; 2000];
        logits[1500] = -3.0;
        assert_eq!(LogSumExp::of(&logits).log_probability(-3.0), 0.0);
        assert_eq!(LogSumExp::of(&logits).log_probability(masked), masked);
        assert!(LogSumExp::of(&[masked; 3]).log_probability(masked).is_nan());
        assert!(LogSumExp::of(&[1.0, f32::INFINITY]).log_probability(1.0).is_nan());
        logits[3] = f32::NAN;
        assert!(LogSumExp::of(&logits).value().is_nan());
    }

    #[test]
    fn capped_logits_stay_within_the_cap() {
        let mut logits = [-1e9, -0.5, 0.0, 0.5, 1e9, f32::NAN];
        cap_logits(&mut logits, 30.0);
        let half = 30.0 * (0.5_f32 / 30.0).tanh();
        for (found, expected) in logits.into_iter().zip([-30.0, -half, 0.0, half, 30.0]) {
            assert!((found - expected).abs() < 1e-6_f32, "{logits:?}");
        }
        assert!(logits[5].is_nan());
    }
}
