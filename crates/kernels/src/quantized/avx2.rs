//! A tile of the product with AVX2: pairs of products of bytes are added into 16-bit integers, and these into 32-bit ones.

#![expect(unsafe_code, reason = "vector instructions and loads through pointers")]

#[cfg_attr(
    not(test),
    expect(clippy::wildcard_imports, reason = "a list of two dozen instructions says nothing")
)]
use std::arch::x86_64::*;

use super::activations::{BLOCK, TERMS, WORDS};
use super::block_type::{BlockType, Layout, Scales};
use super::panel::{LANES, QUAD};
use super::portable::Place;

const fn layout(block_type: usize) -> Layout {
    BlockType::ALL[block_type].layout()
}

/// Quads whose pairs of products can be added up in 16 bits, at most 2 (2^bits - 1) 127 each. Codes of 8 bits are taken with a
/// sign, so that a pair is at most 2 128 127.
const fn quads(bits: usize) -> usize {
    match bits {
        4 => 8,
        5 => 4,
        6 => 2,
        _ => 1,
    }
}

/// The same as [`super::portable::tile`], bit by bit. `TYPE` is the number of the type of blocks, `ROWS` the rows of the tile.
///
/// # Safety
///
/// The processor must have the instructions, and `place` must be valid for writes that nobody else makes.
#[target_feature(enable = "avx2,f16c")]
pub(super) unsafe fn tile<const TYPE: usize, const ROWS: usize>(panel: &[u8], activations: &[u32], place: Place) {
    let group = const { layout(TYPE).group() };
    let parts = const { layout(TYPE).parts() };
    let groups = panel.len() / group;
    assert!(
        activations.len() >= groups * parts * ROWS * WORDS,
        "a tile of rows as long as the panel"
    );
    // Registers have eight integers: first the first eight outputs.
    for half in 0..2 {
        let mut sums = [_mm256_setzero_ps(); ROWS];
        let mut weights = panel.as_ptr();
        let mut words = activations.as_ptr();
        for _ in 0..groups {
            // SAFETY: there are as many whole groups of `group` bytes in the panel, and for each of their parts `ROWS * WORDS`
            // words.
            unsafe {
                let head = weights;
                weights = weights.add(const { layout(TYPE).head() });
                for _ in 0..parts {
                    add_part::<TYPE, ROWS>(half, head, weights, words, &mut sums);
                    weights = weights.add(const { layout(TYPE).part() });
                    words = words.add(ROWS * WORDS);
                }
            }
        }
        let outputs = place.outputs.saturating_sub(half * LANES / 2).min(LANES / 2);
        for (row, sum) in sums.iter().enumerate() {
            let mut numbers = [0.0; LANES / 2];
            // SAFETY: `numbers` takes a register, and the caller vouches for the place, which has `outputs` numbers from here.
            unsafe {
                _mm256_storeu_ps(numbers.as_mut_ptr(), *sum);
                let to = place.to.add(row * place.stride + half * LANES / 2);
                std::ptr::copy_nonoverlapping(numbers.as_ptr(), to, outputs);
            }
        }
    }
}

/// The inputs of a block, for the outputs of a half.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn add_part<const TYPE: usize, const ROWS: usize>(
    half: usize,
    head: *const u8,
    part: *const u8,
    words: *const u32,
    sums: &mut [__m256; ROWS],
) {
    let bits = const { layout(TYPE).bits };
    let has_minimum = const { layout(TYPE).has_minimum() };
    let steps = const { layout(TYPE).steps() };
    // SAFETY: the caller has a group of blocks at `head`, one of its parts at `part`, and the words of a block of `ROWS` rows.
    unsafe {
        let [scales, minimum] = scales::<TYPE>(half, head, part);
        let codes = part.add(const { layout(TYPE).factors() } + half * QUAD / 2);
        let terms = words.add(ROWS * BLOCK / 4);
        for step in 0..steps {
            let mut dots = [_mm256_setzero_si256(); ROWS];
            let count = 8 / steps;
            for first in (0..count).step_by(quads(bits)) {
                let mut pairs = [_mm256_setzero_si256(); ROWS];
                for index in first..count.min(first + quads(bits)) {
                    let quad = step * count + index;
                    let weights = quad_codes::<TYPE>(codes, quad);
                    for (row, pairs) in pairs.iter_mut().enumerate() {
                        let inputs = _mm256_set1_epi32(*words.add(row * (BLOCK / 4) + quad) as i32);
                        let products = if bits == 8 {
                            _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(inputs, weights))
                        } else {
                            _mm256_maddubs_epi16(weights, inputs)
                        };
                        *pairs = _mm256_add_epi16(*pairs, products);
                    }
                }
                for (dot, pairs) in dots.iter_mut().zip(pairs) {
                    *dot = _mm256_add_epi32(*dot, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
                }
            }
            // Of two steps the second has its scale in the place of the minimum, of which there is none.
            let scale = if step == 0 { scales } else { minimum };
            for (row, (sum, mut dot)) in sums.iter_mut().zip(dots).enumerate() {
                let terms = terms.add(row * TERMS);
                if bits != 8 && !has_minimum {
                    dot = _mm256_add_epi32(dot, _mm256_set1_epi32(*terms.add(2 + step) as i32));
                }
                let terms = terms.cast::<f32>();
                let scale = _mm256_mul_ps(scale, _mm256_set1_ps(*terms));
                let mut term = _mm256_mul_ps(_mm256_cvtepi32_ps(dot), scale);
                if has_minimum {
                    term = _mm256_add_ps(term, _mm256_mul_ps(minimum, _mm256_set1_ps(*terms.add(1))));
                }
                *sum = _mm256_add_ps(*sum, term);
            }
        }
    }
}

