//! Packing in plain Rust.

use half::bf16;

use super::kernel::{ROW_GROUP, ROW_STRIDE};
use super::view::Matrix;

/// Unit `unit` of a row of a matrix, `TERMS` of whose entries make one.
fn unit<const TERMS: usize>(matrix: &Matrix<'_>, row: usize, unit: usize) -> u32 {
    if TERMS == 1 {
        return matrix.entry(row, unit).to_bits();
    }
    let rounded = |column: usize| {
        if column < matrix.columns() {
            u32::from(bf16::from_f32(matrix.entry(row, column)).to_bits())
        } else {
            0
        }
    };
    rounded(2 * unit) | rounded(2 * unit + 1) << 16
}

/// See [`Kernel::pack_rows`](super::kernel::Kernel::pack_rows).
pub(super) fn pack_rows<const TERMS: usize>(matrix: Matrix<'_>, to: &mut [u32]) {
    let units = matrix.columns().div_ceil(TERMS);
    let rows = matrix.rows().next_multiple_of(ROW_GROUP);
    for (row, to) in to.chunks_mut(ROW_STRIDE).enumerate().take(rows) {
        for (index, to) in to[..units].iter_mut().enumerate() {
            *to = if row < matrix.rows() {
                unit::<TERMS>(&matrix, row, index)
            } else {
                0
            };
        }
    }
}

/// See [`Kernel::pack_panels`](super::kernel::Kernel::pack_panels).
pub(super) fn pack_panels<const TERMS: usize, const WIDTH: usize>(matrix: Matrix<'_>, to: &mut [u32]) {
    // Rows are columns from here on, as in `unit`.
    let matrix = matrix.transposed();
    let units = matrix.columns().div_ceil(TERMS);
    for (panel, to) in to.chunks_exact_mut(units * WIDTH).enumerate() {
        for (index, to) in to.chunks_exact_mut(WIDTH).enumerate() {
            for (row, to) in (panel * WIDTH..).zip(to) {
                *to = if row < matrix.rows() {
                    unit::<TERMS>(&matrix, row, index)
                } else {
                    0
                };
            }
        }
    }
}
