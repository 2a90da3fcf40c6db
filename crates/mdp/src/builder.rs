//! Building a stored model, transition by transition, with every rule of an MDP checked.

use crate::error::MdpError;
use crate::mdp::Mdp;
use crate::model::TERMINAL;
use crate::rewards::RewardSamples;

/// How far from one the probabilities of a state and action may sum. Within it they are scaled to sum to one: decimal
/// rounding in a file is no modelling error, and the guaranteed bounds need the exact sum.
const SUM_TOLERANCE: f64 = 1e-8;

/// Where a transition leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To this state.
    State(usize),
    /// To the end of the episode, whose value is zero.
    End,
}

/// Collects transitions and rewards in any order; [`MdpBuilder::build`] sorts, checks and stores them.
///
/// ```
/// use etude_mdp::{MdpBuilder, Next};
///
/// let mut builder = MdpBuilder::new(2);
/// builder.transition(0, 0, Next::State(1), 1.0, 0.5); // from state 0, action 0 earns 0.5 and leads to state 1
/// builder.transition(1, 0, Next::State(1), 0.9, 1.0);
/// builder.transition(1, 0, Next::End, 0.1, 0.0);
/// let mdp = builder.build()?;
/// assert_eq!(mdp.transitions(), 3);
/// # Ok::<(), etude_mdp::MdpError>(())
/// ```
#[derive(Debug)]
pub struct MdpBuilder {
    states: usize,
    transitions: Vec<Transition>,
    draws: Vec<Draw>,
    terminal: Vec<u32>,
    first_error: Option<MdpError>,
}

#[derive(Debug, Clone, Copy)]
struct Transition {
    state: u32,
    action: u32,
    next: u32,
    probability: f64,
    reward: f64,
}

#[derive(Debug, Clone, Copy)]
struct Draw {
    state: u32,
    action: u32,
    reward: f64,
    probability: f64,
}

impl MdpBuilder {
    /// A model of states `0..states`, without transitions yet.
    pub fn new(states: usize) -> Self {
        let first_error = match states {
            0 => Some(MdpError::Empty),
            1.. if states >= TERMINAL as usize => Some(MdpError::TooLarge {
                what: "states",
                count: states,
            }),
            _ => None,
        };
        Self {
            states,
            transitions: Vec::new(),
            draws: Vec::new(),
            terminal: Vec::new(),
            first_error,
        }
    }

    /// From `state`, `action` leads to `next` with `probability` and earns `reward`, that is r(s, a, s'). Give the
    /// same reward to all successors for r(s, a). The same successor may come again, with another reward.
    pub fn transition(&mut self, state: usize, action: u32, next: Next, probability: f64, reward: f64) -> &mut Self {
        let successor = if let Next::State(next) = next { next } else { state };
        self.check(|builder| {
            builder.check_state(state, action, successor)?;
            check_probability(state, action, successor, probability)?;
            check_reward(state, action, reward)
        });
        let next = if let Next::State(next) = next {
            next as u32
        } else {
            TERMINAL
        };
        if probability != 0.0 {
            self.transitions.push(Transition {
                state: state as u32,
                action,
                next,
                probability,
                reward,
            });
        }
        self
    }

    /// Adds to what `action` earns in `state` a random reward drawn from p(r | s, a), whatever the successor.
    /// `outcomes` are pairs of reward and probability.
    pub fn reward_distribution(&mut self, state: usize, action: u32, outcomes: &[(f64, f64)]) -> &mut Self {
        for &(reward, probability) in outcomes {
            self.check(|builder| {
                builder.check_state(state, action, state)?;
                check_probability(state, action, state, probability)?;
                check_reward(state, action, reward)
            });
            self.draws.push(Draw {
                state: state as u32,
                action,
                reward,
                probability,
            });
        }
        self
    }

    /// Declares a state terminal: it has no actions and its value is zero.
    pub fn terminal(&mut self, state: usize) -> &mut Self {
        self.check(|builder| builder.check_state(state, 0, state));
        self.terminal.push(state as u32);
        self
    }

    /// Checks everything and stores the model. A state all of whose actions lead back to itself for certain, without
    /// reward, is terminal in all but name: its transitions become transitions to the end.
    ///
    /// # Errors
    /// Names the first state and action that break a rule: a probability that is negative or not finite, a sum other
    /// than one, a successor out of range, a reward that is not finite, a state without actions.
    pub fn build(mut self) -> Result<Mdp, MdpError> {
        if let Some(error) = self.first_error {
            return Err(error);
        }
        if self.transitions.len() >= TERMINAL as usize {
            return Err(MdpError::TooLarge {
                what: "transitions",
                count: self.transitions.len(),
            });
        }
        self.transitions.sort_by_key(|t| (t.state, t.action, t.next));
        self.draws.sort_by_key(|draw| (draw.state, draw.action));
        self.terminal.sort_unstable();

        let mut rows = Rows::new(&self.draws);
        let mut transitions = &self.transitions[..];
        for state in 0..self.states as u32 {
            let of_state;
            (of_state, transitions) = transitions.split_at(transitions.iter().take_while(|t| t.state == state).count());
            let terminal = self.terminal.binary_search(&state).is_ok();
            match (of_state.first(), terminal) {
                (None, false) => return Err(MdpError::NoActions { state: state as usize }),
                (Some(t), true) => {
                    return Err(MdpError::TerminalWithActions {
                        state: state as usize,
                        action: t.action,
                    });
                }
                _ => {}
            }
            let stays_for_nothing = |t: &Transition| t.next == state && t.reward == 0.0;
            let absorbing = of_state.iter().all(stays_for_nothing) && !rows.has_draws(state);
            for row in of_state.chunk_by(|a, b| a.action == b.action) {
                rows.push(row, absorbing)?;
            }
            rows.end_state();
        }
        rows.finish()
    }

