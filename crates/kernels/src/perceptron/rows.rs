//! What a pass keeps of a layer: a matrix as products read it best, and which of its entries are not zero.

#![expect(
    clippy::inline_always,
    reason = "the loops must take on the vector instructions of `with_simd`"
)]

use pulp::{Arch, Simd, WithSimd};

use crate::matrix::Line;

/// A matrix row by row. Each row begins a cache line, so that no vector of it lies across two, and what is left of its last line may be
/// anything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    lines: Vec<Line>,
    stride: usize,
}

impl Rows {
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        let stride = stride(columns);
        Self {
            lines: Line::zeros(rows * stride),
            stride,
        }
    }

    /// Makes of it a matrix of another shape, whose entries may be anything. Memory is laid out where there is not enough.
    pub(crate) fn make_room(&mut self, rows: usize, columns: usize) {
        let stride = stride(columns);
        if self.numbers().len() < rows * stride {
            *self = Self::new(rows, columns);
        }
        self.stride = stride;
    }

    /// Numbers from the start of one row to the start of the next.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    pub(crate) fn numbers(&self) -> &[f32] {
        bytemuck::cast_slice(&self.lines)
    }

    pub(crate) fn numbers_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }

    /// The first `columns` numbers of each of the first `rows` rows.
    pub(crate) fn rows_mut(&mut self, rows: usize, columns: usize) -> impl Iterator<Item = &mut [f32]> {
        let stride = self.stride;
        let rows = self.numbers_mut().chunks_exact_mut(stride).take(rows);
        rows.map(move |row| &mut row[..columns])
    }

    /// Adds up the first `rows` rows, from column `first` on, into as many sums as there are.
    pub(crate) fn sum_rows(&self, rows: usize, first: usize, sums: &mut [f32]) {
        Arch::new().dispatch(SumRows {
            matrix: self,
            rows,
            first,
            sums,
        });
    }
}

struct SumRows<'a> {
    matrix: &'a Rows,
    rows: usize,
    first: usize,
    sums: &'a mut [f32],
}

impl WithSimd for SumRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for row in self.matrix.numbers().chunks_exact(self.matrix.stride).take(self.rows) {
            for (sum, entry) in self.sums.iter_mut().zip(&row[self.first..]) {
                *sum += entry;
            }
        }
    }
}

/// An odd number of cache lines: else the rows of a matrix of a power of two of columns would compete for a few places of the cache.
fn stride(columns: usize) -> usize {
    (columns.div_ceil(Line::UNITS) | 1) * Line::UNITS
}

/// A bit for each entry of a matrix: whether it is not zero.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nonzero {
    words: Vec<u64>,
    per_row: usize,
}

impl Nonzero {
    /// Entries of a row that one word tells of.
    pub(crate) const ENTRIES: usize = 64;

    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        let per_row = columns.div_ceil(Self::ENTRIES);
        Self {
            words: vec![0; rows * per_row],
            per_row,
        }
    }

    /// Of a row, the word that tells of entry 64 times `index` in its lowest bit, and of those after it.
    #[inline(always)]
    pub(crate) fn word(&self, row: usize, index: usize) -> u64 {
        self.words[row * self.per_row + index]
    }

    /// Looks at the first `columns` entries of the first `rows` rows.
    pub(crate) fn note(&mut self, matrix: &Rows, rows: usize, columns: usize) {
        Arch::new().dispatch(Note {
            nonzero: self,
            matrix,
            rows,
            columns,
        });
    }
}

struct Note<'a> {
    nonzero: &'a mut Nonzero,
    matrix: &'a Rows,
    rows: usize,
    columns: usize,
}

