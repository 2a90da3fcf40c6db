//! Everything that can be wrong with what this crate is asked for.

use thiserror::Error;

/// What a function of this crate reports instead of an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AlignError {
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
}
