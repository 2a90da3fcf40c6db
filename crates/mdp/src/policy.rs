//! Policies: which action to take in which state, for certain or by chance.

mod file;

use crate::error::MdpError;
use crate::model::Model;

/// How far from one the probabilities of a state may sum. Within it they are scaled to sum to one, as those of a model.
const SUM_TOLERANCE: f64 = 1e-8;

/// Stands in [`Choice::Deterministic`] for the action of a terminal state, which has none.
const NO_ACTION: u32 = u32::MAX;

/// A stationary policy pi(a|s) over the action *indices* of a model.
///
/// It takes 4 bytes a state where it is uniform or deterministic, and 12 bytes a positive probability otherwise.
///
/// ```
/// use etude_mdp::{MdpBuilder, Next, Policy};
///
/// let mut builder = MdpBuilder::new(1);
/// builder.transition(0, 0, Next::State(0), 1.0, 0.0);
/// builder.transition(0, 1, Next::End, 1.0, 1.0);
/// let policy = Policy::stochastic(&builder.build()?, &[vec![0.25, 0.75]])?;
/// let mut seen = Vec::new();
/// policy.for_each(0, |action, probability| seen.push((action, probability)));
/// assert_eq!(seen, [(0, 0.25), (1, 0.75)]);
/// # Ok::<(), etude_mdp::MdpError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Policy(Choice);

#[derive(Debug, Clone, PartialEq)]
enum Choice {
    /// The number of actions of each state, all of them equally likely.
    Uniform(Vec<u32>),
    /// The action of each state, [`NO_ACTION`] where it is terminal.
    Deterministic(Vec<u32>),
    Stochastic(Rows),
}

/// Actions of positive probability, in compressed rows by state.
#[derive(Debug, Clone, PartialEq)]
struct Rows {
    /// Entries of state s: `starts[s]..starts[s + 1]`. Length |S| + 1.
    starts: Vec<usize>,
    actions: Vec<u32>,
    probabilities: Vec<f64>,
}

impl Policy {
    /// Takes every action of a state with the same probability.
    pub fn uniform(model: &impl Model) -> Self {
        let counts = (0..model.states()).map(|state| model.actions(state) as u32);
        Self(Choice::Uniform(counts.collect()))
    }

    /// Takes action `actions[s]` in state s; what stands for a terminal state is ignored.
    ///
    /// # Errors
    /// [`MdpError::Policy`] where the length is not |S| or a state has no such action.
    pub fn deterministic(model: &impl Model, mut actions: Vec<u32>) -> Result<Self, MdpError> {
        check_length(model, actions.len())?;
        for (state, action) in actions.iter_mut().enumerate() {
            match model.actions(state) {
                0 => *action = NO_ACTION,
                count if *action as usize >= count => {
                    let detail = format!("state {state}: action index {action}; expected one below {count}");
                    return Err(MdpError::Policy(detail));
                }
                _ => {}
            }
        }
        Ok(Self(Choice::Deterministic(actions)))
    }

    /// Takes action a in state s with probability `probabilities[s][a]`; what stands for a terminal state is ignored.
    /// Probabilities that sum to one within 1e-8 are scaled to do so exactly.
    ///
    /// # Errors
    /// [`MdpError::Policy`] where the length is not |S|, or those of a state are not one probability an action.
    pub fn stochastic(model: &impl Model, probabilities: &[Vec<f64>]) -> Result<Self, MdpError> {
        check_length(model, probabilities.len())?;
        let mut rows = Rows::default();
        for (state, probabilities) in probabilities.iter().enumerate() {
            rows.push_by_action(model.actions(state), probabilities)
                .map_err(|detail| MdpError::Policy(format!("state {state}: {detail}")))?;
        }
        Ok(rows.into_policy())
    }

