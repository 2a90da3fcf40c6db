//! Sweeps over flat vectors of parameters and gradients.

#![expect(
    clippy::inline_always,
    reason = "the loops must take on the vector instructions of `with_simd`"
)]

use pulp::{Arch, Simd, WithSimd};

/// Parts of a vector that one thread takes at a time. Shorter ones are done sooner than another thread wakes up.
pub(crate) const PART: usize = 1 << 15;

/// Where a vector longer than a [`PART`] is cut: near the middle, and at the start of a cache line. It depends on the length
/// alone, and so does the order of additions.
pub(crate) fn cut(length: usize) -> usize {
    (length / 2).next_multiple_of(64)
}

/// The sum of a few numbers' squares, in an order that their count and the width of the registers decide.
#[inline(always)]
fn sum_of_squares<S: Simd>(simd: S, numbers: &[f32]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(numbers);
    let rest = simd.partial_load_f32s(rest);
    let start = simd.mul_f32s(rest, rest);
    simd.reduce_sum_f32s(vectors.iter().fold(start, |total, &x| simd.mul_add_f32s(x, x, total)))
}

/// The square of the Euclidean norm of a gradient, as clipping by the global norm needs it.
pub fn square_norm(gradient: &[f32]) -> f64 {
    if gradient.len() > PART {
        let (left, right) = gradient.split_at(cut(gradient.len()));
        let (left, right) = rayon::join(|| square_norm(left), || square_norm(right));
        return left + right;
    }
    Arch::new().dispatch(SquareNorm { gradient })
}

struct SquareNorm<'a> {
    gradient: &'a [f32],
}

impl WithSimd for SquareNorm<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        /// Squares that are added up in 32 bits.
        const BLOCK: usize = 256;
        let mut total = 0.0;
        for block in self.gradient.chunks(BLOCK) {
            total += f64::from(sum_of_squares(simd, block));
        }
        total
    }
}

/// target <- (1 - tau) target + tau source: Polyak averaging, and with tau = 1 a copy.
///
/// # Panics
/// The lengths differ.
pub fn polyak(target: &mut [f32], source: &[f32], tau: f32) {
    assert_eq!(target.len(), source.len(), "lengths of target and source");
    Arch::new().dispatch(Polyak { target, source, tau });
}

struct Polyak<'a> {
    target: &'a mut [f32],
    source: &'a [f32],
    tau: f32,
}

impl WithSimd for Polyak<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (target, source) in self.target.iter_mut().zip(self.source) {
            *target = (1.0 - self.tau) * *target + self.tau * source;
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of small integers and of halves are exact")]
mod tests {
    use super::*;

    /// Irregular numbers between -1 and 1.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32)
            .map(|index| ((index * 7919 + seed) % 2003) as f32 / 1001.0 - 1.0)
            .collect()
    }

    #[test]
    fn the_square_norm_is_the_sum_of_the_squares() {
        for length in [1, 255, 256, 1000, PART, PART + 1, 5 * PART + 77] {
            let gradient = numbers(length, 1);
            let exact: f64 = gradient.iter().map(|&entry| f64::from(entry).powi(2)).sum();
            let found = square_norm(&gradient);
            assert!((found - exact).abs() < 1e-6 * exact, "{length}: {found}, {exact}");
        }
    }

    #[test]
    fn polyak_averages_and_copies() {
        let (mut target, source) = ([1.0, -2.0, f32::MAX], [2.0, 2.0, 3.0]);
        polyak(&mut target[..2], &source[..2], 0.25);
        assert_eq!(target, [1.25, -1.0, f32::MAX]);
        polyak(&mut target, &source, 1.0);
        assert_eq!(target, source);
    }
}
