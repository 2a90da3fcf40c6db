//! What is true of products at every level of instructions.

#![expect(clippy::float_cmp, reason = "results that are exact")]

use half::bf16;
use proptest::prelude::*;

use super::kernel::Kernel;
use super::multiply::multiply;
use super::{Matrix, PackedMatrix, add_product, product};
use crate::{Instructions, Precision};

const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

/// Irregular numbers between -1 and 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn rounded(number: f32, precision: Precision) -> f32 {
    match precision {
        Precision::F32 => number,
        Precision::Bf16 => bf16::from_f32(number).to_f32(),
    }
}

/// Each entry, and the sum of the sizes of its terms, in f64.
fn defined(left: Matrix<'_>, right: Matrix<'_>, precision: Precision) -> Vec<(f64, f64)> {
    let mut entries = Vec::new();
    for row in 0..left.rows() {
        for column in 0..right.columns() {
            let term = |inner| {
                f64::from(rounded(left.entry(row, inner), precision))
                    * f64::from(rounded(right.entry(inner, column), precision))
            };
            let terms = || (0..left.columns()).map(term);
            entries.push((terms().sum(), terms().map(f64::abs).sum()));
        }
    }
    entries
}

fn kernels() -> impl Iterator<Item = (Instructions, Precision, &'static Kernel)> {
    Instructions::available()
        .flat_map(|level| PRECISIONS.map(|precision| (level, precision, Kernel::new(level, precision))))
}

fn view(entries: &[f32], rows: usize, columns: usize, transposed: bool) -> Matrix<'_> {
    if transposed {
        Matrix::new(entries, columns, rows).transposed()
    } else {
        Matrix::new(entries, rows, columns)
    }
}

/// Products of one shape at all levels are those of the definition, and sums go on from what is there.
fn check_product(rows: usize, inner: usize, columns: usize, transposed: [bool; 2], seed: u64) {
    let (left, right) = (numbers(rows * inner, seed), numbers(inner * columns, seed + 1));
    let left = view(&left, rows, inner, transposed[0]);
    let right = view(&right, inner, columns, transposed[1]);
    let start = numbers(rows * columns, seed + 2);
    for precision in PRECISIONS {
        let expected = defined(left, right, precision);
        for level in Instructions::available() {
            let kernel = Kernel::new(level, precision);
            let mut found = vec![f32::NAN; rows * columns];
            multiply(kernel, left, right, &mut found, false);
            let mut more = start.clone();
            multiply(kernel, left, right, &mut more, true);
            for (((found, more), start), (exact, size)) in found.iter().zip(&more).zip(&start).zip(&expected) {
                let bound = 1e-7 * (inner + 2) as f64 * (size + 1.0);
                let wrong = (f64::from(*found) - exact).abs();
                assert!(wrong <= bound, "{level}, {precision:?}: {found} for {exact}");
                let exact = exact + f64::from(*start);
                let wrong = (f64::from(*more) - exact).abs();
                assert!(wrong <= bound, "{level}, {precision:?}, added: {more} for {exact}");
            }
        }
    }
}

