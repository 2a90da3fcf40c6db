//! Gradients of whole sequences.
//!
//! Pairs of a block of queries and a span of keys add to the gradients of both. In one step each block and each span of a
//! sequence belongs to one pair at most, so that threads can share the step's pairs, and the order of additions is that
//! of the steps.

use rayon::prelude::*;

use super::gradient::{Gradient, KeySpan, QueryBlock, SIDE, Sequence};
use super::lanes::Vectors;
use super::{Attention, Inputs, Results, rows_of_heads};
use crate::Instructions;

/// One sequence in one head of keys and values, in as many blocks of queries as spans of keys.
struct Part<'a, 'b> {
    sequence: Sequence<'a>,
    blocks: Vec<QueryBlock<'a, 'b>>,
    spans: Vec<KeySpan<'a, 'b>>,
}

/// A block and a span that meet in a step.
struct Pair<'a, 'b, 'c> {
    sequence: Sequence<'a>,
    block: &'c mut QueryBlock<'a, 'b>,
    span: &'c mut KeySpan<'a, 'b>,
}

impl Attention {
    /// [`backward`](Self::backward) on a level of instructions.
    pub(super) fn backward_with(
        &self,
        instructions: Instructions,
        inputs: Inputs<'_>,
        results: Results<'_>,
        gradients: [&mut [f32]; 3],
    ) {
        let tokens = self.check_inputs(inputs);
        let [d_queries, d_keys, d_values] = gradients;
        let length = inputs.queries.len();
        assert_eq!(results.outputs.len(), length, "length of the outputs");
        assert_eq!(results.log_sums.len(), tokens * self.heads, "length of the log-sums");
        assert_eq!(results.d_outputs.len(), length, "length of the outputs' gradient");
        assert_eq!(d_queries.len(), length, "length of the queries' gradient");
        assert_eq!(d_keys.len(), inputs.keys.len(), "length of the keys' gradient");
        assert_eq!(d_values.len(), inputs.values.len(), "length of the values' gradient");
        for gradient in [&mut *d_queries, &mut *d_keys, &mut *d_values] {
            gradient.fill(0.0);
        }
        let mut d_queries = rows_of_heads(d_queries, self.key_value_heads, self.group() * self.head_size);
        let mut d_keys = rows_of_heads(d_keys, self.key_value_heads, self.head_size);
        let mut d_values = rows_of_heads(d_values, self.key_value_heads, self.head_size);
        let mut parts = Vec::new();
        let rows = d_queries.iter_mut().zip(d_keys.iter_mut().zip(&mut d_values));
        for (head, (d_queries, (d_keys, d_values))) in rows.enumerate() {
            let mut d_queries = &mut d_queries[..];
            let (mut d_keys, mut d_values) = (&mut d_keys[..], &mut d_values[..]);
            for tokens in inputs.sequences() {
                let starts = (0..tokens.len()).step_by(SIDE);
                let mut part = Part {
                    sequence: Sequence {
                        vectors: Vectors::new(instructions),
                        attention: self,
                        inputs,
                        results,
                        head,
                        tokens: (tokens.start, tokens.end),
                    },
                    blocks: Vec::with_capacity(starts.len()),
                    spans: Vec::with_capacity(starts.len()),
                };
                for position in starts {
                    let count = SIDE.min(tokens.len() - position);
                    part.blocks.push(QueryBlock {
                        position,
                        d_queries: d_queries.split_off_mut(..count).unwrap_or_default(),
                    });
                    part.spans.push(KeySpan {
                        position,
                        d_keys: d_keys.split_off_mut(..count).unwrap_or_default(),
                        d_values: d_values.split_off_mut(..count).unwrap_or_default(),
                    });
                }
                parts.push(part);
            }
        }
        let steps = parts.iter().map(|part| part.blocks.len()).max().unwrap_or(0);
        for step in 0..steps {
            let pairs = parts.iter_mut().flat_map(|part| part.pairs(step));
            let mut pairs: Vec<Pair<'_, '_, '_>> = pairs.collect();
            let pairs = pairs.par_iter_mut().with_max_len(1);
            pairs.for_each_init(Gradient::default, |gradient, pair| {
                gradient.add(pair.sequence, pair.block, pair.span);
            });
        }
    }
}

impl<'a, 'b> Part<'a, 'b> {
    /// The pairs of a step that see each other: block i of n meets span (i + step) mod n.
    fn pairs(&mut self, step: usize) -> impl Iterator<Item = Pair<'a, 'b, '_>> {
        let sequence = self.sequence;
        let (wrapped, first) = self.spans.split_at_mut(step.min(self.blocks.len()));
        let taken = if first.is_empty() { 0 } else { self.blocks.len() };
        let spans = first.iter_mut().chain(wrapped);
        let pairs = self.blocks.iter_mut().take(taken).zip(spans);
        let pairs = pairs.map(move |(block, span)| Pair { sequence, block, span });
        pairs.filter(|pair| pair.sequence.meet(pair.block, pair.span))
    }
}
