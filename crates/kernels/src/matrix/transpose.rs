//! Transposing.

use super::view::Matrix;
use crate::Instructions;

/// Writes the columns of `matrix`, which lies row by row, as rows into `to`, `stride` apart. What lies between them is overwritten too, as
/// far as the next multiple of sixteen.
///
/// # Panics
/// `matrix` lies column by column, `stride` is less than that, or `to` is too short.
pub(crate) fn transpose(instructions: Instructions, matrix: Matrix<'_>, to: &mut [f32], stride: usize) {
    assert_eq!(matrix.strides()[1], 1, "a matrix that lies row by row");
    match instructions.min(Instructions::best()) {
        #[cfg(target_arch = "x86_64")]
        level if level >= Instructions::Avx2 => {
            let transpose = if level >= Instructions::Avx512 {
                super::avx512_pack::transpose
            } else {
                super::avx2_pack::transpose
            };
            #[expect(
                unsafe_code,
                reason = "only `unsafe` may call a function that needs vector instructions"
            )]
            // SAFETY: this processor has the instructions.
            unsafe {
                transpose(matrix, to, stride);
            }
        }
        _ => portable(matrix, to, stride),
    }
}

fn portable(matrix: Matrix<'_>, to: &mut [f32], stride: usize) {
    /// Rows at a time: what will lie in one cache line is written together.
    const SIDE: usize = 16;
    for first in (0..matrix.rows()).step_by(SIDE) {
        for column in 0..matrix.columns() {
            let to = &mut to[column * stride + first..][..SIDE];
            for (row, to) in (first..).zip(to) {
                *to = if row < matrix.rows() {
                    matrix.entry(row, column)
                } else {
                    0.0
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vectorized::testing::numbers;

    proptest! {
        #[test]
        fn columns_become_rows_at_every_level(
            rows in 1usize..70, width in 1usize..70, from in 0usize..40, gap in 0usize..3, seed in 0u32..100,
        ) {
            let from = from.min(width - 1);
            let columns = width - from;
            let entries = numbers(rows * width, seed);
            let matrix = Matrix::new(&entries, rows, width).block(0, rows, from, columns);
            let stride = rows.next_multiple_of(16) + 16 * gap;
            for instructions in Instructions::available() {
                let mut to = vec![f32::NAN; columns * stride];
                transpose(instructions, matrix, &mut to, stride);
                for (column, to) in to.chunks(stride).enumerate() {
                    let expected = (0..rows).map(|row| entries[row * width + from + column]);
                    prop_assert!(to.iter().copied().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits()), "{instructions}");
                    prop_assert!(to[rows.next_multiple_of(16)..].iter().all(|number| number.is_nan()));
                }
            }
        }
    }
}
