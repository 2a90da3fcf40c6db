//! Products of dense matrices, and weights that are packed for them once.
//!
//! Blocks of both factors are copied into panels that a micro-kernel reads from one end to the other, and the micro-kernel
//! keeps a small tile of the result in registers: Goto and van de Geijn 2008, *Anatomy of high-performance matrix
//! multiplication*; Van Zee and van de Geijn 2015, *BLIS*.
//!
//! Every entry of a result is a sum of chains, each of at most 192 steps of multiplication and addition over the inner index, in
//! ascending order: with [`Precision::F32`] a step is one fused multiply-add of a term, with [`Precision::Bf16`] it takes a pair of terms.
//! A chain starts from zero and is added to those before it, so that rounding errors of a long sum do not grow with its whole length. Lanes
//! of vector registers are columns of the result, never terms of one sum, and chains end at multiples of their length wherever blocks end.
//! So the bits of a row do not depend on how many other rows there are, on blocks, or on the number of threads, and
//! [`PackedMatrix`] gives the same bits as [`product`].
//!
//! ```
//! use etude_kernels::Precision;
//! use etude_kernels::matrix::{Matrix, PackedMatrix, product};
//!
//! let (rows, weights) = ([1.0, 2.0, 3.0, 4.0], [0.5, 0.25, -1.0, 1.0, 2.0, 0.0]);
//! let mut results = [0.0; 6];
//! // Two rows of two inputs, three outputs.
//! product(Matrix::new(&rows, 2, 2), Matrix::new(&weights, 3, 2).transposed(), Precision::F32, &mut results);
//! assert_eq!(results, [1.0, 1.0, 2.0, 2.5, 1.0, 6.0]);
//!
//! let packed = PackedMatrix::new(&weights, 3, 2, Precision::F32);
//! let mut last = [0.0; 3];
//! packed.multiply(&rows[2..], &mut last);
//! assert_eq!(last, results[3..]);
//! ```

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_pack;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_pack;
mod buffer;
mod kernel;
mod multiply;
mod pack;
mod packed;
mod portable;
#[cfg(target_arch = "x86_64")]
mod squares;
#[cfg(test)]
mod tests;
mod tile;
mod transpose;
mod view;

pub(crate) use buffer::Line;
pub use packed::PackedMatrix;
pub(crate) use transpose::transpose;
pub use view::Matrix;

use kernel::Kernel;

use crate::{Instructions, Precision};

/// `to` = `left` times `right`. `to` is [rows of `left`, columns of `right`] row by row and is overwritten.
///
/// Large products run on rayon's threads. On [`Instructions::Avx512Bf16`], numbers so small that they are subnormal count as
/// zero in [`Precision::Bf16`], as the processor has it.
///
/// # Panics
/// The shapes do not fit together.
pub fn product(left: Matrix<'_>, right: Matrix<'_>, precision: Precision, to: &mut [f32]) {
    let kernel = Kernel::new(Instructions::best(), precision);
    multiply::multiply(kernel, left, right, to, false);
}

/// [`product`] in memory of its own, which nobody has to fill with zeros first.
///
/// # Panics
/// The shapes do not fit together.
pub fn new_product(left: Matrix<'_>, right: Matrix<'_>, precision: Precision) -> Vec<f32> {
    let kernel = Kernel::new(Instructions::best(), precision);
    multiply::new_product(kernel, left, right)
}

/// `to` += `left` times `right`, of the shapes of [`product`]. Each chain of an entry is added to what `to` holds.
///
/// # Panics
/// The shapes do not fit together.
pub fn add_product(left: Matrix<'_>, right: Matrix<'_>, precision: Precision, to: &mut [f32]) {
    let kernel = Kernel::new(Instructions::best(), precision);
    multiply::multiply(kernel, left, right, to, true);
}