    /// Calls `visit(a, pi(a|s))` for every action index of positive probability; never for a terminal state.
    ///
    /// # Panics
    /// Where `state` is not a state of the policy's model.
    #[inline]
    pub fn for_each(&self, state: usize, mut visit: impl FnMut(usize, f64)) {
        match &self.0 {
            Choice::Uniform(counts) => {
                let count = counts[state] as usize;
                (0..count).for_each(|action| visit(action, 1.0 / count as f64));
            }
            Choice::Deterministic(actions) => {
                if actions[state] != NO_ACTION {
                    visit(actions[state] as usize, 1.0);
                }
            }
            Choice::Stochastic(rows) => {
                for entry in rows.starts[state]..rows.starts[state + 1] {
                    visit(rows.actions[entry] as usize, rows.probabilities[entry]);
                }
            }
        }
    }

    /// Number of states, |S|.
    pub fn states(&self) -> usize {
        match &self.0 {
            Choice::Uniform(counts) => counts.len(),
            Choice::Deterministic(actions) => actions.len(),
            Choice::Stochastic(rows) => rows.starts.len() - 1,
        }
    }

    /// Whether this policy is one of `model`: it has an action in every state that is not terminal, and no other.
    pub(crate) fn check_fits(&self, model: &impl Model) -> Result<(), MdpError> {
        check_length(model, self.states())?;
        for state in 0..model.states() {
            let count = model.actions(state);
            let (mut entries, mut last) = (0, 0);
            self.for_each(state, |action, _| (entries, last) = (entries + 1, action));
            if (entries == 0) != (count == 0) || last >= count.max(1) {
                let detail = format!("state {state}: the model has {count} actions; the policy is for another model");
                return Err(MdpError::Policy(detail));
            }
        }
        Ok(())
    }
}

fn check_length(model: &impl Model, found: usize) -> Result<(), MdpError> {
    let expected = model.states();
    if found == expected {
        Ok(())
    } else {
        let detail = format!("it has {found} states; expected {expected}");
        Err(MdpError::Policy(detail))
    }
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            starts: vec![0],
            actions: Vec::new(),
            probabilities: Vec::new(),
        }
    }
}

impl Rows {
    /// Appends a state with `count` actions from one probability an action.
    fn push_by_action(&mut self, count: usize, probabilities: &[f64]) -> Result<(), String> {
        if count == 0 {
            self.push_terminal();
            return Ok(());
        }
        if probabilities.len() != count {
            let found = probabilities.len();
            return Err(format!("{found} probabilities; expected {count}, one an action"));
        }
        self.push((0..count as u32).zip(probabilities.iter().copied()))
    }

    fn push_terminal(&mut self) {
        self.starts.push(self.actions.len());
    }