proptest! {
    #[test]
    fn products_are_those_of_the_definition(
        rows in 0usize..40, inner in 0usize..50, columns in 0usize..80, transposed: [bool; 2], seed in 0u64..1000,
    ) {
        check_product(rows, inner, columns, transposed, seed);
    }

    #[test]
    fn a_row_has_the_same_bits_alone_in_any_batch_and_with_packed_weights(
        rows in 1usize..60, inputs in 1usize..70, outputs in 1usize..90, seed in 0u64..1000,
    ) {
        let (x, weights) = (numbers(rows * inputs, seed), numbers(outputs * inputs, seed + 1));
        let transposed = Matrix::new(&weights, outputs, inputs).transposed();
        for (level, precision, kernel) in kernels() {
            let mut together = vec![f32::NAN; rows * outputs];
            multiply(kernel, Matrix::new(&x, rows, inputs), transposed, &mut together, false);
            let packed = PackedMatrix::for_kernel(kernel, &weights, outputs, inputs);
            let mut by_packed = vec![f32::NAN; rows * outputs];
            packed.multiply(&x, &mut by_packed);
            prop_assert_eq!(bits(&together), bits(&by_packed), "{}, {:?}", level, precision);
            for thin in [1, 3, 8] {
                for (x, together) in x.chunks(thin * inputs).zip(together.chunks(thin * outputs)) {
                    let mut alone = vec![f32::NAN; together.len()];
                    packed.multiply(x, &mut alone);
                    prop_assert_eq!(bits(&alone), bits(together), "{}, {:?}, {} rows", level, precision, thin);
                }
            }
        }
    }

    #[test]
    fn packed_rows_can_be_looked_up_and_weights_in_bf16_are_exact(
        inputs in 0usize..70, outputs in 1usize..90, seed in 0u64..1000,
    ) {
        let weights = numbers(outputs * inputs, seed);
        let halves: Vec<bf16> = weights.iter().map(|&weight| bf16::from_f32(weight)).collect();
        let x = numbers(2 * inputs, seed + 1);
        for (_, precision, kernel) in kernels() {
            let packed = PackedMatrix::for_kernel(kernel, &weights, outputs, inputs);
            let mut row = vec![f32::NAN; inputs];
            for index in [0, outputs / 2, outputs - 1] {
                packed.row(index, &mut row);
                let wanted: Vec<f32> = weights[index * inputs..][..inputs].iter().map(|&w| rounded(w, precision)).collect();
                prop_assert_eq!(&row, &wanted);
            }
            if precision == Precision::Bf16 {
                let same = PackedMatrix::for_kernel_from_bf16(kernel, &halves, outputs, inputs);
                let (mut a, mut b) = (vec![f32::NAN; 2 * outputs], vec![f32::NAN; 2 * outputs]);
                packed.multiply(&x, &mut a);
                same.multiply(&x, &mut b);
                prop_assert_eq!(bits(&a), bits(&b));
            }
        }
    }
}

#[test]
fn long_sums_go_on_from_block_to_block() {
    for (inner, columns) in [(800, 33), (1601, 5), (9000, 3)] {
        check_product(5, inner, columns, [false, true], 1);
        check_product(3, inner, columns, [true, false], 2);
    }
}

#[test]
fn rounding_errors_do_not_grow_with_a_sum() {
    let terms = 1 << 17;
    let (tenths, ones) = (vec![0.1; terms], vec![1.0; terms]);
    for level in Instructions::available() {
        let kernel = Kernel::new(level, Precision::F32);
        let mut sum = [0.0];
        multiply(
            kernel,
            Matrix::new(&ones, 1, terms),
            Matrix::new(&tenths, terms, 1),
            &mut sum,
            false,
        );
        let exact = f64::from(0.1_f32) * terms as f64;
        // One chain would be off by 2e-3.
        assert!((f64::from(sum[0]) / exact - 1.0).abs() < 3e-5, "{level}: {sum:?}");
    }
}

/// Larger than what is packed at a time, with edges everywhere.
#[test]
fn blocks_do_not_show_in_the_bits() {
    let (rows, inner, columns) = (101, 4200, 515);
    let (left, right) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
    let (left, right) = (Matrix::new(&left, rows, inner), Matrix::new(&right, inner, columns));
    for (level, precision, kernel) in kernels().skip(2) {
        let mut all = vec![f32::NAN; rows * columns];
        multiply(kernel, left, right, &mut all, false);
        for (row, column) in [(0, 0), (47, 96), (53, 271), (100, 500)] {
            let (height, width) = (1 + row % 2, 13);
            let mut some = vec![f32::NAN; height * width];
            // Cut where chains end, of single terms and of pairs.
            for (term, terms) in [(0, 768), (768, 384), (1152, 3048)] {
                let left = left.block(row, height, term, terms);
                let right = right.block(term, terms, column, width);
                multiply(kernel, left, right, &mut some, term > 0);
            }
            for (index, some) in some.chunks(width).enumerate() {
                let all = &all[(row + index) * columns + column..][..width];
                assert_eq!(bits(all), bits(some), "{level}, {precision:?}");
            }
        }
    }
}

#[test]
fn one_thread_and_two_give_the_same_bits() {
    let (rows, inner, columns) = (70, 330, 200);
    let (left, right) = (numbers(rows * inner, 3), numbers(inner * columns, 4));
    let with_threads = |threads: usize, kernel: &'static Kernel| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut found = vec![f32::NAN; rows * columns];
            multiply(
                kernel,
                Matrix::new(&left, rows, inner),
                Matrix::new(&right, inner, columns),
                &mut found,
                false,
            );
            let weights = PackedMatrix::for_kernel(kernel, &right, columns, inner);
            let mut thin = vec![f32::NAN; 8 * columns];
            weights.multiply(&left[..8 * inner], &mut thin);
            (bits(&found), bits(&thin))
        })
    };
    for (_, _, kernel) in kernels() {
        let one = with_threads(1, kernel);
        assert_eq!(one, with_threads(2, kernel));
        assert_eq!(one, with_threads(5, kernel));
    }
}