    /// Keeps the first error for [`build`](Self::build), so that calls chain.
    fn check(&mut self, rule: impl FnOnce(&Self) -> Result<(), MdpError>) {
        if self.first_error.is_none() {
            self.first_error = rule(self).err();
        }
    }

    fn check_state(&self, state: usize, action: u32, next: usize) -> Result<(), MdpError> {
        let states = self.states;
        if state < states && next < states {
            Ok(())
        } else {
            Err(MdpError::NextState {
                state,
                action,
                next: state.max(next),
                states,
            })
        }
    }
}

/// A probability is a number in [0, 1]; one a little above is left to the check of the sum.
pub(crate) fn check_probability(state: usize, action: u32, next: usize, probability: f64) -> Result<(), MdpError> {
    if (0.0..=1.0 + SUM_TOLERANCE).contains(&probability) {
        Ok(())
    } else {
        Err(MdpError::Probability {
            state,
            action,
            next,
            probability,
        })
    }
}

/// A reward is finite.
pub(crate) fn check_reward(state: usize, action: u32, reward: f64) -> Result<(), MdpError> {
    if reward.is_finite() {
        Ok(())
    } else {
        Err(MdpError::Reward { state, action, reward })
    }
}

/// Scales probabilities that sum to one within the tolerance so that they do so to the last bit or two.
pub(crate) fn normalise(state: usize, action: u32, probabilities: &mut [f64]) -> Result<(), MdpError> {
    let sum: f64 = probabilities.iter().sum();
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(MdpError::ProbabilitySum { state, action, sum });
    }
    if (sum - 1.0).abs() > 4.0 * f64::EPSILON {
        probabilities.iter_mut().for_each(|probability| *probability /= sum);
    }
    Ok(())
}

/// The arrays of an [`Mdp`] under construction.
struct Rows<'a> {
    mdp: Mdp,
    labels: Vec<u32>,
    samples: RewardSamples,
    draws: &'a [Draw],
    /// Whether labels are 0, 1, 2, ... in every state so far.
    labels_are_indices: bool,
    /// Whether r(s, a) has been the whole reward so far.
    rewards_are_certain: bool,
}

impl<'a> Rows<'a> {
    fn new(draws: &'a [Draw]) -> Self {
        let mdp = Mdp {
            state_rows: vec![0],
            row_starts: vec![0],
            ..Mdp::default()
        };
        let samples = RewardSamples {
            starts: vec![0],
            ..RewardSamples::default()
        };
        let rewards_are_certain = draws.is_empty();
        Self {
            mdp,
            labels: Vec::new(),
            samples,
            draws,
            labels_are_indices: true,
            rewards_are_certain,
        }
    }

    fn has_draws(&self, state: u32) -> bool {
        self.draws.first().is_some_and(|draw| draw.state == state)
    }

    fn push(&mut self, row: &[Transition], absorbing: bool) -> Result<(), MdpError> {
        let Transition {
            state,
            action,
            reward: first_reward,
            ..
        } = row[0];
        let begin = self.mdp.next.len();
        for same in row.chunk_by(|a, b| a.next == b.next && a.reward == b.reward) {
            self.mdp.next.push(if absorbing { TERMINAL } else { same[0].next });
            self.mdp.probability.push(same.iter().map(|t| t.probability).sum());
            self.samples.of_transition.push(same[0].reward);
        }
        normalise(state as usize, action, &mut self.mdp.probability[begin..])?;
        let one_reward = row.iter().all(|t| t.reward == first_reward);
        self.rewards_are_certain &= one_reward;
        let mean = if one_reward {
            first_reward
        } else {
            let rewards = &self.samples.of_transition[begin..];
            self.mdp.probability[begin..]
                .iter()
                .zip(rewards)
                .map(|(p, r)| p * r)
                .sum()
        };
        let mean_draw = self.push_draws(state, action)?;
        self.labels_are_indices &=
            action as usize == self.mdp.reward.len() - *self.mdp.state_rows.last().unwrap_or(&0) as usize;
        self.labels.push(action);
        self.mdp.reward.push(mean + mean_draw);
        self.mdp.row_starts.push(self.mdp.next.len() as u32);
        Ok(())
    }

    /// Stores p(r | s, a) of a row and returns its mean.
    fn push_draws(&mut self, state: u32, action: u32) -> Result<f64, MdpError> {
        let begin = self.samples.reward.len();
        let of_row;
        let count = self
            .draws
            .iter()
            .take_while(|draw| (draw.state, draw.action) == (state, action))
            .count();
        (of_row, self.draws) = self.draws.split_at(count);
        self.samples.reward.extend(of_row.iter().map(|draw| draw.reward));
        self.samples
            .probability
            .extend(of_row.iter().map(|draw| draw.probability));
        self.samples.starts.push(self.samples.reward.len() as u32);
        let probability = &mut self.samples.probability[begin..];
        if !of_row.is_empty() {
            normalise(state as usize, action, probability)?;
        }
        Ok(probability
            .iter()
            .zip(&self.samples.reward[begin..])
            .map(|(p, r)| p * r)
            .sum())
    }

    fn end_state(&mut self) {
        self.mdp.state_rows.push(self.mdp.reward.len() as u32);
    }

    fn finish(self) -> Result<Mdp, MdpError> {
        if let Some(draw) = self.draws.first() {
            return Err(MdpError::UnknownAction {
                state: draw.state as usize,
                action: draw.action,
            });
        }
        Ok(Mdp {
            labels: (!self.labels_are_indices).then_some(self.labels),
            samples: (!self.rewards_are_certain).then_some(self.samples),
            ..self.mdp
        })
    }
}
