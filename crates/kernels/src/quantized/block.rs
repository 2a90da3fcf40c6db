//! Blocks as they lie in a file.

use half::f16;

use super::block_type::{BlockType, Layout, Scales};
use crate::KernelError;

/// One block, taken apart.
#[derive(Clone)]
pub(super) struct Block {
    /// The codes, none of them negative; only as many as the block has numbers.
    pub(super) codes: [u8; 256],
    pub(super) scale: f16,
    pub(super) minimum: f16,
    /// Where scales are nested: for every 32 numbers the factors of the scale and of the minimum, or the signed factors of the
    /// scale for each 16 of them.
    pub(super) factors: [[u8; 2]; 8],
}

impl Block {
    pub(super) const ZERO: Self = Self {
        codes: [0; 256],
        scale: f16::ZERO,
        minimum: f16::ZERO,
        factors: [[0; 2]; 8],
    };

    /// Takes apart a block of [`BlockType::block_bytes`] bytes.
    pub(super) fn read(block_type: BlockType, bytes: &[u8]) -> Self {
        let mut block = Self::ZERO;
        let half_at = |at: usize| f16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let codes = &mut block.codes;
        match block_type {
            BlockType::Q4_0 | BlockType::Q4_1 | BlockType::Q5_0 | BlockType::Q5_1 => {
                let layout = block_type.layout();
                block.scale = half_at(0);
                let mut rest = 2;
                if layout.has_minimum() {
                    block.minimum = half_at(2);
                    rest = 4;
                }
                let nibbles = &bytes[bytes.len() - 16..];
                for (j, byte) in nibbles.iter().enumerate() {
                    codes[j] = byte & 15;
                    codes[j + 16] = byte >> 4;
                }
                if layout.bits == 5 {
                    for (j, code) in codes[..32].iter_mut().enumerate() {
                        *code |= (bytes[rest + j / 8] >> (j % 8) & 1) << 4;
                    }
                }
            }
            BlockType::Q8_0 => {
                block.scale = half_at(0);
                for (code, byte) in codes.iter_mut().zip(&bytes[2..34]) {
                    // Adds 128, so that the code is not negative.
                    *code = byte ^ 0x80;
                }
            }
            BlockType::Q4_K | BlockType::Q5_K => {
                block.scale = half_at(0);
                block.minimum = half_at(2);
                block.factors = six_bits(&bytes[4..16]);
                let nibbles = &bytes[bytes.len() - 128..];
                for (j, code) in codes.iter_mut().enumerate() {
                    // 64 codes are in 32 bytes: first the lower halves of them, then the upper ones.
                    let byte = nibbles[j / 64 * 32 + j % 32];
                    *code = if j % 64 < 32 { byte & 15 } else { byte >> 4 };
                    if block_type == BlockType::Q5_K {
                        *code |= (bytes[16 + j % 32] >> (j / 32) & 1) << 4;
                    }
                }
            }
            BlockType::Q6_K => {
                let (low, high) = (&bytes[..128], &bytes[128..192]);
                for (j, code) in codes.iter_mut().enumerate() {
                    let (half, quarter, within) = (j / 128, j % 128 / 32, j % 32);
                    let byte = low[half * 64 + quarter % 2 * 32 + within];
                    let nibble = if quarter < 2 { byte & 15 } else { byte >> 4 };
                    *code = nibble | (high[half * 32 + within] >> (2 * quarter) & 3) << 4;
                }
                for (j, factor) in bytes[192..208].iter().enumerate() {
                    block.factors[j / 2][j % 2] = *factor;
                }
                block.scale = half_at(208);
            }
        }
        block
    }

    /// The numbers of the block. Each of them is rounded once at most: products of a scale, a factor and a code are exact.
    pub(super) fn write(&self, layout: Layout, to: &mut [f32]) {
        let (scale, minimum) = (self.scale.to_f32(), self.minimum.to_f32());
        let offset = layout.offset as f32;
        for (part, to) in to.chunks_exact_mut(32).enumerate() {
            let codes = &self.codes[32 * part..];
            let [first, second] = self.factors[part];
            match layout.scales {
                Scales::One => {
                    for (to, &code) in to.iter_mut().zip(codes) {
                        *to = scale * (f32::from(code) - offset);
                    }
                }
                Scales::OneWithMinimum => {
                    for (to, &code) in to.iter_mut().zip(codes) {
                        *to = scale * f32::from(code) + minimum;
                    }
                }
                Scales::Nested => {
                    let (scale, minimum) = (scale * f32::from(first), minimum * f32::from(second));
                    for (to, &code) in to.iter_mut().zip(codes) {
                        *to = scale * f32::from(code) - minimum;
                    }
                }
                Scales::NestedSigned => {
                    let scales = [first, second].map(|factor| scale * f32::from(factor.cast_signed()));
                    for (j, (to, &code)) in to.iter_mut().zip(codes).enumerate() {
                        *to = scales[j / 16] * (f32::from(code) - offset);
                    }
                }
            }
        }
    }
}

/// Eight pairs of 6 bits out of 12 bytes, the factors of scales and of minima: the first four pairs are the lower 6 bits of the
/// first 8 bytes, the others have their lower 4 bits in the last 4 bytes and their upper 2 bits in those that the first pairs left.
fn six_bits(bytes: &[u8]) -> [[u8; 2]; 8] {
    let mut factors = [[0; 2]; 8];
    for j in 0..4 {
        factors[j] = [bytes[j] & 63, bytes[j + 4] & 63];
        factors[j + 4] = [
            bytes[j + 8] & 15 | bytes[j] >> 6 << 4,
            bytes[j + 8] >> 4 | bytes[j + 4] >> 6 << 4,
        ];
    }
    factors
}

/// The numbers of `blocks`, one after another, as ggml has them.
///
/// # Errors
///
/// Where `to` is not a whole number of blocks, or `blocks` are not as many bytes as these have.
pub fn dequantize(block_type: BlockType, blocks: &[u8], to: &mut [f32]) -> Result<(), KernelError> {
    check(block_type, blocks, 1, to.len())?;
    let layout = block_type.layout();
    let blocks = blocks.chunks_exact(block_type.block_bytes());
    for (bytes, to) in blocks.zip(to.chunks_exact_mut(block_type.block_len())) {
        Block::read(block_type, bytes).write(layout, to);
    }
    Ok(())
}

/// Whether `blocks` are so many rows.
pub(super) fn check(block_type: BlockType, blocks: &[u8], rows: usize, row_len: usize) -> Result<(), KernelError> {
    let length = block_type.block_len();
    if !row_len.is_multiple_of(length) {
        return Err(KernelError::RowOfBlocks {
            block_type,
            found: row_len,
            length,
        });
    }
    let expected = (row_len / length)
        .checked_mul(rows)
        .and_then(|count| count.checked_mul(block_type.block_bytes()));
    if expected != Some(blocks.len()) {
        return Err(KernelError::Blocks {
            block_type,
            rows,
            row_len,
            found: blocks.len(),
            expected: expected.unwrap_or(usize::MAX),
        });
    }
    Ok(())
}
