//! Kernels with AVX-512: sixteen lanes, thirty-two registers, and products of pairs of bf16 where the processor has them.

#![expect(unsafe_code, reason = "vector instructions that not every processor has")]
#![expect(
    clippy::inline_always,
    reason = "the functions must take on the vector instructions of the function that they are part of"
)]

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_add_ps, _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_epi32, _mm512_slli_epi32, _mm512_storeu_ps,
};

use super::kernel::Kernel;
use super::tile::{Block, Lanes, Pairs, Singles, Units, VECTORS};
use super::{avx512_pack, pack};

struct Sixteen;

impl Lanes for Sixteen {
    type Register = __m512;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(bits: u32) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_castsi512_ps(_mm512_set1_epi32(bits.cast_signed())) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(register: __m512, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_ps(to, register) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn low(pairs: __m512) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(pairs))) }
    }

    #[inline(always)]
    unsafe fn high(pairs: __m512) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe {
            let mask = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
            _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(pairs), mask))
        }
    }
}

/// Units of two bf16, both of which one instruction multiplies and adds.
struct Dots;

impl Units for Dots {
    type Lanes = Sixteen;

    #[inline(always)]
    unsafe fn add(left: *const u32, right: __m512, sum: __m512) -> __m512 {
        // SAFETY: the caller's promise; all three types are 512 bits that may be anything.
        unsafe {
            let left = std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32((*left).cast_signed()));
            _mm512_dpbf16_ps(sum, left, std::mem::transmute::<__m512, __m512bh>(right))
        }
    }
}

/// With two vectors 24 accumulators.
const HEIGHT: usize = 12;

/// Fewer rows, because both halves of both vectors take registers too.
const PAIRS_HEIGHT: usize = 8;

pub(super) static F32: Kernel = Kernel {
    width: 16 * VECTORS,
    height: HEIGHT,
    terms: 1,
    pack_rows: avx512_pack::rows_of_singles,
    pack_panels: avx512_pack::panels_of_singles,
    block: multiply_singles,
};

pub(super) static BF16: Kernel = Kernel {
    width: 16 * VECTORS,
    height: PAIRS_HEIGHT,
    terms: 2,
    pack_rows: pack::pack_rows::<2>,
    pack_panels: pack::pack_panels::<2, { 16 * VECTORS }>,
    block: multiply_pairs,
};

pub(super) static BF16_DOT: Kernel = Kernel {
    width: 16 * VECTORS,
    height: HEIGHT,
    terms: 2,
    pack_rows: avx512_pack::rows_of_pairs,
    pack_panels: avx512_pack::panels_of_pairs,
    block: multiply_dots,
};

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn multiply_singles(block: &mut Block<'_>) {
    // SAFETY: the caller's promise.
    unsafe { block.multiply::<Singles<Sixteen>, HEIGHT>() }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn multiply_pairs(block: &mut Block<'_>) {
    // SAFETY: the caller's promise.
    unsafe { block.multiply::<Pairs<Sixteen>, PAIRS_HEIGHT>() }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn multiply_dots(block: &mut Block<'_>) {
    // SAFETY: the caller's promise.
    unsafe { block.multiply::<Dots, HEIGHT>() }
}
