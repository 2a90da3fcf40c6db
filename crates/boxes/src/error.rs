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
    /// A flat array is not a whole number of boxes.
    #[error("a flat array of boxes: found {found} numbers, expected {each} a box")]
    Flat {
        /// How many numbers there are.
        found: usize,
        /// How many a box has.
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
