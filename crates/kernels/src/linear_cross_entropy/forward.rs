//! The forward; see `mod.rs` for the equations.

use rayon::prelude::*;

use super::log_sum_exp::cap;
use super::statistics::Running;
use super::{COLUMNS, Head, LogSumExp, ROWS, TokenStatistics, gather};
use crate::Instructions;
use crate::matrix::{Matrix, product};

/// What is known of a token's logits so far.
#[derive(Clone, Copy)]
struct Score {
    all: LogSumExp,
    target: f32,
    statistics: Running,
}

impl Head<'_> {
    /// Writes the log-probabilities of the `tokens`' targets and the logarithms of their sums; zeros for other tokens.
    pub(super) fn forward(
        &self,
        instructions: Instructions,
        hidden: &[f32],
        targets: &[u32],
        tokens: &[usize],
        [to, log_sums]: [&mut [f32]; 2],
        statistics: &mut [TokenStatistics],
    ) {
        assert_eq!([to.len(), log_sums.len()], [targets.len(); 2], "to and log_sums");
        to.fill(0.0);
        log_sums.fill(0.0);
        let mut rows = Vec::new();
        let mut logits = vec![0.0; tokens.len().min(ROWS) * self.vocabulary().min(COLUMNS)];
        let mut scores = Vec::new();
        let wanted = !statistics.is_empty();
        for tokens in tokens.chunks(ROWS) {
            gather(hidden, self.width, tokens, &mut rows);
            scores.clear();
            scores.resize(
                tokens.len(),
                Score {
                    all: LogSumExp::EMPTY,
                    target: 0.0,
                    statistics: Running::EMPTY,
                },
            );
            for (start, weight) in self.blocks() {
                let columns = weight.len() / self.width;
                let logits = &mut logits[..tokens.len() * columns];
                self.logits(&rows, weight, logits);
                let rows = logits.par_chunks_mut(columns).zip(tokens).zip(&mut scores);
                rows.with_min_len(16).for_each(|((logits, &token), score)| {
                    if let Some(soft_cap) = self.soft_cap {
                        cap(instructions, logits, soft_cap);
                    }
                    score.all.add(instructions, logits);
                    if wanted {
                        score.statistics.add(instructions, logits);
                    }
                    if let Some(&logit) = (targets[token] as usize)
                        .checked_sub(start)
                        .and_then(|column| logits.get(column))
                    {
                        score.target = logit;
                    }
                });
            }
            for (&token, score) in tokens.iter().zip(&scores) {
                to[token] = score.all.log_probability(score.target);
                log_sums[token] = score.all.value();
                if let Some(statistics) = statistics.get_mut(token) {
                    *statistics = score.statistics.finish(targets[token] as usize);
                }
            }
        }
    }

    /// The logits, before the soft cap, of some rows [rows, width] for a block of the vocabulary [columns, width].
    pub(super) fn logits(&self, rows: &[f32], weight: &[f32], to: &mut [f32]) {
        let columns = weight.len() / self.width;
        let rows = Matrix::new(rows, rows.len() / self.width, self.width);
        let weight = Matrix::new(weight, columns, self.width).transposed();
        product(rows, weight, self.precision, to);
    }
}
