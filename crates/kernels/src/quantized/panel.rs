//! Blocks of sixteen outputs, interleaved for products.
//!
//! A panel holds the weights of [`LANES`] outputs, of the first block of each of them, then of the second, and so on. For such
//! a group of blocks it has the sixteen scales and, where there are any, the sixteen minima, as f16; then for every 32 inputs
//! the sixteen pairs of factors, where scales are nested, first the former and then the latter; and the codes.
//!
//! The 32 inputs are 8 quads of 4 inputs. The codes of a quad are [`QUAD`] bytes, four in succession for each output, so that a
//! register of sixteen 32-bit integers has the products of one output in each. Of codes with 8 bits the quads follow one another. Of
//! others, the lower 4 bits of quad j and of quad j + 4 are in one byte (j < 4). A fifth bit is bit j of a byte for all of the
//! eight quads. A fifth and a sixth bit are bits 2j and 2j + 1 of two bytes, the first of which is for the quads j < 4.

use half::f16;

use super::block::Block;
use super::block_type::Layout;

/// Outputs of a panel.
pub(super) const LANES: usize = 16;
/// Bytes that the codes of four inputs and all outputs of a panel would have if they were bytes.
pub(super) const QUAD: usize = 4 * LANES;

impl Layout {
    /// Bytes of scales and minima before the codes.
    pub(super) const fn head(self) -> usize {
        if self.has_minimum() { 4 * LANES } else { 2 * LANES }
    }

    /// Bytes of the factors before the codes of 32 inputs.
    pub(super) const fn factors(self) -> usize {
        if self.is_nested() { 2 * LANES } else { 0 }
    }

    /// Bytes of 32 inputs, factors and codes.
    pub(super) const fn part(self) -> usize {
        self.factors() + 4 * self.bits * LANES
    }

    /// Bytes of the blocks of all outputs of a panel.
    pub(super) const fn group(self) -> usize {
        self.head() + self.parts() * self.part()
    }

    /// The codes of a quad, from the codes of 32 inputs.
    pub(super) fn quad(self, codes: &[u8], quad: usize) -> [u8; QUAD] {
        if self.bits == 8 {
            return std::array::from_fn(|at| codes[quad * QUAD + at]);
        }
        let nibbles = &codes[quad % 4 * QUAD..][..QUAD];
        let shift = quad / 4 * 4;
        let mut found = std::array::from_fn(|at| nibbles[at] >> shift & 15);
        let high = &codes[4 * QUAD..];
        match self.bits {
            5 => {
                for (found, high) in found.iter_mut().zip(high) {
                    *found |= (high >> quad & 1) << 4;
                }
            }
            6 => {
                for (found, high) in found.iter_mut().zip(&high[quad / 4 * QUAD..]) {
                    *found |= (high >> (quad % 4 * 2) & 3) << 4;
                }
            }
            _ => {}
        }
        found
    }

    /// Writes the codes of one output for 32 inputs.
    fn put(self, to: &mut [u8], lane: usize, codes: &[u8; 32]) {
        let code = |quad: usize, at: usize| codes[4 * quad + at];
        // Four bytes of every `QUAD`, one for each input of a quad.
        let mut put = |place: usize, bytes: [u8; 4]| to[place * QUAD + 4 * lane..][..4].copy_from_slice(&bytes);
        if self.bits == 8 {
            for quad in 0..8 {
                put(quad, std::array::from_fn(|at| code(quad, at)));
            }
            return;
        }
        for quad in 0..4 {
            put(
                quad,
                std::array::from_fn(|at| code(quad, at) & 15 | code(quad + 4, at) << 4),
            );
        }
        let high = |quad: usize, at: usize| code(quad, at) >> 4;
        match self.bits {
            5 => put(
                4,
                std::array::from_fn(|at| (0..8).map(|quad| high(quad, at) << quad).sum()),
            ),
            6 => {
                for half in 0..2 {
                    let bits = |at| (0..4).map(|quad| high(4 * half + quad, at) << (2 * quad)).sum();
                    put(4 + half, std::array::from_fn(bits));
                }
            }
            _ => {}
        }
    }

    /// Writes the block of one output into a group.
    pub(super) fn put_block(self, group: &mut [u8], lane: usize, block: &Block) {
        let halves = [block.scale, block.minimum];
        for (half, to) in halves.iter().zip(group[..self.head()].chunks_exact_mut(2 * LANES)) {
            to[2 * lane..2 * lane + 2].copy_from_slice(&half.to_ne_bytes());
        }
        let parts = group[self.head()..].chunks_exact_mut(self.part());
        let (codes, _) = block.codes.as_chunks::<32>();
        for ((part, factors), codes) in parts.zip(block.factors).zip(codes) {
            let (to, part) = part.split_at_mut(self.factors());
            for (to, factor) in to.chunks_exact_mut(LANES).zip(factors) {
                to[lane] = factor;
            }
            self.put(part, lane, codes);
        }
    }

    /// The block of one output.
    pub(super) fn take_block(self, group: &[u8], lane: usize) -> Block {
        let mut block = Block::ZERO;
        block.scale = Self::scale(group, lane);
        block.minimum = self.minimum(group, lane);
        for index in 0..self.parts() {
            let (factors, codes) = group[self.head() + index * self.part()..].split_at(self.factors());
            if self.is_nested() {
                block.factors[index] = [factors[lane], factors[LANES + lane]];
            }
            for quad in 0..8 {
                let found = &self.quad(codes, quad)[4 * lane..4 * lane + 4];
                block.codes[32 * index + 4 * quad..][..4].copy_from_slice(found);
            }
        }
        block
    }

    pub(super) fn scale(group: &[u8], lane: usize) -> f16 {
        f16::from_ne_bytes([group[2 * lane], group[2 * lane + 1]])
    }

    /// Zero where there are none.
    pub(super) fn minimum(self, group: &[u8], lane: usize) -> f16 {
        if self.has_minimum() {
            Self::scale(&group[2 * LANES..], lane)
        } else {
            f16::ZERO
        }
    }
}
