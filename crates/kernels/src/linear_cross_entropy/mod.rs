//! Log-probabilities of tokens, and their cross-entropy, straight from what a language model's last linear layer takes in: the logits
//! [tokens, vocabulary] never exist as a whole (Wijmans et al. 2025, "Cut your losses in large-vocabulary language models").
//!
//! With h the hidden row of a token, W the weight and cap the model's soft cap, if it has one (cap(l) = c tanh(l / c)):
//!
//! ```text
//! logits = cap(W h)          log p(target) = logits[target] - log sum exp(logits)
//! ```
//!
//! The forward goes through blocks of tokens and of the vocabulary, and keeps only the largest logit and the sum of exponentials of each
//! token ([`LogSumExp`]). The backward computes each block of logits again, and from them and the kept sums their gradients:
//!
//! ```text
//! d logits = d log p (one-hot(target) - softmax(logits)) cap'          dh = W^T d logits          dW += d logits h^T
//! ```
//!
//! A cross-entropy knows d log p before it sees the logits, so its gradients come with it, in one pass that computes the logits once (Hsu et
//! al. 2024, "Liger Kernel", section 3.2): all logits of some rows at a time.
//!
//! A token's log-probability and dh depend on its row alone, bit by bit. [`LogSumExp::of`] a row of logits, wherever they come from,
//! has the same bits as the sum that is kept here; so texts are scored alike in training and in generation.

mod backward;
mod cross_entropy;
mod forward;
mod log_sum_exp;
mod statistics;

pub use log_sum_exp::{LogSumExp, cap_logits};
pub use statistics::TokenStatistics;

use crate::{Instructions, Precision};

/// The target of a token that does not count. Its log-probability is 0, and it costs nothing.
pub const IGNORED: u32 = u32::MAX;

/// Tokens in a block of logits: as many as make reading the weight cheap. Whole chains of a product, as are the entries of the vocabulary, so
/// that sums over blocks have the bits of sums over all.
const ROWS: usize = 1152;
/// Entries of the vocabulary in a block of logits.
const COLUMNS: usize = 1152;

/// The last layer of a language model, from hidden rows to logits.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// [vocabulary, width], row by row.
    pub weight: &'a [f32],
    /// Entries of a hidden row.
    pub width: usize,
    /// c, where logits go through c tanh(logits / c).
    pub soft_cap: Option<f32>,
    /// In what the products are computed. Sums, exponentials and logarithms are f32 or f64 in any case.
    pub precision: Precision,
}

