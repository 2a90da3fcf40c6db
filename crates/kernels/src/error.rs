//! Everything that can be wrong with what this crate is asked for.

use thiserror::Error;

use crate::quantized::BlockType;

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
    /// Moments of a parameter that the module does not have.
    #[error(
        "moments of the parameter {name}: the module has no parameter of that name; expected the module that was trained"
    )]
    NoParameter {
        /// The fields that lead to the parameter.
        name: String,
    },
    /// Moments of a parameter of another size.
    #[error(
        "moments of the parameter {name}: found {found} numbers, expected {expected}, as the module's parameter has"
    )]
    MomentsOf {
        /// The fields that lead to the parameter.
        name: String,
        /// How many moments were given.
        found: usize,
        /// How many numbers the parameter has.
        expected: usize,
    },
    /// A row is not a whole number of blocks.
    #[error("a row of {block_type}: found {found} numbers, expected a multiple of {length}, the length of a block")]
    RowOfBlocks {
        /// Type of the blocks.
        block_type: BlockType,
        /// How many numbers the row has.
        found: usize,
        /// How many numbers a block has.
        length: usize,
    },
    /// The blocks are not those of so many rows.
    #[error("blocks of {block_type} for {rows} x {row_len} numbers: found {found} bytes, expected {expected}")]
    Blocks {
        /// Type of the blocks.
        block_type: BlockType,
        /// How many rows there should be.
        rows: usize,
        /// How many numbers are in a row.
        row_len: usize,
        /// How many bytes were given.
        found: usize,
        /// How many bytes there are in such rows, as far as that can be said.
        expected: usize,
    },
}
