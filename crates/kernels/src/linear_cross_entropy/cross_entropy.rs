//! The cross-entropy with its gradients, in one pass; see `mod.rs` for the equations.

use rayon::prelude::*;

use super::backward::differentiate;
use super::log_sum_exp::cap;
use super::statistics::Running;
use super::{COLUMNS, Head, LogSumExp, TokenStatistics, gather};
use crate::Instructions;
use crate::matrix::{Matrix, add_product, product};

/// Logits that there are at a time, at most 128 MiB: of so few rows that they are a small part of what a step of training holds, and of
/// so many that packing the weight for each of three products does not take long.
const LOGITS: usize = 1 << 25;

/// What the loss is of.
pub(super) struct Seen<'a> {
    pub(super) hidden: &'a [f32],
    pub(super) targets: &'a [u32],
    pub(super) weights: &'a [f32],
    /// Those that count; the others get a gradient of zero.
    pub(super) tokens: &'a [usize],
}

impl Head<'_> {
    pub(super) fn gradients(
        &self,
        instructions: Instructions,
        seen: &Seen<'_>,
        mut d_hidden: Option<&mut [f32]>,
        mut d_weight: Option<&mut [f32]>,
        statistics: &mut [TokenStatistics],
    ) -> f64 {
        let (width, vocabulary) = (self.width, self.vocabulary());
        if let Some(d_hidden) = &mut d_hidden {
            assert_eq!(d_hidden.len(), seen.hidden.len(), "d_hidden");
            d_hidden.fill(0.0);
        }
        if let Some(d_weight) = &d_weight {
            assert_eq!(d_weight.len(), self.weight.len(), "d_weight");
        }
        let parts = seen.tokens.len().div_ceil((LOGITS / vocabulary.max(1)).max(1));
        let together = seen.tokens.len().div_ceil(parts.max(1)).max(1);
        let mut logits = vec![0.0; together * vocabulary];
        let (mut rows, mut d_rows) = (Vec::new(), vec![0.0; together * width]);
        let mut loss = 0.0;
        let wanted = !statistics.is_empty();
        for tokens in seen.tokens.chunks(together) {
            let count = tokens.len();
            gather(seen.hidden, width, tokens, &mut rows);
            let logits = &mut logits[..count * vocabulary];
            self.logits(&rows, self.weight, logits);
            let parts = logits.par_chunks_mut(vocabulary).zip(tokens);
            let losses = parts.map(|(logits, &token)| {
                let (target, weight) = (seen.targets[token] as usize, seen.weights[token]);
                let mut running = wanted.then_some(Running::EMPTY);
                let log_probability = self.differentiate_row(instructions, logits, target, weight, running.as_mut());
                let loss = f64::from(-weight) * f64::from(log_probability);
                (loss, running.map(|running| running.finish(target)))
            });
            // In the order of the tokens, however many threads there are.
            let losses: Vec<_> = losses.collect();
            loss += losses.iter().map(|(loss, _)| loss).sum::<f64>();
            for (&token, (_, found)) in tokens.iter().zip(&losses) {
                if let (Some(statistics), Some(found)) = (statistics.get_mut(token), found) {
                    *statistics = *found;
                }
            }
            let d_logits = Matrix::new(logits, count, vocabulary);
            if let Some(d_hidden) = &mut d_hidden {
                let d_rows = &mut d_rows[..count * width];
                product(
                    d_logits,
                    Matrix::new(self.weight, vocabulary, width),
                    self.precision,
                    d_rows,
                );
                for (&token, d_row) in tokens.iter().zip(d_rows.chunks_exact(width)) {
                    d_hidden[token * width..][..width].copy_from_slice(d_row);
                }
            }
            if let Some(d_weight) = &mut d_weight {
                let rows = Matrix::new(&rows, count, width);
                add_product(d_logits.transposed(), rows, self.precision, d_weight);
            }
        }
        loss
    }

    /// From all logits of a token their gradients, in their place; returns the target's log-probability.
    fn differentiate_row(
        &self,
        instructions: Instructions,
        logits: &mut [f32],
        target: usize,
        weight: f32,
        mut statistics: Option<&mut Running>,
    ) -> f32 {
        let mut all = LogSumExp::EMPTY;
        let mut target_logit = 0.0;
        let mut capped = [0.0; COLUMNS];
        for (index, block) in logits.chunks(COLUMNS).enumerate() {
            let block = match self.soft_cap {
                None => block,
                Some(soft_cap) => {
                    let capped = &mut capped[..block.len()];
                    capped.copy_from_slice(block);
                    cap(instructions, capped, soft_cap);
                    capped
                }
            };
            all.add(instructions, block);
            if let Some(statistics) = &mut statistics {
                statistics.add(instructions, block);
            }
            let column = target.checked_sub(index * COLUMNS);
            if let Some(&logit) = column.and_then(|column| block.get(column)) {
                target_logit = logit;
            }
        }
        differentiate(instructions, logits, self.soft_cap, all.value(), -weight, Some(target));
        all.log_probability(target_logit)
    }
}
