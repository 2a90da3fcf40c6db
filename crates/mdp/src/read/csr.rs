//! A matrix in compressed sparse rows (CSR), as `scipy.sparse` saves it.

use std::io::{Read, Seek};
use std::ops::Range;

use super::archive::Archive;
use crate::error::MdpError;

/// A matrix of which only the entries other than zero are stored. Entries of one row may be in any order, and those
/// of the same column add up.
#[derive(Debug, PartialEq)]
pub(super) struct Csr {
    /// Entries of row i: `starts[i]..starts[i + 1]`.
    pub(super) starts: Vec<u32>,
    /// Column of each entry, not checked against `columns`.
    pub(super) indices: Vec<u32>,
    /// Value of each entry.
    pub(super) data: Vec<f64>,
    /// Number of columns.
    pub(super) columns: usize,
}

impl Csr {
    /// Reads what `scipy.sparse.save_npz` wrote.
    pub(super) fn read<R: Read + Seek>(archive: &mut Archive<'_, R>) -> Result<Self, MdpError> {
        let names = archive.names();
        let has = |name: &str| names.iter().any(|found| found == name);
        // A square CSC matrix has arrays of the same lengths and would pass for its own transpose.
        if has("format") {
            let letters = archive.format()?.concat();
            if letters != *b"csr" {
                let format = String::from_utf8_lossy(&letters);
                return Err(archive.fault(format!("a matrix in {format} form; expected csr (in SciPy: .tocsr())")));
            }
        }
        if let Some(missing) = ["indptr", "indices", "data", "shape"].iter().find(|name| !has(name)) {
            return Err(archive.fault(format!(
                "no array `{missing}` among {names:?}; expected a matrix in csr form, saved by scipy.sparse.save_npz"
            )));
        }
        let shape = archive.indices("shape")?;
        let starts = archive.indices("indptr")?;
        let indices = archive.indices("indices")?;
        let (_, data) = archive.reals("data")?;
        let &[rows, columns] = &shape[..] else {
            return Err(archive.fault(format!("`shape` has {} numbers; expected 2", shape.len())));
        };
        let consistent = starts.len() == rows as usize + 1
            && starts[0] == 0
            && starts.is_sorted()
            && starts[rows as usize] as usize == indices.len()
            && indices.len() == data.len();
        if !consistent {
            return Err(archive.fault(format!(
                "a matrix of {rows} rows with {} entries in `indptr`, {} in `indices` and {} in `data`; expected one \
                 more than rows in `indptr`, rising from 0 to the number of entries of the other two",
                starts.len(),
                indices.len(),
                data.len()
            )));
        }
        let columns = columns as usize;
        let mut matrix = Self {
            starts,
            indices,
            data,
            columns,
        };
        matrix.eliminate_zeros();
        Ok(matrix)
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where the entries of a row are.
    pub(super) fn row(&self, row: usize) -> Range<usize> {
        self.starts[row] as usize..self.starts[row + 1] as usize
    }

    /// Whether the columns of every row rise, so that none comes twice.
    fn is_canonical(&self) -> bool {
        (0..self.rows()).all(|row| self.indices[self.row(row)].is_sorted_by(|a, b| a < b))
    }

    /// Drops entries that are stored and zero.
    fn eliminate_zeros(&mut self) {
        if !self.data.contains(&0.0) {
            return;
        }
        let mut kept = 0;
        let mut begin = 0;
        for end in &mut self.starts[1..] {
            for entry in begin..*end as usize {
                if self.data[entry] != 0.0 {
                    self.data[kept] = self.data[entry];
                    self.indices[kept] = self.indices[entry];
                    kept += 1;
                }
            }
            begin = *end as usize;
            *end = kept as u32;
        }
        self.data.truncate(kept);
        self.indices.truncate(kept);
    }

    /// All entries, row by row. The columns must be in range.
    pub(super) fn dense(&self) -> Vec<f64> {
        let mut dense = vec![0.0; self.rows() * self.columns];
        for row in 0..self.rows() {
            for entry in self.row(row) {
                dense[row * self.columns + self.indices[entry] as usize] += self.data[entry];
            }
        }
        dense
    }

    /// The values of `other`, of the same shape, at the entries of this matrix.
    pub(super) fn look_up(&self, other: Self) -> Vec<f64> {
        if self.starts == other.starts && self.indices == other.indices && self.is_canonical() {
            // The usual case, and the one that needs no more memory.
            return other.data;
        }
        let mut found = Vec::with_capacity(self.data.len());
        let mut entries = Vec::new();
        for row in 0..self.rows() {
            entries.clear();
            entries.extend(other.row(row).map(|entry| (other.indices[entry], other.data[entry])));
            entries.sort_by_key(|&(column, _)| column);
            entries.dedup_by(|next, sum| {
                let same = next.0 == sum.0;
                sum.1 += if same { next.1 } else { 0.0 };
                same
            });
            found.extend(self.indices[self.row(row)].iter().map(|wanted| {
                let at = entries.binary_search_by_key(wanted, |&(column, _)| column);
                at.map_or(0.0, |at| entries[at].1)
            }));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [[0, 5, 0], [0, 0, 0], [1, 0, 2 + 3]] with a stored zero in every row.
    fn matrix() -> Csr {
        Csr {
            starts: vec![0, 2, 3, 7],
            indices: vec![1, 0, 2, 2, 0, 1, 2],
            data: vec![5.0, 0.0, 0.0, 2.0, 1.0, -0.0, 3.0],
            columns: 3,
        }
    }

    #[test]
    fn zeros_are_eliminated() {
        let mut compact = matrix();
        compact.eliminate_zeros();
        let expected = Csr {
            starts: vec![0, 1, 1, 4],
            indices: vec![1, 2, 0, 2],
            data: vec![5.0, 2.0, 1.0, 3.0],
            columns: 3,
        };
        assert_eq!(compact, expected);
        assert_eq!(compact.dense(), matrix().dense());
    }

    #[test]
    fn duplicates_add_up() {
        assert_eq!(matrix().dense(), [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 5.0]);
        let pattern = Csr {
            starts: vec![0, 1, 2, 4],
            indices: vec![1, 0, 2, 0],
            data: vec![1.0; 4],
            columns: 3,
        };
        assert_eq!(pattern.look_up(matrix()), [5.0, 0.0, 5.0, 1.0]);
    }
}
