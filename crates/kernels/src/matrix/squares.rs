//! Packing with vector registers: squares of units, turned around in registers where packed form needs it.

#![expect(unsafe_code, reason = "vector instructions that not every processor has")]
#![expect(
    clippy::inline_always,
    reason = "the functions must take on the vector instructions of the function that they are part of"
)]

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use super::kernel::{ROW_GROUP, ROW_STRIDE};
use super::tile::VECTORS;
use super::view::Matrix;

/// Squares with as many rows as a register has lanes of 32 bits.
///
/// # Safety
/// All functions need the instructions of the implementation; pointers are to as many numbers as there are lanes.
pub(super) trait Squares {
    type Vector: Copy;
    /// [`SIDE`](Self::SIDE) of them.
    type Square: Copy + AsMut<[Self::Vector]>;
    const SIDE: usize;

    unsafe fn zeros() -> Self::Square;
    /// Only the first `count` numbers, of which there may be fewer than lanes or more, and zeros. No others are read.
    unsafe fn load(from: *const f32, count: usize) -> Self::Vector;
    unsafe fn store(vector: Self::Vector, to: *mut u32);
    /// Rows become columns.
    unsafe fn turned(square: Self::Square) -> Self::Square;
    /// Pairs of neighbours, rounded to bf16: first those in `low`, then those in `high`.
    unsafe fn neighbours(low: Self::Vector, high: Self::Vector) -> Self::Vector;
    /// Pairs of what is at the same place in `low` and in `high`, rounded to bf16.
    unsafe fn side_by_side(low: Self::Vector, high: Self::Vector) -> Self::Vector;
}

/// What a [`Kernel`](super::kernel::Kernel) packs with and [`transpose`](super::transpose), on one kind of squares: with the instructions
/// that they need, first those for f32, then those for pairs of bf16.
macro_rules! packing {
    ($squares:ty, $singles:literal, $pairs:literal) => {
        packing!(pack rows_of_singles, pack_rows::<$squares, 1>, $singles);
        packing!(pack rows_of_pairs, pack_rows::<$squares, 2>, $pairs);
        packing!(pack panels_of_singles, pack_panels::<$squares, 1>, $singles);
        packing!(pack panels_of_pairs, pack_panels::<$squares, 2>, $pairs);

        #[target_feature(enable = $singles)]
        pub(super) unsafe fn transpose(matrix: super::Matrix<'_>, to: &mut [f32], stride: usize) {
            // SAFETY: the caller's promise.
            unsafe { super::squares::transpose::<$squares>(matrix, to, stride) }
        }
    };
    (pack $name:ident, $pack:ident::<$squares:ty, $terms:literal>, $instructions:literal) => {
        #[target_feature(enable = $instructions)]
        pub(super) unsafe fn $name(matrix: super::Matrix<'_>, to: &mut [u32]) {
            // SAFETY: the caller's promise.
            unsafe { super::squares::$pack::<$squares, $terms>(matrix, to) }
        }
    };
}
pub(super) use packing;

/// See [`Kernel::pack_rows`](super::kernel::Kernel::pack_rows).
///
/// # Safety
/// The instructions of `S` are there.
#[inline(always)]
pub(super) unsafe fn pack_rows<S: Squares, const TERMS: usize>(matrix: Matrix<'_>, to: &mut [u32]) {
    const { assert!(ROW_GROUP.is_multiple_of(S::SIDE) && ROW_STRIDE.is_multiple_of(S::SIDE)) };
    let by_rows = matrix.strides()[1] == 1;
    let units = matrix.columns().div_ceil(TERMS);
    let rows = matrix.rows().next_multiple_of(ROW_GROUP);
    assert!(
        units.next_multiple_of(S::SIDE) <= ROW_STRIDE && to.len() >= rows * ROW_STRIDE,
        "room for packed rows"
    );
    let [outer, inner] = in_order(by_rows, rows, units);
    for a in (0..outer).step_by(S::SIDE) {
        for b in (0..inner).step_by(S::SIDE) {
            let [row, unit] = in_order(by_rows, a, b);
            // SAFETY: the instructions are there by the caller's promise. A square's rows of units, of which the last may be beyond
            // the matrix, fit in as asserted.
            unsafe {
                let mut square = square::<S, TERMS>(&matrix, row, unit);
                if !by_rows {
                    square = S::turned(square);
                }
                for (index, vector) in square.as_mut().iter().enumerate() {
                    S::store(*vector, to.as_mut_ptr().add((row + index) * ROW_STRIDE + unit));
                }
            }
        }
    }
}

