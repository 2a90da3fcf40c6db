//! How numbers of boxes lie in memory.

use crate::error::check_length;
use crate::{BoxError, Float};

/// So many boxes of `N` numbers each, in somebody's memory.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layout<'a, T, const N: usize> {
    Rows(&'a [[T; N]]),
    /// Of equal lengths.
    Columns([&'a [T]; N]),
}

impl<'a, T: Float, const N: usize> Layout<'a, T, N> {
    /// Box by box, in a flat array.
    pub(crate) fn flat(numbers: &'a [T]) -> Result<Self, BoxError> {
        match numbers.as_chunks() {
            (rows, []) => Ok(Self::Rows(rows)),
            _ => Err(BoxError::Flat {
                found: numbers.len(),
                each: N,
            }),
        }
    }

    /// One array for each of the numbers.
    pub(crate) fn columns(columns: [&'a [T]; N]) -> Result<Self, BoxError> {
        for column in columns {
            check_length("a column of boxes", column.len(), columns[0].len())?;
        }
        Ok(Self::Columns(columns))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.len(),
            Self::Columns(columns) => columns[0].len(),
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: usize) -> [T; N] {
        match self {
            Self::Rows(rows) => rows[index],
            Self::Columns(columns) => columns.map(|column| column[index]),
        }
    }
}
