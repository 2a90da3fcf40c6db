//! Products in blocks, on as many threads as there are.

#![expect(
    unsafe_code,
    reason = "threads write disjoint rectangles of one result, which no slice describes"
)]

use rayon::prelude::*;

use super::buffer::{with_panels, with_rows};
use super::kernel::{CHAIN, DEPTH, Kernel};
use super::tile::Block;
use super::view::Matrix;

/// Units of the right factor that are packed at a time: few enough for the last level of the cache.
const PACKED: usize = 1 << 20;

/// Units along the inner index that are packed at a time, at most.
const PACKED_DEPTH: usize = 21 * CHAIN;

/// Rows of a block of the result: with [`DEPTH`] units of each they fill a part of the second level of the cache.
const BLOCK_ROWS: usize = 48;

/// What has to be the same in both factors.
const TERMS: &str = "columns of the left factor, rows of the right one";

/// Below so many multiplications another thread wakes up too late to be of use.
const PARALLEL: usize = 1 << 18;

/// Below so many units another thread wakes up too late to help packing.
const PARALLEL_PACKING: usize = 1 << 16;

/// A right factor in panels, each of which holds all units of its columns.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a> {
    pub(super) entries: &'a [u32],
    /// Of one column.
    pub(super) units: usize,
    pub(super) columns: usize,
}

/// The part of a result that a product is written to.
#[derive(Clone, Copy)]
struct Target {
    to: *mut f32,
    stride: usize,
}

// SAFETY: whoever makes one has the result for itself, and its users write to disjoint parts of it.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// `to` = `left` times `right`, or with `add` that much more.
///
/// # Panics
/// The shapes do not fit together.
pub(super) fn multiply(kernel: &Kernel, left: Matrix<'_>, right: Matrix<'_>, to: &mut [f32], add: bool) {
    let (rows, columns) = (left.rows(), right.columns());
    assert_eq!(left.columns(), right.rows(), "{TERMS}");
    assert_eq!(
        to.len(),
        rows * columns,
        "entries of a product of {rows} rows and {columns} columns"
    );
    if rows == 0 || columns == 0 || empty(left.columns(), to, add) {
        return;
    }
    let target = Target {
        to: to.as_mut_ptr(),
        stride: columns,
    };
    // SAFETY: the result is this function's, of as many rows and columns as the factors have.
    unsafe { multiply_blocks(kernel, left, right, target, add) };
}

/// `left` times `right`.
///
/// # Panics
/// The shapes do not fit together.
pub(super) fn new_product(kernel: &Kernel, left: Matrix<'_>, right: Matrix<'_>) -> Vec<f32> {
    assert_eq!(left.columns(), right.rows(), "{TERMS}");
    let count = left.rows() * right.columns();
    if count == 0 || left.columns() == 0 {
        return vec![0.0; count];
    }
    let mut product = Vec::with_capacity(count);
    let target = Target {
        to: product.as_mut_ptr(),
        stride: right.columns(),
    };
    // SAFETY: there is room for as many rows and columns as the factors have; without `add` nothing is read from it, and since there
    // are terms every entry is written.
    unsafe {
        multiply_blocks(kernel, left, right, target, false);
        product.set_len(count);
    }
    product
}

/// The right factor is packed a block at a time, and multiplied. There are rows, columns and terms.
///
/// # Safety
/// `target` is to as many rows as `left` has of as many columns as `right` has, and nobody else uses them. `right` has as many rows as
/// `left` has columns.
unsafe fn multiply_blocks(kernel: &Kernel, left: Matrix<'_>, right: Matrix<'_>, target: Target, add: bool) {
    let (rows, terms, columns) = (left.rows(), left.columns(), right.columns());
    // As wide as the result, if that leaves a block of the inner index: then the left factor is packed once.
    let whole = columns.next_multiple_of(kernel.width);
    let most = (PACKED / whole).clamp(DEPTH, PACKED_DEPTH);
    let deep = even_part(kernel.units(terms), most) * kernel.terms;
    let wide = (PACKED / kernel.units(deep))
        .max(1)
        .next_multiple_of(kernel.width)
        .min(whole);
    with_panels(kernel.units(deep) * wide, |packed| {
        for column in (0..columns).step_by(wide) {
            let wide = wide.min(columns - column);
            for term in (0..terms).step_by(deep) {
                let deep = deep.min(terms - term);
                let panels = pack(kernel, right.block(term, deep, column, wide), packed);
                let left = left.block(0, rows, term, deep);
                // SAFETY: the target has `columns` columns, of which `wide` follow `column`.
                unsafe {
                    let target = Target {
                        to: target.at(0, column),
                        ..target
                    };
                    multiply_panels(kernel, left, panels, target, add || term > 0);
                }
            }
        }
    });
}

/// `to` = `left` times `right`, of which the latter is packed for `kernel`.
pub(super) fn multiply_packed(kernel: &Kernel, left: Matrix<'_>, right: Panels<'_>, to: &mut [f32]) {
    assert_eq!(to.len(), left.rows() * right.columns, "entries of a product");
    if to.is_empty() || empty(left.columns(), to, false) {
        return;
    }
    let target = Target {
        to: to.as_mut_ptr(),
        stride: right.columns,
    };
    // SAFETY: the result is this function's, and has the right number of entries.
    unsafe { multiply_panels(kernel, left, right, target, false) };
}

