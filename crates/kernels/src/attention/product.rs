//! Matrix products on small blocks, of which every entry is one chain of sums over ascending terms.
//!
//! Lanes run over the columns. How many rows and columns share the registers decides nothing but the speed.

use std::ops::Range;

use super::lanes::{Kernel, Lanes};

/// A matrix in someone's memory: entry (row, term) lies at row times the first stride plus term times the second.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    entries: &'a [f32],
    strides: [usize; 2],
}

impl<'a> Left<'a> {
    /// `entries` row by row, each of `length`.
    pub(super) fn rows(entries: &'a [f32], length: usize) -> Self {
        Self {
            entries,
            strides: [length, 1],
        }
    }

    /// The columns of `entries`, which lie row by row, each of `length`.
    pub(super) fn columns(entries: &'a [f32], length: usize) -> Self {
        Self {
            entries,
            strides: [1, length],
        }
    }
}

/// A matrix whose rows begin `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Right<'a> {
    pub(super) entries: &'a [f32],
    pub(super) stride: usize,
}

/// How the chains begin.
#[derive(Clone, Copy)]
enum Start<'a> {
    Zero,
    /// From what is there.
    Kept,
    /// From what is there, times a factor of the row.
    Scaled(&'a [f32]),
}

/// `left` times `right`, in those columns of each row that `columns` tells. Others may be written too.
pub(super) struct Scores<'a> {
    pub(super) left: Left<'a>,
    pub(super) right: Right<'a>,
    pub(super) terms: usize,
    pub(super) columns: &'a [Range<usize>],
    /// Row by row, of `width` columns, a multiple of the lanes of any level.
    pub(super) to: &'a mut [f32],
    pub(super) width: usize,
}

impl Kernel for Scores<'_> {
    #[inline(always)]
    fn run<S: Lanes>(self, simd: S) {
        let Self {
            left,
            right,
            terms,
            columns,
            to,
            width,
        } = self;
        let mut block = Block {
            left,
            right,
            to,
            width,
            start: Start::Zero,
        };
        let rows = columns.len();
        let mut row = 0;
        while row < rows {
            let count = group(rows - row);
            let seen = &columns[row..row + count];
            let first = seen.iter().map(|range| range.start).min().unwrap_or(0);
            let last = seen.iter().map(|range| range.end).max().unwrap_or(0);
            let lanes = S::F32_LANES;
            let columns = first / lanes * lanes..last.next_multiple_of(lanes).min(width);
            block.rows(simd, row, count, 0..terms, columns);
            row += count;
        }
    }
}

/// `to`, each row times its factor where there are factors, plus `left` times `right`, of which each row has those terms
/// that `terms` tells, and reads no others. The factor of a row without terms must be 1.
pub(super) struct Sums<'a> {
    pub(super) left: Left<'a>,
    pub(super) right: Right<'a>,
    pub(super) terms: &'a [Range<usize>],
    pub(super) factors: Option<&'a [f32]>,
    /// Row by row, of `width` columns.
    pub(super) to: &'a mut [f32],
    pub(super) width: usize,
}

impl Kernel for Sums<'_> {
    #[inline(always)]
    fn run<S: Lanes>(self, simd: S) {
        let Self {
            left,
            right,
            terms,
            factors,
            to,
            width,
        } = self;
        let start = factors.map_or(Start::Kept, Start::Scaled);
        let mut block = Block {
            left,
            right,
            to,
            width,
            start,
        };
        let rows = terms.len();
        let mut row = 0;
        while row < rows {
            let count = group(rows - row);
            let ranges = &terms[row..row + count];
            let common = ranges.iter().fold(0..usize::MAX, |common, range| {
                common.start.max(range.start)..common.end.min(range.end)
            });
            // The terms that some rows have alone come before and after those that all have.
            let alike = ranges.iter().all(|range| *range == common);
            let common = if common.is_empty() {
                usize::MAX..usize::MAX
            } else {
                common
            };
            block.start = start;
            if !alike {
                for (row, range) in (row..).zip(ranges) {
                    block.rows(simd, row, 1, range.start..range.end.min(common.start), 0..width);
                }
                block.start = Start::Kept;
            }
            if !common.is_empty() {
                block.rows(simd, row, count, common.clone(), 0..width);
            }
            if !alike && !common.is_empty() {
                for (row, range) in (row..).zip(ranges).filter(|(_, range)| range.end > common.end) {
                    block.rows(simd, row, 1, common.end..range.end, 0..width);
                }
            }
            row += count;
        }
    }
}

/// How many of the remaining rows share the registers.
#[inline(always)]
fn group(remaining: usize) -> usize {
    match remaining {
        6.. => 6,
        4 | 5 => 4,
        few => few,
    }
}

