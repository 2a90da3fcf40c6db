//! Building a stored model, transition by transition, with every rule of an MDP checked.

use crate::error::MdpError;
use crate::mdp::Mdp;
use crate::model::TERMINAL;

mod rows;
mod transitions;

use rows::Rows;
use transitions::{Run, Transitions};

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
    transitions: Transitions,
    draws: Vec<Draw>,
    terminal: Vec<u32>,
    first_error: Option<MdpError>,
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
        let mut builder = Self::of_unknown_size();
        builder.set_states(states);
        builder
    }

    /// For readers, which know the number of states only at the end of their file: [`Self::set_states`] tells.
    pub(crate) fn of_unknown_size() -> Self {
        Self {
            states: TERMINAL as usize,
            transitions: Transitions::default(),
            draws: Vec::new(),
            terminal: Vec::new(),
            first_error: None,
        }
    }

    /// Sets the number of states and checks that the successors so far are among them.
    pub(crate) fn set_states(&mut self, states: usize) {
        self.states = states;
        self.check(if states == 0 {
            Err(MdpError::Empty)
        } else if states >= TERMINAL as usize {
            let what = "states";
            Err(MdpError::TooLarge { what, count: states })
        } else {
            let Transitions { runs, next, .. } = &self.transitions;
            let outside = |next: u32| next != TERMINAL && next as usize >= states;
            let first_outside =
                |run: &Run| Some((*run, run.places().map(|place| next[place]).find(|&next| outside(next))?));
            runs.iter().find_map(first_outside).map_or(Ok(()), |(run, next)| {
                Err(MdpError::NextState {
                    state: run.state as usize,
                    action: run.action,
                    next: next as usize,
                    states,
                })
            })
        });
    }

    /// From `state`, `action` leads to `next` with `probability` and earns `reward`, that is r(s, a, s'). Give the
    /// same reward to all successors for r(s, a). The same successor may come again, with another reward.
    pub fn transition(&mut self, state: usize, action: u32, next: Next, probability: f64, reward: f64) -> &mut Self {
        let (successor, next) = match next {
            Next::State(next) => (next, next as u32),
            Next::End => (state, TERMINAL),
        };
        let checked = self
            .check_states(state, action, successor)
            .and_then(|()| check_probability(state, action, successor, probability))
            .and_then(|()| check_reward(state, action, reward));
        if self.check(checked) {
            self.transitions.push(state as u32, action, next, probability, reward);
        }
        self
    }

    /// Adds to what `action` earns in `state` a random reward drawn from p(r | s, a), whatever the successor.
    /// `outcomes` are pairs of reward and probability.
    pub fn reward_distribution(&mut self, state: usize, action: u32, outcomes: &[(f64, f64)]) -> &mut Self {
        for &(reward, probability) in outcomes {
            let checked = self
                .check_states(state, action, state)
                .and_then(|()| check_probability(state, action, state, probability))
                .and_then(|()| check_reward(state, action, reward));
            if self.check(checked) {
                self.draws.push(Draw {
                    state: state as u32,
                    action,
                    reward,
                    probability,
                });
            }
        }
        self
    }

    /// Declares a state terminal: it has no actions and its value is zero.
    pub fn terminal(&mut self, state: usize) -> &mut Self {
        let checked = self.check_states(state, 0, state);
        if self.check(checked) {
            self.terminal.push(state as u32);
        }
        self
    }

    /// Checks everything and stores the model. A state all of whose actions lead back to itself for certain, without
    /// reward, is terminal in all but name: its transitions become transitions to the end.
    ///
    /// # Errors
    /// Names the first state and action that break a rule: a probability that is negative or not finite, a sum other
    /// than one, a successor out of range, a reward that is not finite, a state without actions.
    pub fn build(mut self) -> Result<Mdp, MdpError> {
        for (what, count) in [
            ("transitions", self.transitions.len()),
            ("random rewards", self.draws.len()),
        ] {
            if count >= TERMINAL as usize {
                self.check(Err(MdpError::TooLarge { what, count }));
            }
        }
        if let Some(error) = self.first_error {
            return Err(error);
        }
        self.transitions.sort();
        self.draws.sort_by_key(|draw| (draw.state, draw.action));
        self.terminal.sort_unstable();

        let runs = std::mem::take(&mut self.transitions.runs);
        let mut rows = Rows::new(&runs, self.transitions, &self.draws);
        let mut runs = &runs[..];
        for state in 0..self.states as u32 {
            let of_state;
            (of_state, runs) = runs.split_at(runs.iter().take_while(|run| run.state == state).count());
            let terminal = self.terminal.binary_search(&state).is_ok();
            match (of_state.first(), terminal) {
                (None, false) => return Err(MdpError::NoActions { state: state as usize }),
                (Some(run), true) => {
                    return Err(MdpError::TerminalWithActions {
                        state: state as usize,
                        action: run.action,
                    });
                }
                _ => rows.push_state(state, of_state)?,
            }
        }
        rows.finish()
    }

    /// Takes the first error so far, for readers that stop at it.
    pub(crate) fn take_error(&mut self) -> Result<(), MdpError> {
        self.first_error.take().map_or(Ok(()), Err)
    }

    /// Keeps the first error for [`build`](Self::build), so that calls chain. Tells whether there is none.
    fn check(&mut self, rule: Result<(), MdpError>) -> bool {
        if let (None, Err(error)) = (&self.first_error, rule) {
            self.first_error = Some(error);
        }
        self.first_error.is_none()
    }

    fn check_states(&self, state: usize, action: u32, next: usize) -> Result<(), MdpError> {
        let states = self.states;
        if state >= states {
            Err(MdpError::State { state, states })
        } else if next >= states {
            Err(MdpError::NextState {
                state,
                action,
                next,
                states,
            })
        } else {
            Ok(())
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
    let sum = probabilities.iter().fold(0.0, |sum, probability| sum + probability);
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(MdpError::ProbabilitySum { state, action, sum });
    }
    if (sum - 1.0).abs() > 4.0 * f64::EPSILON {
        for probability in probabilities {
            *probability /= sum;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    /// One state that action 0 leaves for ever and the calls of `more` upset.
    fn error_of(states: usize, more: impl FnOnce(&mut MdpBuilder)) -> String {
        let mut builder = MdpBuilder::new(states);
        builder.transition(0, 0, Next::End, 1.0, 0.0);
        more(&mut builder);
        builder.build().unwrap_err().to_string()
    }

    #[test]
    fn order_does_not_matter() {
        let transitions = [
            (0, 3, Next::State(1), 0.5, 2.0),
            (0, 3, Next::End, 0.5, 2.0),
            (0, 1, Next::State(0), 1.0, -1.0),
            (1, 0, Next::State(0), 0.25, 1.0),
            (1, 0, Next::State(0), 0.75, 5.0),
        ];
        let build = |order: &mut dyn Iterator<Item = usize>| {
            let mut builder = MdpBuilder::new(3);
            builder.terminal(2);
            for (state, action, next, probability, reward) in order.map(|place| transitions[place]) {
                builder.transition(state, action, next, probability, reward);
            }
            builder.build().unwrap()
        };
        let mdp = build(&mut (0..5));
        assert_eq!(mdp, build(&mut [2, 3, 4, 0, 1].into_iter()));
        assert_eq!(mdp.next, [0, 1, TERMINAL, 0, 0]);
        assert_eq!(mdp.labels, Some(vec![1, 3, 0]));
        assert_eq!(mdp.reward, [-1.0, 2.0, 4.0]);
        assert_eq!(mdp.actions(2), 0);
    }

    #[test]
    fn impossible_transitions_are_dropped() {
        let mut builder = MdpBuilder::new(2);
        builder.transition(0, 0, Next::State(0), 1.0, 0.0);
        builder.transition(0, 0, Next::State(1), 0.0, 9.0);
        builder.transition(1, 0, Next::State(0), 0.5, 1.0);
        builder.transition(1, 0, Next::State(0), 0.5, 1.0);
        let mdp = builder.build().unwrap();
        assert_eq!((mdp.next, mdp.probability), (vec![TERMINAL, 0], vec![1.0, 1.0]));
        assert_eq!((mdp.reward, mdp.samples), (vec![0.0, 1.0], None));
    }

    #[test]
    fn sums_near_one_become_one() {
        let third = 0.333_333_333;
        let mut builder = MdpBuilder::new(3);
        for state in 0..3 {
            for next in 0..3 {
                builder.transition(state, 0, Next::State(next), third, 1.0);
            }
        }
        let mdp = builder.build().unwrap();
        assert!((mdp.probability[..3].iter().sum::<f64>() - 1.0).abs() < 4.0 * f64::EPSILON);
    }

    #[test]
    fn random_rewards_enter_by_their_mean() {
        let mut builder = MdpBuilder::new(1);
        builder.transition(0, 0, Next::State(0), 1.0, 1.0);
        builder.reward_distribution(0, 0, &[(10.0, 0.5), (-4.0, 0.5)]);
        let mdp = builder.build().unwrap();
        assert_eq!((mdp.reward[0], mdp.next[0]), (4.0, 0));
        assert_eq!(mdp.samples.map(|samples| samples.reward), Some(vec![10.0, -4.0]));
    }

    #[test]
    fn broken_rules_are_named() {
        let state_1 = |b: &mut MdpBuilder, probability, reward| {
            b.transition(1, 7, Next::State(0), probability, reward);
        };
        for (error, complaint) in [
            (error_of(0, |_| {}), "the model has no states"),
            (error_of(usize::MAX, |_| {}), "18446744073709551615 states are too many"),
            (error_of(2, |_| {}), "state 1 has no actions"),
            (error_of(4_000_000_000, |_| {}), "state 1 has no actions"), // at once, whatever the claim
            (
                error_of(1, |b| state_1(b, 1.0, 0.0)),
                "state 1 is out of range; the model has states 0 to 0",
            ),
            (
                error_of(2, |b| state_1(b, -0.1, 0.0)),
                "state 1, action 7: the probability of reaching state 0 is -0.1",
            ),
            (
                error_of(2, |b| state_1(b, 0.9, 0.0)),
                "state 1, action 7: the probabilities sum to 0.9; expected 1",
            ),
            (
                error_of(2, |b| state_1(b, 0.0, 0.0)),
                "state 1, action 7: the probabilities sum to 0; expected 1",
            ),
            (
                error_of(2, |b| state_1(b, 1.0, f64::NAN)),
                "state 1, action 7: the reward is NaN; expected a finite",
            ),
            (
                error_of(1, |b| _ = b.transition(0, 0, Next::State(5), 1.0, 0.0)),
                "the next state 5 is out of range",
            ),
            (
                error_of(1, |b| _ = b.terminal(0)),
                "state 0 is terminal and has action 0",
            ),
            (error_of(1, |b| _ = b.terminal(9)), "state 9 is out of range"),
            (
                error_of(1, |b| _ = b.reward_distribution(0, 4, &[(1.0, 1.0)])),
                "state 0 has no action 4",
            ),
            (
                error_of(1, |b| _ = b.reward_distribution(0, 0, &[(1.0, 0.5)])),
                "the probabilities sum to 0.5",
            ),
            (
                error_of(1, |b| {
                    b.transition(0, 1, Next::End, 1.0, f64::MAX);
                    b.reward_distribution(0, 1, &[(f64::MAX, 1.0)]);
                }),
                "state 0, action 1: the reward is inf",
            ),
        ] {
            assert!(error.contains(complaint), "`{complaint}` is not in: {error}");
        }
    }
}
