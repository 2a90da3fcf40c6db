//! Matrix products that leave out what is zero.
//!
//! Every number of a product is one sum of fused multiply-adds, in the order of its terms, however they are cut into blocks. Leaving out
//! terms that are zero changes no bit of it. (It hides a factor that is not a number, if it is multiplied with nothing but zeros.)

#![expect(
    clippy::inline_always,
    reason = "the loops must take on the vector instructions of `with_simd`"
)]

use pulp::{Arch, Simd, WithSimd};

use super::rows::{Nonzero, Rows};

/// A matrix in someone's memory: entry (i, j) lies at i times the first stride plus j times the second.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    entries: &'a [f32],
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// `entries` row by row.
    pub(crate) fn new(entries: &'a [f32], stride: usize) -> Self {
        Self {
            entries,
            strides: [stride, 1],
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

    /// The columns after the first ones.
    pub(crate) fn skip_columns(self, columns: usize) -> Self {
        Self {
            entries: &self.entries[columns * self.strides[1]..],
            ..self
        }
    }
}

impl<'a> From<&'a Rows> for Matrix<'a> {
    fn from(rows: &'a Rows) -> Self {
        Self::new(rows.numbers(), rows.stride())
    }
}

/// `left` times `right`, of which only some rows are wanted, and in which only some terms are not zero.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) left: Matrix<'a>,
    /// Row by row.
    pub(crate) right: Matrix<'a>,
    /// Which terms of the sums there are, in their order: the others are zero.
    pub(crate) terms: &'a [u32],
    /// Which rows are wanted.
    pub(crate) rows: &'a [u32],
    /// The row that the memory for the product begins with.
    pub(crate) first: usize,
    pub(crate) columns: usize,
}

impl Product<'_> {
    /// Writes the wanted rows into `to`, where rows are `stride` apart. Either in place of what is there, or the terms
    /// are added to it one by one: so a sum `goes_on` from one product to the next.
    pub(crate) fn write(self, to: &mut [f32], stride: usize, goes_on: bool) {
        Arch::new().dispatch(Multiply {
            product: self,
            to,
            stride,
            goes_on,
        });
    }
}

struct Multiply<'a> {
    product: Product<'a>,
    to: &'a mut [f32],
    stride: usize,
    goes_on: bool,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        /// As many that what is read for them of both factors stays in the first level of the cache.
        const TERMS: usize = 128;
        let lanes = S::F32_LANES;
        let columns = self.product.columns;
        let terms = self.product.terms;
        // Of no terms, sums are zero.
        let parts = terms.chunks(TERMS).chain(terms.is_empty().then_some(terms));
        for part in parts {
            self.product.terms = part;
            for column in (0..columns).step_by(2 * lanes) {
                match columns - column {
                    rest if rest >= 2 * lanes => self.panel::<S, 2>(simd, column, 2 * lanes),
                    rest if rest > lanes => self.panel::<S, 2>(simd, column, rest),
                    rest => self.panel::<S, 1>(simd, column, rest),
                }
            }
            self.goes_on = true;
        }
    }
}

impl Multiply<'_> {
    /// `width` columns of all rows, in `VECTORS` registers.
    #[inline(always)]
    fn panel<S: Simd, const VECTORS: usize>(&mut self, simd: S, column: usize, width: usize) {
        let rows = self.product.rows;
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
            terms,
            first,
            ..
        } = self.product;
        let starts = rows.map(|row| row as usize * left.strides[0]);
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        if self.goes_on {
            for (sums, row) in sums.iter_mut().zip(rows) {
                *sums = load::<S, VECTORS>(simd, &self.to[(row as usize - first) * self.stride + column..][..width]);
            }
        }
        for &term in terms {
            let term = term as usize;
            let vectors = load::<S, VECTORS>(simd, &right.entries[term * right.strides[0] + column..][..width]);
            for (sums, start) in sums.iter_mut().zip(starts) {
                let factor = simd.splat_f32s(left.entries[start + term * left.strides[1]]);
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = simd.mul_add_f32s(factor, vector, *sum);
                }
            }
        }
        for (row, sums) in rows.into_iter().zip(sums) {
            let to = &mut self.to[(row as usize - first) * self.stride + column..][..width];
            store::<S, VECTORS>(simd, to, sums);
        }
    }
}

/// Terms of the product of `left`, many of whose entries are zero, and another matrix: those that one word of [`Nonzero`] tells of.
#[derive(Clone, Copy)]
pub(crate) struct SparseProduct<'a> {
    pub(crate) left: &'a Rows,
    pub(crate) nonzero: &'a Nonzero,
    /// Which words.
    pub(crate) block: usize,
    /// The rows of the other matrix that these terms are multiplied with.
    pub(crate) right: &'a Rows,
    /// Rows and columns of the product.
    pub(crate) shape: [usize; 2],
}

impl SparseProduct<'_> {
    /// Adds the terms, one by one, to the sums in `to`; those of the first block begin them.
    pub(crate) fn add(self, to: &mut Rows) {
        Arch::new().dispatch(AddSparse { product: self, to });
    }
}

