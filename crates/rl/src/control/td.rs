//! Temporal differences for control: Sarsa, expected Sarsa, n-step Sarsa, Q-learning.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::action_values::ActionValues;
use super::epsilon_greedy::{EpsilonGreedy, greatest, greedy_action};
use crate::vector::Transition;
use crate::window::Window;

/// What the state after a step is taken to be worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// q(s', a'), where a' is the action that the agent takes there (Zhao, section 7.2).
    Sarsa,
    /// Sum over a of pi(a|s') q(s', a), for the policy that the agent follows (Zhao, section 7.2; van Seijen et al. 2009).
    ExpectedSarsa,
    /// max over a of q(s', a), whatever the agent does (Zhao, section 7.4; Watkins 1989). It learns on policy where the agent
    /// follows q, and off policy where it does something else: with the uniform behaviour, epsilon = 1, for instance.
    QLearning,
}

/// How to learn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// What a step leads to is worth.
    pub target: Target,
    /// The steps n between a state and the one whose value stands in its target, at least 1. With more than one,
    /// [`Target::Sarsa`] is n-step Sarsa; the others then take the rewards in between as they came, whatever policy they
    /// are about.
    pub steps: usize,
    /// What the agent does while it learns.
    pub behaviour: EpsilonGreedy,
    /// gamma.
    pub discount: f64,
    /// alpha.
    pub step_size: f64,
}

/// An agent that learns by q(s, a) <- q(s, a) + alpha (target - q(s, a)).
///
/// Its whole state can be saved and goes on to the same bytes: values, steps that wait for their target, the next action and
/// the random numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TdControl<Q> {
    values: Q,
    settings: Settings,
    random: ChaCha8Rng,
    /// The last n steps: observation and action.
    window: Window<(Vec<f32>, usize)>,
    /// a', drawn when the step before it was learnt from, to be taken now.
    next_action: Option<usize>,
    /// q(s, .) of one state.
    q: Vec<f64>,
}

impl<Q: ActionValues> TdControl<Q> {
    /// An agent that begins with these `values` and draws its actions with `random`.
    pub fn new(values: Q, settings: Settings, random: ChaCha8Rng) -> Self {
        Self {
            q: vec![0.0; values.actions()],
            values,
            settings,
            random,
            window: Window::new(settings.steps),
            next_action: None,
        }
    }

    /// q.
    pub fn values(&mut self) -> &mut Q {
        &mut self.values
    }

    /// q, to be looked at.
    pub fn learnt(&self) -> &Q {
        &self.values
    }

    /// q(s, .) of the state that was looked at last.
    pub(super) fn last_values(&self) -> &[f64] {
        &self.q
    }

    /// How it learns.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Chooses an action as the agent does while it learns. After [`learn`](Self::learn), the observation is the one that
    /// followed, unless the episode was over.
    pub fn act(&mut self, observation: &[f32], action: &mut [f32]) {
        let chosen = self.next_action.take().unwrap_or_else(|| {
            self.values.values(observation, &mut self.q);
            self.settings.behaviour.draw(&self.q, &mut self.random)
        });
        action[0] = chosen as f32;
    }

    /// Chooses the action that the agent thinks best, the first one of several, and changes nothing that learning depends on.
    pub fn act_greedily(&mut self, observation: &[f32], action: &mut [f32]) {
        self.values.values(observation, &mut self.q);
        action[0] = greedy_action(&self.q) as f32;
    }

    /// Learns from one step. Steps come in their order, episode after episode; where an episode ends, `next` is its last
    /// observation and not the first of another. Nothing is learnt from a [`Transition::Ghost`].
    pub fn learn(&mut self, observation: &[f32], action: &[f32], reward: f64, next: &[f32], transition: Transition) {
        if transition == Transition::Ghost {
            return;
        }
        self.next_action = None;
        let ends = transition.ends();
        // The value of a state in which the task is over is zero; one in which it was only cut off keeps its own.
        let tail = if transition == Transition::Terminated {
            0.0
        } else {
            self.tail(next, ends)
        };
        self.window.push(reward, |(seen, taken)| {
            seen.clear();
            seen.extend_from_slice(observation);
            *taken = action[0] as usize;
        });
        let Settings {
            discount, step_size, ..
        } = self.settings;
        let values = &mut self.values;
        self.window.settle(tail, discount, ends, |(seen, taken), target| {
            values.step_towards(seen, *taken, target, step_size);
        });
    }

    /// What the state is worth in the target of the steps before it.
    fn tail(&mut self, observation: &[f32], ends: bool) -> f64 {
        self.values.values(observation, &mut self.q);
        match self.settings.target {
            Target::Sarsa => {
                let action = self.settings.behaviour.draw(&self.q, &mut self.random);
                // Where the episode is cut off, a' is drawn and never taken.
                self.next_action = (!ends).then_some(action);
                self.q[action]
            }
            Target::ExpectedSarsa => self.settings.behaviour.expectation(&self.q),
            Target::QLearning => greatest(&self.q),
        }
    }
}
