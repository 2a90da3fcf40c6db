//! Matrices in someone's memory.

/// A matrix in someone's memory, which lies row by row or, transposed, column by column.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// From the first entry on.
    entries: &'a [f32],
    rows: usize,
    columns: usize,
    /// Entry (i, j) lies at i times the first plus j times the second, of which one is 1.
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// `entries` row by row.
    ///
    /// # Panics
    /// There are not `rows` times `columns` entries.
    pub fn new(entries: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(
            entries.len(),
            rows * columns,
            "entries of a matrix of {rows} rows and {columns} columns"
        );
        Self {
            entries,
            rows,
            columns,
            strides: [columns, 1],
        }
    }

    /// Rows become columns.
    pub fn transposed(self) -> Self {
        let [row, column] = self.strides;
        Self {
            rows: self.columns,
            columns: self.rows,
            strides: [column, row],
            ..self
        }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// `rows` rows from `row` on, and of them `columns` columns from `column` on.
    pub(crate) fn block(self, row: usize, rows: usize, column: usize, columns: usize) -> Self {
        assert!(
            row + rows <= self.rows && column + columns <= self.columns,
            "a block lies inside its matrix"
        );
        let start = row * self.strides[0] + column * self.strides[1];
        Self {
            entries: self.entries.get(start..).unwrap_or(&[]),
            rows,
            columns,
            strides: self.strides,
        }
    }

    /// Between one row and the next, and between one column and the next.
    pub(super) fn strides(&self) -> [usize; 2] {
        self.strides
    }

    /// From the first entry on; may go on beyond the last.
    pub(super) fn entries(&self) -> &'a [f32] {
        self.entries
    }

    pub(super) fn entry(&self, row: usize, column: usize) -> f32 {
        self.entries[row * self.strides[0] + column * self.strides[1]]
    }
}
