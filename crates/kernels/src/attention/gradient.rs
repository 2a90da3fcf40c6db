//! What a block of queries and a span of keys add to each other's gradients.

use std::ops::Range;

use super::block::{Queries, gather};
use super::lanes::Vectors;
use super::product::{Left, Right, Scores, Sums};
use super::softmax::{Dots, Weigh};
use super::units::Rows;
use super::{Attention, Inputs, Results, TILE, panels};

/// Queries in a block, and keys in a span.
pub(super) const SIDE: usize = 2 * TILE;

/// One sequence in one head of keys and values.
#[derive(Clone, Copy)]
pub(super) struct Sequence<'a> {
    pub(super) vectors: Vectors,
    pub(super) attention: &'a Attention,
    pub(super) inputs: Inputs<'a>,
    pub(super) results: Results<'a>,
    pub(super) head: usize,
    /// Its first token, and that after its last.
    pub(super) tokens: (usize, usize),
}

/// The gradients of successive queries from `position` on: for each token those in the heads of the group.
pub(super) struct QueryBlock<'a, 'b> {
    pub(super) position: usize,
    pub(super) d_queries: Rows<'a, 'b>,
}

/// The gradients of successive keys and values from `position` on.
pub(super) struct KeySpan<'a, 'b> {
    pub(super) position: usize,
    pub(super) d_keys: Rows<'a, 'b>,
    pub(super) d_values: Rows<'a, 'b>,
}

impl<'a> Sequence<'a> {
    fn length(&self) -> usize {
        self.tokens.1 - self.tokens.0
    }

    /// Whether any of the queries sees any of the keys.
    pub(super) fn meet(&self, block: &QueryBlock<'_, '_>, span: &KeySpan<'_, '_>) -> bool {
        let last = block.position + block.d_queries.len() - 1;
        let first_key = self.attention.keys_of(block.position, self.length()).start;
        let after = self.attention.keys_of(last, self.length()).end;
        first_key < span.position + span.d_keys.len() && span.position < after
    }

