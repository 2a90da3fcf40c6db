//! Packing with AVX-512: squares of sixteen by sixteen units, turned around in registers where packed form needs it.

#![expect(unsafe_code, reason = "vector instructions that not every processor has")]
#![expect(
    clippy::inline_always,
    reason = "the functions must take on the vector instructions of the function that they are part of"
)]

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_castps_si512, _mm512_cvtne2ps_pbh, _mm512_loadu_si512,
    _mm512_maskz_loadu_ps, _mm512_permutexvar_epi16, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_storeu_si512,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::kernel::{ROW_GROUP, ROW_STRIDE};
use super::tile::VECTORS;
use super::view::Matrix;

const SIDE: usize = 16;
const WIDTH: usize = SIDE * VECTORS;
const _: () = assert!(ROW_GROUP == SIDE && ROW_STRIDE.is_multiple_of(SIDE));

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn rows_of_singles(matrix: Matrix<'_>, to: &mut [u32]) {
    // SAFETY: the caller's promise.
    unsafe { pack_rows::<1>(matrix, to) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) unsafe fn rows_of_pairs(matrix: Matrix<'_>, to: &mut [u32]) {
    // SAFETY: the caller's promise.
    unsafe { pack_rows::<2>(matrix, to) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn panels_of_singles(matrix: Matrix<'_>, to: &mut [u32]) {
    // SAFETY: the caller's promise.
    unsafe { pack_panels::<1>(matrix, to) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) unsafe fn panels_of_pairs(matrix: Matrix<'_>, to: &mut [u32]) {
    // SAFETY: the caller's promise.
    unsafe { pack_panels::<2>(matrix, to) }
}

/// Writes the columns of `matrix` as rows, `stride` apart, which are filled up with zeros to a multiple of [`SIDE`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn transpose(matrix: Matrix<'_>, to: &mut [f32], stride: usize) {
    let (rows, columns) = (matrix.rows(), matrix.columns());
    assert!(
        rows.next_multiple_of(SIDE) <= stride && to.len() >= columns * stride,
        "room for the columns"
    );
    for row in (0..rows).step_by(SIDE) {
        for column in (0..columns).step_by(SIDE) {
            // SAFETY: the instructions are there by the caller's promise. Only columns that the matrix has are written, sixteen
            // numbers of each, and they fit in as asserted. What is asked for beforehand need not exist.
            unsafe {
                // Rows are far from each other: the processor does not foresee that the next ones are wanted.
                let next = matrix
                    .entries()
                    .as_ptr()
                    .wrapping_add((row + SIDE) * matrix.strides()[0] + column);
                for index in 0..SIDE {
                    _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(index * matrix.strides()[0]).cast());
                }
                let square = turned(square::<1>(&matrix, row, column));
                for (index, vector) in square.into_iter().enumerate().take(columns - column) {
                    _mm512_storeu_si512(to.as_mut_ptr().add((column + index) * stride + row).cast(), vector);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn pack_rows<const TERMS: usize>(matrix: Matrix<'_>, to: &mut [u32]) {
    let by_rows = matrix.strides()[1] == 1;
    let units = matrix.columns().div_ceil(TERMS);
    let rows = matrix.rows().next_multiple_of(SIDE);
    assert!(
        units.next_multiple_of(SIDE) <= ROW_STRIDE && to.len() >= rows * ROW_STRIDE,
        "room for packed rows"
    );
    let [outer, inner] = in_order(by_rows, rows, units);
    for a in (0..outer).step_by(SIDE) {
        for b in (0..inner).step_by(SIDE) {
            let [row, unit] = in_order(by_rows, a, b);
            // SAFETY: the instructions are there by the caller's promise. Sixteen rows of sixteen units, of which the last
            // may be beyond the matrix, fit in as asserted.
            unsafe {
                let mut square = square::<TERMS>(&matrix, row, unit);
                if !by_rows {
                    square = turned(square);
                }
                for (index, vector) in square.into_iter().enumerate() {
                    let to = to.as_mut_ptr().add((row + index) * ROW_STRIDE + unit);
                    _mm512_storeu_si512(to.cast(), vector);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn pack_panels<const TERMS: usize>(matrix: Matrix<'_>, to: &mut [u32]) {
    // Rows are columns from here on, as in the squares.
    let matrix = matrix.transposed();
    let by_rows = matrix.strides()[1] == 1;
    let units = matrix.columns().div_ceil(TERMS);
    let panels = matrix.rows().div_ceil(WIDTH);
    assert!(to.len() >= panels * units * WIDTH, "room for packed panels");
    let [outer, inner] = in_order(by_rows, panels, units.div_ceil(SIDE));
    for a in 0..outer {
        for b in 0..inner {
            let [panel, units_before] = in_order(by_rows, a, b);
            let unit = units_before * SIDE;
            for vector in 0..VECTORS {
                // SAFETY: the instructions are there by the caller's promise. Only units that the matrix has are written,
                // and they fit in as asserted.
                unsafe {
                    let mut square = square::<TERMS>(&matrix, panel * WIDTH + vector * SIDE, unit);
                    if by_rows {
                        square = turned(square);
                    }
                    let to = to.as_mut_ptr().add((panel * units + unit) * WIDTH + vector * SIDE);
                    for (index, vector) in square.into_iter().enumerate() {
                        if unit + index < units {
                            _mm512_storeu_si512(to.add(index * WIDTH).cast(), vector);
                        }
                    }
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

/// Sixteen units from `unit` on of sixteen rows from `row` on, zero beyond the matrix. Where rows lie in one piece each vector is
/// of one row, else of one unit.
#[inline(always)]
unsafe fn square<const TERMS: usize>(matrix: &Matrix<'_>, row: usize, unit: usize) -> [__m512i; SIDE] {
    let [row_stride, column_stride] = matrix.strides();
    let rows = matrix.rows().saturating_sub(row);
    let columns = matrix.columns().saturating_sub(unit * TERMS);
    // SAFETY: the instructions are there by the caller's promise. `wrapping_add` may leave the slice, but then the mask is
    // zero; what masks let through lies in the matrix.
    unsafe {
        let mut square = [_mm512_setzero_si512(); SIDE];
        let start = matrix
            .entries()
            .as_ptr()
            .wrapping_add(row * row_stride + unit * TERMS * column_stride);
        if column_stride == 1 {
            for (index, vector) in square.iter_mut().enumerate().take(rows) {
                let from = start.wrapping_add(index * row_stride);
                let low = load(from, columns);
                *vector = if TERMS == 1 {
                    _mm512_castps_si512(low)
                } else {
                    let high = load(from.wrapping_add(SIDE), columns.saturating_sub(SIDE));
                    bits(_mm512_cvtne2ps_pbh(high, low))
                };
            }
        } else {
            for (index, vector) in square.iter_mut().enumerate() {
                let column = index * TERMS;
                let from = start.wrapping_add(column * column_stride);
                let low = load(from, if column < columns { rows } else { 0 });
                *vector = if TERMS == 1 {
                    _mm512_castps_si512(low)
                } else {
                    let next = from.wrapping_add(column_stride);
                    let high = load(next, if column + 1 < columns { rows } else { 0 });
                    let order = _mm512_loadu_si512(ALTERNATE.as_ptr().cast());
                    _mm512_permutexvar_epi16(order, bits(_mm512_cvtne2ps_pbh(high, low)))
                };
            }
        }
        square
    }
}

/// One of the lower half, one of the upper half, and so on.
static ALTERNATE: [u16; 2 * SIDE] = {
    let mut order = [0; 2 * SIDE];
    let mut index = 0;
    while index < 2 * SIDE {
        order[index] = (index / 2 + index % 2 * SIDE) as u16;
        index += 1;
    }
    order
};

/// The first of sixteen numbers, at most `count`, and zeros.
#[inline(always)]
unsafe fn load(from: *const f32, count: usize) -> __m512 {
    let mask = if count >= SIDE { u16::MAX } else { (1 << count) - 1 };
    // SAFETY: the caller's promise. What the mask leaves out is not read.
    unsafe { _mm512_maskz_loadu_ps(mask, from) }
}

#[inline(always)]
unsafe fn bits(pairs: __m512bh) -> __m512i {
    // SAFETY: both are 512 bits that may be anything.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(pairs) }
}

/// The transposed square: first in groups of two vectors, then four, and then whole quarters of registers change places.
#[inline(always)]
unsafe fn turned(square: [__m512i; SIDE]) -> [__m512i; SIDE] {
    // SAFETY: the instructions are there by the caller's promise.
    unsafe {
        let mut twos = square;
        for pair in 0..SIDE / 2 {
            let (a, b) = (square[2 * pair], square[2 * pair + 1]);
            twos[2 * pair] = _mm512_unpacklo_epi32(a, b);
            twos[2 * pair + 1] = _mm512_unpackhi_epi32(a, b);
        }
        let mut fours = twos;
        for four in 0..SIDE / 4 {
            let first = 4 * four;
            for half in 0..2 {
                let (a, b) = (twos[first + half], twos[first + half + 2]);
                fours[first + 2 * half] = _mm512_unpacklo_epi64(a, b);
                fours[first + 2 * half + 1] = _mm512_unpackhi_epi64(a, b);
            }
        }
        // Quarter q of `fours[4 f + i]` is now column 4 q + i of rows 4 f to 4 f + 3.
        let mut turned = fours;
        for index in 0..4 {
            let [a, b, c, d] = [fours[index], fours[4 + index], fours[8 + index], fours[12 + index]];
            let even = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0x88>(c, d));
            let odd = (_mm512_shuffle_i32x4::<0xdd>(a, b), _mm512_shuffle_i32x4::<0xdd>(c, d));
            turned[index] = _mm512_shuffle_i32x4::<0x88>(even.0, even.1);
            turned[4 + index] = _mm512_shuffle_i32x4::<0x88>(odd.0, odd.1);
            turned[8 + index] = _mm512_shuffle_i32x4::<0xdd>(even.0, even.1);
            turned[12 + index] = _mm512_shuffle_i32x4::<0xdd>(odd.0, odd.1);
        }
        turned
    }
}
