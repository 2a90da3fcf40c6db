//! Weights that stay quantised in blocks, as in files of GGUF, and rows of f32 multiplied with them.
//!
//! The types of blocks are those of ggml (`ggml-quants.h` and the `gguf` package define them). Of each, [`dequantize`] gives
//! the numbers, and [`QuantizedMatrix`] the products: these are limited by how fast weights come from memory where there are
//! few rows, and by products of bytes where there are many.
//!
//! ```
//! use etude_kernels::quantized::{BlockType, QuantizedMatrix};
//!
//! // Two outputs with a block each of 32 bytes, whose scales are 1 and 2 in half precision.
//! let mut blocks = [1; 2 * 34];
//! blocks[..2].copy_from_slice(&[0x00, 0x3c]);
//! blocks[34..36].copy_from_slice(&[0x00, 0x40]);
//! let matrix = QuantizedMatrix::new(BlockType::Q8_0, &blocks, 2, 32)?;
//! let mut sums = [0.0; 2];
//! matrix.multiply(&[0.5; 32], &mut sums);
//! assert!((sums[0] - 16.0).abs() < 1e-5 && (sums[1] - 32.0).abs() < 1e-5);
//! # Ok::<(), etude_kernels::KernelError>(())
//! ```

mod activations;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod block;
mod block_type;
mod matrix;
mod panel;
mod path;
mod portable;
#[cfg(target_arch = "x86_64")]
mod vnni;

pub use block::dequantize;
pub use block_type::BlockType;
pub use matrix::QuantizedMatrix;
