//! Everything that can be wrong with what this crate is asked for.

use thiserror::Error;

/// What a function of this crate reports instead of an answer.
#[derive(Debug, Error, Clone, PartialEq)]
#[non_exhaustive]
pub enum BoxError {
    /// Two arrays that belong together have different lengths.
    #[error("{what}: found {found}, expected {expected}")]
    Length {
        /// Which array.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length it should have.
        expected: usize,
    },
    /// A flat array is not a whole number of boxes, or of corners.
    #[error("a flat array: found {found} numbers, expected a multiple of {each}")]
    Flat {
        /// How many numbers there are.
        found: usize,
        /// How many a box, or a corner, has.
        each: usize,
    },
    /// A setting is out of its range.
    #[error("{name}: found {found}, expected {expected}")]
    Setting {
        /// The name of the setting.
        name: &'static str,
        /// Its value.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A cost is neither a number nor positive infinity.
    #[error(
        "the cost in row {row}, column {column}: found {found}, expected a number, or infinity for what may not be"
    )]
    Cost {
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The cost.
        found: f64,
    },
    /// Infinite costs leave no complete assignment.
    #[error(
        "no assignment: nothing that row {row} may be paired with is left by the rows before it; expected finite costs for \
         a pair of each (columns are the rows where there are fewer of them)"
    )]
    Infeasible {
        /// The row (or the column, where there are fewer columns than rows).
        row: usize,
    },
    /// A mask is of more pixels than its runs could count.
    #[error("a mask: found {height} x {width} pixels, expected 2^32 - 1 at most")]
    MaskSize {
        /// The height of the picture.
        height: usize,
        /// The width.
        width: usize,
    },
    /// The runs of a mask do not fill its picture, or are too long for it.
    #[error(
        "runs of a mask: found {found} pixels, expected {height} x {width} = {}",
        u64::from(*height) * u64::from(*width)
    )]
    Runs {
        /// How many pixels they have.
        found: u64,
        /// The height of the picture.
        height: u32,
        /// The width.
        width: u32,
    },
    /// A string is no compressed mask.
    #[error("compressed mask, byte {index}: found {found}, expected {expected}")]
    Compressed {
        /// Where.
        index: usize,
        /// The byte there.
        found: u8,
        /// What may be there.
        expected: &'static str,
    },
    /// Masks are of pictures of different sizes.
    #[error("masks of one picture: found {found:?}, expected {expected:?} (height and width)")]
    MaskSizes {
        /// The height and width of the one.
        found: [usize; 2],
        /// Those of the other.
        expected: [usize; 2],
    },
}

/// Checks the length of an array.
pub(crate) fn check_length(what: &'static str, found: usize, expected: usize) -> Result<(), BoxError> {
    if found == expected {
        Ok(())
    } else {
        Err(BoxError::Length { what, found, expected })
    }
}

/// Checks a setting.
pub(crate) fn check_setting(
    name: &'static str,
    found: f64,
    holds: bool,
    expected: &'static str,
) -> Result<(), BoxError> {
    if holds {
        Ok(())
    } else {
        Err(BoxError::Setting { name, found, expected })
    }
}