/// The scale and the minimum of the weights, or the two scales.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn scales<const TYPE: usize>(half: usize, head: *const u8, part: *const u8) -> [__m256; 2] {
    // SAFETY: the caller has a group of blocks at `head` and one of its parts at `part`, which begin with as many numbers.
    unsafe {
        let head = head.add(half * LANES);
        let scale = _mm256_cvtph_ps(_mm_loadu_si128(head.cast()));
        let second = || _mm256_cvtph_ps(_mm_loadu_si128(head.add(2 * LANES).cast()));
        let factors = |index: usize| _mm_loadl_epi64(part.add(index * LANES + half * LANES / 2).cast());
        match const { layout(TYPE).scales } {
            Scales::One => [scale, _mm256_setzero_ps()],
            Scales::OneWithMinimum => [scale, second()],
            Scales::Nested => {
                let [first, last] = [0, 1].map(|index| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(factors(index))));
                let minimum = _mm256_xor_ps(second(), _mm256_set1_ps(-0.0));
                [_mm256_mul_ps(scale, first), _mm256_mul_ps(minimum, last)]
            }
            Scales::NestedSigned => {
                [0, 1].map(|index| _mm256_mul_ps(scale, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(factors(index)))))
            }
        }
    }
}

/// The codes of a quad, a byte each; those of 8 bits with their sign.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn quad_codes<const TYPE: usize>(codes: *const u8, quad: usize) -> __m256i {
    // SAFETY: the caller has the codes of 32 inputs here, from the half on that it wants.
    let load = |index: usize| unsafe { _mm256_loadu_si256(codes.add(index * QUAD).cast()) };
    let bits = const { layout(TYPE).bits };
    if bits == 8 {
        return _mm256_xor_si256(load(quad), _mm256_set1_epi8(-128));
    }
    let bytes = load(quad % 4);
    let bytes = if quad < 4 { bytes } else { _mm256_srli_epi16::<4>(bytes) };
    let nibbles = _mm256_and_si256(bytes, _mm256_set1_epi8(15));
    let (high, mask) = match bits {
        5 => (shift_to_bit_4(load(4), quad), 16),
        6 => (shift_to_bit_4(load(4 + quad / 4), quad % 4 * 2), 48),
        _ => return nibbles,
    };
    _mm256_or_si256(nibbles, _mm256_and_si256(high, _mm256_set1_epi8(mask)))
}

/// Shifts bit `at` of every byte to bit 4, with anything outside the mask of two bits.
#[inline]
#[target_feature(enable = "avx2")]
fn shift_to_bit_4(bytes: __m256i, at: usize) -> __m256i {
    match at {
        0 => _mm256_slli_epi16::<4>(bytes),
        1 => _mm256_slli_epi16::<3>(bytes),
        2 => _mm256_slli_epi16::<2>(bytes),
        3 => _mm256_slli_epi16::<1>(bytes),
        4 => bytes,
        5 => _mm256_srli_epi16::<1>(bytes),
        6 => _mm256_srli_epi16::<2>(bytes),
        _ => _mm256_srli_epi16::<3>(bytes),
    }
}
