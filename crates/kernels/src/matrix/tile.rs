//! The micro-kernel: one tile of a result in registers.

#![expect(unsafe_code, reason = "raw pointers to packed memory, in the innermost loops")]
#![expect(
    clippy::inline_always,
    reason = "the loops must take on the vector instructions of the function that they are part of"
)]

use std::marker::PhantomData;

use super::kernel::{CHAIN, ROW_STRIDE};

/// Registers of one panel's width.
pub(super) const VECTORS: usize = 2;

/// Registers of f32.
///
/// # Safety
/// All functions need the instructions of the implementation; pointers are to as many numbers as there are lanes.
pub(super) trait Lanes {
    type Register: Copy;
    const LANES: usize;

    unsafe fn splat(bits: u32) -> Self::Register;
    unsafe fn load(from: *const f32) -> Self::Register;
    unsafe fn store(register: Self::Register, to: *mut f32);
    unsafe fn add(a: Self::Register, b: Self::Register) -> Self::Register;
    /// `a` times `b` plus `c`.
    unsafe fn multiply_add(a: Self::Register, b: Self::Register, c: Self::Register) -> Self::Register;
    /// The bf16 in the low bits, as f32.
    unsafe fn low(pairs: Self::Register) -> Self::Register;
    /// The bf16 in the high bits, as f32.
    unsafe fn high(pairs: Self::Register) -> Self::Register;
}

/// What a unit is made of, and how a sum goes on by it.
///
/// # Safety
/// All functions need the instructions of the implementation; `left` is to one unit.
pub(super) trait Units {
    type Lanes: Lanes;

    unsafe fn add(
        left: *const u32,
        right: <Self::Lanes as Lanes>::Register,
        sum: <Self::Lanes as Lanes>::Register,
    ) -> <Self::Lanes as Lanes>::Register;
}

/// Units of one f32.
pub(super) struct Singles<L>(PhantomData<L>);

impl<L: Lanes> Units for Singles<L> {
    type Lanes = L;

    #[inline(always)]
    unsafe fn add(left: *const u32, right: L::Register, sum: L::Register) -> L::Register {
        // SAFETY: the caller's promise.
        unsafe { L::multiply_add(L::splat(*left), right, sum) }
    }
}

/// Units of two bf16, multiplied as f32.
pub(super) struct Pairs<L>(PhantomData<L>);

impl<L: Lanes> Units for Pairs<L> {
    type Lanes = L;

    #[inline(always)]
    unsafe fn add(left: *const u32, right: L::Register, sum: L::Register) -> L::Register {
        // SAFETY: the caller's promise.
        unsafe {
            let left = L::splat(*left);
            let sum = L::multiply_add(L::low(left), L::low(right), sum);
            L::multiply_add(L::high(left), L::high(right), sum)
        }
    }
}

/// Packed rows and panels of one block of the inner index, and the part of the result that they belong to.
pub(super) struct Block<'a> {
    /// Rows, [`ROW_STRIDE`] apart. Whatever follows them up to the height of a tile is multiplied too, and left out.
    pub(super) left: &'a [u32],
    pub(super) rows: usize,
    /// Units of a row, and of a column of the right factor.
    pub(super) units: usize,
    /// Panels, the first from its first unit of this block on.
    pub(super) right: &'a [u32],
    /// Between one panel and the next.
    pub(super) panel_stride: usize,
    pub(super) columns: usize,
    /// The first entry of this part. Nobody else reads or writes the part while the block is at work.
    pub(super) to: *mut f32,
    /// Between one row of the result and the next.
    pub(super) stride: usize,
    /// Whether sums are added to what the result holds.
    pub(super) add: bool,
}

