//! The backward; see `mod.rs` for the equations.

use rayon::prelude::*;

use super::{COLUMNS, Head, ROWS, gather};
use crate::Instructions;
use crate::matrix::{Matrix, add_product};
use crate::perceptron::tanh;
use crate::vectorized::{exp, vectorized};

/// What the forward saw and wrote, and the gradient of a loss by the log-probabilities.
pub(super) struct Seen<'a> {
    pub(super) hidden: &'a [f32],
    pub(super) targets: &'a [u32],
    pub(super) log_sums: &'a [f32],
    pub(super) gradient: &'a [f32],
    /// Those that count; the others get a gradient of zero.
    pub(super) tokens: &'a [usize],
}

impl Head<'_> {
    pub(super) fn backward(
        &self,
        instructions: Instructions,
        seen: &Seen<'_>,
        d_hidden: &mut [f32],
        mut d_weight: Option<&mut [f32]>,
    ) {
        let width = self.width;
        assert_eq!(d_hidden.len(), seen.hidden.len(), "d_hidden");
        if let Some(d_weight) = &d_weight {
            assert_eq!(d_weight.len(), self.weight.len(), "d_weight");
        }
        d_hidden.fill(0.0);
        let (mut rows, mut d_rows) = (Vec::new(), Vec::new());
        let mut logits = vec![0.0; seen.tokens.len().min(ROWS) * self.vocabulary().min(COLUMNS)];
        for tokens in seen.tokens.chunks(ROWS) {
            let count = tokens.len();
            gather(seen.hidden, width, tokens, &mut rows);
            d_rows.clear();
            d_rows.resize(count * width, 0.0);
            for (start, weight) in self.blocks() {
                let columns = weight.len() / width;
                let logits = &mut logits[..count * columns];
                self.logits(&rows, weight, logits);
                let parts = logits.par_chunks_mut(columns).zip(tokens);
                parts.with_min_len(16).for_each(|(logits, &token)| {
                    let target = (seen.targets[token] as usize).checked_sub(start);
                    let target = target.filter(|&column| column < logits.len());
                    let (log_sum, gradient) = (seen.log_sums[token], seen.gradient[token]);
                    differentiate(instructions, logits, self.soft_cap, log_sum, gradient, target);
                });
                let d_logits = Matrix::new(logits, count, columns);
                add_product(
                    d_logits,
                    Matrix::new(weight, columns, width),
                    self.precision,
                    &mut d_rows,
                );
                if let Some(d_weight) = &mut d_weight {
                    let d_weight = &mut d_weight[start * width..][..weight.len()];
                    let rows = Matrix::new(&rows, count, width);
                    add_product(d_logits.transposed(), rows, self.precision, d_weight);
                }
            }
            for (&token, d_row) in tokens.iter().zip(d_rows.chunks_exact(width)) {
                d_hidden[token * width..][..width].copy_from_slice(d_row);
            }
        }
    }
}

vectorized! {
    /// From the logits of a token for a block of the vocabulary, as the product gives them, their gradients. `target` is the target's
    /// column, if it is in the block.
    pub(super) fn differentiate(logits: &mut [f32], soft_cap: Option<f32>, log_sum: f32, gradient: f32, target: Option<usize>) {
        let slope = match (target, soft_cap) {
            (Some(target), Some(soft_cap)) => capped(logits[target], soft_cap)[1],
            _ => 1.0,
        };
        if let Some(soft_cap) = soft_cap {
            for logit in &mut *logits {
                let [capped, slope] = capped(*logit, soft_cap);
                *logit = -gradient * exp(capped - log_sum) * slope;
            }
        } else {
            for logit in &mut *logits {
                *logit = -gradient * exp(*logit - log_sum);
            }
        }
        if let Some(target) = target {
            logits[target] += gradient * slope;
        }
    }
}

/// c tanh(logit / c), and its derivative.
#[expect(
    clippy::inline_always,
    reason = "for the vector instructions of the function around it"
)]
#[inline(always)]
fn capped(logit: f32, soft_cap: f32) -> [f32; 2] {
    let tanh = tanh(logit / soft_cap);
    [soft_cap * tanh, 1.0 - tanh * tanh]
}
