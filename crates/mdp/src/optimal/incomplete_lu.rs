//! Incomplete LU factors without fill, ILU(0) (Meijerink and van der Vorst 1977; Saad, Iterative Methods for Sparse
//! Linear Systems, section 10.3.2), of I - W for nonnegative sparse W with zero diagonal.
//!
//! On the chain of a policy they undo back-and-forth between neighbouring states exactly, which Gauss-Seidel sweeps
//! only wear down.

use super::policy_system::Rows;

/// Average couplings per row above which the factors would cost more than they save; then the strictly upper part is
/// left out, and the preconditioner is one Gauss-Seidel sweep.
const DENSE_ROW: usize = 32;

/// L and U with L U close to I - W, in the pattern of W.
#[derive(Default)]
pub(super) struct IncompleteLu {
    /// For each entry of W: minus the entry of L below the diagonal, minus the entry of U above it.
    factors: Vec<f32>,
    /// Where each row's part above the diagonal begins.
    upper: Vec<u32>,
    /// The diagonal of U while it is computed, then its inverse: a division would hold up each row's successor.
    pivots: Vec<f32>,
    /// Whether the part above the diagonal is used.
    with_upper: bool,
}

impl IncompleteLu {
    /// Factorises I - W. `old` gives its memory.
    pub(super) fn new(rows: &Rows, old: Option<Self>) -> Self {
        let count = rows.starts.len() - 1;
        let mut lu = old.unwrap_or_default();
        lu.factors.clone_from(&rows.weights);
        lu.pivots.clear();
        lu.pivots.resize(count, 1.0);
        lu.upper.clear();
        lu.upper.extend((0..count).map(|row| {
            let range = rows.starts[row] as usize..rows.starts[row + 1] as usize;
            (range.start + rows.columns[range].partition_point(|&column| (column as usize) < row)) as u32
        }));
        lu.with_upper = rows.columns.len() <= DENSE_ROW * count;
        if lu.with_upper {
            for row in 0..count {
                lu.eliminate(rows, row);
            }
        }
        lu.pivots.iter_mut().for_each(|pivot| *pivot = pivot.recip());
        lu
    }

    /// Eliminates the entries of one row below the diagonal, dropping all fill.
    fn eliminate(&mut self, rows: &Rows, row: usize) {
        let Self {
            factors, upper, pivots, ..
        } = self;
        let (begin, end) = (rows.starts[row] as usize, rows.starts[row + 1] as usize);
        for entry in begin..upper[row] as usize {
            let pivot_row = rows.columns[entry] as usize;
            let factor = factors[entry] / pivots[pivot_row];
            factors[entry] = factor;
            for other in upper[pivot_row] as usize..rows.starts[pivot_row + 1] as usize {
                let column = rows.columns[other];
                let fill = factor * factors[other];
                if column as usize == row {
                    pivots[row] -= fill;
                } else if let Some(target) = find(&rows.columns[entry + 1..end], column) {
                    factors[entry + 1 + target] += fill;
                }
            }
        }
    }

    /// Solves L U z = r in place.
    pub(super) fn solve(&self, rows: &Rows, z: &mut [f32]) {
        for row in 0..z.len() {
            let range = rows.starts[row] as usize..self.upper[row] as usize;
            let mut sum = z[row];
            for (&column, factor) in rows.columns[range.clone()].iter().zip(&self.factors[range]) {
                sum += factor * z[column as usize];
            }
            z[row] = sum;
        }
        if !self.with_upper {
            return;
        }
        for row in (0..z.len()).rev() {
            let range = self.upper[row] as usize..rows.starts[row + 1] as usize;
            let mut sum = z[row];
            // The nearest row comes last: it has only just been computed.
            for (&column, factor) in rows.columns[range.clone()].iter().zip(&self.factors[range]).rev() {
                sum += factor * z[column as usize];
            }
            z[row] = sum * self.pivots[row];
        }
    }
}

/// The place of `column` in a sorted row.
#[inline]
fn find(row: &[u32], column: u32) -> Option<usize> {
    if row.len() <= 8 {
        row.iter().position(|&c| c == column)
    } else {
        row.binary_search(&column).ok()
    }
}
