//! Kernels with AVX2 and FMA: eight lanes, sixteen registers.

#![expect(unsafe_code, reason = "vector instructions that not every processor has")]
#![expect(
    clippy::inline_always,
    reason = "the functions must take on the vector instructions of the function that they are part of"
)]

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_and_si256, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_set1_epi32, _mm256_slli_epi32, _mm256_storeu_ps,
};

use super::avx2_pack;
use super::kernel::Kernel;
use super::tile::{Block, Lanes, Pairs, Singles, VECTORS};

struct Eight;

impl Lanes for Eight {
    type Register = __m256;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(bits: u32) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_castsi256_ps(_mm256_set1_epi32(bits.cast_signed())) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(register: __m256, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_ps(to, register) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn low(pairs: __m256) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(pairs))) }
    }

    #[inline(always)]
    unsafe fn high(pairs: __m256) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe {
            let mask = _mm256_set1_epi32(0xffff_0000_u32.cast_signed());
            _mm256_castsi256_ps(_mm256_and_si256(_mm256_castps_si256(pairs), mask))
        }
    }
}

const HEIGHT: usize = 6;

pub(super) static F32: Kernel = Kernel {
    width: 8 * VECTORS,
    height: HEIGHT,
    terms: 1,
    pack_rows: avx2_pack::rows_of_singles,
    pack_panels: avx2_pack::panels_of_singles,
    block: multiply_singles,
};

pub(super) static BF16: Kernel = Kernel {
    width: 8 * VECTORS,
    height: PAIRS_HEIGHT,
    terms: 2,
    pack_rows: avx2_pack::rows_of_pairs,
    pack_panels: avx2_pack::panels_of_pairs,
    block: multiply_pairs,
};

/// Fewer rows, because both halves of both vectors take registers too.
const PAIRS_HEIGHT: usize = 4;

#[target_feature(enable = "avx2,fma")]
unsafe fn multiply_singles(block: &mut Block<'_>) {
    // SAFETY: the caller's promise.
    unsafe { block.multiply::<Singles<Eight>, HEIGHT>() }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn multiply_pairs(block: &mut Block<'_>) {
    // SAFETY: the caller's promise.
    unsafe { block.multiply::<Pairs<Eight>, PAIRS_HEIGHT>() }
}
