//! A block of queries of one head of keys and values, over one span of keys.

use std::ops::Range;

use super::lanes::Vectors;
use super::product::{Left, Right, Scores, Sums};
use super::softmax::Soften;
use super::{Attention, SPAN, TILE};
use crate::exponential::exp;

/// Entries in the rows of a block, each one query in one head: enough to read keys and values seldom, few enough to stay
/// in the cache.
const ENTRIES: usize = 96 * 64;

/// Keys and values of one head of one sequence.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    /// Panels [tile, entry, key in the tile].
    pub(super) panels: &'a [f32],
    /// One value every `stride` numbers.
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
    pub(super) length: usize,
}

/// The queries of successive tokens, in the heads that share one head of keys and values.
#[derive(Clone, Copy)]
pub(super) struct Queries<'a> {
    /// From the first of them on, one token every `stride` numbers.
    pub(super) entries: &'a [f32],
    pub(super) stride: usize,
    pub(super) count: usize,
    /// Of the first of them in its sequence.
    pub(super) position: usize,
}

impl Attention {
    /// Queries in a block.
    pub(super) fn block(&self) -> usize {
        let rows = (ENTRIES / self.head_size).clamp(48, 96);
        (rows / self.group()).max(1)
    }

    /// Spans that any of these queries sees.
    pub(super) fn spans(&self, positions: Range<usize>, length: usize) -> Range<usize> {
        if positions.is_empty() {
            return 0..0;
        }
        let first = self.keys_of(positions.start, length).start;
        let last = self.keys_of(positions.end - 1, length).end;
        first / SPAN..last.div_ceil(SPAN)
    }

    /// For each row of a block whose first query is at `position`, which of the keys from `first` to `last` it sees,
    /// counted from `first`. Returns whether any row sees any.
    pub(super) fn seen(&self, position: usize, keys: Range<usize>, length: usize, rows: &mut [Range<usize>]) -> bool {
        let mut any = false;
        for (query, rows) in rows.chunks_mut(self.group()).enumerate() {
            let seen = self.keys_of(position + query, length);
            let start = seen.start.clamp(keys.start, keys.end);
            let end = seen.end.clamp(start, keys.end);
            any |= start < end;
            rows.fill(start - keys.start..end - keys.start);
        }
        any
    }
}

/// What the rows of a block know of the keys so far.
#[derive(Default)]
pub(super) struct State {
    /// The largest score.
    pub(super) largest: Vec<f32>,
    /// The sum of exp(score - largest); 0 if no key was seen.
    pub(super) sums: Vec<f32>,
    /// The sum of the values with these weights.
    pub(super) outputs: Vec<f32>,
}

impl State {
    /// No keys.
    pub(super) fn reset(&mut self, rows: usize, size: usize) {
        self.largest.clear();
        self.largest.resize(rows, f32::NEG_INFINITY);
        self.sums.clear();
        self.sums.resize(rows, 0.0);
        self.outputs.clear();
        self.outputs.resize(rows * size, 0.0);
    }

    /// Whether there are no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// Adds the keys of later spans.
    pub(super) fn merge(&mut self, later: &Self) {
        let size = self.outputs.len() / self.sums.len();
        let rows = self
            .outputs
            .chunks_exact_mut(size)
            .zip(later.outputs.chunks_exact(size));
        for (row, (outputs, later_outputs)) in rows.enumerate() {
            if later.sums[row] == 0.0 {
                continue;
            }
            if self.sums[row] == 0.0 {
                self.largest[row] = later.largest[row];
                self.sums[row] = later.sums[row];
                outputs.copy_from_slice(later_outputs);
                continue;
            }
            let largest = self.largest[row].max(later.largest[row]);
            let factor = exp(self.largest[row] - largest);
            let later_factor = exp(later.largest[row] - largest);
            self.largest[row] = largest;
            self.sums[row] = self.sums[row] * factor + later.sums[row] * later_factor;
            for (output, later) in outputs.iter_mut().zip(later_outputs) {
                *output = *output * factor + later * later_factor;
            }
        }
    }

