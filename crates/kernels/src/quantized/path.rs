//! Which code computes: chosen once for a matrix and a call.

#![expect(
    unsafe_code,
    reason = "calls of functions for instructions that the processor has been asked for"
)]

use super::activations::{self, TILE};
use super::block_type::BlockType;
#[cfg(target_arch = "x86_64")]
use super::block_type::Layout;
use super::portable::{self, Place};
use crate::Instructions;

/// The functions for a type of blocks and the instructions of a processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    instructions: Instructions,
    block_type: BlockType,
}

impl Path {
    /// # Panics
    ///
    /// Where the processor lacks the instructions.
    pub(super) fn new(instructions: Instructions, block_type: BlockType) -> Self {
        assert!(
            instructions.is_available(),
            "{instructions} on a processor that lacks them"
        );
        Self {
            instructions,
            block_type,
        }
    }

    /// See [`activations::quantize`].
    pub(super) fn quantize(self, rows: &[f32], inputs: usize, to: &mut [u32]) {
        let layout = self.block_type.layout();
        #[cfg(target_arch = "x86_64")]
        if self.instructions >= Instructions::Avx2 {
            #[target_feature(enable = "avx2")]
            fn avx2(layout: Layout, rows: &[f32], inputs: usize, to: &mut [u32]) {
                activations::quantize(layout, rows, inputs, to, |numbers, codes| {
                    activations::encode_avx2(numbers, codes)
                });
            }

            // SAFETY: the instructions are available, which `new` has checked.
            return unsafe { avx2(layout, rows, inputs, to) };
        }
        activations::quantize(layout, rows, inputs, to, activations::encode);
    }

    /// See [`portable::tile`]; all paths give the same bits.
    ///
    /// # Safety
    ///
    /// `place` must be valid for writes, and nobody else may use it in the meantime.
    pub(super) unsafe fn tile(self, rows: usize, panel: &[u8], activations: &[u32], place: Place) {
        assert!((1..=TILE).contains(&rows), "a tile of rows");
        #[cfg(target_arch = "x86_64")]
        {
            use super::{avx2, vnni};

            /// Calls the function for a type and a number of rows: of `sizes`, which are descending, as many as it takes to make
            /// up `rows`.
            macro_rules! call {
                ($path:ident) => {
                    call!($path: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K)
                };
                ($path:ident: $($name:ident),*) => {
                    match self.block_type {
                        // SAFETY: the instructions are available, which `new` has checked; the caller vouches for the place.
                        $(BlockType::$name => unsafe {
                            const TYPE: usize = BlockType::$name as usize;
                            match rows {
                                1 => $path::tile::<TYPE, 1>(panel, activations, place),
                                2 => $path::tile::<TYPE, 2>(panel, activations, place),
                                4 => $path::tile::<TYPE, 4>(panel, activations, place),
                                8 => $path::tile::<TYPE, 8>(panel, activations, place),
                                _ => $path::tile::<TYPE, TILE>(panel, activations, place),
                            }
                        },)*
                    }
                };
            }

            if self.instructions >= Instructions::Avx512Vnni {
                return call!(vnni);
            }
            if self.instructions >= Instructions::Avx2 {
                return call!(avx2);
            }
        }
        // SAFETY: the caller vouches for the place.
        unsafe { portable::tile(self.block_type.layout(), rows, panel, activations, place) };
    }
}
