//! Packing with AVX-512: squares of sixteen rows.

#![expect(unsafe_code, reason = "vector instructions that not every processor has")]
#![expect(
    clippy::inline_always,
    reason = "the functions must take on the vector instructions of the function that they are part of"
)]

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cvtne2ps_pbh, _mm512_loadu_si512,
    _mm512_maskz_loadu_ps, _mm512_permutexvar_epi16, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_storeu_si512,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::squares::{Squares, packing};

const SIDE: usize = 16;

struct Sixteen;

packing!(
    Sixteen,
    "avx512f,avx512bw,avx512dq,avx512vl",
    "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"
);

impl Squares for Sixteen {
    type Vector = __m512i;
    type Square = [__m512i; SIDE];
    const SIDE: usize = SIDE;

    #[inline(always)]
    unsafe fn zeros() -> Self::Square {
        // SAFETY: the caller's promise.
        unsafe { [_mm512_setzero_si512(); SIDE] }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32, count: usize) -> __m512i {
        let mask = if count >= SIDE { u16::MAX } else { (1 << count) - 1 };
        // SAFETY: the caller's promise. What the mask leaves out is not read.
        unsafe { _mm512_castps_si512(_mm512_maskz_loadu_ps(mask, from)) }
    }

    #[inline(always)]
    unsafe fn store(vector: __m512i, to: *mut u32) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_si512(to.cast(), vector) }
    }

    /// First in groups of two vectors, then four, and then whole quarters of registers change places.
    #[inline(always)]
    unsafe fn turned(square: Self::Square) -> Self::Square {
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

    #[inline(always)]
    unsafe fn neighbours(low: __m512i, high: __m512i) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { bits(_mm512_cvtne2ps_pbh(numbers(high), numbers(low))) }
    }

    #[inline(always)]
    unsafe fn side_by_side(low: __m512i, high: __m512i) -> __m512i {
        // SAFETY: the caller's promise; `ALTERNATE` is as long as a register.
        unsafe {
            let order = _mm512_loadu_si512(ALTERNATE.as_ptr().cast());
            _mm512_permutexvar_epi16(order, Self::neighbours(low, high))
        }
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

#[inline(always)]
unsafe fn numbers(vector: __m512i) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe { _mm512_castsi512_ps(vector) }
}

#[inline(always)]
unsafe fn bits(pairs: __m512bh) -> __m512i {
    // SAFETY: both are 512 bits that may be anything.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(pairs) }
}
