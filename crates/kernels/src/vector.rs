//! Sweeps over flat vectors of parameters and gradients.

use pulp::Arch;

/// Parts of a vector that one thread takes at a time. Shorter ones are done sooner than another thread wakes up.
pub(crate) const PART: usize = 1 << 15;

/// Where a vector longer than a [`PART`] is cut: near the middle, and at the start of a cache line. It depends on the length
/// alone, and so does the order of additions.
pub(crate) fn cut(length: usize) -> usize {
    (length / 2).next_multiple_of(64)
}

/// Numbers that are summed side by side.
const LANES: usize = 16;

/// The sum of a few numbers, in an order that their count alone decides.
#[expect(
    clippy::inline_always,
    reason = "takes on the vector instructions of the loop around it"
)]
#[inline(always)]
pub(crate) fn sum(numbers: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, number)| *lane += number);
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, number)| *lane += number);
    let mut width = LANES / 2;
    while width > 0 {
        let (low, high) = lanes.split_at_mut(width);
        low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
        width /= 2;
    }
    lanes[0]
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
    Arch::new().dispatch(|| {
        let mut total = 0.0;
        in_blocks(gradients, start, end, |_, block| {
            for number in block.iter_mut() {
                *number *= *number;
            }
            total += f64::from(sum(block));
        });
        total
    })
}

/// Numbers of a block. Few enough to stay in the first-level cache.
const BLOCK: usize = 256;

/// Calls `sweep` with the place and the summed entries of one block of the gradients after another.
#[expect(
    clippy::inline_always,
    reason = "takes on the vector instructions of the loop around it"
)]
#[inline(always)]
pub(crate) fn in_blocks(gradients: &[&[f32]], start: usize, end: usize, mut sweep: impl FnMut(usize, &mut [f32])) {
    let mut block = [0.0; BLOCK];
    for place in (start..end).step_by(BLOCK) {
        let block = &mut block[..BLOCK.min(end - place)];
        block.copy_from_slice(&gradients[0][place..place + block.len()]);
        for gradient in &gradients[1..] {
            block
                .iter_mut()
                .zip(&gradient[place..])
                .for_each(|(sum, number)| *sum += number);
        }
        sweep(place, block);
    }
}

/// target <- (1 - tau) target + tau source: Polyak averaging, and with tau = 1 a copy.
///
/// # Panics
/// The lengths differ.
pub fn polyak(target: &mut [f32], source: &[f32], tau: f32) {
    assert_eq!(target.len(), source.len(), "lengths of target and source");
    Arch::new().dispatch(|| {
        for (target, source) in target.iter_mut().zip(source) {
            *target = (1.0 - tau) * *target + tau * source;
        }
    });
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
    fn sums_of_every_length_are_complete() {
        for length in 0..100 {
            // Integers, of which the sum is exact in any order.
            let numbers: Vec<f32> = (1..=length).map(|number| number as f32).collect();
            assert_eq!(sum(&numbers), (length * (length + 1) / 2) as f32);
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
