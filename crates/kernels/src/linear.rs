//! Linear layers: y = x W^T + b, and the slopes of a loss with respect to all three.

use rayon::prelude::*;

use crate::Precision;
use crate::matrix::{Matrix, add_product, product};

/// `to` = x W^T + b for rows `x` [n, inputs], `weight` [outputs, inputs] and `bias` `[outputs]`; `to` is [n, outputs] and is
/// overwritten. The bias is added to finished sums, in f32.
///
/// # Panics
/// The lengths do not fit together.
pub fn linear(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    outputs: usize,
    inputs: usize,
    precision: Precision,
    to: &mut [f32],
) {
    let rows = rows(x.len(), inputs, to.len(), outputs);
    let weight = Matrix::new(weight, outputs, inputs).transposed();
    product(Matrix::new(x, rows, inputs), weight, precision, to);
    if let Some(bias) = bias {
        add_bias(bias, outputs, to);
    }
}

/// Adds `bias` to each row of `to`, [n, outputs], as [`linear`] does.
///
/// # Panics
/// The lengths do not fit together.
pub fn add_bias(bias: &[f32], outputs: usize, to: &mut [f32]) {
    assert_eq!(bias.len(), outputs, "a bias for each output");
    assert!(
        to.is_empty() || to.len().is_multiple_of(outputs),
        "whole rows of outputs"
    );
    for row in to.chunks_exact_mut(outputs.max(1)) {
        for (to, bias) in row.iter_mut().zip(bias) {
            *to += bias;
        }
    }
}

/// From `dy`, the slopes [n, outputs] of a loss with respect to the outputs of [`linear`], those with respect to its inputs.
///
/// `dx` = dy W, [n, inputs], is overwritten; `dw` += dy^T x, [outputs, inputs], and `db` += the sum of the rows of dy, `[outputs]`,
/// are added to. The sums of `db` are f32 in either precision.
///
/// # Panics
/// The lengths do not fit together.
#[expect(
    clippy::too_many_arguments,
    reason = "three inputs, their two sizes and three results"
)]
pub fn linear_backward(
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    outputs: usize,
    inputs: usize,
    precision: Precision,
    dx: Option<&mut [f32]>,
    dw: Option<&mut [f32]>,
    db: Option<&mut [f32]>,
) {
    let rows = rows(x.len(), inputs, dy.len(), outputs);
    let slopes = Matrix::new(dy, rows, outputs);
    if let Some(dx) = dx {
        product(slopes, Matrix::new(weight, outputs, inputs), precision, dx);
    }
    if let Some(dw) = dw {
        add_product(slopes.transposed(), Matrix::new(x, rows, inputs), precision, dw);
    }
    if let Some(db) = db {
        add_rows(dy, outputs, db);
    }
}

/// How many rows there are, of which either side may be of no width.
fn rows(x: usize, inputs: usize, y: usize, outputs: usize) -> usize {
    let rows = x.checked_div(inputs).or(y.checked_div(outputs)).unwrap_or(0);
    assert_eq!(
        [x, y],
        [rows * inputs, rows * outputs],
        "numbers of {inputs} inputs and {outputs} outputs in each row"
    );
    rows
}

/// Columns of which one thread adds up the rows.
const COLUMNS: usize = 128;

