//! The Markov chain that a policy makes of a model: P_pi and r_pi.

use rayon::prelude::*;

use super::blocks::BLOCK;
use crate::error::MdpError;
use crate::model::{Model, TERMINAL};
use crate::policy::Policy;

/// P_pi in compressed rows, sorted and without duplicates, and r_pi. Whatever ends the episode, a transition to
/// [`TERMINAL`] or to a terminal state, is left out: its value is zero. Such rows sum to less than one.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    /// Entries of state s: `starts[s]..starts[s + 1]`. Length |S| + 1.
    pub(crate) starts: Vec<u32>,
    pub(crate) next: Vec<u32>,
    pub(crate) probability: Vec<f64>,
    /// r_pi(s), the expected reward of one step.
    pub(crate) reward: Vec<f64>,
    /// Whether an episode can end at all.
    pub(crate) can_end: bool,
}

/// The extremes of T v - v over all states, and the largest |v|.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Residual {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) scale: f64,
}

impl Residual {
    /// Of no state.
    const NONE: Self = Self {
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
        scale: 0.0,
    };

    /// What stands where a residual could not be had.
    pub(crate) const UNBOUNDED: Self = Self {
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
        scale: 0.0,
    };

    /// Takes one state in. What is not a number counts as unbounded, lest a minimum overlook it.
    #[inline]
    pub(crate) fn include(&mut self, residual: f64, value: f64) {
        if residual.is_nan() {
            *self = Self::UNBOUNDED;
        }
        self.low = self.low.min(residual);
        self.high = self.high.max(residual);
        self.scale = self.scale.max(value.abs());
    }

    fn merge(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            scale: self.scale.max(other.scale),
        }
    }

    /// ||T v - v|| in the sup norm.
    pub(crate) fn norm(&self) -> f64 {
        self.high.max(-self.low).max(0.0)
    }

    /// The extremes over all states: `include_block(first, extremes, values)` takes in each block of `values`.
    pub(crate) fn over_blocks(values: &[f64], include_block: impl Fn(usize, &mut Self, &[f64]) + Sync) -> Self {
        let of_block = |(block, values): (usize, &[f64])| {
            let mut extremes = Self::NONE;
            include_block(block * BLOCK, &mut extremes, values);
            extremes
        };
        if values.len() <= BLOCK {
            return of_block((0, values));
        }
        let blocks = values.par_chunks(BLOCK).enumerate();
        blocks.map(of_block).reduce(|| Self::NONE, Self::merge)
    }
}

impl Chain {
    /// The chain of a policy that fits the model.
    ///
    /// # Errors
    /// [`MdpError::TooLarge`] where 32-bit indices do not suffice.
    pub(crate) fn new(model: &impl Model, policy: &Policy) -> Result<Self, MdpError> {
        let states = model.states();
        let mut chain = Self {
            starts: Vec::with_capacity(states + 1),
            next: Vec::new(),
            probability: Vec::new(),
            reward: Vec::with_capacity(states),
            can_end: false,
        };
        let mut row: Vec<(u32, f64)> = Vec::new();
        chain.starts.push(0);
        for state in 0..states {
            row.clear();
            let mut reward = 0.0;
            chain.can_end |= model.actions(state) == 0;
            policy.for_each(state, |action, chance| {
                reward += chance * model.reward(state, action);
                model.successors(state, action, |next, probability| {
                    if next == TERMINAL || model.actions(next as usize) == 0 {
                        chain.can_end |= probability > 0.0;
                    } else if probability > 0.0 {
                        row.push((next, chance * probability));
                    }
                });
            });
            row.sort_by_key(|&(next, _)| next);
            for same in row.chunk_by(|a, b| a.0 == b.0) {
                chain.next.push(same[0].0);
                chain
                    .probability
                    .push(same.iter().map(|(_, probability)| probability).sum());
            }
            chain.reward.push(reward);
            if chain.next.len() >= u32::MAX as usize {
                return Err(MdpError::TooLarge {
                    what: "transitions of the policy",
                    count: chain.next.len(),
                });
            }
            chain.starts.push(chain.next.len() as u32);
        }
        Ok(chain)
    }

    pub(crate) fn states(&self) -> usize {
        self.reward.len()
    }

    /// Successors of a state and their probabilities.
    #[inline]
    pub(crate) fn row(&self, state: usize) -> (&[u32], &[f64]) {
        let range = self.starts[state] as usize..self.starts[state + 1] as usize;
        (&self.next[range.clone()], &self.probability[range])
    }