/// Sums of no terms.
fn empty(terms: usize, to: &mut [f32], add: bool) -> bool {
    if terms == 0 && !add {
        to.fill(0.0);
    }
    terms == 0
}

/// Packs a right factor.
pub(super) fn pack<'a>(kernel: &Kernel, right: Matrix<'_>, to: &'a mut [u32]) -> Panels<'a> {
    let (units, columns) = (kernel.units(right.rows()), right.columns());
    let (panel, panels) = (units * kernel.width, columns.div_ceil(kernel.width));
    let to = &mut to[..panels * panel];
    // Neighbouring panels stay together, because their columns may lie side by side in memory.
    let together = panels.div_ceil(2 * rayon::current_num_threads());
    let pack = |(index, to): (usize, &mut [u32])| {
        let first = index * together * kernel.width;
        let columns = (together * kernel.width).min(columns - first);
        // SAFETY: a kernel's instructions are there.
        unsafe { (kernel.pack_panels)(right.block(0, right.rows(), first, columns), to) };
    };
    if units * columns < PARALLEL_PACKING {
        to.chunks_mut(together * panel).enumerate().for_each(pack);
    } else {
        to.par_chunks_mut(together * panel).enumerate().for_each(pack);
    }
    Panels {
        entries: to,
        units,
        columns,
    }
}

/// # Safety
/// `target` is to as many rows as `left` has of as many columns as `right` has, and nobody else uses them.
unsafe fn multiply_panels(kernel: &Kernel, left: Matrix<'_>, right: Panels<'_>, target: Target, add: bool) {
    let (rows, columns) = (left.rows(), right.columns);
    let (tiles, panels) = (rows.div_ceil(kernel.height), columns.div_ceil(kernel.width));
    let row_blocks = rows.div_ceil(BLOCK_ROWS);
    let work = rows.saturating_mul(columns).saturating_mul(left.columns());
    let threads = rayon::current_num_threads();
    let column_blocks = if work < PARALLEL || threads == 1 {
        1
    } else {
        // Some more than threads, so that one which comes late does not hold up the others.
        (4 * threads).div_ceil(row_blocks).min(panels)
    };
    let part = |index: usize| {
        let (row_block, column_block) = (index / column_blocks, index % column_blocks);
        let cut = |block: usize, blocks: usize, count: usize, size: usize, all: usize| {
            (block * count / blocks * size).min(all)
        };
        let [row, end_row] = [0, 1].map(|next| cut(row_block + next, row_blocks, tiles, kernel.height, rows));
        let [first, last] = [0, 1].map(|next| cut(column_block + next, column_blocks, panels, kernel.width, columns));
        let panels = Panels {
            entries: &right.entries[first * right.units..],
            columns: last - first,
            ..right
        };
        // SAFETY: parts do not overlap, and lie in the target.
        unsafe {
            let target = Target {
                to: target.at(row, first),
                ..target
            };
            multiply_part(
                kernel,
                left.block(row, end_row - row, 0, left.columns()),
                panels,
                target,
                add,
            );
        }
    };
    let parts = row_blocks * column_blocks;
    if work < PARALLEL || parts == 1 || threads == 1 {
        (0..parts).for_each(part);
    } else {
        (0..parts).into_par_iter().with_max_len(1).for_each(part);
    }
}

impl Target {
    unsafe fn at(self, row: usize, column: usize) -> *mut f32 {
        // SAFETY: the caller asks for places in the result.
        unsafe { self.to.add(row * self.stride + column) }
    }
}

/// One thread's part of the work.
///
/// # Safety
/// As for [`multiply_panels`].
unsafe fn multiply_part(kernel: &Kernel, left: Matrix<'_>, right: Panels<'_>, target: Target, add: bool) {
    let (rows, terms) = (left.rows(), left.columns());
    if rows == 0 || right.columns == 0 {
        return;
    }
    let deep = even_part(right.units, DEPTH);
    with_rows(kernel.room_for_rows(rows), |packed| {
        for unit in (0..right.units).step_by(deep) {
            let units = deep.min(right.units - unit);
            let term = unit * kernel.terms;
            let left = left.block(0, rows, term, (units * kernel.terms).min(terms - term));
            // SAFETY: a kernel's instructions are there, and so are the rows and columns of the result.
            unsafe {
                (kernel.pack_rows)(left, packed);
                (kernel.block)(&mut Block {
                    left: packed,
                    rows,
                    units,
                    right: &right.entries[unit * kernel.width..],
                    panel_stride: right.units * kernel.width,
                    columns: right.columns,
                    to: target.to,
                    stride: target.stride,
                    add: add || unit > 0,
                });
            }
        }
    });
}

/// The size of parts of `count`, about equal and at most `most`, in whole chains: wherever a part ends, a chain would.
fn even_part(count: usize, most: usize) -> usize {
    let parts = count.div_ceil(most / CHAIN * CHAIN);
    count.div_ceil(parts).next_multiple_of(CHAIN)
}
