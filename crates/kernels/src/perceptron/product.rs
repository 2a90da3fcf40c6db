//! Matrix products that leave out what is zero.

#![expect(
    clippy::inline_always,
    reason = "the loops must take on the vector instructions of `with_simd`"
)]

use pulp::{Arch, Simd, WithSimd};

/// A matrix in someone's memory: entry (i, j) lies at i times the first stride plus j times the second.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    entries: &'a [f32],
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// `entries` row by row.
    pub(crate) fn new(entries: &'a [f32], columns: usize) -> Self {
        Self {
            entries,
            strides: [columns, 1],
        }
    }

    /// Rows become columns.
    pub(crate) fn transposed(self) -> Self {
        let [row, column] = self.strides;
        Self {
            strides: [column, row],
            ..self
        }
    }
}

/// `left` times `right`, of which the latter lies row by row.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) left: Matrix<'a>,
    pub(crate) right: &'a [f32],
    /// Of `right`, and so of the product.
    pub(crate) columns: usize,
    /// Which terms of the sums there are, in their order: the others are zero.
    pub(crate) terms: &'a [u32],
}

impl Product<'_> {
    /// Computes some `rows` of the product and writes them into `to`, which lies row by row and begins with row `first`.
    pub(crate) fn write(self, rows: &[u32], first: usize, to: &mut [f32]) {
        Arch::new().dispatch(Multiply {
            product: self,
            rows,
            first,
            to,
        });
    }
}

struct Multiply<'a> {
    product: Product<'a>,
    rows: &'a [u32],
    first: usize,
    to: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = S::F32_LANES;
        let mut column = 0;
        let columns = self.product.columns;
        while column + 2 * lanes <= columns {
            self.panel::<S, 2>(simd, column, 2 * lanes);
            column += 2 * lanes;
        }
        if column + lanes <= columns {
            self.panel::<S, 1>(simd, column, lanes);
            column += lanes;
        }
        if column < columns {
            self.panel::<S, 1>(simd, column, columns - column);
        }
    }
}

impl Multiply<'_> {
    /// `width` columns of all rows, in `VECTORS` registers.
    #[inline(always)]
    fn panel<S: Simd, const VECTORS: usize>(&mut self, simd: S, column: usize, width: usize) {
        let rows = self.rows;
        let mut rest = rows;
        if S::REGISTER_COUNT >= 32 {
            while let Some((tile, after)) = rest.split_first_chunk::<8>() {
                self.tile::<S, 8, VECTORS>(simd, *tile, column, width);
                rest = after;
            }
        }
        while let Some((tile, after)) = rest.split_first_chunk::<4>() {
            self.tile::<S, 4, VECTORS>(simd, *tile, column, width);
            rest = after;
        }
        while let Some((tile, after)) = rest.split_first_chunk::<1>() {
            self.tile::<S, 1, VECTORS>(simd, *tile, column, width);
            rest = after;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        rows: [u32; ROWS],
        column: usize,
        width: usize,
    ) {
        let Product {
            left,
            right,
            columns,
            terms,
        } = self.product;
        let starts = rows.map(|row| row as usize * left.strides[0]);
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        for &term in terms {
            let term = term as usize;
            let from = &right[term * columns + column..][..width];
            let vectors: [S::f32s; VECTORS] = load::<S, VECTORS>(simd, from);
            for (sums, start) in sums.iter_mut().zip(starts) {
                let factor = simd.splat_f32s(left.entries[start + term * left.strides[1]]);
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = simd.mul_add_f32s(factor, vector, *sum);
                }
            }
        }
        for (row, sums) in rows.into_iter().zip(sums) {
            let to = &mut self.to[(row as usize - self.first) * columns + column..][..width];
            store::<S, VECTORS>(simd, to, sums);
        }
    }
}

#[inline(always)]
fn load<S: Simd, const VECTORS: usize>(simd: S, from: &[f32]) -> [S::f32s; VECTORS] {
    let (whole, rest) = S::as_simd_f32s(from);
    match whole.first_chunk::<VECTORS>() {
        Some(vectors) => *vectors,
        None => [simd.partial_load_f32s(rest); VECTORS],
    }
}

#[inline(always)]
fn store<S: Simd, const VECTORS: usize>(simd: S, to: &mut [f32], sums: [S::f32s; VECTORS]) {
    let (whole, rest) = S::as_mut_simd_f32s(to);
    match whole.first_chunk_mut::<VECTORS>() {
        Some(vectors) => *vectors = sums,
        None => simd.partial_store_f32s(rest, sums[0]),
    }
}

/// `matrix`, which lies row by row, times `vector`.
pub(crate) fn multiply_vector(matrix: &[f32], vector: &[f32], product: &mut [f32]) {
    Arch::new().dispatch(MultiplyVector {
        matrix,
        vector,
        product,
    });
}

struct MultiplyVector<'a> {
    matrix: &'a [f32],
    vector: &'a [f32],
    product: &'a mut [f32],
}

impl WithSimd for MultiplyVector<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            matrix,
            vector,
            product,
        } = self;
        let columns = vector.len();
        let mut rows = matrix.chunks_exact(ROWS * columns);
        let mut products = product.chunks_exact_mut(ROWS);
        for (rows, products) in (&mut rows).zip(&mut products) {
            let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &rows[row * columns..][..columns]);
            products.copy_from_slice(&dots(simd, rows, vector));
        }
        let rest = rows.remainder().chunks_exact(columns);
        for (row, product) in rest.zip(products.into_remainder()) {
            [*product] = dots(simd, [row], vector);
        }
    }
}