    /// The same chain with its states renamed: state `order[i]` becomes state i.
    pub(super) fn reordered(&self, order: &[u32]) -> Self {
        let mut rank = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            rank[old as usize] = new as u32;
        }
        let mut chain = Self {
            starts: Vec::with_capacity(self.starts.len()),
            next: Vec::with_capacity(self.next.len()),
            probability: Vec::with_capacity(self.next.len()),
            reward: order.iter().map(|&old| self.reward[old as usize]).collect(),
            can_end: self.can_end,
        };
        let mut row: Vec<(u32, f64)> = Vec::new();
        chain.starts.push(0);
        for &old in order {
            let (next, probability) = self.row(old as usize);
            row.clear();
            row.extend(
                next.iter()
                    .map(|&next| rank[next as usize])
                    .zip(probability.iter().copied()),
            );
            row.sort_unstable_by_key(|&(next, _)| next);
            chain.next.extend(row.iter().map(|&(next, _)| next));
            chain
                .probability
                .extend(row.iter().map(|&(_, probability)| probability));
            chain.starts.push(chain.next.len() as u32);
        }
        chain
    }

    /// Bounds on the row sums of P_pi that allow for the rounding of each sum.
    pub(crate) fn row_sums(&self) -> (f64, f64) {
        let mut bounds = (f64::INFINITY, 0.0_f64);
        for state in 0..self.states() {
            let (_, probability) = self.row(state);
            let sum: f64 = probability.iter().sum();
            let rounding = (probability.len() + 4) as f64 * f64::EPSILON;
            bounds = (
                bounds.0.min(sum * (1.0 - rounding)),
                bounds.1.max(sum * (1.0 + rounding)),
            );
        }
        bounds
    }
}

/// The linear system x = b + gamma P x, of which policy evaluation is the case b = r_pi.
#[derive(Debug, Clone, Copy)]
pub(crate) struct System<'a> {
    pub(crate) chain: &'a Chain,
    pub(crate) discount: f64,
    pub(crate) right: &'a [f64],
}

/// Told the iteration and the residual that the values stand at; says whether that is good enough.
pub(crate) type Monitor<'a> = &'a mut dyn FnMut(usize, Residual) -> Result<bool, MdpError>;

impl System<'_> {
    /// backed_up = T x = b + gamma P x; returns the extremes of T x - x.
    pub(crate) fn backup(&self, x: &[f64], backed_up: &mut [f64]) -> Residual {
        self.rows(x, backed_up, |state, expected, x| {
            let backed_up = self.right[state] + self.discount * expected;
            (backed_up, backed_up - x)
        })
    }

    /// r = T x - x; returns its extremes.
    pub(crate) fn residual(&self, x: &[f64], r: &mut [f64]) -> Residual {
        self.rows(x, r, |state, expected, x| {
            let residual = self.right[state] + self.discount * expected - x;
            (residual, residual)
        })
    }

    /// y = (I - gamma P) x.
    pub(crate) fn apply(&self, x: &[f64], y: &mut [f64]) {
        self.rows(x, y, |_, expected, x| (x - self.discount * expected, 0.0));
    }

    /// One pass over the rows, in parallel: `of_row(s, (P x)_s, x_s)` gives what to store and the residual of the state.
    fn rows(&self, x: &[f64], out: &mut [f64], of_row: impl Fn(usize, f64, f64) -> (f64, f64) + Sync) -> Residual {
        let of_block = |first: usize, out: &mut [f64]| {
            let mut extremes = Residual::NONE;
            for (state, out) in (first..).zip(out) {
                let (entry, residual) = of_row(state, self.expected(state, x), x[state]);
                *out = entry;
                extremes.include(residual, x[state]);
            }
            extremes
        };
        if x.len() <= BLOCK {
            return of_block(0, out);
        }
        out.par_chunks_mut(BLOCK)
            .enumerate()
            .map(|(block, out)| of_block(block * BLOCK, out))
            .reduce(|| Residual::NONE, Residual::merge)
    }

    /// (P x)_s, the expected value of the next state.
    #[inline]
    pub(crate) fn expected(&self, state: usize, x: &[f64]) -> f64 {
        let (next, probability) = self.chain.row(state);
        next.iter()
            .zip(probability)
            .fold(0.0, |sum, (&next, probability)| sum + probability * x[next as usize])
    }
}