struct Block<'a> {
    left: Left<'a>,
    right: Right<'a>,
    to: &'a mut [f32],
    width: usize,
    start: Start<'a>,
}

impl Block<'_> {
    #[inline(always)]
    fn rows<S: Lanes>(&mut self, simd: S, row: usize, count: usize, terms: Range<usize>, columns: Range<usize>) {
        match count {
            6 => self.strips::<S, 6>(simd, row, terms, columns),
            4 => self.strips::<S, 4>(simd, row, terms, columns),
            3 => self.strips::<S, 3>(simd, row, terms, columns),
            2 => self.strips::<S, 2>(simd, row, terms, columns),
            _ => self.strips::<S, 1>(simd, row, terms, columns),
        }
    }

    #[inline(always)]
    fn strips<S: Lanes, const ROWS: usize>(&mut self, simd: S, row: usize, terms: Range<usize>, columns: Range<usize>) {
        let lanes = S::F32_LANES;
        let mut column = columns.start;
        if S::REGISTER_COUNT >= 32 {
            while column + 4 * lanes <= columns.end {
                self.tile::<S, ROWS, 4>(simd, row, terms.clone(), column, 4 * lanes);
                column += 4 * lanes;
            }
        }
        while column + 2 * lanes <= columns.end {
            self.tile::<S, ROWS, 2>(simd, row, terms.clone(), column, 2 * lanes);
            column += 2 * lanes;
        }
        while column < columns.end {
            let width = lanes.min(columns.end - column);
            self.tile::<S, ROWS, 1>(simd, row, terms.clone(), column, width);
            column += width;
        }
    }

    /// `ROWS` times `VECTORS` registers of sums.
    #[inline(always)]
    fn tile<S: Lanes, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        row: usize,
        terms: Range<usize>,
        column: usize,
        width: usize,
    ) {
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        if !matches!(self.start, Start::Zero) {
            for (index, sums) in sums.iter_mut().enumerate() {
                *sums = load::<S, VECTORS>(simd, &self.to[(row + index) * self.width + column..][..width]);
                if let Start::Scaled(factors) = self.start {
                    let factor = simd.splat_f32s(factors[row + index]);
                    for sum in sums {
                        *sum = simd.mul_f32s(*sum, factor);
                    }
                }
            }
        }
        let [row_stride, term_stride] = self.left.strides;
        let left = &self.left.entries[row * row_stride..];
        let right = &self.right.entries[column..];
        if let Some(last) = terms.clone().last() {
            let last_factor = (ROWS - 1) * row_stride + last * term_stride;
            assert!(last_factor < left.len(), "all rows have all terms");
            assert!(
                last * self.right.stride + width <= right.len(),
                "all terms have all columns"
            );
        }
        let mut left = left.as_ptr().wrapping_add(terms.start * term_stride);
        let mut right = right.as_ptr().wrapping_add(terms.start * self.right.stride);
        for _ in terms {
            #[expect(unsafe_code, reason = "nothing is looked at twice in the innermost loop")]
            // SAFETY: up to the last term and the last row all of it lies in the slices, as asserted.
            let (factors, from) = unsafe {
                let factors: [f32; ROWS] = std::array::from_fn(|index| *left.add(index * row_stride));
                (factors, std::slice::from_raw_parts(right, width))
            };
            let vectors: [S::f32s; VECTORS] = load::<S, VECTORS>(simd, from);
            for (factor, sums) in factors.into_iter().zip(&mut sums) {
                let factor = simd.splat_f32s(factor);
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = simd.multiply_add(factor, vector, *sum);
                }
            }
            left = left.wrapping_add(term_stride);
            right = right.wrapping_add(self.right.stride);
        }
        for (index, sums) in sums.into_iter().enumerate() {
            let to = &mut self.to[(row + index) * self.width + column..][..width];
            store::<S, VECTORS>(simd, to, sums);
        }
    }
}

/// `VECTORS` whole vectors, or a part of one.
#[inline(always)]
fn load<S: Lanes, const VECTORS: usize>(simd: S, from: &[f32]) -> [S::f32s; VECTORS] {
    let (whole, rest) = S::as_simd_f32s(from);
    match whole.first_chunk::<VECTORS>() {
        Some(vectors) => *vectors,
        None => [simd.partial_load_f32s(rest); VECTORS],
    }
}

#[inline(always)]
fn store<S: Lanes, const VECTORS: usize>(simd: S, to: &mut [f32], sums: [S::f32s; VECTORS]) {
    let (whole, rest) = S::as_mut_simd_f32s(to);
    match whole.first_chunk_mut::<VECTORS>() {
        Some(vectors) => *vectors = sums,
        None => simd.partial_store_f32s(rest, sums[0]),
    }
}
