//! Chains that are hard in different ways.

use etude_mdp::{Mdp, MdpBuilder, Model, Next, Policy};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How the successors of a state are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// Some successors from anywhere: mixes fast.
    Random,
    /// Every state from every state.
    Dense,
    /// One cycle through all states, in an order of its own.
    Cycle,
    /// One successor each, from anywhere.
    Map,
    /// Neighbours on a line: mixes slowly.
    Walk,
    /// Neighbours on a line, one direction much likelier than the other.
    BiasedWalk,
    /// Only states of higher number: every state is transient.
    Forward,
    /// Stays where it is but for a probability of 10^-k.
    Sticky(i32),
    /// Blocks of ten that are left with a probability of 10^-k.
    Blocks(i32),
}

/// One problem of policy evaluation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Problem {
    pub(crate) shape: Shape,
    pub(crate) states: usize,
    /// Each transition ends the episode with this probability.
    pub(crate) ends: f64,
    /// Size of the rewards.
    pub(crate) rewards: f64,
    /// Whether only one state pays.
    pub(crate) sparse: bool,
    pub(crate) seed: u64,
}

impl Problem {
    /// The model and a random policy.
    pub(crate) fn build(&self) -> (Mdp, Policy) {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut order: Vec<usize> = (0..self.states).collect();
        for place in (1..self.states).rev() {
            order.swap(place, random.random_range(0..=place));
        }
        let mut builder = MdpBuilder::new(self.states);
        for state in 0..self.states {
            for action in 0..random.random_range(1..=3_u32) {
                let pays = !self.sparse || state == self.states / 2;
                let reward = if pays {
                    self.rewards * random.random_range(-1.0..1.0)
                } else {
                    0.0
                };
                let successors = self.successors(state, &order, &mut random);
                let total: f64 = successors.iter().map(|(_, weight)| weight).sum();
                for (next, weight) in successors {
                    builder.transition(state, action, next, (1.0 - self.ends) * weight / total, reward);
                }
                builder.transition(state, action, Next::End, self.ends, reward);
            }
        }
        let model = builder.build().unwrap();
        let policy = policy(&model, &mut random);
        (model, policy)
    }

    /// Successors and their weights.
    fn successors(&self, state: usize, order: &[usize], random: &mut ChaCha8Rng) -> Vec<(Next, f64)> {
        let states = self.states;
        let anywhere = |random: &mut ChaCha8Rng| Next::State(random.random_range(0..states));
        let step = |ahead: f64| {
            let next = if state + 1 < states {
                Next::State(state + 1)
            } else {
                Next::State(0)
            };
            vec![(Next::State(state.saturating_sub(1)), 1.0 - ahead), (next, ahead)]
        };
        match self.shape {
            Shape::Random => (0..random.random_range(1..=4))
                .map(|_| (anywhere(random), random.random_range(0.01..1.0)))
                .collect(),
            Shape::Dense => (0..states).map(|next| (Next::State(next), random.random())).collect(),
            Shape::Cycle => vec![(Next::State(order[(order[state] + 1) % states]), 1.0)],
            Shape::Map => vec![(anywhere(random), 1.0)],
            Shape::Walk => step(0.5),
            Shape::BiasedWalk => step(random.random_range(0.02..0.1)),
            Shape::Forward if state + 1 == states => vec![(Next::End, 1.0)],
            Shape::Forward => (0..3)
                .map(|_| (Next::State(random.random_range(state + 1..states)), random.random()))
                .collect(),
            Shape::Sticky(exponent) => {
                let leaves = 10.0_f64.powi(-exponent);
                vec![(Next::State(state), 1.0 - leaves), (anywhere(random), leaves)]
            }
            Shape::Blocks(exponent) => {
                let leaves = 10.0_f64.powi(-exponent);
                let first = state / 10 * 10;
                let inside = Next::State(random.random_range(first..states.min(first + 10)));
                let other = Next::State(random.random_range(first..states.min(first + 10)));
                vec![(inside, 0.7), (other, 0.3), (anywhere(random), leaves)]
            }
        }
    }
}

/// One action for certain in some states, a mixture in the others.
fn policy(model: &Mdp, random: &mut ChaCha8Rng) -> Policy {
    let row = |state| {
        let mut weights: Vec<f64> = (0..model.actions(state))
            .map(|_| random.random_range(-0.7_f64..1.0).max(0.0))
            .collect();
        weights[0] += 0.1;
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
    };
    Policy::stochastic(model, &(0..model.states()).map(row).collect::<Vec<_>>()).unwrap()
}
