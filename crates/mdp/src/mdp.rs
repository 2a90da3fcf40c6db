//! The stored model: sparse transitions by (state, action) in compressed rows.

use rayon::prelude::*;

use crate::model::{Model, TERMINAL, value_of};
use crate::rewards::RewardSamples;

/// Entries that one task looks through.
const SCAN: usize = 1 << 16;

/// A finite MDP with its transitions stored explicitly.
///
/// A (state, action) pair is a *row*. Rows of one state are consecutive, and each row holds its successors and their
/// probabilities, as compressed sparse rows: 12 bytes a transition, 12 a row and 4 a state. Build one with
/// [`MdpBuilder`](crate::MdpBuilder), from an implicit model with [`Mdp::store`], or from a file with
/// [`read`](crate::read).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mdp {
    /// Rows of state s: `state_rows[s]..state_rows[s + 1]`. Length |S| + 1.
    pub(crate) state_rows: Vec<u32>,
    /// Transitions of row i: `row_starts[i]..row_starts[i + 1]`. Length rows + 1.
    pub(crate) row_starts: Vec<u32>,
    /// Successor of each transition, [`TERMINAL`] where the episode ends.
    pub(crate) next: Vec<u32>,
    /// Probability of each transition.
    pub(crate) probability: Vec<f64>,
    /// r(s, a) of each row.
    pub(crate) reward: Vec<f64>,
    /// Action label of each row, where labels are not simply 0, 1, 2, ... in every state.
    pub(crate) labels: Option<Vec<u32>>,
    /// What simulation draws rewards from; `None` where the reward is r(s, a) for certain.
    pub(crate) samples: Option<RewardSamples>,
}

impl Mdp {
    /// Stores the transitions of any model. Two passes, the first of which only counts, so that memory never exceeds
    /// the arrays themselves.
    ///
    /// # Errors
    /// [`MdpError::TooLarge`](crate::MdpError::TooLarge) where 32-bit indices do not suffice.
    pub fn store(model: &impl Model) -> Result<Self, crate::MdpError> {
        let too_large = |what, count: usize| crate::MdpError::TooLarge { what, count };
        let states = model.states();
        let (mut rows, mut transitions) = (0, 0);
        for state in 0..states {
            for action in 0..model.actions(state) {
                rows += 1;
                model.successors(state, action, |_, _| transitions += 1);
            }
        }
        for (what, count) in [
            ("states", states),
            ("state-action pairs", rows),
            ("transitions", transitions),
        ] {
            if count >= u32::MAX as usize {
                return Err(too_large(what, count));
            }
        }
        let mut mdp = Self {
            state_rows: Vec::with_capacity(states + 1),
            row_starts: Vec::with_capacity(rows + 1),
            next: Vec::with_capacity(transitions),
            probability: Vec::with_capacity(transitions),
            reward: Vec::with_capacity(rows),
            labels: None,
            samples: None,
        };
        mdp.state_rows.push(0);
        mdp.row_starts.push(0);
        for state in 0..states {
            for action in 0..model.actions(state) {
                model.successors(state, action, |next, probability| {
                    mdp.next.push(next);
                    mdp.probability.push(probability);
                });
                mdp.reward.push(model.reward(state, action));
                mdp.row_starts.push(mdp.next.len() as u32);
            }
            mdp.state_rows.push(mdp.reward.len() as u32);
        }
        Ok(mdp)
    }

    /// Number of (state, action) pairs.
    pub fn rows(&self) -> usize {
        self.reward.len()
    }

    /// Number of stored transitions.
    pub fn transitions(&self) -> usize {
        self.next.len()
    }

    /// Bytes that the arrays of the equations take: transitions, rewards and row starts.
    pub fn bytes(&self) -> usize {
        12 * self.transitions() + 8 * self.rows() + 4 * self.row_starts.len() + 4 * self.state_rows.len()
    }

    /// The row of a state and action.
    #[inline]
    pub(crate) fn row(&self, state: usize, action: usize) -> usize {
        self.state_rows[state] as usize + action
    }

    /// Successors and probabilities of a row.
    #[inline]
    pub(crate) fn row_transitions(&self, row: usize) -> (&[u32], &[f64]) {
        let range = self.row_starts[row] as usize..self.row_starts[row + 1] as usize;
        (&self.next[range.clone()], &self.probability[range])
    }
}

impl Model for Mdp {
    fn states(&self) -> usize {
        self.state_rows.len() - 1
    }

    #[inline]
    fn actions(&self, state: usize) -> usize {
        (self.state_rows[state + 1] - self.state_rows[state]) as usize
    }

    #[inline]
    fn reward(&self, state: usize, action: usize) -> f64 {
        self.reward[self.row(state, action)]
    }

    #[inline]
    fn successors(&self, state: usize, action: usize, mut visit: impl FnMut(u32, f64)) {
        let (next, probability) = self.row_transitions(self.row(state, action));
        for (&next, &probability) in next.iter().zip(probability) {
            visit(next, probability);
        }
    }

    fn action_label(&self, state: usize, action: usize) -> u32 {
        self.labels
            .as_ref()
            .map_or(action as u32, |labels| labels[self.row(state, action)])
    }

    /// Streams the arrays once, front to back: slices are cut once a block and rows follow one another, so that the
    /// inner loop is a load, a gather and a multiply-add.
    fn backup_block(&self, first: usize, discount: f64, values: &[f64], backed_up: &mut [f64], greedy: &mut [u32]) {
        let state_rows = &self.state_rows[first..=first + backed_up.len()];
        let (row_begin, row_end) = (state_rows[0] as usize, state_rows[backed_up.len()] as usize);
        let mut row_starts = self.row_starts[row_begin..=row_end].iter().map(|&start| start as usize);
        let mut start = row_starts.next().unwrap_or(0);
        let mut rows = row_starts.zip(&self.reward[row_begin..row_end]);
        for ((bounds, value), action) in state_rows.windows(2).zip(backed_up).zip(greedy) {
            let actions = bounds[1] - bounds[0];
            let mut best = (if actions == 0 { 0.0 } else { f64::NEG_INFINITY }, 0);
            for (index, (end, reward)) in (0..actions).zip(&mut rows) {
                let expected: f64 = self.next[start..end]
                    .iter()
                    .zip(&self.probability[start..end])
                    .fold(0.0, |sum, (&next, probability)| {
                        sum + probability * value_of(values, next)
                    });
                let q = reward + discount * expected;
                if q > best.0 {
                    best = (q, index);
                }
                start = end;
            }
            (*value, *action) = best;
        }
    }

    fn max_successors(&self) -> usize {
        let longest = |(starts, ends): (&[u32], &[u32])| starts.iter().zip(ends).map(|(start, end)| end - start).max();
        bounds(&self.row_starts).filter_map(longest).max().unwrap_or(0) as usize
    }

    fn has_terminal(&self) -> bool {
        let any_empty = |(starts, ends): (&[u32], &[u32])| starts.iter().zip(ends).any(|(start, end)| start == end);
        bounds(&self.state_rows).any(any_empty) || self.next.par_chunks(SCAN).any(|next| next.contains(&TERMINAL))
    }
}

/// Where rows start and end, many at a time, from where they start and the last of them ends.
fn bounds(starts: &[u32]) -> impl ParallelIterator<Item = (&[u32], &[u32])> {
    let ends = starts.get(1..).unwrap_or_default();
    starts.par_chunks(SCAN).zip(ends.par_chunks(SCAN))
}