/// 1 + 2^-8 lies half way between two bf16 and goes to the even one, as does 1 + 3 * 2^-8; a bit more goes up.
#[test]
fn bf16_is_rounded_to_the_nearest_and_ties_to_even() {
    let step = 1.0 / 128.0;
    let cases = [
        (1.0 + step / 2.0, 1.0),
        (1.0 + step / 2.0 + step / 1024.0, 1.0 + step),
        (1.0 + 1.5 * step, 1.0 + 2.0 * step),
        (-1.0 - step / 2.0, -1.0),
        (3.0e38, 3.004e38),
        (f32::MAX, f32::INFINITY),
    ];
    for level in Instructions::available() {
        let kernel = Kernel::new(level, Precision::Bf16);
        for (number, wanted) in cases {
            let wanted = bf16::from_f32(wanted).to_f32();
            for transposed in [[false, false], [true, true]] {
                let ones = [1.0; 2];
                let mut found = [0.0; 4];
                let column = [number; 2];
                // One term, so that it is the other factor's zero that fills the pair.
                multiply(
                    kernel,
                    view(&column, 2, 1, transposed[0]),
                    view(&ones, 1, 2, transposed[1]),
                    &mut found,
                    false,
                );
                assert_eq!(found, [wanted; 4], "{level}: {number} on the left");
                multiply(
                    kernel,
                    view(&ones, 2, 1, transposed[0]),
                    view(&column, 1, 2, transposed[1]),
                    &mut found,
                    false,
                );
                assert_eq!(found, [wanted; 4], "{level}: {number} on the right");
            }
        }
    }
}

/// They stay in their rows and columns, too, where tiles and panels are filled up.
#[test]
fn what_is_no_number_goes_where_it_belongs_and_nowhere_else() {
    let (rows, inner, columns) = (13, 7, 35);
    for (level, precision, kernel) in kernels() {
        for special in [f32::NAN, f32::INFINITY] {
            let (mut left, mut right) = (vec![1.0; rows * inner], vec![1.0; inner * columns]);
            left[12 * inner + 6] = special;
            right[3 * columns + 34] = -special;
            let mut found = vec![0.0; rows * columns];
            multiply(
                kernel,
                Matrix::new(&left, rows, inner),
                Matrix::new(&right, inner, columns),
                &mut found,
                false,
            );
            for (index, found) in found.iter().enumerate() {
                let wanted = match (index / columns == 12, index % columns == 34) {
                    (false, false) => inner as f32,
                    (true, false) => special,
                    (false, true) => -special,
                    (true, true) => f32::NAN,
                };
                let same = found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan();
                assert!(same, "{level}, {precision:?}, entry {index}: {found} for {wanted}");
            }
        }
    }
}

#[test]
fn sums_of_no_terms_are_zero_or_what_was_there() {
    let mut to = [1.0; 6];
    add_product(Matrix::new(&[], 2, 0), Matrix::new(&[], 0, 3), Precision::Bf16, &mut to);
    assert_eq!(bits(&to), bits(&[1.0; 6]));
    product(Matrix::new(&[], 2, 0), Matrix::new(&[], 0, 3), Precision::F32, &mut to);
    assert_eq!(bits(&to), bits(&[0.0; 6]));
    let mut to = [1.0; 6];
    PackedMatrix::new(&[], 3, 0, Precision::F32).multiply(&[], &mut to);
    assert_eq!(bits(&to), bits(&[0.0; 6]));
    PackedMatrix::new(&[], 0, 3, Precision::F32).multiply(&[1.0; 6], &mut []);
}

#[test]
fn packed_bf16_takes_half_the_memory() {
    let weights = numbers(64 * 64, 5);
    let [single, half] = PRECISIONS.map(|precision| PackedMatrix::new(&weights, 64, 64, precision).bytes());
    assert_eq!([single, half], [64 * 64 * 4, 64 * 64 * 2]);
}

#[test]
#[should_panic(expected = "columns of the left factor")]
fn factors_that_do_not_fit_together_panic() {
    product(
        Matrix::new(&[0.0; 6], 2, 3),
        Matrix::new(&[0.0; 4], 2, 2),
        Precision::F32,
        &mut [0.0; 4],
    );
}
