//! Value iteration only where values still move.
//!
//! A better action found in one state may make another action better in the states that lead to it, and so on: on a map
//! the news travels as a front. Sweeping all states for its sake would be a waste, so states wait in a queue of one bit
//! each, and a state that moves calls its predecessors (prioritised sweeping with a threshold; Moore and Atkeson 1993;
//! Sutton and Barto, section 8.4).

use crate::model::Model;
use crate::sweep;

/// Predecessors per state above which fronts spread too fast to be followed.
const MANY_PREDECESSORS: usize = 8;

/// Bits of a word.
const WORD: usize = u64::BITS as usize;

/// The predecessors of every state, under any action, and the states that wait to be backed up.
pub(super) struct Front {
    starts: Vec<u32>,
    predecessors: Vec<u32>,
    waiting: Vec<u64>,
}

impl Front {
    /// Of a model whose states have few predecessors; none of another.
    pub(super) fn new<M: Model>(model: &M) -> Option<Self> {
        let states = model.states();
        let mut successors = Vec::new();
        let mut ends = Vec::with_capacity(states);
        let mut seen = vec![u32::MAX; states];
        for state in 0..states {
            for_each_successor(model, state, &mut seen, |next| successors.push(next as u32));
            ends.push(successors.len());
            if successors.len() > MANY_PREDECESSORS * states {
                return None;
            }
        }
        // Counts first, then places: `starts[s + 1]` runs from where s begins to where it ends.
        let mut starts = vec![0_u32; states + 2];
        for &next in &successors {
            starts[next as usize + 2] += 1;
        }
        for state in 0..=states {
            starts[state + 1] += starts[state];
        }
        let mut predecessors = vec![0; successors.len()];
        let mut first = 0;
        for (state, &end) in ends.iter().enumerate() {
            for &next in &successors[first..end] {
                let place = &mut starts[next as usize + 1];
                predecessors[*place as usize] = state as u32;
                *place += 1;
            }
            first = end;
        }
        starts.pop();
        let waiting = vec![0; states.div_ceil(WORD)];
        Some(Self {
            starts,
            predecessors,
            waiting,
        })
    }

    /// Backs up the states where `backed_up` differs from `values` by more than `threshold`, then the predecessors of those
    /// that move, and so on until no state moves by more, or as many have been backed up as there are. Updates `values`,
    /// `backed_up` = T `values` and the greedy actions.
    pub(super) fn advance<M: Model>(
        &mut self,
        model: &M,
        discount: f64,
        threshold: f64,
        values: &mut [f64],
        backed_up: &mut [f64],
        greedy: &mut [u32],
    ) {
        let Self {
            starts,
            predecessors,
            waiting,
        } = self;
        for (waiting, (values, backed_up)) in waiting.iter_mut().zip(values.chunks(WORD).zip(backed_up.chunks(WORD))) {
            *waiting = 0;
            for (bit, (value, backed_up)) in values.iter().zip(backed_up).enumerate() {
                *waiting |= u64::from((backed_up - value).abs() > threshold) << bit;
            }
        }
        let mut backups = 0;
        let (mut forward, mut spreads) = (false, true);
        loop {
            let before = backups;
            for word in 0..waiting.len() {
                let word = if forward { word } else { waiting.len() - 1 - word };
                // The states of this word that the sweep has not passed yet.
                let mut ahead = u64::MAX;
                while waiting[word] & ahead != 0 {
                    let bits = waiting[word] & ahead;
                    let bit = if forward { bits.trailing_zeros() } else { bits.ilog2() };
                    let passed = if forward {
                        u64::MAX >> (63 - bit)
                    } else {
                        u64::MAX << bit
                    };
                    ahead = !passed;
                    waiting[word] &= !(1 << bit);
                    let state = word * WORD + bit as usize;
                    let (value, action, stay) = sweep::backup_in_place(model, discount, state, 0, values, values);
                    backups += 1;
                    greedy[state] = action;
                    // The change were the state's own value not to change along with it.
                    let residual = (value - values[state]) * (1.0 - discount * stay);
                    backed_up[state] = values[state] + residual;
                    if spreads && (value - values[state]).abs() > threshold {
                        (values[state], backed_up[state]) = (value, value);
                        for &state in &predecessors[starts[state] as usize..starts[state + 1] as usize] {
                            waiting[state as usize / WORD] |= 1 << (state as usize % WORD);
                        }
                    }
                }
            }
            if backups == before || !spreads {
                return;
            }
            // Where the limit ends a front, the states still waiting are backed up once more, and do not move.
            spreads = backups <= values.len();
            forward = !forward;
        }
    }
}

/// Calls `visit` once for every state that some action in `state` may lead to, but itself.
fn for_each_successor<M: Model>(model: &M, state: usize, seen: &mut [u32], mut visit: impl FnMut(usize)) {
    for action in 0..model.actions(state) {
        model.successors(state, action, |next, _| {
            let Some(seen) = seen.get_mut(next as usize) else {
                return;
            };
            if *seen != state as u32 && next as usize != state {
                *seen = state as u32;
                visit(next as usize);
            }
        });
    }
}
