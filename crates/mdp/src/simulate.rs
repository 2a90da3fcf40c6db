//! Episodes under a policy: what a model does, step by step, and what it pays.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::error::MdpError;
use crate::estimate::Estimate;
use crate::mdp::Mdp;
use crate::model::{Model, TERMINAL};
use crate::policy::Policy;

/// A model from which outcomes can be drawn.
///
/// An implicit model needs `impl Sample for ... {}` and no more: it draws the successor, and its reward is r(s, a).
pub trait Sample: Model {
    /// Draws the successor, [`TERMINAL`] where the episode ends, and the reward of an action.
    fn sample(&self, state: usize, action: usize, random: &mut impl Rng) -> (u32, f64) {
        let mut next = Draw::new(random);
        self.successors(state, action, |successor, probability| {
            next.offer(successor, probability)
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
struct Draw<T> {
    remaining: f64,
    taken: Option<T>,
}

impl<T> Draw<T> {
    fn new(random: &mut impl Rng) -> Self {
        Self {
            remaining: random.random(),
            taken: None,
        }
    }

    /// The first offer that uses up the number is kept, and the last one where rounding leaves some of it.
    fn offer(&mut self, thing: T, probability: f64) {
        if self.remaining >= 0.0 && probability > 0.0 {
            self.remaining -= probability;
            self.taken = Some(thing);
        }
    }
}

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulationOptions {
    /// The state that every episode starts in; where absent, each starts in one drawn evenly from those not terminal.
    pub start: Option<usize>,
    /// Number of episodes; at least 1.
    pub episodes: usize,
    /// Steps after which an episode is cut off; at least 1.
    pub horizon: usize,
    /// How many trajectories to keep: those of the first episodes.
    pub trajectories: usize,
    /// Episode i draws from a stream of its own, chosen by this and i: the same on any number of threads.
    pub seed: u64,
}

/// One transition.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Step {
    /// The state.
    pub state: u32,
    /// The action taken, by its label.
    pub action: u32,
    /// The reward drawn.
    pub reward: f64,
    /// The next state; absent where a transition to the end has none.
    pub next: Option<u32>,
    /// Whether the episode ended with this step (`terminated` in Gymnasium's words).
    pub ended: bool,
}

/// One episode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trajectory {
    /// The steps, at most as many as the horizon; none where the start is terminal.
    pub steps: Vec<Step>,
    /// The discounted sum of their rewards.
    pub discounted_return: f64,
    /// Whether the horizon cut the episode off before its end (`truncated` in Gymnasium's words).
    pub truncated: bool,
}

/// What came of the episodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Simulation {
    /// The first episodes, step by step.
    pub trajectories: Vec<Trajectory>,
    /// The discounted return of each episode.
    pub returns: Vec<f64>,
    /// Their mean. What lies beyond the horizon is not in it.
    pub mean: f64,
    /// The standard error of the mean; absent for a single episode.
    pub standard_error: Option<f64>,
    /// A 95 % confidence interval of the expected return up to the horizon; absent for a single episode.
    pub interval: Option<[f64; 2]>,
    /// How many episodes the horizon cut off.
    pub truncated: usize,
}

/// Plays episodes under a policy, in parallel, the same whatever the number of threads.
///
/// # Errors
/// [`MdpError::Setting`] where an option is out of its range or no state can be a start, [`MdpError::Discount`], and
/// [`MdpError::Policy`] where the policy is not one of the model.
pub fn simulate(
    model: &impl Sample,
    policy: &Policy,
    discount: f64,
    options: &SimulationOptions,
) -> Result<Simulation, MdpError> {
    crate::discount::check_range(discount)?;
    policy.check_fits(model)?;
    for (name, found) in [("episodes", options.episodes), ("horizon", options.horizon)] {
        if found == 0 {
            return Err(MdpError::setting(name, found, "at least 1"));
        }
    }
    let starts = starts(model, options.start)?;
    let play = |episode: usize| {
        let mut random = stream(options.seed, EVERYWHERE, episode);
        let start = starts[random.random_range(0..starts.len())] as usize;
        let mut steps = Vec::new();
        let keep = episode < options.trajectories;
        let outcome = play(model, policy, start, discount, options.horizon, &mut random, |step| {
            if keep {
                steps.push(step);
            }
        });
        (outcome, steps)
    };
    let episodes: Vec<_> = (0..options.episodes).into_par_iter().map(play).collect();
    let truncated = episodes.iter().filter(|(outcome, _)| outcome.truncated).count();
    let returns: Vec<f64> = episodes.iter().map(|(outcome, _)| outcome.discounted_return).collect();
    let kept = episodes.into_iter().take(options.trajectories);
    let trajectories = kept.map(|(outcome, steps)| Trajectory {
        steps,
        discounted_return: outcome.discounted_return,
        truncated: outcome.truncated,
    });
    let estimate: Estimate = returns.iter().copied().collect();
    Ok(Simulation {
        trajectories: trajectories.collect(),
        mean: estimate.mean(),
        standard_error: estimate.standard_error(),
        interval: estimate.interval(),
        returns,
        truncated,
    })
}

/// The states in which an episode may start: the one asked for, or all that are not terminal.
fn starts(model: &impl Model, start: Option<usize>) -> Result<Vec<u32>, MdpError> {
    if let Some(start) = start {
        check_state(model, start)?;
        return Ok(vec![start as u32]);
    }
    let starts: Vec<u32> = (0..model.states() as u32)
        .filter(|&state| model.actions(state as usize) > 0)
        .collect();
    if starts.is_empty() {
        return Err(MdpError::setting(
            "start",
            "not given and every state is terminal",
            "a state with actions",
        ));
    }
    Ok(starts)
}

pub(crate) fn check_state(model: &impl Model, state: usize) -> Result<(), MdpError> {
    if state < model.states() {
        return Ok(());
    }
    Err(MdpError::setting("start", state, "a state of the model"))
}

/// In place of a start state, where the start is drawn.
const EVERYWHERE: usize = usize::MAX;

/// The random numbers of one episode: ChaCha8 under the key of four words (seed, start, 0, 0), stream `episode`.
pub(crate) fn stream(seed: u64, start: usize, episode: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(start as u64).to_le_bytes());
    let mut random = ChaCha8Rng::from_seed(key);
    random.set_stream(episode as u64);
    random
}

pub(crate) struct Outcome {
    pub(crate) discounted_return: f64,
    pub(crate) truncated: bool,
}

/// Plays one episode and tells `record` each step.
pub(crate) fn play(
    model: &impl Sample,
    policy: &Policy,
    start: usize,
    discount: f64,
    horizon: usize,
    random: &mut impl Rng,
    mut record: impl FnMut(Step),
) -> Outcome {
    let mut outcome = Outcome {
        discounted_return: 0.0,
        truncated: false,
    };
    let mut state = start;
    let mut weight = 1.0;
    for _ in 0..horizon {
        let mut action = Draw::new(random);
        policy.for_each(state, |index, probability| action.offer(index, probability));
        let Some(action) = action.taken else {
            return outcome;
        };
        let (next, reward) = model.sample(state, action, random);
        let ended = next == TERMINAL || model.actions(next as usize) == 0;
        record(Step {
            state: state as u32,
            action: model.action_label(state, action),
            reward,
            next: (next != TERMINAL).then_some(next),
            ended,
        });
        outcome.discounted_return += weight * reward;
        if ended {
            return outcome;
        }
        weight *= discount;
        state = next as usize;
    }
    outcome.truncated = model.actions(state) > 0;
    outcome
}