impl Block<'_> {
    /// Multiplies in tiles of `HEIGHT` rows.
    ///
    /// # Safety
    /// The instructions of `U` are there, and `to` is to `rows` rows, `stride` apart, of `columns` f32.
    #[inline(always)]
    pub(super) unsafe fn multiply<U: Units, const HEIGHT: usize>(&mut self) {
        const { assert!(HEIGHT <= MOST_ROWS && U::Lanes::LANES * VECTORS <= MOST_COLUMNS) };
        let width = U::Lanes::LANES * VECTORS;
        assert!(
            self.left.len() >= self.rows.next_multiple_of(HEIGHT) * ROW_STRIDE,
            "packed rows"
        );
        let panels = self.columns.div_ceil(width);
        assert!(
            self.right.len() >= panels.saturating_sub(1) * self.panel_stride + self.units * width,
            "packed panels"
        );
        for panel in 0..panels {
            let columns = width.min(self.columns - panel * width);
            let mut row = 0;
            while row < self.rows {
                let rows = HEIGHT.min(self.rows - row);
                // SAFETY: inside the slices, as asserted, and inside the result, as promised.
                unsafe {
                    let tile = Tile {
                        units: self.units,
                        left: self.left.as_ptr().add(row * ROW_STRIDE),
                        right: self.right.as_ptr().add(panel * self.panel_stride),
                        to: self.to.add(row * self.stride + panel * width),
                        stride: self.stride,
                        add: self.add,
                    };
                    tile.of_rows::<U, HEIGHT>(rows, columns);
                }
                row += rows;
            }
        }
    }
}

/// Of any kernel.
const MOST_ROWS: usize = 12;
const MOST_COLUMNS: usize = 32;

#[derive(Clone, Copy)]
struct Tile {
    units: usize,
    left: *const u32,
    right: *const u32,
    to: *mut f32,
    stride: usize,
    add: bool,
}

impl Tile {
    /// Chooses the least high kernel for so many rows.
    #[inline(always)]
    unsafe fn of_rows<U: Units, const HEIGHT: usize>(self, rows: usize, columns: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match rows {
                1 => self.part::<U, 1>(rows, columns),
                2 => self.part::<U, 2>(rows, columns),
                3 => self.part::<U, 3>(rows, columns),
                4 => self.part::<U, 4>(rows, columns),
                5 | 6 if HEIGHT >= 6 => self.part::<U, 6>(rows, columns),
                7 | 8 if HEIGHT >= 8 => self.part::<U, 8>(rows, columns),
                _ => self.part::<U, HEIGHT>(rows, columns),
            }
        }
    }

    /// Where the tile is not whole, multiplies into memory of its own and copies what is wanted.
    #[inline(always)]
    unsafe fn part<U: Units, const HEIGHT: usize>(self, rows: usize, columns: usize) {
        let width = U::Lanes::LANES * VECTORS;
        // SAFETY: the caller's promise; the tile of its own has room for all of this kernel's rows and columns.
        unsafe {
            if rows == HEIGHT && columns == width {
                self.multiply::<U, HEIGHT>();
                return;
            }
            let mut own = [0.0f32; MOST_ROWS * MOST_COLUMNS];
            if self.add {
                for row in 0..rows {
                    let to = self.to.add(row * self.stride);
                    std::ptr::copy_nonoverlapping(to, own.as_mut_ptr().add(row * width), columns);
                }
            }
            Self {
                to: own.as_mut_ptr(),
                stride: width,
                ..self
            }
            .multiply::<U, HEIGHT>();
            for row in 0..rows {
                let to = self.to.add(row * self.stride);
                std::ptr::copy_nonoverlapping(own.as_ptr().add(row * width), to, columns);
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply<U: Units, const HEIGHT: usize>(self) {
        let lanes = U::Lanes::LANES;
        // SAFETY: the caller's promise.
        unsafe {
            let (mut left, mut right) = (self.left, self.right);
            for first in (0..self.units).step_by(CHAIN) {
                let mut sums = [[U::Lanes::splat(0); VECTORS]; HEIGHT];
                for _ in first..self.units.min(first + CHAIN) {
                    let mut vectors = [U::Lanes::splat(0); VECTORS];
                    for (vector, register) in vectors.iter_mut().enumerate() {
                        *register = U::Lanes::load(right.add(vector * lanes).cast());
                    }
                    for (row, sums) in sums.iter_mut().enumerate() {
                        for (sum, vector) in sums.iter_mut().zip(vectors) {
                            *sum = U::add(left.add(row * ROW_STRIDE), vector, *sum);
                        }
                    }
                    left = left.add(1);
                    right = right.add(VECTORS * lanes);
                }
                for (row, sums) in sums.iter().enumerate() {
                    for (vector, sum) in sums.iter().enumerate() {
                        let to = self.to.add(row * self.stride + vector * lanes);
                        let sum = if self.add || first > 0 {
                            U::Lanes::add(U::Lanes::load(to), *sum)
                        } else {
                            *sum
                        };
                        U::Lanes::store(sum, to);
                    }
                }
            }
        }
    }
}
