//! Drawing what an action leads to and what it pays.

use rand::{Rng, RngExt};

use crate::mdp::Mdp;
use crate::model::{Model, TERMINAL};

/// A model from which outcomes can be drawn.
///
/// An implicit model needs `impl Sample for ... {}` and no more: it draws the successor, and its reward is r(s, a).
pub trait Sample: Model {
    /// Draws the successor, [`TERMINAL`] where the episode ends, and the reward of an action.
    fn sample(&self, state: usize, action: usize, random: &mut impl Rng) -> (u32, f64) {
        let mut next = Draw::new(random);
        self.successors(state, action, |successor, probability| {
            next.offer(successor, probability);
        });
        (next.taken.unwrap_or(TERMINAL), self.reward(state, action))
    }
}

impl Sample for Mdp {
    /// Draws from r(s, a, s') and p(r|s, a) where the model has them.
    fn sample(&self, state: usize, action: usize, random: &mut impl Rng) -> (u32, f64) {
        let row = self.row(state, action);
        let (successors, probabilities) = self.row_transitions(row);
        let mut transition = Draw::new(random);
        for (index, &probability) in probabilities.iter().enumerate() {
            transition.offer(index, probability);
        }
        let Some(transition) = transition.taken else {
            return (TERMINAL, self.reward[row]);
        };
        let Some(samples) = &self.samples else {
            return (successors[transition], self.reward[row]);
        };
        let outcomes = samples.starts[row] as usize..samples.starts[row + 1] as usize;
        let mut reward = Draw::new(random);
        for outcome in outcomes {
            reward.offer(samples.reward[outcome], samples.probability[outcome]);
        }
        let of_transition = samples.of_transition[self.row_starts[row] as usize + transition];
        (successors[transition], of_transition + reward.taken.unwrap_or(0.0))
    }
}

/// Takes one of the things offered, each with its probability, by one uniform number.
pub(super) struct Draw<T> {
    remaining: f64,
    pub(super) taken: Option<T>,
}

impl<T> Draw<T> {
    pub(super) fn new(random: &mut impl Rng) -> Self {
        Self {
            remaining: random.random(),
            taken: None,
        }
    }

    /// The first offer that uses up the number is kept, and the last one where rounding leaves some of it.
    pub(super) fn offer(&mut self, thing: T, probability: f64) {
        if self.remaining >= 0.0 && probability > 0.0 {
            self.remaining -= probability;
            self.taken = Some(thing);
        }
    }
}
