//! Kernels in plain Rust, whose loops the compiler turns into the vector instructions that every processor of the target has:
//! NEON on 64-bit Arm, SSE2 on x86-64.

#![expect(
    unsafe_code,
    reason = "implements the kernels' traits, whose loads and stores are through pointers"
)]
#![expect(clippy::inline_always, reason = "the innermost loops are made of these functions")]

use super::kernel::Kernel;
use super::pack::{pack_panels, pack_rows};
use super::tile::{Block, Lanes, Pairs, Singles, VECTORS};

/// Four lanes. Fused multiplication and addition is one instruction on Arm, but a call of a slow function on x86-64 without FMA.
struct Four<const FUSED: bool>;

impl<const FUSED: bool> Lanes for Four<FUSED> {
    type Register = [f32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(bits: u32) -> [f32; 4] {
        [f32::from_bits(bits); 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(register: [f32; 4], to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(register) }
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    unsafe fn multiply_add(a: [f32; 4], b: [f32; 4], mut c: [f32; 4]) -> [f32; 4] {
        for ((c, a), b) in c.iter_mut().zip(a).zip(b) {
            *c = if FUSED { a.mul_add(b, *c) } else { a * b + *c };
        }
        c
    }

    #[inline(always)]
    unsafe fn low(pairs: [f32; 4]) -> [f32; 4] {
        pairs.map(|pair| f32::from_bits(pair.to_bits() << 16))
    }

    #[inline(always)]
    unsafe fn high(pairs: [f32; 4]) -> [f32; 4] {
        pairs.map(|pair| f32::from_bits(pair.to_bits() & 0xffff_0000))
    }
}

/// As many accumulators as leave registers for the factors: SSE2 has sixteen of them.
const HEIGHT: usize = 4;

const fn singles<const FUSED: bool>() -> Kernel {
    Kernel {
        width: 4 * VECTORS,
        height: HEIGHT,
        terms: 1,
        pack_rows: pack_rows::<1>,
        pack_panels: pack_panels::<1, { 4 * VECTORS }>,
        block: multiply_singles::<FUSED>,
    }
}

const fn pairs<const FUSED: bool>() -> Kernel {
    Kernel {
        terms: 2,
        pack_rows: pack_rows::<2>,
        pack_panels: pack_panels::<2, { 4 * VECTORS }>,
        block: multiply_pairs::<FUSED>,
        ..singles::<FUSED>()
    }
}

pub(super) static F32: Kernel = singles::<false>();
pub(super) static BF16: Kernel = pairs::<false>();
pub(super) static FUSED_F32: Kernel = singles::<true>();
pub(super) static FUSED_BF16: Kernel = pairs::<true>();

unsafe fn multiply_singles<const FUSED: bool>(block: &mut Block<'_>) {
    // SAFETY: the caller's promise.
    unsafe { block.multiply::<Singles<Four<FUSED>>, HEIGHT>() }
}

unsafe fn multiply_pairs<const FUSED: bool>(block: &mut Block<'_>) {
    // SAFETY: the caller's promise.
    unsafe { block.multiply::<Pairs<Four<FUSED>>, HEIGHT>() }
}
