//! y = (x - mean(x)) / sqrt(variance(x) + epsilon) weight + bias, equations 3 and 4 of Ba, Kiros and Hinton (2016) over the entries of a
//! row, with an epsilon as PyTorch has it. The variance divides by the width.

use super::{each_block, each_part};
use crate::Instructions;
use crate::vectorized::{sum, vectorized};

/// Normalises each row of `x` [rows, width] to mean 0 and variance 1, times `weight` `[width]` plus `bias` `[width]`, into `to`
/// [rows, width].
///
/// # Panics
/// The weight is empty, or a length does not fit to it.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, to: &mut [f32]) {
    assert_eq!(bias.len(), weight.len(), "bias");
    forward_rows(Instructions::best(), LayerNorm { weight, epsilon }, x, bias, to);
}

/// From `dy` [rows, width], the gradient of a loss by what [`layer_norm`] wrote, its gradients by x, which overwrites `dx` [rows, width],
/// by the weight, which is added to `dweight` `[width]`, and by the bias, which is added to `dbias` `[width]`.
///
/// # Panics
/// The weight is empty, or a length does not fit to it.
pub fn layer_norm_backward(
    x: &[f32],
    weight: &[f32],
    epsilon: f32,
    dy: &[f32],
    dx: &mut [f32],
    dweight: &mut [f32],
    dbias: &mut [f32],
) {
    let norm = LayerNorm { weight, epsilon };
    backward_rows(Instructions::best(), norm, [x, dy], dx, [dweight, dbias]);
}

#[derive(Clone, Copy)]
struct LayerNorm<'a> {
    weight: &'a [f32],
    epsilon: f32,
}

impl LayerNorm<'_> {
    fn check(&self, x: &[f32], others: [usize; 2]) {
        let width = self.weight.len();
        assert!(
            width > 0 && x.len().is_multiple_of(width),
            "x: {} numbers in rows of {width}",
            x.len()
        );
        assert_eq!(others, [x.len(); 2], "numbers in the other slices, and in x");
    }

    /// The mean, and 1 / sqrt(variance + epsilon).
    #[expect(
        clippy::inline_always,
        reason = "for the vector instructions of the functions around it"
    )]
    #[inline(always)]
    fn moments(&self, x: &[f32]) -> [f32; 2] {
        let mean = sum([x], |[x]| x) / x.len() as f32;
        let variance = sum([x], |[x]| (x - mean) * (x - mean)) / x.len() as f32;
        [mean, 1.0 / (variance + self.epsilon).sqrt()]
    }
}

fn forward_rows(instructions: Instructions, norm: LayerNorm<'_>, x: &[f32], bias: &[f32], to: &mut [f32]) {
    norm.check(x, [to.len(); 2]);
    each_part(norm.weight.len(), x, to, |x, to| {
        forward(instructions, norm, x, bias, to);
    });
}

fn backward_rows(
    instructions: Instructions,
    norm: LayerNorm<'_>,
    [x, dy]: [&[f32]; 2],
    dx: &mut [f32],
    mut sums: [&mut [f32]; 2],
) {
    norm.check(x, [dy.len(), dx.len()]);
    assert_eq!(
        [sums[0].len(), sums[1].len()],
        [norm.weight.len(); 2],
        "dweight and dbias"
    );
    each_block(norm.weight.len(), [x, dy], dx, &mut sums, |[x, dy], dx, sums| {
        let (dweight, dbias) = sums.split_at_mut(norm.weight.len());
        backward(instructions, norm, x, dy, dx, dweight, dbias);
    });
}

vectorized! {
    fn forward(norm: LayerNorm<'_>, x: &[f32], bias: &[f32], to: &mut [f32]) {
        let width = norm.weight.len();
        for (x, to) in x.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
            let [mean, scale] = norm.moments(x);
            for ((y, x), (w, b)) in to.iter_mut().zip(x).zip(norm.weight.iter().zip(bias)) {
                *y = (x - mean) * scale * w + b;
            }
        }
    }
}

vectorized! {
    /// With s the scale, z = s (x - mean) and g = dy weight: dx = s (g - mean(g) - z mean(g z)), dweight += dy z and dbias += dy.
    fn backward(norm: LayerNorm<'_>, x: &[f32], dy: &[f32], dx: &mut [f32], dweight: &mut [f32], dbias: &mut [f32]) {
        let width = norm.weight.len();
        let rows = x.chunks_exact(width).zip(dy.chunks_exact(width));
        for ((x, dy), dx) in rows.zip(dx.chunks_exact_mut(width)) {
            let [mean, scale] = norm.moments(x);
            let average = sum([dy, norm.weight], |[dy, w]| dy * w) / width as f32;
            let along = sum([x, dy, norm.weight], |[x, dy, w]| dy * w * ((x - mean) * scale)) / width as f32;
            let sums = dweight.iter_mut().zip(&mut *dbias);
            let entries = x.iter().zip(dy).zip(norm.weight);
            for ((dx, (dweight, dbias)), ((x, dy), w)) in dx.iter_mut().zip(sums).zip(entries) {
                let z = (x - mean) * scale;
                *dx = scale * (dy * w - average - z * along);
                *dweight += dy * z;
                *dbias += dy;
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
            let (weight, bias) = (numbers(width, 3), numbers(width, 4));
            let norm = LayerNorm {
                weight: &weight,
                epsilon: 1e-5,
            };
            assert_same_at_every_level(|instructions| {
                let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                let (mut dweight, mut dbias) = (vec![0.0; width], vec![0.0; width]);
                forward_rows(instructions, norm, &x, &bias, &mut y);
                backward_rows(instructions, norm, [&x, &dy], &mut dx, [&mut dweight, &mut dbias]);
                [y, dx, dweight, dbias].concat()
            });
        }
    }
}
