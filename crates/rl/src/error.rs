//! Everything that can be wrong with what this crate is asked for.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use etude_mdp::MdpError;
use etude_train::TrainError;
use thiserror::Error;

use crate::space::Space;

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
    /// An algorithm cannot choose such actions.
    #[error("{algorithm} chooses {expected}; in this environment an action is {found}")]
    ActionSpace {
        /// The algorithm.
        algorithm: &'static str,
        /// What it can choose.
        expected: &'static str,
        /// What there is to choose.
        found: Space,
    },
    /// An algorithm cannot build its networks.
    #[error("{algorithm} needs {expected}")]
    Network {
        /// The algorithm.
        algorithm: &'static str,
        /// What its networks need.
        expected: &'static str,
    },
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
    /// Something that has to be a number is none.
    #[error("{what} is {value} after {step} steps; expected a finite number")]
    NotFinite {
        /// What it is.
        what: &'static str,
        /// What was found.
        value: f64,
        /// Steps taken before.
        step: u64,
    },
    /// A saved state is not one.
    #[error("saved state: {0}")]
    SavedState(&'static str),
    /// A saved policy cannot be written or read.
    #[error("the policy {}: {detail}", path.display())]
    Policy {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A file of a run cannot be written.
    #[error(transparent)]
    Run(#[from] TrainError),
    /// There is nothing to see of an environment.
    #[error("there is no picture of this environment")]
    NoPicture,
    /// A GIF is too slow or too fast.
    #[error("a GIF shows 1 to 50 frames per second; found {0}")]
    FramesPerSecond(u32),
    /// A GIF cannot be written.
    #[error("cannot write the GIF: {0}")]
    Gif(#[from] gif::EncodingError),
    /// The interpreter of an environment of Gymnasium does not start.
    #[error("cannot start Python as `{program}`, which ETUDE_PYTHON may change: {source}")]
    NoPython {
        /// Its path or name.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The interpreter does not find Gymnasium.
    #[error(
        "`{program}` has no Gymnasium ({message}): `{program} -m pip install gymnasium` installs it, \
         or ETUDE_PYTHON may name another interpreter"
    )]
    NoGymnasium {
        /// The interpreter.
        program: PathBuf,
        /// Python's own words.
        message: String,
    },
    /// The interpreter finds a Gymnasium that is too old.
    #[error(
        "`{program}` has Gymnasium {found}; expected 1.1 or later, which \
         `{program} -m pip install --upgrade gymnasium` installs"
    )]
    OldGymnasium {
        /// The interpreter.
        program: PathBuf,
        /// Its version of Gymnasium.
        found: String,
    },
    /// Gymnasium has no such environment, or the environment lacks a package.
    #[error("Gymnasium cannot make `{id}`: {message}")]
    NotMade {
        /// The environment's name.
        id: String,
        /// Gymnasium's own words.
        message: String,
    },
    /// An environment of Gymnasium makes no pictures.
    #[error("`{id}` cannot be drawn: {message}")]
    NotDrawn {
        /// The environment's name.
        id: String,
        /// Why.
        message: String,
    },
    /// An environment of Gymnasium has a space of another kind.
    #[error("`{id}` cannot be used: {message}")]
    UnsupportedSpace {
        /// The environment's name.
        id: String,
        /// Which space, what it is, and what was expected.
        message: String,
    },
    /// The process of an environment of Gymnasium is no more.
    #[error("the Python process of `{id}` has ended ({status}); {}", said(last_words))]
    WorkerDied {
        /// The environment's name.
        id: String,
        /// How it ended.
        status: String,
        /// The end of what it wrote to its standard error, which has the traceback of what an environment raised.
        last_words: String,
    },
    /// The process of an environment of Gymnasium answered what it should not.
    #[error("the Python process of `{id}` answered {found}; expected {expected}")]
    WorkerReply {
        /// The environment's name.
        id: String,
        /// What it answered.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// What a model is made from does not make one.
    #[error(transparent)]
    Model(#[from] MdpError),
}

impl RlError {
    /// What is wrong with a policy at `path`.
    pub(crate) fn policy(path: &Path, detail: &dyn Display) -> Self {
        Self::Policy {
            path: path.to_owned(),
            detail: detail.to_string(),
        }
    }

    /// What is wrong with a wrapper.
    pub(crate) fn wrapper(wrapper: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Wrapper { wrapper, detail }
    }
}

fn said(last_words: &str) -> String {
    if last_words.is_empty() {
        "it said nothing".into()
    } else {
        format!("it said at last:\n{last_words}")
    }
}