impl WithSimd for Note<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let words = self.nonzero.words.chunks_exact_mut(self.nonzero.per_row);
        let rows = self.matrix.numbers().chunks_exact(self.matrix.stride());
        for (words, row) in words.zip(rows).take(self.rows) {
            let (whole, rest) = row[..self.columns].as_chunks::<{ Nonzero::ENTRIES }>();
            let mut words = words.iter_mut();
            for (entries, word) in whole.iter().zip(&mut words) {
                *word = bits(entries);
            }
            if let (false, Some(word)) = (rest.is_empty(), words.next()) {
                *word = bits(rest);
            }
        }
    }
}

#[inline(always)]
fn bits(entries: &[f32]) -> u64 {
    let mut bits = 0;
    for (index, entry) in entries.iter().enumerate() {
        // All bits but the sign, which zero may have.
        bits |= u64::from(entry.to_bits() << 1 != 0) << index;
    }
    bits
}

/// Writes into `list` which of the first `columns` columns are not zero in each of the first `rows` rows.
pub(crate) fn nonzero_columns(matrix: &Rows, rows: usize, columns: usize, list: &mut Vec<u32>) {
    Arch::new().dispatch(NonzeroColumns {
        matrix,
        rows,
        columns,
        list,
    });
}

struct NonzeroColumns<'a> {
    matrix: &'a Rows,
    rows: usize,
    columns: usize,
    list: &'a mut Vec<u32>,
}

impl WithSimd for NonzeroColumns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        self.list.clear();
        let stride = self.matrix.stride();
        let numbers = &self.matrix.numbers()[..self.rows * stride];
        for first in (0..self.columns).step_by(Nonzero::ENTRIES) {
            let mut seen = [0_u32; Nonzero::ENTRIES];
            for row in numbers.chunks_exact(stride) {
                // Beyond the columns there may be anything, and beyond the row nothing.
                for (seen, entry) in seen.iter_mut().zip(&row[first..]) {
                    *seen |= entry.to_bits() << 1;
                }
            }
            let columns = (first..self.columns).zip(seen);
            self.list
                .extend(columns.filter(|(_, seen)| *seen != 0).map(|(column, _)| column as u32));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_but_zeros_counts_as_zero() {
        let mut rows = Rows::new(1, 6);
        rows.numbers_mut()[..6].copy_from_slice(&[0.0, -0.0, f32::NAN, 1e-45, -1.0, 0.0]);
        let mut nonzero = Nonzero::new(1, 6);
        nonzero.note(&rows, 1, 6);
        assert_eq!(nonzero.word(0, 0), 0b01_1100);
    }

    proptest! {
        #[test]
        fn what_is_not_zero_is_noted(rows in 0usize..20, columns in 1usize..200, more in 0usize..3, seed: u64) {
            let entry = |row: usize, column: usize| -> bool {
                (row as u64 * 1009 + column as u64).wrapping_mul(seed | 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60 == 0
            };
            // Neither what lies around the entries nor what was noted before may matter.
            let mut matrix = Rows::new(rows + more, columns);
            matrix.numbers_mut().fill(1.0);
            for (row, to) in matrix.rows_mut(rows, columns).enumerate() {
                for (column, to) in to.iter_mut().enumerate() {
                    *to = f32::from(u8::from(entry(row, column)));
                }
            }
            let mut nonzero = Nonzero::new(rows + more, columns);
            nonzero.words.fill(u64::MAX);
            nonzero.note(&matrix, rows, columns);
            for row in 0..rows {
                for column in 0..columns.next_multiple_of(Nonzero::ENTRIES) {
                    let bit = nonzero.word(row, column / Nonzero::ENTRIES) >> (column % Nonzero::ENTRIES) & 1;
                    prop_assert_eq!(bit == 1, column < columns && entry(row, column));
                }
            }
            let mut list = vec![9];
            nonzero_columns(&matrix, rows, columns, &mut list);
            let expected = (0..columns).filter(|&column| (0..rows).any(|row| entry(row, column)));
            prop_assert_eq!(list, expected.map(|column| column as u32).collect::<Vec<_>>());
        }
    }
}
