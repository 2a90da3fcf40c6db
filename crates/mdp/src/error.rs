//! Everything that can be wrong with a model, a policy or a request.

use std::path::PathBuf;

use thiserror::Error;

/// What a function of this crate reports instead of an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MdpError {
    /// A file could not be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file was read and does not hold what its format asks for.
    #[error("{}: {detail}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Place, value found and value expected.
        detail: String,
    },
    /// A file holds a model that is not a Markov decision process.
    #[error("{}: not a Markov decision process", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// Which rule the model breaks, and where.
        source: Box<MdpError>,
    },
    /// The model has no states at all.
    #[error("the model has no states; expected at least one")]
    Empty,
    /// More states, actions or transitions than 32-bit indices can number.
    #[error("{count} {what} are too many: indices are 32 bits wide, so at most {}", u32::MAX - 1)]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
    /// A probability is negative or not finite.
    #[error(
        "state {state}, action {action}: the probability of reaching state {next} is {probability}; expected a number in [0, 1]"
    )]
    Probability {
        /// The state.
        state: usize,
        /// The action, by the label it has in the model.
        action: u32,
        /// The successor.
        next: usize,
        /// The value found.
        probability: f64,
    },
    /// The probabilities of a state and action do not sum to one.
    #[error("state {state}, action {action}: the probabilities sum to {sum}; expected 1 (within 1e-8)")]
    ProbabilitySum {
        /// The state.
        state: usize,
        /// The action, by the label it has in the model.
        action: u32,
        /// The sum found.
        sum: f64,
    },
    /// A state is not one of the model's.
    #[error("state {state} is out of range; the model has states 0 to {}", states - 1)]
    State {
        /// The state found.
        state: usize,
        /// The number of states.
        states: usize,
    },
    /// A successor is not a state of the model.
    #[error("state {state}, action {action}: the next state {next} is out of range; the model has states 0 to {}", states - 1)]
    NextState {
        /// The state.
        state: usize,
        /// The action, by the label it has in the model.
        action: u32,
        /// The successor found.
        next: usize,
        /// The number of states.
        states: usize,
    },
    /// A reward is infinite or not a number.
    #[error("state {state}, action {action}: the reward is {reward}; expected a finite number")]
    Reward {
        /// The state.
        state: usize,
        /// The action, by the label it has in the model.
        action: u32,
        /// The value found.
        reward: f64,
    },
    /// A state that is not terminal has no actions.
    #[error(
        "state {state} has no actions; give it at least one, which for a terminal state may lead to itself with reward 0"
    )]
    NoActions {
        /// The state.
        state: usize,
    },
    /// A terminal state has an action.
    #[error("state {state} is terminal and has action {action}; a terminal state has none")]
    TerminalWithActions {
        /// The state.
        state: usize,
        /// Its first action.
        action: u32,
    },
    /// An action that the state does not have.
    #[error("state {state} has no action {action}")]
    UnknownAction {
        /// The state.
        state: usize,
        /// The label asked for.
        action: u32,
    },
    /// The discount is not in [0, 1].
    #[error("the discount is {0}; expected a number in [0, 1], and 1 only where every policy reaches a terminal state")]
    Discount(f64),
    /// With discount 1 some policy never ends, so that values are not defined.
    #[error(
        "with discount 1 every policy must reach a terminal state, but from state {state} action {action} can avoid it for ever; use a discount below 1"
    )]
    Improper {
        /// A state from which termination can be avoided.
        state: usize,
        /// An action that avoids it.
        action: u32,
    },
    /// With discount 1 the policy to evaluate never ends, so that its values are not defined.
    #[error(
        "with discount 1 the policy must reach a terminal state, but from state {state} it never does; use a discount below 1"
    )]
    EndlessPolicy {
        /// A state from which the end is out of reach.
        state: usize,
    },
    /// With discount 1 no error bound can be given, because episodes have no known bound.
    #[error(
        "with discount 1 no bound on the expected length of an episode could be computed: the end is out of reach, or too far for 64-bit arithmetic; use a discount below 1"
    )]
    UnboundedEpisode,
    /// A policy does not fit its model.
    #[error("the policy does not fit the model: {0}")]
    Policy(String),
    /// A setting of a solver is out of its range.
    #[error("{name} is {found}; expected {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// The value found.
        found: String,
        /// The allowed range.
        expected: &'static str,
    },
    /// The description of a grid world makes no sense.
    #[error("grid world, `{field}`: {detail}")]
    Grid {
        /// The field of [`GridWorldSpec`](crate::GridWorldSpec), dotted where it lies in a table.
        field: &'static str,
        /// The cell or the value found, and what was expected.
        detail: String,
    },
    /// The sparse factorisation of the closed form failed.
    #[error("the sparse LU factorisation of I - gamma P failed: {0}; use an iterative method")]
    Factorisation(String),
    /// The iteration limit came before the guaranteed bound.
    #[error(
        "{method} did not reach the tolerance {tolerance:e} in {iterations} iterations: the guaranteed bound is {bound:e}; allow more iterations or a larger tolerance"
    )]
    NotConverged {
        /// The method.
        method: &'static str,
        /// Iterations done.
        iterations: usize,
        /// The bound reached.
        bound: f64,
        /// The bound asked for.
        tolerance: f64,
    },
    /// A method that no longer gets closer, short of the guaranteed bound.
    #[error(
        "{method} gets no closer after {iterations} iterations: the guaranteed bound is {bound:e}, and {tolerance:e} was asked for; use another method or a larger tolerance"
    )]
    Stalled {
        /// The method.
        method: &'static str,
        /// Iterations done.
        iterations: usize,
        /// The bound reached.
        bound: f64,
        /// The bound asked for.
        tolerance: f64,
    },
    /// The tolerance lies below what rounding in 64-bit arithmetic allows for this model.
    #[error(
        "the tolerance {tolerance:e} cannot be guaranteed in 64-bit arithmetic: rounding leaves {rounding:e} for values of this size and discount; use a larger tolerance"
    )]
    BelowRounding {
        /// The bound asked for.
        tolerance: f64,
        /// The bound that rounding leaves.
        rounding: f64,
    },
    /// The caller asked to stop.
    #[error("interrupted after {0} iterations")]
    Interrupted(usize),
}

impl MdpError {
    /// A setting out of its range.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass literals and numbers")]
    pub(crate) fn setting(name: &'static str, found: impl ToString, expected: &'static str) -> Self {
        Self::Setting {
            name,
            found: found.to_string(),
            expected,
        }
    }
}