fn add_rows(rows: &[f32], columns: usize, to: &mut [f32]) {
    assert_eq!(to.len(), columns, "a sum for each column");
    to.par_chunks_mut(COLUMNS).enumerate().for_each(|(index, to)| {
        for row in rows.chunks_exact(columns) {
            for (to, entry) in to.iter_mut().zip(&row[index * COLUMNS..]) {
                *to += entry;
            }
        }
    });
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of small multiples of 1/8 are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Multiples of 1/8 between -2 and 2, which bf16 has too and whose sums of products are exact.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|index| ((index * 7919 + seed * 31) % 33) as f32 / 8.0 - 2.0)
            .collect()
    }

    fn layer(
        x: &[f32],
        weight: &[f32],
        bias: &[f32],
        [rows, outputs, inputs]: [usize; 3],
        precision: Precision,
    ) -> Vec<f32> {
        let mut y = vec![f32::NAN; rows * outputs];
        linear(x, weight, Some(bias), outputs, inputs, precision, &mut y);
        y
    }

    fn weighted(y: &[f32], weights: &[f32]) -> f32 {
        y.iter().zip(weights).map(|(y, weight)| y * weight).sum()
    }

    proptest! {
        /// The layer is linear in each of the three, so that differences are its slopes exactly.
        #[test]
        fn slopes_are_differences(rows in 1usize..9, outputs in 1usize..20, inputs in 1usize..20, seed in 0usize..100) {
            let sizes = [rows, outputs, inputs];
            let (x, weight) = (numbers(rows * inputs, seed), numbers(outputs * inputs, seed + 1));
            let (bias, dy) = (numbers(outputs, seed + 2), numbers(rows * outputs, seed + 3));
            for precision in [Precision::F32, Precision::Bf16] {
                let loss = |x: &[f32], weight: &[f32], bias: &[f32]| weighted(&layer(x, weight, bias, sizes, precision), &dy);
                let here = loss(&x, &weight, &bias);
                // What is overwritten, and what is added to.
                let (mut dx, mut dw, mut db) = (vec![f32::NAN; x.len()], vec![1.0; weight.len()], vec![-2.0; outputs]);
                linear_backward(
                    &x, &weight, &dy, outputs, inputs, precision, Some(&mut dx), Some(&mut dw), Some(&mut db),
                );
                let step = |numbers: &[f32], index: usize| {
                    let mut there = numbers.to_vec();
                    there[index] += 0.5;
                    there
                };
                for (index, slope) in dx.iter().enumerate() {
                    prop_assert_eq!(slope / 2.0, loss(&step(&x, index), &weight, &bias) - here);
                }
                for (index, slope) in dw.iter().enumerate() {
                    prop_assert_eq!((slope - 1.0) / 2.0, loss(&x, &step(&weight, index), &bias) - here);
                }
                for (index, slope) in db.iter().enumerate() {
                    prop_assert_eq!((slope + 2.0) / 2.0, loss(&x, &weight, &step(&bias, index)) - here);
                }
            }
        }
    }

    #[test]
    fn outputs_are_sums_and_the_bias() {
        let y = layer(
            &[1.0, 2.0, 3.0, 4.0],
            &[0.5, 0.25, -1.0, 1.0, 2.0, 0.0],
            &[0.0, 10.0, -1.0],
            [2, 3, 2],
            Precision::F32,
        );
        assert_eq!(y, [1.0, 11.0, 1.0, 2.5, 11.0, 5.0]);
    }

    #[test]
    fn no_rows_change_nothing() {
        let (mut dx, mut dw, mut db) = ([], [1.0; 6], [2.0; 3]);
        linear(&[], &[1.0; 6], Some(&[1.0; 3]), 3, 2, Precision::F32, &mut []);
        linear_backward(
            &[],
            &[1.0; 6],
            &[],
            3,
            2,
            Precision::F32,
            Some(&mut dx),
            Some(&mut dw),
            Some(&mut db),
        );
        assert_eq!((dw, db), ([1.0; 6], [2.0; 3]));
    }

    #[test]
    fn many_columns_are_added_up_on_all_threads() {
        let dy = numbers(3 * 300, 4);
        let mut db = vec![0.0; 300];
        add_rows(&dy, 300, &mut db);
        for (column, sum) in db.into_iter().enumerate() {
            assert_eq!(sum, dy[column] + dy[300 + column] + dy[600 + column]);
        }
    }

    #[test]
    #[should_panic(expected = "2 inputs and 3 outputs in each row")]
    fn rows_of_another_width_panic() {
        linear(&[1.0; 3], &[1.0; 6], None, 3, 2, Precision::F32, &mut [0.0; 3]);
    }
}