/// Rows that are multiplied at a time, so that additions need not wait for one another.
const ROWS: usize = 8;

/// The products of some `rows` with `vector`, all of one length.
#[inline(always)]
fn dots<S: Simd, const COUNT: usize>(simd: S, rows: [&[f32]; COUNT], vector: &[f32]) -> [f32; COUNT] {
    let whole = vector.len() / S::F32_LANES;
    let (vectors, rest) = S::as_simd_f32s(vector);
    let rest = simd.partial_load_f32s(rest);
    let mut sums = [simd.splat_f32s(0.0); COUNT];
    let mut row_vectors: [&[S::f32s]; COUNT] = [&[]; COUNT];
    for ((sum, row_vectors), row) in sums.iter_mut().zip(&mut row_vectors).zip(rows) {
        let (vectors, row_rest) = S::as_simd_f32s(row);
        *sum = simd.mul_f32s(simd.partial_load_f32s(row_rest), rest);
        *row_vectors = &vectors[..whole];
    }
    for (index, &factors) in vectors[..whole].iter().enumerate() {
        for (sum, row) in sums.iter_mut().zip(row_vectors) {
            *sum = simd.mul_add_f32s(row[index], factors, *sum);
        }
    }
    let mut dots = [0.0; COUNT];
    for (dot, sum) in dots.iter_mut().zip(sums) {
        *dot = simd.reduce_sum_f32s(sum);
    }
    dots
}

/// Writes into `list` which rows of `matrix`, each of `columns` numbers, are not zero in every column. The first row has the number
/// `first`.
pub(crate) fn nonzero_rows(matrix: &[f32], columns: usize, first: usize, list: &mut Vec<u32>) {
    Arch::new().dispatch(NonzeroRows {
        matrix,
        columns,
        first,
        list,
    });
}

struct NonzeroRows<'a> {
    matrix: &'a [f32],
    columns: usize,
    first: usize,
    list: &'a mut Vec<u32>,
}

impl WithSimd for NonzeroRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        self.list.clear();
        for (index, row) in (self.first as u32..).zip(self.matrix.chunks_exact(self.columns)) {
            // All bits but the sign, which zero may have.
            let bits = row.iter().fold(0, |bits, entry| bits | entry.to_bits() << 1);
            if bits != 0 {
                self.list.push(index);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of small integers are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Small integers, of which sums are exact in any order.
    fn integers(count: usize, seed: u16) -> Vec<f32> {
        (0..count)
            .map(|index| ((index * 7 + usize::from(seed)) % 11) as f32 - 5.0)
            .collect()
    }

    fn chosen(chosen: &[bool]) -> Vec<u32> {
        (0..)
            .zip(chosen)
            .filter_map(|(index, &chosen)| chosen.then_some(index))
            .collect()
    }

    proptest! {
        #[test]
        fn rows_of_a_product_are_sums_over_the_terms(
            rows in prop::collection::vec(any::<bool>(), 1..40), terms in prop::collection::vec(any::<bool>(), 1..40),
            columns in 1usize..80, transposed: bool, seed in 0u16..100, first in 0usize..3,
        ) {
            let (height, inner) = (rows.len(), terms.len());
            let left = integers(height * inner, seed);
            let right = integers(inner * columns, seed + 3);
            let (rows, terms) = (chosen(&rows), chosen(&terms));
            let first = rows.first().map_or(0, |&row| first.min(row as usize));
            let mut found = vec![f32::NAN; (height - first) * columns];
            let left_matrix =
                if transposed { Matrix::new(&left, height).transposed() } else { Matrix::new(&left, inner) };
            Product { left: left_matrix, right: &right, columns, terms: &terms }.write(&rows, first, &mut found);
            for row in first..height {
                for column in 0..columns {
                    let entry = found[(row - first) * columns + column];
                    if rows.contains(&(row as u32)) {
                        let term = |&term: &u32| {
                            let term = term as usize;
                            left[if transposed { term * height + row } else { row * inner + term }]
                                * right[term * columns + column]
                        };
                        prop_assert_eq!(entry, terms.iter().map(term).sum::<f32>());
                    } else {
                        prop_assert!(entry.is_nan(), "row {row} was not asked for");
                    }
                }
            }
        }

        #[test]
        fn a_matrix_times_a_vector(rows in 1usize..40, columns in 1usize..80, seed in 0u16..100) {
            let (matrix, vector) = (integers(rows * columns, seed), integers(columns, seed + 5));
            let mut found = vec![f32::NAN; rows];
            multiply_vector(&matrix, &vector, &mut found);
            for (row, found) in matrix.chunks(columns).zip(found) {
                prop_assert_eq!(found, row.iter().zip(&vector).map(|(a, b)| a * b).sum::<f32>());
            }
        }
    }

    #[test]
    fn rows_without_zeros_only_are_noted() {
        let mut list = vec![9];
        let matrix = [0.0, -0.0, f32::NAN, 0.0, 0.0, 1e-45, 0.0, 0.0, -1.0, 2.0];
        nonzero_rows(&matrix, 2, 5, &mut list);
        assert_eq!(list, [6, 7, 9]);
    }
}