struct AddSparse<'a> {
    product: SparseProduct<'a>,
    to: &'a mut Rows,
}

impl WithSimd for AddSparse<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        /// With them, what is read of `right` for all rows fills the first level of the cache. Each entry of `left` is read for one row, and
        /// its sums in fewer registers would wait for one another.
        const WIDEST: usize = 8;
        let vectors = self.product.shape[1].div_ceil(S::F32_LANES);
        let panels = vectors.div_ceil(WIDEST);
        for panel in 0..panels {
            let (start, end) = (panel * vectors / panels, (panel + 1) * vectors / panels);
            let column = start * S::F32_LANES;
            match end - start {
                1 => self.panel::<S, 1>(simd, column),
                2 => self.panel::<S, 2>(simd, column),
                3 => self.panel::<S, 3>(simd, column),
                4 => self.panel::<S, 4>(simd, column),
                5 => self.panel::<S, 5>(simd, column),
                6 => self.panel::<S, 6>(simd, column),
                7 => self.panel::<S, 7>(simd, column),
                _ => self.panel::<S, WIDEST>(simd, column),
            }
        }
    }
}

impl AddSparse<'_> {
    /// `VECTORS` registers from `column` on of all rows. What lies beyond the columns, up to a whole line, is overwritten.
    #[inline(always)]
    fn panel<S: Simd, const VECTORS: usize>(&mut self, simd: S, column: usize) {
        let SparseProduct {
            left,
            nonzero,
            block,
            right,
            shape: [rows, _],
        } = self.product;
        let width = VECTORS * S::F32_LANES;
        let right_rows = &right.numbers()[column..];
        let factors = left.numbers().chunks_exact(left.stride()).take(rows);
        let stride = self.to.stride();
        let to = self.to.numbers_mut().chunks_exact_mut(stride);
        for (row, (factors, to)) in factors.zip(to).enumerate() {
            let mut terms = nonzero.word(row, block);
            if terms == 0 && block > 0 {
                continue;
            }
            let to = &mut to[column..][..width];
            let mut sums = [simd.splat_f32s(0.0); VECTORS];
            if block > 0 {
                sums = load::<S, VECTORS>(simd, to);
            }
            let factors = &factors[block * Nonzero::ENTRIES..];
            while terms != 0 {
                let term = terms.trailing_zeros() as usize;
                terms &= terms - 1;
                let factor = simd.splat_f32s(factors[term]);
                let vectors = S::as_simd_f32s(&right_rows[term * right.stride()..][..width]).0;
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = simd.mul_add_f32s(factor, *vector, *sum);
                }
            }
            store::<S, VECTORS>(simd, to, sums);
        }
    }
}

/// Up to `VECTORS` vectors of numbers; zeros where there are fewer.
#[inline(always)]
fn load<S: Simd, const VECTORS: usize>(simd: S, from: &[f32]) -> [S::f32s; VECTORS] {
    let (whole, rest) = S::as_simd_f32s(from);
    if let Some(vectors) = whole.first_chunk::<VECTORS>() {
        return *vectors;
    }
    let mut vectors = [simd.splat_f32s(0.0); VECTORS];
    vectors[..whole.len()].copy_from_slice(whole);
    vectors[whole.len()] = simd.partial_load_f32s(rest);
    vectors
}

/// As many of the numbers as there is memory for.
#[inline(always)]
fn store<S: Simd, const VECTORS: usize>(simd: S, to: &mut [f32], vectors: [S::f32s; VECTORS]) {
    let (whole, rest) = S::as_mut_simd_f32s(to);
    if let Some(whole) = whole.first_chunk_mut::<VECTORS>() {
        *whole = vectors;
        return;
    }
    whole.copy_from_slice(&vectors[..whole.len()]);
    simd.partial_store_f32s(rest, vectors[whole.len()]);
}

/// The products of rows of `matrix`, which lies row by row, with `vector`: into every `step`-th number of `products`, as many as there are.
pub(crate) fn multiply_vector(matrix: Matrix<'_>, vector: &[f32], products: &mut [f32], step: usize) {
    Arch::new().dispatch(MultiplyVector {
        matrix,
        vector,
        products,
        step,
    });
}

struct MultiplyVector<'a> {
    matrix: Matrix<'a>,
    vector: &'a [f32],
    products: &'a mut [f32],
    step: usize,
}

