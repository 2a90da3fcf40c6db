//! One pass of Bellman optimality backups over all states, the same bytes on any number of threads.

use rayon::prelude::*;

use crate::bound::Residual;
use crate::model::{Model, value_of};

/// The fewest and the most states that one task backs up.
const BLOCKS: [usize; 2] = [1024, 4096];

/// States for whose sweep it does not pay to wake a second thread.
const FEW: usize = 5_000;

/// How many states one task backs up: so few that all threads find work, so many that finding it costs little. Depends on
/// the number of states alone.
fn block_length(states: usize) -> usize {
    (states / 64).clamp(BLOCKS[0], BLOCKS[1])
}

/// Jacobi: `backed_up` = T `values`, with `greedy` receiving the first maximising action of each state.
pub(crate) fn jacobi<M: Model>(
    model: &M,
    discount: f64,
    values: &[f64],
    backed_up: &mut [f64],
    greedy: &mut [u32],
) -> Residual {
    let length = block_length(values.len());
    backed_up
        .par_chunks_mut(length)
        .zip(greedy.par_chunks_mut(length))
        .zip(values.par_chunks(length))
        .enumerate()
        .map(|(index, ((backed_up, greedy), before))| {
            model.backup_block(index * length, discount, values, backed_up, greedy);
            Residual::between(before, backed_up)
        })
        .reduce(|| Residual::NONE, Residual::join)
}

/// Jacobi for one policy: `backed_up` = T_pi `values`.
pub(crate) fn policy<M: Model>(model: &M, discount: f64, policy: &[u32], values: &[f64], backed_up: &mut [f64]) {
    let length = block_length(values.len());
    backed_up
        .par_chunks_mut(length)
        .enumerate()
        .for_each(|(index, backed_up)| {
            for (state, value) in (index * length..).zip(backed_up) {
                let action = policy[state] as usize;
                let terminal = action >= model.actions(state);
                *value = if terminal {
                    0.0
                } else {
                    model.action_value(state, action, discount, values)
                };
            }
        });
}

/// The residual `backed_up` - `values`.
pub(crate) fn residual(values: &[f64], backed_up: &[f64]) -> Residual {
    let length = block_length(values.len());
    values
        .par_chunks(length)
        .zip(backed_up.par_chunks(length))
        .map(|(before, after)| Residual::between(before, after))
        .reduce(|| Residual::NONE, Residual::join)
}

/// The direction in which a Gauss-Seidel sweep visits the states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the first state to the last.
    Forward,
    /// From the last state to the first.
    Backward,
}

impl Direction {
    /// The other direction.
    pub(crate) fn reverse(self) -> Self {
        match self {
            Self::Forward => Self::Backward,
            Self::Backward => Self::Forward,
        }
    }
}

/// The number of parts that a Gauss-Seidel sweep may visit at the same time: as few as there may be, because each part sees
/// the others' values of the sweep before and copies them first, and as many for one thread as for two, so that the bytes
/// agree.
pub(crate) fn parts(states: usize) -> usize {
    if states < FEW { 1 } else { 2 }
}

/// Gauss-Seidel: backs up `values` in place, part by part, each state from the newest values of its part and, for
/// the other parts, from `before`, to which `values` is copied first. Returns the greatest change of a value.
pub(crate) fn gauss_seidel<M: Model>(
    model: &M,
    discount: f64,
    direction: Direction,
    values: &mut [f64],
    before: &mut [f64],
    greedy: &mut [u32],
) -> f64 {
    let parts = parts(values.len());
    before.copy_from_slice(values);
    let before = &*before;
    let mut tasks = Vec::with_capacity(parts);
    let (mut values, mut greedy) = (values, greedy);
    for part in 0..parts {
        let first = part * before.len() / parts;
        let length = (part + 1) * before.len() / parts - first;
        let (own_values, rest) = values.split_at_mut(length);
        let (own_greedy, rest_greedy) = greedy.split_at_mut(length);
        tasks.push((first, own_values, own_greedy));
        (values, greedy) = (rest, rest_greedy);
    }
    let sweep_part = |(first, values, greedy): (usize, &mut [f64], &mut [u32])| {
        let mut greatest = 0.0_f64;
        for step in 0..values.len() {
            let offset = if direction == Direction::Forward {
                step
            } else {
                values.len() - 1 - step
            };
            let newest = |next: u32| {
                let own = values.get((next as usize).wrapping_sub(first)).copied();
                own.unwrap_or_else(|| value_of(before, next))
            };
            let backup = backup_in_place(model, discount, first + offset, newest);
            greatest = greatest.max((backup.value - values[offset]).abs());
            (values[offset], greedy[offset]) = (backup.value, backup.action);
        }
        greatest
    };
    tasks.into_par_iter().map(sweep_part).reduce(|| 0.0, f64::max)
}

/// A backup in which the state's own new value stands on both sides.
pub(crate) struct InPlace {
    /// The value that equals its own backup.
    pub(crate) value: f64,
    /// The first action that attains it.
    pub(crate) action: u32,
    /// p(s|s, a) of that action.
    pub(crate) stay: f64,
}

/// max over a of (r(s, a) + gamma sum over s' != s of p(s'|s, a) v(s')) / (1 - gamma p(s|s, a)), with `value_of` for v. If
/// the state's old value stood on the right, a state that can stay where it is would approach its value by a factor
/// gamma a sweep.
#[inline]
pub(crate) fn backup_in_place<M: Model>(
    model: &M,
    discount: f64,
    state: usize,
    value_of: impl Fn(u32) -> f64,
) -> InPlace {
    let mut best = InPlace {
        value: f64::NEG_INFINITY,
        action: 0,
        stay: 0.0,
    };
    for action in 0..model.actions(state) {
        let (mut elsewhere, mut stay) = (0.0, 0.0);
        model.successors(state, action, |next, probability| {
            if next as usize == state {
                stay += probability;
            } else {
                elsewhere += probability * value_of(next);
            }
        });
        let mut value = model.reward(state, action) + discount * elsewhere;
        if stay > 0.0 {
            value /= 1.0 - discount * stay;
        }
        if value > best.value {
            let action = action as u32;
            best = InPlace { value, action, stay };
        }
    }
    // A terminal state has no action and is worth nothing.
    if best.value == f64::NEG_INFINITY {
        best.value = 0.0;
    }
    best
}