    /// Writes the outputs of each token, in the heads of the group, and, where wanted, the log-sum-exp.
    pub(super) fn finish(&self, to: &mut [&mut [f32]], log_sums: Option<&mut [&mut [f32]]>) {
        let size = self.outputs.len() / self.sums.len();
        let group = self.sums.len() / to.len();
        let tokens = self
            .outputs
            .chunks_exact(group * size)
            .zip(self.sums.chunks_exact(group));
        for (to, (outputs, sums)) in to.iter_mut().zip(tokens) {
            let heads = to.chunks_exact_mut(size).zip(outputs.chunks_exact(size));
            for ((to, outputs), &sum) in heads.zip(sums) {
                let factor = 1.0 / sum;
                for (to, output) in to.iter_mut().zip(outputs) {
                    *to = output * factor;
                }
            }
        }
        let Some(log_sums) = log_sums else { return };
        let tokens = self.largest.chunks_exact(group).zip(self.sums.chunks_exact(group));
        for (to, (largest, sums)) in log_sums.iter_mut().zip(tokens) {
            for ((to, largest), sum) in to.iter_mut().zip(largest).zip(sums) {
                *to = largest + sum.ln();
            }
        }
    }
}

/// Memory for the work on one block.
#[derive(Default)]
pub(super) struct Scratch {
    /// Scaled, [rows, head_size].
    queries: Vec<f32>,
    /// [rows, [`TILE`]].
    scores: Vec<f32>,
    factors: Vec<f32>,
    seen: Vec<Range<usize>>,
}

impl Scratch {
    /// Takes up a block of queries.
    pub(super) fn load(&mut self, attention: &Attention, block: Queries<'_>) {
        let rows = block.count * attention.group();
        let width = attention.group() * attention.head_size;
        gather(&mut self.queries, block, width, attention.scale);
        self.scores.resize(rows * TILE, 0.0);
        self.factors.resize(rows, 0.0);
        self.seen.resize(rows, 0..0);
    }

    /// What the rows of the block that was [loaded](Self::load) last, its first query at `position`, know of one span.
    pub(super) fn span(
        &mut self,
        vectors: Vectors,
        attention: &Attention,
        keys: Keys<'_>,
        position: usize,
        span: usize,
        state: &mut State,
    ) {
        let size = attention.head_size;
        state.reset(self.seen.len(), size);
        let end = ((span + 1) * SPAN).min(keys.length);
        for first in (span * SPAN..end).step_by(TILE) {
            if !attention.seen(position, first..first + TILE, keys.length, &mut self.seen) {
                continue;
            }
            vectors.run(Scores {
                left: Left::rows(&self.queries, size),
                right: Right {
                    entries: &keys.panels[first * size..][..TILE * size],
                    stride: TILE,
                },
                terms: size,
                columns: &self.seen,
                to: &mut self.scores,
                width: TILE,
            });
            vectors.run(Soften {
                scores: &mut self.scores,
                seen: &self.seen,
                soft_cap: attention.soft_cap,
                largest: &mut state.largest,
                sums: &mut state.sums,
                factors: &mut self.factors,
            });
            vectors.run(Sums {
                left: Left::rows(&self.scores, TILE),
                right: Right {
                    entries: &keys.values[first * keys.stride..],
                    stride: keys.stride,
                },
                terms: &self.seen,
                factors: Some(&self.factors),
                to: &mut state.outputs,
                width: size,
            });
        }
    }
}

/// Writes the first `width` numbers of each token, times `factor`, one behind the other.
pub(super) fn gather(to: &mut Vec<f32>, block: Queries<'_>, width: usize, factor: f32) {
    to.clear();
    for token in block.entries.chunks(block.stride).take(block.count) {
        to.extend(token[..width].iter().map(|entry| entry * factor));
    }
}