impl Head<'_> {
    /// Entries of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.weight.len() / self.width
    }

    /// The log-probability of each token's target, into `to` `[tokens]`, and the logarithms of the sums of exponentials, which the backward
    /// needs, into `log_sums` `[tokens]`; from `hidden` [tokens, width]. Both are 0 where the target is [`IGNORED`]. `statistics` are
    /// `[tokens]`, or empty where they are not wanted; those of ignored tokens are left as they are.
    ///
    /// # Panics
    /// A length does not fit, or a target is not in the vocabulary.
    pub fn token_log_probabilities(
        &self,
        hidden: &[f32],
        targets: &[u32],
        to: &mut [f32],
        log_sums: &mut [f32],
        statistics: &mut [TokenStatistics],
    ) {
        self.check(hidden, targets);
        let tokens = active(targets, |_| true);
        self.forward(
            Instructions::best(),
            hidden,
            targets,
            &tokens,
            [to, log_sums],
            statistics,
        );
    }

    /// The gradients of a loss by the hidden rows, which overwrite `d_hidden` [tokens, width], and by the weight, which are added to
    /// `d_weight` [vocabulary, width] if they are wanted; from its gradient by the log-probabilities, `d_log_probabilities` `[tokens]`,
    /// and the `log_sums` of [`token_log_probabilities`](Self::token_log_probabilities). Tokens of gradient 0 are skipped.
    ///
    /// # Panics
    /// A length does not fit, or a target is not in the vocabulary.
    pub fn token_log_probabilities_backward(
        &self,
        hidden: &[f32],
        targets: &[u32],
        log_sums: &[f32],
        d_log_probabilities: &[f32],
        d_hidden: &mut [f32],
        d_weight: Option<&mut [f32]>,
    ) {
        self.check(hidden, targets);
        let lengths = [log_sums.len(), d_log_probabilities.len()];
        assert_eq!(lengths, [targets.len(); 2], "log_sums and d_log_probabilities");
        let tokens = active(targets, |token| d_log_probabilities[token] != 0.0);
        let seen = backward::Seen {
            hidden,
            targets,
            log_sums,
            gradient: d_log_probabilities,
            tokens: &tokens,
        };
        self.backward(Instructions::best(), &seen, d_hidden, d_weight);
    }

    /// The cross-entropy: minus the sum of the targets' log-probabilities, each times its token's weight; so the mean over n tokens has
    /// weights of 1 / n. Tokens of weight 0 are skipped, as are those whose target is [`IGNORED`]. `statistics` are as in
    /// [`token_log_probabilities`](Self::token_log_probabilities).
    ///
    /// # Panics
    /// A length does not fit, or a target is not in the vocabulary.
    pub fn cross_entropy(
        &self,
        hidden: &[f32],
        targets: &[u32],
        weights: &[f32],
        statistics: &mut [TokenStatistics],
    ) -> f64 {
        self.check(hidden, targets);
        assert_eq!(weights.len(), targets.len(), "weights");
        let tokens = active(targets, |token| weights[token] != 0.0);
        let [mut log_probabilities, mut log_sums] = [(); 2].map(|()| vec![0.0; targets.len()]);
        let to = [&mut log_probabilities[..], &mut log_sums];
        self.forward(Instructions::best(), hidden, targets, &tokens, to, statistics);
        let terms = tokens
            .iter()
            .map(|&token| f64::from(-weights[token]) * f64::from(log_probabilities[token]));
        // Of no tokens it is 0, where a sum would be -0.
        terms.fold(0.0, |sum, term| sum + term)
    }

    /// The [`cross_entropy`](Self::cross_entropy), and with it its gradients by the hidden rows, which overwrite `d_hidden`
    /// [tokens, width], and by the weight, which are added to `d_weight` [vocabulary, width]; each if it is wanted.
    ///
    /// # Panics
    /// A length does not fit, or a target is not in the vocabulary.
    pub fn cross_entropy_with_gradients(
        &self,
        hidden: &[f32],
        targets: &[u32],
        weights: &[f32],
        d_hidden: Option<&mut [f32]>,
        d_weight: Option<&mut [f32]>,
        statistics: &mut [TokenStatistics],
    ) -> f64 {
        self.check(hidden, targets);
        assert_eq!(weights.len(), targets.len(), "weights");
        let tokens = active(targets, |token| weights[token] != 0.0);
        let seen = cross_entropy::Seen {
            hidden,
            targets,
            weights,
            tokens: &tokens,
        };
        self.gradients(Instructions::best(), &seen, d_hidden, d_weight, statistics)
    }

    fn check(&self, hidden: &[f32], targets: &[u32]) {
        assert!(
            self.width > 0 && self.weight.len().is_multiple_of(self.width),
            "weight: {} numbers in rows of {}",
            self.weight.len(),
            self.width
        );
        assert_eq!(hidden.len(), targets.len() * self.width, "hidden: tokens times width");
        let vocabulary = self.vocabulary();
        for &target in targets {
            assert!(
                target == IGNORED || (target as usize) < vocabulary,
                "target {target} in a vocabulary of {vocabulary}"
            );
        }
    }

    /// The blocks of the vocabulary: where each starts, and its part of the weight.
    fn blocks(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let blocks = self.weight.chunks(COLUMNS * self.width).enumerate();
        blocks.map(|(index, weight)| (index * COLUMNS, weight))
    }
}

/// The tokens that count.
fn active(targets: &[u32], counts: impl Fn(usize) -> bool) -> Vec<usize> {
    (0..targets.len())
        .filter(|&token| targets[token] != IGNORED && counts(token))
        .collect()
}

/// The rows of some tokens, side by side, in place of what was in `to`.
fn gather(rows: &[f32], width: usize, tokens: &[usize], to: &mut Vec<f32>) {
    to.clear();
    for token in tokens {
        to.extend_from_slice(&rows[token * width..][..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectorized::testing::{assert_same_at_every_level, numbers};

    #[test]
    fn scores_and_gradients_have_the_same_bits_at_every_level() {
        let (hidden, weight) = (numbers(5 * 3, 1), numbers(1500 * 3, 2));
        let (targets, gradient) = ([3, 1400, IGNORED, 0, 1499], numbers(5, 3));
        for soft_cap in [None, Some(2.0)] {
            let head = Head {
                weight: &weight,
                width: 3,
                soft_cap,
                precision: Precision::F32,
            };
            assert_same_at_every_level(|instructions| {
                let [mut to, mut log_sums] = [[0.0; 5]; 2];
                let tokens = active(&targets, |_| true);
                head.forward(
                    instructions,
                    &hidden,
                    &targets,
                    &tokens,
                    [&mut to, &mut log_sums],
                    &mut [],
                );
                let (mut d_hidden, mut d_weight) = (vec![1.0; hidden.len()], vec![0.0; weight.len()]);
                let seen = backward::Seen {
                    hidden: &hidden,
                    targets: &targets,
                    log_sums: &log_sums,
                    gradient: &gradient,
                    tokens: &tokens,
                };
                head.backward(instructions, &seen, &mut d_hidden, Some(&mut d_weight));
                [&to[..], &log_sums, &d_hidden, &d_weight].concat()
            });
        }
    }
}
