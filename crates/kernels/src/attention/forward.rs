//! Attention of whole sequences.

use std::ops::Range;

use rayon::prelude::*;

use super::block::{Keys, Queries};
use super::lanes::Vectors;
use super::units::{Goal, Unit, run};
use super::{Attention, Inputs, TILE, panels, rows_of_heads};
use crate::Instructions;

/// Numbers in panels below which other threads are not worth waking.
const SMALL: usize = 1 << 17;

impl Attention {
    /// [`forward`](Self::forward) on a level of instructions.
    pub(super) fn forward_with(
        &self,
        instructions: Instructions,
        inputs: Inputs<'_>,
        to: &mut [f32],
        log_sums: &mut [f32],
    ) {
        let tokens = self.check_inputs(inputs);
        assert_eq!(to.len(), inputs.queries.len(), "length of the outputs");
        assert_eq!(log_sums.len(), tokens * self.heads, "length of the log-sums");
        let (size, width) = (self.head_size, self.key_value_heads * self.head_size);
        let panels = self.panels(inputs);
        let panels_of_head = panels.len() / self.key_value_heads;
        let mut to = rows_of_heads(to, self.key_value_heads, self.group() * size);
        let mut log_sums = rows_of_heads(log_sums, self.key_value_heads, self.group());
        let mut units = Vec::new();
        for (head, (to, log_sums)) in to.iter_mut().zip(&mut log_sums).enumerate() {
            let (mut to, mut log_sums) = (&mut to[..], &mut log_sums[..]);
            let mut panels = &panels[head * panels_of_head..];
            for sequence in inputs.sequences().filter(|sequence| !sequence.is_empty()) {
                let length = sequence.len();
                let keys = Keys {
                    panels,
                    values: &inputs.values[sequence.start * width + head * size..],
                    stride: width,
                    length,
                };
                panels = &panels[length.next_multiple_of(TILE) * size..];
                for position in (0..length).step_by(self.block()) {
                    let count = self.block().min(length - position);
                    units.push(Unit {
                        queries: self.queries(
                            inputs.queries,
                            sequence.start + position,
                            head,
                            position..position + count,
                        ),
                        keys,
                        spans: self.spans(position..position + count, length),
                        goal: Goal::Outputs(
                            to.split_off_mut(..count).unwrap_or_default(),
                            log_sums.split_off_mut(..count),
                        ),
                    });
                }
            }
        }
        run(Vectors::new(instructions), self, &mut units);
    }

    /// The queries of the tokens from `token` on, at `positions` of their sequence, in the heads that share a head of keys
    /// and values.
    pub(super) fn queries<'a>(
        &self,
        entries: &'a [f32],
        token: usize,
        key_value_head: usize,
        positions: Range<usize>,
    ) -> Queries<'a> {
        let stride = self.heads * self.head_size;
        Queries {
            entries: &entries[token * stride + key_value_head * self.group() * self.head_size..],
            stride,
            count: positions.len(),
            position: positions.start,
        }
    }

    /// The keys in panels [key_value_head, tile, entry, key in the tile], the tiles of all sequences one behind the other.
    fn panels(&self, inputs: Inputs<'_>) -> Vec<f32> {
        let (size, width) = (self.head_size, self.key_value_heads * self.head_size);
        let tiles: Vec<Range<usize>> = inputs
            .sequences()
            .flat_map(|sequence| {
                let starts = sequence.clone().step_by(TILE);
                starts.map(move |first| first..(first + TILE).min(sequence.end))
            })
            .collect();
        let mut panels = vec![0.0; tiles.len() * TILE * width];
        let fill = |(index, panel): (usize, &mut [f32])| {
            let (head, tile) = (index / tiles.len(), &tiles[index % tiles.len()]);
            let keys = &inputs.keys[tile.start * width + head * size..];
            panels::fill(panel, keys, width, tile.len());
        };
        if panels.len() < SMALL {
            panels.chunks_mut(TILE * size).enumerate().for_each(fill);
        } else {
            panels.par_chunks_mut(TILE * size).enumerate().for_each(fill);
        }
        panels
    }
}
