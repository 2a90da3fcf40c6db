//! Types of the elements of tensors.

use std::fmt;

use etude_kernels::quantized::{self, BlockType};
use half::{bf16, f16};

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dtype {
    /// A byte that is 0 or 1.
    Bool,
    /// Unsigned integers of 8 bits.
    U8,
    /// Integers of 8 bits.
    I8,
    /// Unsigned integers of 16 bits.
    U16,
    /// Integers of 16 bits.
    I16,
    /// IEEE 754 numbers of 16 bits.
    F16,
    /// The upper halves of IEEE 754 numbers of 32 bits.
    Bf16,
    /// Unsigned integers of 32 bits.
    U32,
    /// Integers of 32 bits.
    I32,
    /// IEEE 754 numbers of 32 bits.
    F32,
    /// Unsigned integers of 64 bits.
    U64,
    /// Integers of 64 bits.
    I64,
    /// IEEE 754 numbers of 64 bits.
    F64,
    /// Blocks of small integers with common scales, as llama.cpp quantises.
    Block(BlockType),
}

/// The types with their names in safetensors.
const NAMES: [(Dtype, &str); 13] = [
    (Dtype::Bool, "BOOL"),
    (Dtype::U8, "U8"),
    (Dtype::I8, "I8"),
    (Dtype::U16, "U16"),
    (Dtype::I16, "I16"),
    (Dtype::F16, "F16"),
    (Dtype::Bf16, "BF16"),
    (Dtype::U32, "U32"),
    (Dtype::I32, "I32"),
    (Dtype::F32, "F32"),
    (Dtype::U64, "U64"),
    (Dtype::I64, "I64"),
    (Dtype::F64, "F64"),
];

impl Dtype {
    /// The type that safetensors calls so.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, n)| *n == name).map(|&(dtype, _)| dtype)
    }

    /// Every name, for errors.
    pub(crate) fn names() -> String {
        NAMES.map(|(_, name)| name).join(", ")
    }

    /// The bytes of so many elements; none where that is more than memory can address, or no whole number of blocks.
    pub fn bytes_of(self, elements: usize) -> Option<usize> {
        let each = match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::Block(block) => {
                let whole = elements.is_multiple_of(block.block_len());
                return whole.then(|| (elements / block.block_len()).checked_mul(block.block_bytes()))?;
            }
        };
        elements.checked_mul(each)
    }

    /// Whether the elements are real numbers, quantised or not, so that they can be read as `f32`.
    pub fn is_real(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16 | Self::F32 | Self::F64 | Self::Block(_))
    }

    /// Reads elements from little-endian bytes as `f32`, rounding those of 64 bits to the nearest. Returns whether the type is
    /// one of real numbers; if it is not, nothing is written.
    ///
    /// # Panics
    /// If the bytes are not those of `to.len()` elements.
    pub fn to_f32(self, bytes: &[u8], to: &mut [f32]) -> bool {
        match self {
            Self::F32 => convert(bytes, to, f32::from_le_bytes),
            Self::F16 => convert(bytes, to, |b| f16::from_le_bytes(b).to_f32()),
            Self::Bf16 => convert(bytes, to, |b| bf16::from_le_bytes(b).to_f32()),
            Self::F64 => convert(bytes, to, |b| f64::from_le_bytes(b) as f32),
            Self::Block(block) => {
                let read = quantized::dequantize(block, bytes, to);
                assert!(
                    read.is_ok(),
                    "{} bytes are not the blocks of {} elements",
                    bytes.len(),
                    to.len()
                );
            }
            _ => return false,
        }
        true
    }

    /// Writes numbers as little-endian bytes of this type, rounded to the nearest; none where it is not one of real numbers, each by
    /// itself.
    pub fn of_f32(self, numbers: &[f32]) -> Option<Vec<u8>> {
        Some(match self {
            Self::F32 => bytes(numbers, f32::to_le_bytes),
            Self::F16 => bytes(numbers, |x| f16::from_f32(x).to_le_bytes()),
            Self::Bf16 => bytes(numbers, |x| bf16::from_f32(x).to_le_bytes()),
            Self::F64 => bytes(numbers, |x| f64::from(x).to_le_bytes()),
            _ => return None,
        })
    }
}

fn convert<const N: usize>(bytes: &[u8], to: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    let (elements, rest) = bytes.as_chunks();
    assert!(
        rest.is_empty() && elements.len() == to.len(),
        "{} bytes: expected {} elements of {N}",
        bytes.len(),
        to.len()
    );
    for (to, &element) in to.iter_mut().zip(elements) {
        *to = number(element);
    }
}

fn bytes<const N: usize>(numbers: &[f32], element: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
    let mut bytes = vec![0; N * numbers.len()];
    for (to, &number) in bytes.as_chunks_mut().0.iter_mut().zip(numbers) {
        *to = element(number);
    }
    bytes
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Block(block) = self {
            return fmt::Display::fmt(block, f);
        }
        let name = NAMES.iter().find(|(dtype, _)| dtype == self);
        f.write_str(name.map_or("?", |(_, name)| name))
    }
}
