//! Packing with AVX2: squares of eight rows.

#![expect(unsafe_code, reason = "vector instructions that not every processor has")]
#![expect(
    clippy::inline_always,
    reason = "the functions must take on the vector instructions of the function that they are part of"
)]

use std::arch::x86_64::{
    __m256i, _CMP_UNORD_Q, _mm256_add_epi32, _mm256_and_si256, _mm256_blendv_epi8, _mm256_castps_si256,
    _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_loadu_si256, _mm256_maskload_epi32, _mm256_or_si256,
    _mm256_packus_epi32, _mm256_permute2x128_si256, _mm256_permute4x64_epi64, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use super::squares::{Squares, packing};

const SIDE: usize = 8;

struct Eight;

packing!(Eight, "avx2,fma", "avx2,fma");

impl Squares for Eight {
    type Vector = __m256i;
    type Square = [__m256i; SIDE];
    const SIDE: usize = SIDE;

    #[inline(always)]
    unsafe fn zeros() -> Self::Square {
        // SAFETY: the caller's promise.
        unsafe { [_mm256_setzero_si256(); SIDE] }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32, count: usize) -> __m256i {
        // SAFETY: the caller's promise. What the mask leaves out is not read.
        unsafe {
            if count >= SIDE {
                _mm256_loadu_si256(from.cast())
            } else {
                let mask = _mm256_loadu_si256(MASKS.as_ptr().add(SIDE - count).cast());
                _mm256_maskload_epi32(from.cast(), mask)
            }
        }
    }

    #[inline(always)]
    unsafe fn store(vector: __m256i, to: *mut u32) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_si256(to.cast(), vector) }
    }

    /// First in groups of two vectors, then four, and then halves of registers change places.
    #[inline(always)]
    unsafe fn turned(square: Self::Square) -> Self::Square {
        // SAFETY: the caller's promise.
        unsafe {
            let mut twos = square;
            for pair in 0..SIDE / 2 {
                let (a, b) = (square[2 * pair], square[2 * pair + 1]);
                twos[2 * pair] = _mm256_unpacklo_epi32(a, b);
                twos[2 * pair + 1] = _mm256_unpackhi_epi32(a, b);
            }
            let mut fours = twos;
            for four in 0..SIDE / 4 {
                let first = 4 * four;
                for half in 0..2 {
                    let (a, b) = (twos[first + half], twos[first + half + 2]);
                    fours[first + 2 * half] = _mm256_unpacklo_epi64(a, b);
                    fours[first + 2 * half + 1] = _mm256_unpackhi_epi64(a, b);
                }
            }
            // Half h of `fours[4 f + i]` is now column 4 h + i of rows 4 f to 4 f + 3.
            let mut turned = fours;
            for index in 0..4 {
                let (a, b) = (fours[index], fours[4 + index]);
                turned[index] = _mm256_permute2x128_si256::<0x20>(a, b);
                turned[4 + index] = _mm256_permute2x128_si256::<0x31>(a, b);
            }
            turned
        }
    }

    #[inline(always)]
    unsafe fn neighbours(low: __m256i, high: __m256i) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe {
            // Halves of both registers come in turns: the quarters in the middle change places.
            _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(rounded(low), rounded(high)))
        }
    }

    #[inline(always)]
    unsafe fn side_by_side(low: __m256i, high: __m256i) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe { _mm256_or_si256(rounded(low), _mm256_slli_epi32::<16>(rounded(high))) }
    }
}

/// From some place on, as many lanes as are wanted.
static MASKS: [i32; 2 * SIDE] = {
    let mut masks = [0; 2 * SIDE];
    let mut lane = 0;
    while lane < SIDE {
        masks[lane] = -1;
        lane += 1;
    }
    masks
};

/// Numbers as bf16 in the low bits, to the nearest and ties to even.
#[inline(always)]
unsafe fn rounded(numbers: __m256i) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe {
        let high = _mm256_srli_epi32::<16>(numbers);
        let odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
        let just_below_half = _mm256_set1_epi32(0x7fff);
        let rounded = _mm256_srli_epi32::<16>(_mm256_add_epi32(numbers, _mm256_add_epi32(just_below_half, odd)));
        // No number stays none, also where all its bits were in the part that is cut off.
        let none = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
        let numbers = _mm256_castsi256_ps(numbers);
        let is_none = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(numbers, numbers));
        _mm256_blendv_epi8(rounded, none, is_none)
    }
}