/// See [`Kernel::pack_panels`](super::kernel::Kernel::pack_panels).
///
/// # Safety
/// The instructions of `S` are there.
#[inline(always)]
pub(super) unsafe fn pack_panels<S: Squares, const TERMS: usize>(matrix: Matrix<'_>, to: &mut [u32]) {
    let width = S::SIDE * VECTORS;
    // Rows are columns from here on, as in the squares.
    let matrix = matrix.transposed();
    let by_rows = matrix.strides()[1] == 1;
    let units = matrix.columns().div_ceil(TERMS);
    let panels = matrix.rows().div_ceil(width);
    assert!(to.len() >= panels * units * width, "room for packed panels");
    let [outer, inner] = in_order(by_rows, panels, units.div_ceil(S::SIDE));
    for a in 0..outer {
        for b in 0..inner {
            let [panel, units_before] = in_order(by_rows, a, b);
            let unit = units_before * S::SIDE;
            for vector in 0..VECTORS {
                // SAFETY: the instructions are there by the caller's promise. Only units that the matrix has are written,
                // and they fit in as asserted.
                unsafe {
                    let mut square = square::<S, TERMS>(&matrix, panel * width + vector * S::SIDE, unit);
                    if by_rows {
                        square = S::turned(square);
                    }
                    let to = to.as_mut_ptr().add((panel * units + unit) * width + vector * S::SIDE);
                    for (index, vector) in square.as_mut().iter().enumerate() {
                        // Not `take`: this loop is unrolled, and then the square need not lie in memory.
                        if unit + index < units {
                            S::store(*vector, to.add(index * width));
                        }
                    }
                }
            }
        }
    }
}

/// See [`transpose`](super::transpose).
///
/// # Safety
/// The instructions of `S` are there.
#[inline(always)]
pub(super) unsafe fn transpose<S: Squares>(matrix: Matrix<'_>, to: &mut [f32], stride: usize) {
    let columns = matrix.columns();
    let rows = matrix.rows().next_multiple_of(ROW_GROUP);
    assert!(rows <= stride && to.len() >= columns * stride, "room for the columns");
    for row in (0..rows).step_by(S::SIDE) {
        for column in (0..columns).step_by(S::SIDE) {
            // SAFETY: the instructions are there by the caller's promise. Only columns that the matrix has are written, as many
            // numbers of each as a square has rows, and they fit in as asserted. What is asked for beforehand need not exist.
            unsafe {
                // Rows are far from each other: the processor does not foresee that the next ones are wanted.
                let next = matrix
                    .entries()
                    .as_ptr()
                    .wrapping_add((row + S::SIDE) * matrix.strides()[0] + column);
                for index in 0..S::SIDE {
                    _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(index * matrix.strides()[0]).cast());
                }
                let mut square = S::turned(square::<S, 1>(&matrix, row, column));
                for (index, vector) in square.as_mut().iter().enumerate().take(columns - column) {
                    S::store(*vector, to.as_mut_ptr().add((column + index) * stride + row).cast());
                }
            }
        }
    }
}

/// What the outer loop and the inner one go over: rows and units, or the other way round. Memory is read in the order in which
/// it lies, which the processor foresees.
#[inline(always)]
fn in_order(by_rows: bool, a: usize, b: usize) -> [usize; 2] {
    if by_rows { [a, b] } else { [b, a] }
}

/// The units from `unit` on of the rows from `row` on, zero beyond the matrix. Where rows lie in one piece each vector is of one row,
/// else of one unit.
#[inline(always)]
unsafe fn square<S: Squares, const TERMS: usize>(matrix: &Matrix<'_>, row: usize, unit: usize) -> S::Square {
    let [row_stride, column_stride] = matrix.strides();
    let rows = matrix.rows().saturating_sub(row);
    let columns = matrix.columns().saturating_sub(unit * TERMS);
    // SAFETY: the instructions are there by the caller's promise. `wrapping_add` may leave the slice, but then no number is
    // asked for; those that are lie in the matrix.
    unsafe {
        let mut square = S::zeros();
        let start = matrix
            .entries()
            .as_ptr()
            .wrapping_add(row * row_stride + unit * TERMS * column_stride);
        if column_stride == 1 {
            for (index, vector) in square.as_mut().iter_mut().enumerate().take(rows) {
                let from = start.wrapping_add(index * row_stride);
                *vector = S::load(from, columns);
                if TERMS == 2 {
                    let high = S::load(from.wrapping_add(S::SIDE), columns.saturating_sub(S::SIDE));
                    *vector = S::neighbours(*vector, high);
                }
            }
        } else {
            for (index, vector) in square.as_mut().iter_mut().enumerate() {
                let column = index * TERMS;
                let from = start.wrapping_add(column * column_stride);
                *vector = S::load(from, if column < columns { rows } else { 0 });
                if TERMS == 2 {
                    let high = S::load(
                        from.wrapping_add(column_stride),
                        if column + 1 < columns { rows } else { 0 },
                    );
                    *vector = S::side_by_side(*vector, high);
                }
            }
        }
        square
    }
}
