//! What differs between levels of instructions and between precisions.

#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use super::{portable, tile::Block, view::Matrix};
use crate::{Instructions, Precision};

/// Units of one chain of sums. Each chain starts from zero, and what comes of it is added to the result: rounding errors of long sums, which
/// grow with the length of a chain, so stay below a third of what one chain leaves.
pub(super) const CHAIN: usize = 192;

/// Units of a packed row of the left factor, at most: one block of the inner index. With more, packed rows and panels leave the first
/// levels of the cache too early; with less, large results are read and written too often.
pub(super) const DEPTH: usize = 3 * CHAIN;

/// Between one packed row of the left factor and the next. No multiple of a page, or the rows of a tile would compete for the
/// same places of the cache.
pub(super) const ROW_STRIDE: usize = DEPTH + 16;

/// Packed rows of the left factor are filled up to a multiple of this.
pub(super) const ROW_GROUP: usize = 16;

/// Copies into packed form and multiplies, for one level of instructions and one precision.
///
/// Packed matrices consist of units of 32 bits: one f32, or two bf16 of which the first, in the low bits, has the even inner
/// index. A last one without a partner has zero for it.
///
/// All functions need the instructions; nothing else about them is unsafe.
#[derive(Debug)]
pub(super) struct Kernel {
    /// Columns of the result in one panel of the right factor.
    pub(super) width: usize,
    /// Rows of the result in one tile.
    pub(super) height: usize,
    /// Terms of a sum in one unit.
    pub(super) terms: usize,
    /// Writes the rows of a matrix, at most a block of the inner index long, [`ROW_STRIDE`] apart, and rows of zeros up to a
    /// multiple of [`ROW_GROUP`].
    pub(super) pack_rows: unsafe fn(Matrix<'_>, &mut [u32]),
    /// Writes the columns of a matrix in panels of `width`, each unit by unit, and columns of zeros up to a whole panel.
    pub(super) pack_panels: unsafe fn(Matrix<'_>, &mut [u32]),
    /// Multiplies packed rows with packed panels.
    pub(super) block: unsafe fn(&mut Block<'_>),
}

impl Kernel {
    /// # Panics
    /// This processor does not have the instructions.
    pub(super) fn new(instructions: Instructions, precision: Precision) -> &'static Self {
        // Only here is a kernel handed out, and whoever holds one may call its functions.
        assert!(instructions.is_available(), "this processor has {instructions}");
        match (instructions, precision) {
            #[cfg(target_arch = "x86_64")]
            (Instructions::Avx2, Precision::F32) => &avx2::F32,
            #[cfg(target_arch = "x86_64")]
            (Instructions::Avx2, Precision::Bf16) => &avx2::BF16,
            #[cfg(target_arch = "x86_64")]
            (Instructions::Avx512 | Instructions::Avx512Vnni | Instructions::Avx512Bf16, Precision::F32) => {
                &avx512::F32
            }
            #[cfg(target_arch = "x86_64")]
            (Instructions::Avx512 | Instructions::Avx512Vnni, Precision::Bf16) => &avx512::BF16,
            #[cfg(target_arch = "x86_64")]
            (Instructions::Avx512Bf16, Precision::Bf16) => &avx512::BF16_DOT,
            (Instructions::Neon, Precision::F32) => &portable::FUSED_F32,
            (Instructions::Neon, Precision::Bf16) => &portable::FUSED_BF16,
            (_, Precision::F32) => &portable::F32,
            (_, Precision::Bf16) => &portable::BF16,
        }
    }

    /// Units of memory for `rows` packed rows.
    pub(super) fn room_for_rows(&self, rows: usize) -> usize {
        rows.next_multiple_of(ROW_GROUP).max(rows.next_multiple_of(self.height)) * ROW_STRIDE
    }

    /// Units that `terms` terms make.
    pub(super) fn units(&self, terms: usize) -> usize {
        terms.div_ceil(self.terms)
    }
}
