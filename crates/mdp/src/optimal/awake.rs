//! Which states the corrections are computed for.
//!
//! Every state starts at the same value, chosen so that it is right already wherever nothing of interest is within
//! reach, and states that have found their values stop moving. Blocks of such states sleep until a sweep disturbs
//! them, so that on a large map only the region that still changes costs anything.

use std::ops::Range;

/// States in one block.
const BLOCK: usize = 512;

/// The blocks of states that are awake, and a numbering of their states.
pub(super) struct Awake {
    states: usize,
    /// Which blocks have moved since the numbering was made.
    moved: Vec<bool>,
    /// For each block the index of its first state among those awake; `None` while it sleeps.
    first_index: Vec<Option<u32>>,
    /// The first states of the blocks that are awake.
    blocks: Vec<u32>,
}

impl Awake {
    /// All asleep.
    pub(super) fn none(states: usize) -> Self {
        let blocks = states.div_ceil(BLOCK);
        Self {
            states,
            moved: vec![false; blocks],
            first_index: vec![None; blocks],
            blocks: Vec::new(),
        }
    }

    /// All awake.
    pub(super) fn all(states: usize) -> Self {
        let mut awake = Self::none(states);
        awake.moved.fill(true);
        awake.renumber();
        awake
    }

    /// Notes which blocks a sweep has moved by more than `threshold`.
    pub(super) fn note_sweep(&mut self, before: &[f64], after: &[f64], threshold: f64) {
        for ((moved, before), after) in self.moved.iter_mut().zip(before.chunks(BLOCK)).zip(after.chunks(BLOCK)) {
            *moved = *moved
                || before
                    .iter()
                    .zip(after)
                    .any(|(before, after)| (after - before).abs() > threshold);
        }
    }

    /// Adds the corrections of the states awake to `values`, and notes which blocks move by more than `threshold`.
    pub(super) fn correct(&mut self, values: &mut [f64], corrections: &[f32], threshold: f64) {
        self.add(values, corrections);
        for (&first, corrections) in self.blocks.iter().zip(corrections.chunks(BLOCK)) {
            self.moved[first as usize / BLOCK] |= corrections.iter().any(|d| f64::from(d.abs()) > threshold);
        }
    }

    /// Adds the corrections of the states awake to `values`.
    pub(super) fn add(&self, values: &mut [f64], corrections: &[f32]) {
        for (&first, corrections) in self.blocks.iter().zip(corrections.chunks(BLOCK)) {
            for (value, &correction) in values[first as usize..].iter_mut().zip(corrections) {
                *value += f64::from(correction);
            }
        }
    }

    /// Wakes the blocks that have moved, puts the others to sleep, and numbers the states awake.
    pub(super) fn renumber(&mut self) {
        self.blocks.clear();
        let mut index = 0;
        for (block, (first_index, moved)) in self.first_index.iter_mut().zip(&mut self.moved).enumerate() {
            let states: Range<usize> = block * BLOCK..((block + 1) * BLOCK).min(self.states);
            *first_index = moved.then_some(index);
            if *moved {
                index += states.len() as u32;
                self.blocks.push(states.start as u32);
            }
            *moved = false;
        }
    }

    /// How many states are awake.
    pub(super) fn count(&self) -> usize {
        self.blocks.last().map_or(0, |&last| {
            let last = last as usize;
            (self.blocks.len() - 1) * BLOCK + BLOCK.min(self.states - last)
        })
    }

    /// The state of an index. Blocks are whole but for the model's last, which comes last.
    #[inline]
    pub(super) fn state(&self, index: usize) -> usize {
        self.blocks[index / BLOCK] as usize + index % BLOCK
    }

    /// The index of a state, `None` where it sleeps or is the end of the episode.
    #[inline]
    pub(super) fn index(&self, state: u32) -> Option<usize> {
        let first = (*self.first_index.get(state as usize / BLOCK)?)?;
        Some(first as usize + state as usize % BLOCK)
    }
}
