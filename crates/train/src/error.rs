//! What can go wrong around a run.

use std::{
    io,
    path::{Path, PathBuf},
};

/// An error of this crate. Each names the path it is about; the cause, where there is one, is its `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The operating system refused to create, write or rename a file or a folder.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb that the path completes: "create", "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason the operating system gave.
        source: io::Error,
    },
    /// The folder asked for belongs to an earlier run, which must not be overwritten.
    #[error(
        "{} already holds a run (there is a config.toml in it): choose another folder with --out, or remove this one",
        path.display()
    )]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// A log ends before the place that a checkpoint says it had reached.
    #[error("{} has {length} bytes, and had at least {expected} when the checkpoint was written", path.display())]
    LogTooShort {
        /// The log.
        path: PathBuf,
        /// Its length.
        length: u64,
        /// The length at the checkpoint.
        expected: u64,
    },
    /// A checkpoint is not what it should be.
    #[error("{} is no whole checkpoint: {detail}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

impl TrainError {
    /// For `map_err`: adds to an [`io::Error`] what was tried, and where.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
