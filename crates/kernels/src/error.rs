//! Everything that can be wrong with what this crate is asked for.

use thiserror::Error;

/// What a function of this crate reports instead of an answer.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelError {
    /// The sizes are not those of a network.
    #[error(
        "sizes of the layers: found {sizes:?}, with {late} late inputs; expected at least two, none of them zero, and three where \
         inputs are late"
    )]
    Sizes {
        /// Sizes of the layers.
        sizes: Vec<usize>,
        /// Inputs that enter at the second layer.
        late: usize,
    },
    /// The parameters do not fill the network.
    #[error("parameters of a network with layers {sizes:?}: found {found}, expected {expected}")]
    Parameters {
        /// Sizes of the layers.
        sizes: Vec<usize>,
        /// How many parameters were given.
        found: usize,
        /// How many there are in such a network.
        expected: usize,
    },
    /// The two moments of Adam are not of the same parameters.
    #[error("Adam's moments: found {first} first and {second} second ones, expected as many of each")]
    Moments {
        /// How many first moments were given.
        first: usize,
        /// How many second moments were given.
        second: usize,
    },
}
