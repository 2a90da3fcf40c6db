//! The types of blocks, and what their numbers are made of.

use std::fmt;

/// How a file of GGUF keeps the numbers of a tensor: in blocks of small integers with common scales.
///
/// The names are ggml's. A row of a matrix is a whole number of blocks.
#[expect(non_camel_case_types, reason = "the names that files and people use")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockType {
    /// 32 numbers of 4 bits, d (q - 8).
    Q4_0,
    /// 32 numbers of 4 bits, d q + m.
    Q4_1,
    /// 32 numbers of 5 bits, d (q - 16).
    Q5_0,
    /// 32 numbers of 5 bits, d q + m.
    Q5_1,
    /// 32 numbers of 8 bits, d q.
    Q8_0,
    /// 256 numbers of 4 bits, d s q - e m with 6 bits for each of s and m of every 32 numbers.
    Q4_K,
    /// 256 numbers of 5 bits, d s q - e m with 6 bits for each of s and m of every 32 numbers.
    Q5_K,
    /// 256 numbers of 6 bits, d s (q - 32) with 8 bits for s of every 16 numbers.
    Q6_K,
}

/// What the scales of a type of blocks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scales {
    /// One scale for the block.
    One,
    /// One scale and one minimum for the block.
    OneWithMinimum,
    /// One scale and one minimum for the block, with a factor for each of them in every 32 numbers.
    Nested,
    /// One scale for the block, with a signed factor in every 16 numbers.
    NestedSigned,
}

/// What there is to know about a type: its numbers are scale (code - offset) + minimum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Bits of a code, which is not negative.
    pub(super) bits: usize,
    /// What is taken from a code.
    pub(super) offset: i32,
    pub(super) scales: Scales,
}

impl Layout {
    /// Whether there are minima.
    pub(super) const fn has_minimum(self) -> bool {
        matches!(self.scales, Scales::OneWithMinimum | Scales::Nested)
    }

    /// Whether the scales of a block have factors.
    pub(super) const fn is_nested(self) -> bool {
        matches!(self.scales, Scales::Nested | Scales::NestedSigned)
    }

    /// How many times 32 numbers are in a block.
    pub(super) const fn parts(self) -> usize {
        if self.is_nested() { 8 } else { 1 }
    }

    /// How many scales 32 numbers have.
    pub(super) const fn steps(self) -> usize {
        if matches!(self.scales, Scales::NestedSigned) {
            2
        } else {
            1
        }
    }
}

impl BlockType {
    /// All of them; each stands at its own number.
    pub const ALL: [Self; 8] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    /// Numbers in a block.
    pub const fn block_len(self) -> usize {
        32 * self.layout().parts()
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
        }
    }

    pub(super) const fn layout(self) -> Layout {
        let (bits, offset, scales) = match self {
            Self::Q4_0 => (4, 8, Scales::One),
            Self::Q4_1 => (4, 0, Scales::OneWithMinimum),
            Self::Q5_0 => (5, 16, Scales::One),
            Self::Q5_1 => (5, 0, Scales::OneWithMinimum),
            Self::Q8_0 => (8, 128, Scales::One),
            Self::Q4_K => (4, 0, Scales::Nested),
            Self::Q5_K => (5, 0, Scales::Nested),
            Self::Q6_K => (6, 32, Scales::NestedSigned),
        };
        Layout { bits, offset, scales }
    }
}

impl fmt::Display for BlockType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_at_its_number_and_prints_its_name() {
        for (index, block_type) in BlockType::ALL.into_iter().enumerate() {
            assert_eq!(block_type as usize, index);
        }
        assert_eq!(BlockType::Q4_K.to_string(), "Q4_K");
    }
}
