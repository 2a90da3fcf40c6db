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

/// The sum of a few numbers, in an order that their count and the width of the registers decide.
#[inline(always)]
pub(crate) fn sum<S: Simd>(simd: S, numbers: &[f32]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(numbers);
    let start = simd.partial_load_f32s(rest);
    simd.reduce_sum_f32s(vectors.iter().fold(start, |total, &x| simd.add_f32s(total, x)))
}

/// The sum of their squares, in such an order.
#[inline(always)]
fn sum_of_squares<S: Simd>(simd: S, numbers: &[f32]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(numbers);
    let rest = simd.partial_load_f32s(rest);
    let start = simd.mul_f32s(rest, rest);
    simd.reduce_sum_f32s(vectors.iter().fold(start, |total, &x| simd.mul_add_f32s(x, x, total)))
}

/// The square of the Euclidean norm of the sum of `gradients`, all of one length, as clipping by the global norm needs it.
///
/// # Panics
/// The lengths differ, or there are no gradients.
pub fn square_norm(gradients: &[&[f32]]) -> f64 {
    let length = gradients[0].len();
    assert!(
        gradients.iter().all(|gradient| gradient.len() == length),
        "lengths of the gradients"
    );
    square_norm_of(gradients, 0, length)
}

fn square_norm_of(gradients: &[&[f32]], start: usize, end: usize) -> f64 {
    if end - start > PART {
        let middle = start + cut(end - start);
        let (left, right) = rayon::join(
            || square_norm_of(gradients, start, middle),
            || square_norm_of(gradients, middle, end),
        );
        return left + right;
    }
    Arch::new().dispatch(SquareNorm { gradients, start, end })
}

struct SquareNorm<'a> {
    gradients: &'a [&'a [f32]],
    start: usize,
    end: usize,
}

impl WithSimd for SquareNorm<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let mut block = [0.0; BLOCK];
        let mut total = 0.0;
        for start in (self.start..self.end).step_by(BLOCK) {
            let block = &mut block[..BLOCK.min(self.end - start)];
            add_up(self.gradients, start, block);
            total += f64::from(sum_of_squares(simd, block));
        }
        total
    }
}

/// Numbers of a block, which several sweeps find in the first-level cache.
pub(crate) const BLOCK: usize = 256;

/// Writes the sum of the gradients, from number `start` on, into `block`.
#[inline(always)]
pub(crate) fn add_up(gradients: &[&[f32]], start: usize, block: &mut [f32]) {
    let length = block.len();
    let part = |index: usize| &gradients[index][start..start + length];
    if gradients.len() == 1 {
        block.copy_from_slice(part(0));
        return;
    }
    for ((sum, x), y) in block.iter_mut().zip(part(0)).zip(part(1)) {
        *sum = x + y;
    }
    for index in 2..gradients.len() {
        for (sum, x) in block.iter_mut().zip(part(index)) {
            *sum += x;
        }
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

    struct Sum<'a>(&'a [f32]);

    impl WithSimd for Sum<'_> {
        type Output = f32;

        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            sum(simd, self.0)
        }
    }

    #[test]
    fn sums_of_every_length_are_complete() {
        for length in 0..100 {
            // Integers, of which the sum is exact in any order.
            let numbers: Vec<f32> = (1..=length).map(|number| number as f32).collect();
            assert_eq!(Arch::new().dispatch(Sum(&numbers)), (length * (length + 1) / 2) as f32);
        }
    }

    #[test]
    fn the_square_norm_is_that_of_the_sum() {
        for length in [1, 255, 256, 1000, PART, PART + 1, 5 * PART + 77] {
            let gradients = [numbers(length, 1), numbers(length, 17), numbers(length, 500)];
            let gradients = gradients.each_ref().map(|gradient| &**gradient);
            for count in 1..=3 {
                let exact: f64 = (0..length)
                    .map(|index| {
                        gradients[..count]
                            .iter()
                            .map(|gradient| f64::from(gradient[index]))
                            .sum::<f64>()
                            .powi(2)
                    })
                    .sum();
                let found = square_norm(&gradients[..count]);
                assert!(
                    (found - exact).abs() < 1e-6 * exact,
                    "{length}, {count}: {found}, {exact}"
                );
            }
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
