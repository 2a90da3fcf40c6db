//! Pieces of work that threads share.

use std::mem;
use std::ops::Range;

use rayon::prelude::*;

use super::block::{Keys, Queries, Scratch, State};
use super::lanes::Vectors;
use super::{Attention, SPAN};

/// Multiplications below which other threads are not worth waking.
const SMALL: usize = 1 << 18;
/// Units that one thread takes at a time.
const TURN: usize = 4;

/// Rows of a matrix, which need not lie one behind the other.
pub(super) type Rows<'a, 'b> = &'b mut [&'a mut [f32]];

/// A block of queries, and spans of the keys that it sees.
pub(super) struct Unit<'a, 'b> {
    pub(super) queries: Queries<'a>,
    pub(super) keys: Keys<'a>,
    pub(super) spans: Range<usize>,
    pub(super) goal: Goal<'a, 'b>,
}

/// What becomes of a unit's sums.
pub(super) enum Goal<'a, 'b> {
    /// They are all of the block's: for each token the outputs in the heads of the group, and the log-sum-exps if wanted.
    Outputs(Rows<'a, 'b>, Option<Rows<'a, 'b>>),
    /// They are merged with those of the units before and after it. The last unit of a block has the rows of the outputs.
    Part(State, Option<Rows<'a, 'b>>),
}

/// Does all units, in parallel unless there is little to do.
pub(super) fn run(vectors: Vectors, attention: &Attention, units: &mut [Unit<'_, '_>]) {
    let multiplications = |unit: &Unit<'_, '_>| {
        let keys = (unit.spans.len() * SPAN).min(unit.keys.length);
        unit.queries.count * attention.group() * keys * 2 * attention.head_size
    };
    if units.len() < 2 || units.iter().map(multiplications).sum::<usize>() < SMALL {
        let mut memory = Memory::default();
        for unit in &mut *units {
            unit.run(vectors, attention, &mut memory);
        }
    } else {
        let units = units.par_iter_mut().with_max_len(TURN);
        units.for_each_init(Memory::default, |memory, unit| unit.run(vectors, attention, memory));
    }
    let mut total = State::default();
    for unit in units {
        if let Goal::Part(part, to) = &mut unit.goal {
            if total.is_empty() {
                mem::swap(&mut total, part);
            } else {
                total.merge(part);
            }
            if let Some(to) = to {
                total.finish(to, None);
                total = State::default();
            }
        }
    }
}

/// Memory that one thread works in.
#[derive(Default)]
struct Memory {
    scratch: Scratch,
    total: State,
    next: State,
}

impl Unit<'_, '_> {
    fn run(&mut self, vectors: Vectors, attention: &Attention, memory: &mut Memory) {
        let Memory { scratch, total, next } = memory;
        let position = self.queries.position;
        scratch.load(attention, self.queries);
        for span in self.spans.clone() {
            let state = if span == self.spans.start {
                &mut *total
            } else {
                &mut *next
            };
            scratch.span(vectors, attention, self.keys, position, span, state);
            if span > self.spans.start {
                total.merge(next);
            }
        }
        match &mut self.goal {
            Goal::Outputs(to, log_sums) => total.finish(to, log_sums.as_deref_mut()),
            Goal::Part(state, _) => mem::swap(state, total),
        }
    }
}