impl WithSimd for MultiplyVector<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            matrix,
            vector,
            products,
            step,
        } = self;
        let row = |row: usize| &matrix.entries[row * matrix.strides[0]..][..vector.len()];
        let count = products.len().div_ceil(step);
        let whole = count / ROWS * ROWS;
        for first in (0..whole).step_by(ROWS) {
            let found = dots(
                simd,
                std::array::from_fn::<_, ROWS, _>(|index| row(first + index)),
                vector,
            );
            for (index, found) in found.into_iter().enumerate() {
                products[(first + index) * step] = found;
            }
        }
        for index in whole..count {
            [products[index * step]] = dots(simd, [row(index)], vector);
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

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of small integers are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Small integers, of which sums are exact in any order; one in `zeros` of them is not zero.
    fn integers(rows: usize, columns: usize, zeros: usize, seed: usize) -> Rows {
        let mut matrix = Rows::new(rows, columns);
        matrix.numbers_mut().fill(f32::NAN);
        for (row, to) in matrix.rows_mut(rows, columns).enumerate() {
            for (column, to) in to.iter_mut().enumerate() {
                let index = row * columns + column + seed;
                *to = if (index * 7919).is_multiple_of(zeros) {
                    (index * 7 % 11) as f32 - 5.0
                } else {
                    0.0
                };
            }
        }
        matrix
    }

    fn entry(matrix: &Rows, row: usize, column: usize) -> f32 {
        matrix.numbers()[row * matrix.stride() + column]
    }

    fn chosen(count: usize, one_in: usize, seed: usize) -> Vec<u32> {
        (0..count as u32)
            .filter(|index| (*index as usize + seed).is_multiple_of(one_in))
            .collect()
    }

    proptest! {
        #[test]
        fn rows_of_a_product_are_sums_over_the_terms(
            [height, inner, columns] in [1usize..30, 1usize..300, 1usize..80], one_in in 1usize..4, before in 0usize..4, first in 0usize..3,
            transposed: bool, seed in 0usize..100, goes_on: bool, gap in 0usize..5,
        ) {
            let left = if transposed { integers(before + inner, height, 1, seed) } else { integers(height, before + inner, 1, seed) };
            let right = integers(inner, columns, 1, seed + 3);
            let (rows, terms) = (chosen(height, one_in, seed), chosen(inner, one_in, seed + 1));
            let matrix = if transposed { Matrix::from(&left).transposed() } else { Matrix::from(&left) };
            let first = rows.first().map_or(0, |&row| first.min(row as usize));
            let product = Product {
                left: matrix.skip_columns(before), right: Matrix::from(&right), terms: &terms, rows: &rows, first, columns,
            };
            let (stride, start) = (columns + gap, if goes_on { 3.0 } else { f32::NAN });
            let mut found = vec![start; (height - first) * stride];
            product.write(&mut found, stride, goes_on);
            for (row, found) in (first..).zip(found.chunks(stride)) {
                for (column, found) in found.iter().enumerate() {
                    if column < columns && rows.contains(&(row as u32)) {
                        let term = |term: &u32| {
                            let term = *term as usize;
                            let factor = if transposed { entry(&left, before + term, row) } else { entry(&left, row, before + term) };
                            factor * entry(&right, term, column)
                        };
                        prop_assert_eq!(*found, terms.iter().map(term).sum::<f32>() + if goes_on { 3.0 } else { 0.0 });
                    } else {
                        prop_assert_eq!(found.to_bits(), start.to_bits(), "row {} and column {} were not asked for", row, column);
                    }
                }
            }
        }

        #[test]
        fn a_sparse_product_is_made_of_the_terms_that_are_not_zero(
            [rows, inner, columns] in [1usize..20, 1usize..200, 1usize..300], zeros in 1usize..5, seed in 0usize..100,
        ) {
            let (left, right) = (integers(rows, inner, zeros, seed), integers(inner, columns, 1, seed + 3));
            let mut nonzero = Nonzero::new(rows, inner);
            nonzero.note(&left, rows, inner);
            let mut found = Rows::new(rows, columns);
            found.numbers_mut().fill(f32::NAN);
            for block in 0..inner.div_ceil(Nonzero::ENTRIES) {
                let first = block * Nonzero::ENTRIES;
                let count = Nonzero::ENTRIES.min(inner - first);
                let mut part = Rows::new(count, columns);
                for (row, to) in part.rows_mut(count, columns).enumerate() {
                    to.copy_from_slice(&right.numbers()[(first + row) * right.stride()..][..columns]);
                }
                SparseProduct { left: &left, nonzero: &nonzero, block, right: &part, shape: [rows, columns] }.add(&mut found);
            }
            for row in 0..rows {
                for column in 0..columns {
                    let terms = (0..inner).map(|term| entry(&left, row, term) * entry(&right, term, column));
                    prop_assert_eq!(entry(&found, row, column), terms.sum::<f32>());
                }
            }
        }

        #[test]
        fn a_matrix_times_a_vector(rows in 1usize..40, columns in 1usize..80, step in 1usize..4, seed in 0usize..100) {
            let (matrix, vector) = (integers(rows, columns, 1, seed), integers(1, columns, 1, seed + 5));
            let vector = &vector.numbers()[..columns];
            let mut found = vec![f32::NAN; (rows - 1) * step + 1];
            multiply_vector(Matrix::from(&matrix), vector, &mut found, step);
            for (index, found) in found.iter().enumerate() {
                if index.is_multiple_of(step) {
                    let row = &matrix.numbers()[index / step * matrix.stride()..][..columns];
                    prop_assert_eq!(*found, row.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>());
                } else {
                    prop_assert!(found.is_nan());
                }
            }
        }
    }
}
