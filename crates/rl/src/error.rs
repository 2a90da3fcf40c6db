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
    /// A saved state is not one.
    #[error("saved state: {0}")]
    SavedState(&'static str),
    /// There is nothing to see of an environment.
    #[error("there is no picture of this environment")]
    NoPicture,
    /// A GIF is too slow or too fast.
    #[error("a GIF shows 1 to 50 frames per second; found {0}")]
    FramesPerSecond(u32),
    /// A GIF cannot be written.
    #[error("cannot write the GIF: {0}")]
    Gif(#[from] gif::EncodingError),
    /// What a model is made from does not make one.
    #[error(transparent)]
    Model(#[from] MdpError),
}
