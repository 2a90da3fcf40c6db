//! Everything that can be wrong with what this crate is asked for.

use std::path::PathBuf;

use etude_hub::HubError;
use etude_kernels::KernelError;
use etude_lm::LmError;
use etude_train::TrainError;
use thiserror::Error;

use crate::data::Place;

/// What a function of this crate reports instead of an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AlignError {
    /// A file or folder of data could not be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file or folder of data is not what it has to be.
    #[error("{}: {detail}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was found and what was expected.
        detail: String,
    },
    /// What does not fit in memory cannot be kept on the disk.
    #[error("cannot keep the examples in a temporary file in {}; the environment variable TMPDIR names another folder", folder.display())]
    TemporaryFile {
        /// Where temporary files are.
        folder: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A record cannot be read, or its fields do not go together.
    #[error("{place}: {detail}")]
    Record {
        /// The record.
        place: Place,
        /// What was found and what was expected.
        detail: String,
    },
    /// A field of a record is missing, or has a value that it cannot have.
    #[error("{place}: \"{field}\" is {found}, expected {expected}")]
    Field {
        /// The record.
        place: Place,
        /// The field, with the path to it.
        field: String,
        /// Its value, shortened.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The tokenizer or the chat template of a model does not take a record.
    #[error("{place}: {source}")]
    Model {
        /// The record.
        place: Place,
        /// What the model's side says.
        source: Box<LmError>,
    },
    /// A setting is out of its range.
    #[error("{name}: found {found}, expected {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: String,
    },
    /// There is nothing to train on.
    #[error("there are no examples to train on: none is left after truncation, or the data are empty")]
    NoExamples,
    /// Training has broken down.
    #[error(
        "step {step}: the norm of the gradient is {norm} and the loss {loss}, expected finite numbers; the step's examples, counted from \
         0, are {examples:?}"
    )]
    NotFinite {
        /// The step; the first one is step 1.
        step: u64,
        /// The norm of all gradients.
        norm: f32,
        /// The loss.
        loss: f64,
        /// The places of the step's examples in the data.
        examples: Vec<usize>,
    },
    /// A command that gives answers their scores cannot be started.
    #[error("cannot start the reward command `{command}`")]
    RewardCommand {
        /// The command.
        command: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An answer cannot be scored.
    #[error("{place}: no reward from `{function}`: {detail}")]
    Reward {
        /// The record whose prompt was answered.
        place: Place,
        /// What was to score the answer.
        function: String,
        /// What is wrong.
        detail: String,
    },
    /// Before the first step of an update, training gives tokens other probabilities than the rollout has given them.
    #[error("the ratio of the first minibatch of step {step} is {ratio}, expected exactly 1")]
    Ratio {
        /// The step; the first one is step 1.
        step: u64,
        /// The mean of pi / pi_old over its tokens.
        ratio: f64,
    },
    /// The processes that train together do not come together.
    #[error("{detail}")]
    Ranks {
        /// What was found and what was expected.
        detail: String,
    },
    /// The moments of a checkpoint are not those of the model.
    #[error("the checkpoint belongs to another model")]
    Moments(#[from] KernelError),
    /// A checkpoint or a file beside it cannot be read or written.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A model's file cannot be read or written.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A model is not what it has to be.
    #[error(transparent)]
    Lm(#[from] LmError),
}

/// An error that names the setting, unless it is good.
pub(crate) fn require(
    good: bool,
    name: &'static str,
    found: &dyn std::fmt::Debug,
    expected: &str,
) -> Result<(), AlignError> {
    if good {
        return Ok(());
    }
    Err(AlignError::Setting {
        name,
        found: format!("{found:?}"),
        expected: expected.to_owned(),
    })
}
