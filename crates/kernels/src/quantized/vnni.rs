//! A tile of the product with AVX-512 VNNI: four products of bytes at once are added into each of sixteen integers.

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

/// Bytes of a line of the cache.
const LINE: usize = 64;
/// How far ahead weights are called for, in bytes. With few rows the processor itself foresees what comes, and better; with more
/// it is busy with products for so long that it does not.
const AHEAD: usize = 2048;

const fn layout(block_type: usize) -> Layout {
    BlockType::ALL[block_type].layout()
}

/// The same as [`super::portable::tile`], bit by bit. `TYPE` is the number of the type of blocks, `ROWS` the rows of the tile.
///
/// # Safety
///
/// The processor must have the instructions, and `place` must be valid for writes that nobody else makes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,f16c")]
pub(super) unsafe fn tile<const TYPE: usize, const ROWS: usize>(panel: &[u8], activations: &[u32], place: Place) {
    let group = const { layout(TYPE).group() };
    let parts = const { layout(TYPE).parts() };
    let groups = panel.len() / group;
    assert!(
        activations.len() >= groups * parts * ROWS * WORDS,
        "a tile of rows as long as the panel"
    );
    let mut sums = [_mm512_setzero_ps(); ROWS];
    let mut weights = panel.as_ptr();
    let mut words = activations.as_ptr();
    for _ in 0..groups {
        // SAFETY: there are as many whole groups of `group` bytes in the panel, and for each of their parts `ROWS * WORDS` words.
        unsafe {
            let head = weights;
            weights = weights.add(const { layout(TYPE).head() });
            for _ in 0..parts {
                add_part::<TYPE, ROWS>(head, weights, words, &mut sums);
                weights = weights.add(const { layout(TYPE).part() });
                words = words.add(ROWS * WORDS);
            }
        }
    }
    let mask = u16::MAX >> LANES.saturating_sub(place.outputs);
    for (row, sum) in sums.iter().enumerate() {
        // SAFETY: the caller vouches for the place; the mask leaves its `outputs`.
        unsafe { _mm512_mask_storeu_ps(place.to.add(row * place.stride), mask, *sum) };
    }
}

/// The inputs of a block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,f16c")]
unsafe fn add_part<const TYPE: usize, const ROWS: usize>(
    head: *const u8,
    part: *const u8,
    words: *const u32,
    sums: &mut [__m512; ROWS],
) {
    // SAFETY: the caller has a group of blocks at `head`, one of its parts at `part`, and the words of a block of `ROWS` rows.
    unsafe {
        if ROWS >= 4 {
            for line in (0..const { layout(TYPE).part() }).step_by(LINE) {
                _mm_prefetch::<_MM_HINT_T0>(part.wrapping_add(AHEAD + line).cast());
            }
        }
        let [scales, minimum] = scales::<TYPE>(head, part);
        let codes = part.add(const { layout(TYPE).factors() });
        let terms = words.add(ROWS * BLOCK / 4);
        let steps = const { layout(TYPE).steps() };
        for step in 0..steps {
            let mut dots = [_mm512_setzero_si512(); ROWS];
            if const { layout(TYPE).offset != 0 } {
                for (row, dot) in dots.iter_mut().enumerate() {
                    *dot = _mm512_set1_epi32(*terms.add(row * TERMS + 2 + step) as i32);
                }
            }
            // Quads j and j + 4 are in the same bytes.
            for index in 0..8 / steps {
                let quad = if steps == 2 {
                    4 * step + index
                } else {
                    index / 2 + index % 2 * 4
                };
                let weights = quad_codes::<TYPE>(codes, quad);
                for (row, dot) in dots.iter_mut().enumerate() {
                    let inputs = _mm512_set1_epi32(*words.add(row * (BLOCK / 4) + quad) as i32);
                    *dot = _mm512_dpbusd_epi32(*dot, weights, inputs);
                }
            }
            // Of two steps the second has its scale in the place of the minimum, of which there is none.
            let scale = if step == 0 { scales } else { minimum };
            for (row, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
                let terms = terms.add(row * TERMS).cast::<f32>();
                let scale = _mm512_mul_ps(scale, _mm512_set1_ps(*terms));
                let mut term = _mm512_mul_ps(_mm512_cvtepi32_ps(dot), scale);
                if const { layout(TYPE).has_minimum() } {
                    term = _mm512_add_ps(term, _mm512_mul_ps(minimum, _mm512_set1_ps(*terms.add(1))));
                }
                *sum = _mm512_add_ps(*sum, term);
            }
        }
    }
}

/// The scale and the minimum of the weights, or the two scales.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,f16c")]
unsafe fn scales<const TYPE: usize>(head: *const u8, part: *const u8) -> [__m512; 2] {
    // SAFETY: the caller has a group of blocks at `head` and one of its parts at `part`, which begin with as many numbers.
    unsafe {
        let scale = _mm512_cvtph_ps(_mm256_loadu_si256(head.cast()));
        let second = || _mm512_cvtph_ps(_mm256_loadu_si256(head.add(2 * LANES).cast()));
        let factors = |index: usize| _mm_loadu_si128(part.add(index * LANES).cast());
        match const { layout(TYPE).scales } {
            Scales::One => [scale, _mm512_setzero_ps()],
            Scales::OneWithMinimum => [scale, second()],
            Scales::Nested => {
                let [first, last] = [0, 1].map(|index| _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(factors(index))));
                let minimum = _mm512_xor_ps(second(), _mm512_set1_ps(-0.0));
                [_mm512_mul_ps(scale, first), _mm512_mul_ps(minimum, last)]
            }
            Scales::NestedSigned => {
                [0, 1].map(|index| _mm512_mul_ps(scale, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(factors(index)))))
            }
        }
    }
}

/// The codes of a quad, a byte each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,f16c")]
unsafe fn quad_codes<const TYPE: usize>(codes: *const u8, quad: usize) -> __m512i {
    // SAFETY: the caller has the codes of 32 inputs here.
    let load = |index: usize| unsafe { _mm512_loadu_si512(codes.add(index * QUAD).cast()) };
    let bits = const { layout(TYPE).bits };
    if bits == 8 {
        return load(quad);
    }
    let bytes = load(quad % 4);
    let bytes = if quad < 4 { bytes } else { _mm512_srli_epi16::<4>(bytes) };
    let nibbles = _mm512_and_si512(bytes, _mm512_set1_epi8(15));
    let (high, mask) = match bits {
        5 => (shift_to_bit_4(load(4), quad), 16),
        6 => (shift_to_bit_4(load(4 + quad / 4), quad % 4 * 2), 48),
        _ => return nibbles,
    };
    // Nibbles or (high and mask).
    _mm512_ternarylogic_epi32::<0xf8>(nibbles, high, _mm512_set1_epi8(mask))
}

/// Shifts bit `at` of every byte to bit 4, with anything outside the mask of two bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn shift_to_bit_4(bytes: __m512i, at: usize) -> __m512i {
    match at {
        0 => _mm512_slli_epi16::<4>(bytes),
        1 => _mm512_slli_epi16::<3>(bytes),
        2 => _mm512_slli_epi16::<2>(bytes),
        3 => _mm512_slli_epi16::<1>(bytes),
        4 => bytes,
        5 => _mm512_srli_epi16::<1>(bytes),
        6 => _mm512_srli_epi16::<2>(bytes),
        _ => _mm512_srli_epi16::<3>(bytes),
    }
}
