//! y = x / sqrt(mean(x^2) + epsilon) (weight + offset), equation 4 of Zhang and Sennrich (2019) with an epsilon as all
//! implementations have it. Gemma's weights are offsets from 1.

use super::{each_block, each_part};
use crate::Instructions;
use crate::vectorized::{sum, vectorized};

/// Normalises each row of `x` [rows, width] by its root mean square, times `weight` `[width]` plus `offset` (0, or 1 for Gemma),
/// into `to` [rows, width].
///
/// # Panics
/// The weight is empty, or a length does not fit to it.
pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, offset: f32, to: &mut [f32]) {
    let norm = RmsNorm {
        weight,
        epsilon,
        offset,
    };
    norm.forward(Instructions::best(), x, to);
}

/// From `dy` [rows, width], the gradient of a loss by what [`rms_norm`] wrote, its gradients by x, which overwrites `dx` [rows, width], and
/// by the weight, which is added to `dweight` `[width]`.
///
/// # Panics
/// The weight is empty, or a length does not fit to it.
pub fn rms_norm_backward(
    x: &[f32],
    weight: &[f32],
    epsilon: f32,
    offset: f32,
    dy: &[f32],
    dx: &mut [f32],
    dweight: &mut [f32],
) {
    let norm = RmsNorm {
        weight,
        epsilon,
        offset,
    };
    norm.backward(Instructions::best(), [x, dy], dx, dweight);
}

#[derive(Clone, Copy)]
struct RmsNorm<'a> {
    weight: &'a [f32],
    epsilon: f32,
    offset: f32,
}

impl RmsNorm<'_> {
    fn check(&self, x: &[f32], others: [usize; 2]) {
        let width = self.weight.len();
        assert!(
            width > 0 && x.len().is_multiple_of(width),
            "x: {} numbers in rows of {width}",
            x.len()
        );
        assert_eq!(others, [x.len(); 2], "numbers in the other slices, and in x");
    }

    fn forward(self, instructions: Instructions, x: &[f32], to: &mut [f32]) {
        self.check(x, [to.len(); 2]);
        each_part(self.weight.len(), x, to, |x, to| forward(instructions, self, x, to));
    }

    fn backward(self, instructions: Instructions, [x, dy]: [&[f32]; 2], dx: &mut [f32], dweight: &mut [f32]) {
        self.check(x, [dy.len(), dx.len()]);
        assert_eq!(dweight.len(), self.weight.len(), "dweight");
        each_block(
            self.weight.len(),
            [x, dy],
            dx,
            &mut [dweight],
            |[x, dy], dx, dweight| {
                backward(instructions, self, x, dy, dx, dweight);
            },
        );
    }

    /// 1 / sqrt(mean(x^2) + epsilon).
    #[expect(
        clippy::inline_always,
        reason = "for the vector instructions of the functions around it"
    )]
    #[inline(always)]
    fn scale(&self, x: &[f32]) -> f32 {
        1.0 / (sum([x], |[x]| x * x) / x.len() as f32 + self.epsilon).sqrt()
    }
}

vectorized! {
    fn forward(norm: RmsNorm<'_>, x: &[f32], to: &mut [f32]) {
        let width = norm.weight.len();
        for (x, to) in x.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
            let scale = norm.scale(x);
            for ((y, x), w) in to.iter_mut().zip(x).zip(norm.weight) {
                *y = x * scale * (w + norm.offset);
            }
        }
    }
}

vectorized! {
    /// With s the scale, n the width and g = dy (weight + offset): dx = s g - s^3 x sum(g x) / n, and dweight += dy s x.
    fn backward(norm: RmsNorm<'_>, x: &[f32], dy: &[f32], dx: &mut [f32], dweight: &mut [f32]) {
        let width = norm.weight.len();
        let rows = x.chunks_exact(width).zip(dy.chunks_exact(width));
        for ((x, dy), dx) in rows.zip(dx.chunks_exact_mut(width)) {
            let scale = norm.scale(x);
            let along = sum([x, dy, norm.weight], |[x, dy, w]| dy * (w + norm.offset) * x);
            let along = along / width as f32 * scale * scale;
            let entries = x.iter().zip(dy).zip(norm.weight);
            for ((dx, dweight), ((x, dy), w)) in dx.iter_mut().zip(&mut *dweight).zip(entries) {
                *dx = scale * (dy * (w + norm.offset) - x * along);
                *dweight += dy * (x * scale);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectorized::testing::{assert_same_at_every_level, numbers};

    #[test]
    fn every_level_gives_the_same_bits() {
        for [rows, width] in [[3, 1], [5, 64], [70, 77], [600, 130]] {
            let (x, dy) = (numbers(rows * width, 1), numbers(rows * width, 2));
            let norm = RmsNorm {
                weight: &numbers(width, 3),
                epsilon: 1e-5,
                offset: 1.0,
            };
            assert_same_at_every_level(|instructions| {
                let mut all = vec![0.0; 2 * x.len() + width];
                let (y, rest) = all.split_at_mut(x.len());
                let (dx, dweight) = rest.split_at_mut(x.len());
                norm.forward(instructions, &x, y);
                norm.backward(instructions, [&x, &dy], dx, dweight);
                all
            });
        }
    }
}
