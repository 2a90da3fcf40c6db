//! Everything that can be wrong with what this crate is asked for.

use etude_mdp::MdpError;
use thiserror::Error;

/// What a function of this crate reports instead of an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RlError {
    /// No environment has this name.
    #[error("there is no environment called `{0}`")]
    UnknownEnvironment(String),
    /// The letters of a frozen lake do not make one.
    #[error("map of the frozen lake: {0}")]
    Map(String),
    /// The long run of a chain is not one.
    #[error("the policy's chain has no single stationary distribution: {0}")]
    NoStationaryDistribution(&'static str),
    /// A wrapper cannot be put around an environment as it was asked for.
    #[error("{wrapper}: {detail}")]
    Wrapper {
        /// Its name.
        wrapper: &'static str,
        /// What was found and what was expected.
        detail: String,
    },
    /// Scores do not make a matrix of tasks and runs.
    #[error("scores: {0}")]
    Scores(String),
    /// A score is no finite number.
    #[error("the score of task {task}, run {run} (both from 0) is {value}; expected a finite number")]
    Score {
        /// The task, counted from 0.
        task: usize,
        /// The run of that task, counted from 0.
        run: usize,
        /// What was found.
        value: f64,
    },
    /// A threshold of a performance profile is NaN.
    #[error("a threshold of the performance profile is NaN; expected numbers")]
    Threshold,
    /// A saved state is not one.
    #[error("saved state: {0}")]
    SavedState(&'static str),
    /// What a model is made from does not make one.
    #[error(transparent)]
    Model(#[from] MdpError),
}

impl RlError {
    /// What is wrong with a wrapper.
    pub(crate) fn wrapper(wrapper: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Wrapper { wrapper, detail }
    }
}
