//! Rows of f32 as bytes with a scale for every 32 of them.

use super::block_type::Layout;

/// Numbers with a common scale.
pub(super) const BLOCK: usize = 32;
/// Words of 32 bits that a block takes: its codes, and four numbers that belong to them.
pub(super) const WORDS: usize = BLOCK / 4 + TERMS;
/// Words beside the codes: the scale and the scale times the sum of the codes, both f32, and the sum of the codes times minus the
/// offset of the weights, of the whole block or of each half of it where weights have two scales.
pub(super) const TERMS: usize = 4;
/// The most rows of a tile.
pub(super) const TILE: usize = 12;

/// Rows in the tile that begins where so many rows are left: products are computed by tiles, and tiles are whole in memory.
pub(super) fn tile_rows(left: usize) -> usize {
    match left {
        TILE.. => TILE,
        8.. => 8,
        4.. => 4,
        _ => left.min(2),
    }
}

/// 2^-120, far below what matters; the inverse scale of smaller numbers could be infinite.
const SMALLEST: f32 = 7.523_164e-37;

/// Quantises `rows` to -127..=127 times the largest of 32 numbers over 127, rounded to the nearest and to even.
///
/// In `to` are the tiles one after another, and in each tile, block after block, the codes of all rows and then the terms of all
/// rows. `encode` quantises a block; all instructions give the same.
///
/// Blocks with a number that is infinite or no number get such a scale, so that it shows in every product. Blocks with no number of
/// 2^-120 or more count as zero.
#[inline]
pub(super) fn quantize(
    layout: Layout,
    rows: &[f32],
    inputs: usize,
    to: &mut [u32],
    encode: impl Fn(&[f32; BLOCK], &mut [i8; BLOCK]) -> Encoded,
) {
    let count = rows.len() / inputs;
    let blocks = inputs / BLOCK;
    let mut first = 0;
    while first < count {
        let tile = tile_rows(count - first);
        let (words, rows) = (&mut to[first * blocks * WORDS..], &rows[first * inputs..]);
        for row in 0..tile {
            let numbers = rows[row * inputs..][..inputs].as_chunks::<BLOCK>().0;
            for (words, numbers) in words.chunks_exact_mut(tile * WORDS).zip(numbers) {
                let (codes, terms) = words.split_at_mut(tile * BLOCK / 4);
                let codes: &mut [u32; BLOCK / 4] = &mut codes.as_chunks_mut().0[row];
                let Encoded { scale, sums } = encode(numbers, bytemuck::cast_mut(codes));
                let whole = sums[0] + sums[1];
                let [first, second] = if layout.steps() == 2 { sums } else { [whole, 0] };
                let scaled = scale * whole as f32;
                let [first, second] = [first, second].map(|sum| (-layout.offset * sum).cast_unsigned());
                terms.as_chunks_mut::<TERMS>().0[row] = [scale.to_bits(), scaled.to_bits(), first, second];
            }
        }
        first += tile;
    }
}

/// What a block has beside its codes.
pub(super) struct Encoded {
    scale: f32,
    /// Of the codes of each half.
    sums: [i32; 2],
}

impl Encoded {
    /// A block with no numbers to speak of, or where the largest is none.
    fn empty(largest: f32, codes: &mut [i8; BLOCK]) -> Self {
        codes.fill(0);
        Self {
            scale: largest / 127.0,
            sums: [0; 2],
        }
    }
}

pub(super) fn encode(numbers: &[f32; BLOCK], codes: &mut [i8; BLOCK]) -> Encoded {
    // The larger of two bit patterns without sign is the larger number; NaN is above all.
    let larger = |largest: u32, number: &f32| largest.max(number.abs().to_bits());
    let largest = f32::from_bits(numbers.iter().fold(0, larger));
    if !(SMALLEST..=f32::MAX).contains(&largest) {
        return Encoded::empty(largest, codes);
    }
    let inverse = 127.0 / largest;
    for (number, code) in numbers.iter().zip(codes.iter_mut()) {
        *code = (number * inverse).round_ties_even() as i8;
    }
    let sum = |codes: &[i8]| codes.iter().map(|&code| i32::from(code)).sum();
    Encoded {
        scale: largest / 127.0,
        sums: [sum(&codes[..BLOCK / 2]), sum(&codes[BLOCK / 2..])],
    }
}

/// The same as [`encode`], bit by bit.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions load and store through pointers")]
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn encode_avx2(numbers: &[f32; BLOCK], codes: &mut [i8; BLOCK]) -> Encoded {
    #[cfg_attr(
        not(test),
        expect(clippy::wildcard_imports, reason = "a list of two dozen instructions says nothing")
    )]
    use std::arch::x86_64::*;

    // SAFETY: a block has four times eight numbers.
    let numbers = [0, 8, 16, 24].map(|at| unsafe { _mm256_loadu_ps(numbers.as_ptr().add(at)) });
    let no_sign = _mm256_set1_epi32(i32::MAX);
    let bits = numbers.map(|numbers| _mm256_and_si256(_mm256_castps_si256(numbers), no_sign));
    let bits = _mm256_max_epu32(_mm256_max_epu32(bits[0], bits[1]), _mm256_max_epu32(bits[2], bits[3]));
    let bits = _mm_max_epu32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256::<1>(bits));
    let bits = _mm_max_epu32(bits, _mm_shuffle_epi32::<0b01_00_11_10>(bits));
    let bits = _mm_max_epu32(bits, _mm_shuffle_epi32::<0b10_11_00_01>(bits));
    let largest = f32::from_bits(_mm_cvtsi128_si32(bits).cast_unsigned());
    if !(SMALLEST..=f32::MAX).contains(&largest) {
        return Encoded::empty(largest, codes);
    }

    let inverse = _mm256_set1_ps(127.0 / largest);
    let whole = numbers.map(|numbers| _mm256_cvtps_epi32(_mm256_mul_ps(numbers, inverse)));
    let words = [
        _mm256_packs_epi32(whole[0], whole[1]),
        _mm256_packs_epi32(whole[2], whole[3]),
    ];
    // Packing leaves groups of four numbers in the order 0, 2, 4, 6, 1, 3, 5, 7.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    let bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(words[0], words[1]), order);
    // SAFETY: a block has 32 codes.
    unsafe { _mm256_storeu_si256(codes.as_mut_ptr().cast(), bytes) };

    // Sums of eight bytes each, which are 128 too large.
    let raised = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
    let sums = _mm256_sad_epu8(raised, _mm256_setzero_si256());
    let sums = _mm256_add_epi32(sums, _mm256_shuffle_epi32::<0b01_00_11_10>(sums));
    let sum = |half: __m128i| _mm_cvtsi128_si32(half) - 16 * 128;
    Encoded {
        scale: largest / 127.0,
        sums: [
            sum(_mm256_castsi256_si128(sums)),
            sum(_mm256_extracti128_si256::<1>(sums)),
        ],
    }
}