    /// Appends a state from its actions, in ascending order, and their probabilities.
    fn push(&mut self, entries: impl IntoIterator<Item = (u32, f64)>) -> Result<(), String> {
        let begin = self.actions.len();
        for (action, probability) in entries {
            if !(0.0..=1.0 + SUM_TOLERANCE).contains(&probability) {
                return Err(format!(
                    "the probability of action index {action} is {probability}; expected a number in [0, 1]"
                ));
            }
            if probability != 0.0 {
                self.actions.push(action);
                self.probabilities.push(probability);
            }
        }
        let sum = self.probabilities[begin..].iter().fold(0.0, |sum, p| sum + p);
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(format!("the probabilities sum to {sum}; expected 1 (within 1e-8)"));
        }
        self.probabilities[begin..].iter_mut().for_each(|p| *p /= sum);
        self.starts.push(self.actions.len());
        Ok(())
    }

    /// A policy that is certain in every state is stored as such.
    fn into_policy(self) -> Policy {
        let certain = |bounds: &[usize]| bounds[1] - bounds[0] <= 1;
        if !self.starts.windows(2).all(certain) {
            return Policy(Choice::Stochastic(self));
        }
        let action = |bounds: &[usize]| {
            if bounds[0] == bounds[1] {
                NO_ACTION
            } else {
                self.actions[bounds[0]]
            }
        };
        Policy(Choice::Deterministic(self.starts.windows(2).map(action).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mdp, MdpBuilder, Next};

    /// Two actions in state 0, three in state 1, state 2 terminal.
    pub(super) fn model() -> Mdp {
        let mut builder = MdpBuilder::new(3);
        for (state, label) in [(0, 0), (0, 1), (1, 10), (1, 20), (1, 30)] {
            builder.transition(state, label, Next::State(2), 1.0, 1.0);
        }
        builder.terminal(2);
        builder.build().unwrap()
    }

    pub(super) fn entries(policy: &Policy) -> Vec<Vec<(usize, f64)>> {
        (0..policy.states())
            .map(|state| {
                let mut entries = Vec::new();
                policy.for_each(state, |action, probability| entries.push((action, probability)));
                entries
            })
            .collect()
    }

    #[test]
    fn each_kind_visits_its_actions() {
        let model = model();
        let uniform = Policy::uniform(&model);
        assert_eq!(
            entries(&uniform),
            [
                vec![(0, 0.5), (1, 0.5)],
                vec![(0, 1. / 3.), (1, 1. / 3.), (2, 1. / 3.)],
                vec![]
            ]
        );
        let deterministic = Policy::deterministic(&model, vec![1, 2, 77]).unwrap();
        assert_eq!(entries(&deterministic), [vec![(1, 1.0)], vec![(2, 1.0)], vec![]]);
        let stochastic = Policy::stochastic(&model, &[vec![0.25, 0.75], vec![0.0, 1.0, 0.0], vec![]]).unwrap();
        assert_eq!(
            entries(&stochastic),
            [vec![(0, 0.25), (1, 0.75)], vec![(1, 1.0)], vec![]]
        );
        for policy in [uniform, deterministic, stochastic] {
            policy.check_fits(&model).unwrap();
        }
    }

    #[test]
    fn probabilities_that_are_certain_make_a_deterministic_policy() {
        let model = model();
        let rows = [vec![0.0, 1.0], vec![0.0, 0.0, 1.0], vec![]];
        assert_eq!(
            Policy::stochastic(&model, &rows).unwrap(),
            Policy::deterministic(&model, vec![1, 2, 0]).unwrap()
        );
    }

    #[test]
    fn probabilities_are_scaled_to_sum_to_one() {
        let policy = Policy::stochastic(&model(), &[vec![0.5, 0.5 + 1e-9], vec![1.0, 0.0, 0.0], vec![]]).unwrap();
        let sum: f64 = entries(&policy)[0].iter().map(|(_, p)| p).sum();
        assert!((sum - 1.0).abs() <= f64::EPSILON);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let model = model();
        let stochastic = |first: Vec<f64>| Policy::stochastic(&model, &[first, vec![1.0, 0.0, 0.0], vec![]]);
        for (error, expected) in [
            (
                Policy::deterministic(&model, vec![0, 3, 0]),
                "state 1: action index 3; expected one below 3",
            ),
            (Policy::deterministic(&model, vec![0]), "it has 1 states; expected 3"),
            (
                stochastic(vec![1.0]),
                "state 0: 1 probabilities; expected 2, one an action",
            ),
            (
                stochastic(vec![1.5, -0.5]),
                "state 0: the probability of action index 0 is 1.5",
            ),
            (stochastic(vec![0.5, f64::NAN]), "action index 1 is NaN"),
            (
                stochastic(vec![0.5, 0.4]),
                "state 0: the probabilities sum to 0.9; expected 1",
            ),
            (
                stochastic(vec![0.0, 0.0]),
                "state 0: the probabilities sum to 0; expected 1",
            ),
        ] {
            let message = error.unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_policy_of_another_model_does_not_fit() {
        let model = model();
        let mut builder = MdpBuilder::new(3);
        for state in 0..3 {
            builder.transition(state, 0, Next::End, 1.0, 1.0);
        }
        let other = builder.build().unwrap();
        assert!(Policy::uniform(&model).check_fits(&other).is_err());
        assert!(Policy::uniform(&other).check_fits(&model).is_err());
    }
}
