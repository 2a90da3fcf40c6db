//! Matrix products, and the one call in this crate that the compiler cannot check.

#![expect(unsafe_code, reason = "`gemm` takes pointers and strides")]

use gemm::{Parallelism, gemm};

/// A matrix in someone's memory.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    entries: &'a [f32],
    rows: usize,
    columns: usize,
    /// From one row to the next, and from one column to the next.
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// `entries` row by row.
    pub(crate) fn new(entries: &'a [f32], columns: usize) -> Self {
        let rows = entries.len() / columns;
        assert_eq!(
            rows * columns,
            entries.len(),
            "entries of a matrix with {columns} columns"
        );
        Self {
            entries,
            rows,
            columns,
            strides: [columns, 1],
        }
    }

    /// Rows become columns.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            strides: [self.strides[1], self.strides[0]],
            ..self
        }
    }
}

/// Writes `left` `right` into `product`, row by row.
pub(crate) fn multiply(left: Matrix<'_>, right: Matrix<'_>, product: &mut [f32]) {
    assert_eq!(
        left.columns, right.rows,
        "columns of the left matrix and rows of the right one"
    );
    assert_eq!(product.len(), left.rows * right.columns, "entries of the product");
    let [left_row, left_column] = left.strides.map(|stride| stride as isize);
    let [right_row, right_column] = right.strides.map(|stride| stride as isize);
    // SAFETY: `gemm` reads and writes the entries (i, j) of three matrices at i times the row stride plus j times the column
    // stride, and no others. A `Matrix` holds rows x columns entries, and its strides are (columns, 1) or, transposed,
    // (1, rows), so the last of them lies within its slice. The product has left.rows x right.columns entries by the
    // assertion above, and strides (right.columns, 1). It is borrowed for writing, so it overlaps with neither.
    unsafe {
        gemm(
            left.rows,
            right.columns,
            left.columns,
            product.as_mut_ptr(),
            1,
            right.columns as isize,
            false,
            left.entries.as_ptr(),
            left_column,
            left_row,
            right.entries.as_ptr(),
            right_column,
            right_row,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of small integers are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_product_of_two_matrices() {
        let (left, right) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, -1.0, 0.5, 2.0, 0.0, 1.0]);
        let mut product = [f32::NAN; 4];
        multiply(Matrix::new(&left, 3), Matrix::new(&right, 2), &mut product);
        assert_eq!(product, [2.0, 6.0, 6.5, 12.0]);
    }

    proptest! {
        #[test]
        fn every_shape_and_transposition_is_the_sum_of_products(
            rows in 1usize..40, inner in 1usize..40, columns in 1usize..40, transposed: [bool; 2], seed in 0u16..100,
        ) {
            // Small integers: sums are exact in any order.
            let entry = |index: usize| ((index * 7 + usize::from(seed)) % 11) as f32 - 5.0;
            let left: Vec<f32> = (0..rows * inner).map(entry).collect();
            let right: Vec<f32> = (1..=inner * columns).map(entry).collect();
            let view = |entries, [height, width]: [usize; 2], transposed: bool| {
                if transposed { Matrix::new(entries, height).transposed() } else { Matrix::new(entries, width) }
            };
            let at = |entries: &[f32], [height, width]: [usize; 2], transposed, row, column| {
                entries[if transposed { column * height + row } else { row * width + column }]
            };
            let (left_shape, right_shape) = ([rows, inner], [inner, columns]);
            let mut product = vec![f32::NAN; rows * columns];
            multiply(view(&left, left_shape, transposed[0]), view(&right, right_shape, transposed[1]), &mut product);
            for row in 0..rows {
                for column in 0..columns {
                    let expected: f32 = (0..inner)
                        .map(|k| at(&left, left_shape, transposed[0], row, k) * at(&right, right_shape, transposed[1], k, column))
                        .sum();
                    prop_assert_eq!(product[row * columns + column], expected);
                }
            }
        }
    }
}