    /// The keys, or what else has a row for each token and head of keys, from `position` on.
    fn of_keys(&self, entries: &'a [f32], position: usize) -> Right<'a> {
        let size = self.attention.head_size;
        let stride = self.attention.key_value_heads * size;
        Right {
            entries: &entries[(self.tokens.0 + position) * stride + self.head * size..],
            stride,
        }
    }

    /// The queries, or what else has a row for each token and query head, at some positions.
    fn of_queries(&self, entries: &'a [f32], positions: &Range<usize>) -> Queries<'a> {
        self.attention
            .queries(entries, self.tokens.0 + positions.start, self.head, positions.clone())
    }
}

/// Memory for the work on a pair. Rows are queries in one head each.
#[derive(Default)]
pub(super) struct Gradient {
    /// Of a span, [tile, entry, key in the tile].
    key_panels: Vec<f32>,
    value_panels: Vec<f32>,
    /// Of a span, [key, entry].
    d_keys: Vec<f32>,
    d_values: Vec<f32>,
    /// Scaled, [row, entry].
    queries: Vec<f32>,
    outputs: Vec<f32>,
    d_outputs: Vec<f32>,
    d_queries: Vec<f32>,
    log_sums: Vec<f32>,
    means: Vec<f32>,
    /// [row, key of a tile].
    scores: Vec<f32>,
    slopes: Vec<f32>,
    /// The keys of a tile that each row sees, and the rows that see each of its keys.
    seen: Vec<Range<usize>>,
    seeing: Vec<Range<usize>>,
}

impl Gradient {
    /// Adds what they add to each other.
    pub(super) fn add(&mut self, sequence: Sequence<'_>, block: &mut QueryBlock<'_, '_>, span: &mut KeySpan<'_, '_>) {
        let attention = sequence.attention;
        let size = attention.head_size;
        let keys = span.position..span.position + span.d_keys.len();
        for (panels, entries) in [
            (&mut self.key_panels, sequence.inputs.keys),
            (&mut self.value_panels, sequence.inputs.values),
        ] {
            panels.resize(SIDE * size, 0.0);
            for (first, panel) in keys.clone().step_by(TILE).zip(panels.chunks_exact_mut(TILE * size)) {
                let Right { entries, stride } = sequence.of_keys(entries, first);
                panels::fill(panel, entries, stride, TILE.min(keys.end - first));
            }
        }
        for gradients in [&mut self.d_keys, &mut self.d_values] {
            gradients.clear();
            gradients.resize(keys.len() * size, 0.0);
        }
        let mut first = block.position;
        for rows in block.d_queries.chunks_mut(attention.block()) {
            let positions = first..first + rows.len();
            first = positions.end;
            self.load(sequence, &positions);
            for (tile, first) in keys.clone().step_by(TILE).enumerate() {
                let keys = first..(first + TILE).min(keys.end);
                if attention.seen(positions.start, keys.clone(), sequence.length(), &mut self.seen) {
                    self.tile(sequence, &positions, keys, tile);
                }
            }
            add_rows(rows, &self.d_queries, attention.scale);
        }
        add_rows(span.d_keys, &self.d_keys, 1.0);
        add_rows(span.d_values, &self.d_values, 1.0);
    }

    /// Takes up the queries at `positions`, without gradients so far.
    fn load(&mut self, sequence: Sequence<'_>, positions: &Range<usize>) {
        let Sequence {
            vectors,
            attention,
            inputs,
            results,
            ..
        } = sequence;
        let (group, size) = (attention.group(), attention.head_size);
        let rows = positions.len() * group;
        for (to, entries, factor) in [
            (&mut self.queries, inputs.queries, attention.scale),
            (&mut self.outputs, results.outputs, 1.0),
            (&mut self.d_outputs, results.d_outputs, 1.0),
        ] {
            gather(to, sequence.of_queries(entries, positions), group * size, factor);
        }
        self.log_sums.clear();
        for token in positions.clone() {
            let first = (sequence.tokens.0 + token) * attention.heads + sequence.head * group;
            self.log_sums.extend_from_slice(&results.log_sums[first..first + group]);
        }
        self.means.resize(rows, 0.0);
        vectors.run(Dots {
            left: &self.outputs,
            right: &self.d_outputs,
            width: size,
            to: &mut self.means,
        });
        self.d_queries.clear();
        self.d_queries.resize(rows * size, 0.0);
        self.scores.resize(rows * TILE, 0.0);
        self.slopes.resize(rows * TILE, 0.0);
        self.seen.resize(rows, 0..0);
    }

    /// One tile of keys, the so-manieth of the span, and the queries taken up.
    fn tile(&mut self, sequence: Sequence<'_>, positions: &Range<usize>, keys: Range<usize>, tile: usize) {
        let Sequence { vectors, attention, .. } = sequence;
        let size = attention.head_size;
        for (left, panels, to) in [
            (&self.queries, &self.key_panels, &mut self.scores),
            (&self.d_outputs, &self.value_panels, &mut self.slopes),
        ] {
            vectors.run(Scores {
                left: Left::rows(left, size),
                right: Right {
                    entries: &panels[tile * TILE * size..][..TILE * size],
                    stride: TILE,
                },
                terms: size,
                columns: &self.seen,
                to,
                width: TILE,
            });
        }
        vectors.run(Weigh {
            scores: &mut self.scores,
            slopes: &mut self.slopes,
            seen: &self.seen,
            soft_cap: attention.soft_cap,
            log_sums: &self.log_sums,
            means: &self.means,
        });
        vectors.run(Sums {
            left: Left::rows(&self.slopes, TILE),
            right: sequence.of_keys(sequence.inputs.keys, keys.start),
            terms: &self.seen,
            factors: None,
            to: &mut self.d_queries,
            width: size,
        });
        self.seeing.clear();
        for key in keys.clone() {
            let seeing = attention.queries_of(key, sequence.length());
            let start = seeing.start.clamp(positions.start, positions.end);
            let end = seeing.end.clamp(start, positions.end);
            let row = |position: usize| (position - positions.start) * attention.group();
            self.seeing.push(row(start)..row(end));
        }
        for (weights, right, to) in [
            (&self.slopes, &self.queries, &mut self.d_keys),
            (&self.scores, &self.d_outputs, &mut self.d_values),
        ] {
            vectors.run(Sums {
                left: Left::columns(weights, TILE),
                right: Right {
                    entries: right,
                    stride: size,
                },
                terms: &self.seeing,
                factors: None,
                to: &mut to[tile * TILE * size..][..keys.len() * size],
                width: size,
            });
        }
    }
}

/// Adds `factor` times the numbers of `gradients`, row by row.
fn add_rows(rows: &mut [&mut [f32]], gradients: &[f32], factor: f32) {
    let mut gradients = gradients;
    for row in rows {
        let (now, later) = gradients.split_at(row.len());
        for (to, gradient) in row.iter_mut().zip(now) {
            *to += gradient * factor;
        }
        gradients = later;
    }
}
