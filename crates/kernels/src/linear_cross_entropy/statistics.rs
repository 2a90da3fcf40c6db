//! What a token's whole distribution is like, in one pass over blocks of its logits, as [`LogSumExp`](super::LogSumExp) is.
//!
//! With m the largest logit and e = exp(logit - m), p = e / sum e:
//!
//! ```text
//! entropy = - sum p ln p = ln sum e - (sum e (logit - m)) / sum e          ln sum p^2 = ln sum e^2 - 2 ln sum e
//! ```

use crate::Instructions;
use crate::vectorized::{exp, max, sum, vectorized};

/// What the distribution of the token after some row is like. It has no gradient.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TokenStatistics {
    /// - sum p ln p over the vocabulary, in nats.
    pub entropy: f32,
    /// Whether the target is the likeliest token, the first one of those that are.
    pub correct: bool,
    /// ln sum p^2 over the vocabulary, the logarithm of what the model gives a token of its own on average.
    pub log_sum_squares: f32,
    /// The mean of the logits over the vocabulary.
    pub mean_logit: f32,
}

/// Sums over the logits seen so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    largest: f32,
    /// The place of the first logit that is the largest.
    likeliest: usize,
    seen: usize,
    /// Of e, of e (logit - m) and of e^2.
    sums: [f64; 3],
    /// Of the logits.
    total: f64,
}

impl Running {
    /// Of no logits yet.
    pub(super) const EMPTY: Self = Self {
        largest: f32::MIN,
        likeliest: 0,
        seen: 0,
        sums: [0.0; 3],
        total: 0.0,
    };

    /// Adds a block of logits.
    pub(super) fn add(&mut self, instructions: Instructions, logits: &[f32]) {
        let [largest, e, weighted, squares, total] = block(instructions, logits, self.largest);
        if largest > self.largest {
            let place = logits.iter().position(|logit| *logit >= largest);
            self.likeliest = self.seen + place.unwrap_or(0);
        }
        // What the sums so far are under the new m.
        let fall = f64::from(self.largest - largest);
        let scale = fall.exp();
        let [old_e, old_weighted, old_squares] = self.sums;
        let moved = if old_e == 0.0 {
            0.0
        } else {
            scale * (old_weighted + fall * old_e)
        };
        self.sums = [
            scale * old_e + f64::from(e),
            moved + f64::from(weighted),
            scale * scale * old_squares + f64::from(squares),
        ];
        self.total += f64::from(total);
        self.largest = largest;
        self.seen += logits.len();
    }

    /// Of all logits.
    pub(super) fn finish(self, target: usize) -> TokenStatistics {
        let [e, weighted, squares] = self.sums;
        TokenStatistics {
            entropy: (e.ln() - weighted / e) as f32,
            correct: self.likeliest == target,
            log_sum_squares: (squares.ln() - 2.0 * e.ln()) as f32,
            mean_logit: (self.total / self.seen as f64) as f32,
        }
    }
}

vectorized! {
    /// The largest logit, or `largest` if it is larger; the three sums; and that of the logits.
    fn block(logits: &[f32], largest: f32) -> [f32; 5] {
        let m = max(logits, largest);
        let e = sum([logits], |[logit]| exp(logit - m));
        // A logit of minus infinity has no part in it, and not 0 times infinity.
        let weighted = sum([logits], |[logit]| exp(logit - m) * (logit - m).max(-1e4));
        let squares = sum([logits], |[logit]| exp(2.0 * (logit - m)));
        [m, e, weighted, squares, sum([logits], |[logit]| logit)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectorized::testing::numbers;

    fn statistics(logits: &[f32], target: usize) -> TokenStatistics {
        let mut running = Running::EMPTY;
        for block in logits.chunks(100) {
            running.add(Instructions::best(), block);
        }
        running.finish(target)
    }

    #[test]
    fn statistics_are_those_of_the_formulas() {
        for count in [1_usize, 3, 99, 100, 1000, 3001] {
            let logits: Vec<f32> = numbers(count, 5).iter().map(|logit| 20.0 * logit).collect();
            let total = logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>();
            let p: Vec<f64> = logits.iter().map(|&logit| f64::from(logit).exp() / total).collect();
            let entropy: f64 = -p.iter().map(|p| p * p.ln()).sum::<f64>();
            let collision = p.iter().map(|p| p * p).sum::<f64>().ln();
            let likeliest = (0..count).fold(0, |best, index| if logits[index] > logits[best] { index } else { best });
            let found = statistics(&logits, likeliest);
            assert!(
                (f64::from(found.entropy) - entropy).abs() < 2e-5 * entropy.max(1.0),
                "{count}: {found:?}, {entropy}"
            );
            assert!(
                (f64::from(found.log_sum_squares) - collision).abs() < 1e-5,
                "{count}: {found:?}, {collision}"
            );
            let mean = logits.iter().map(|&logit| f64::from(logit)).sum::<f64>() / count as f64;
            assert!(
                (f64::from(found.mean_logit) - mean).abs() < 1e-5,
                "{count}: {found:?}, {mean}"
            );
            assert!(found.correct, "{count}");
            assert!(count == 1 || !statistics(&logits, (likeliest + 1) % count).correct);
        }
    }

    #[test]
    fn of_equal_logits_the_first_is_the_likeliest() {
        let logits = [1.0, 3.0, 3.0, f32::NEG_INFINITY];
        assert!(statistics(&logits, 1).correct && !statistics(&logits, 2).correct);
        // Both zeros are as large as each other.
        let zeros = [-1.0, -0.0, 0.0];
        assert!(statistics(&zeros, 1).correct && !statistics(&zeros, 2).correct);
        let certain = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY];
        let found = statistics(&certain, 1);
        assert!(
            found.entropy.abs() < 1e-6 && found.log_sum_squares.abs() < 1e-6,
            "{found:?}"
        );
    }
}
