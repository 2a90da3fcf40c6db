//! What hidden units do with their sums, and its derivative.

#![expect(
    clippy::inline_always,
    reason = "the loops must take on the vector instructions of `with_simd`"
)]

use pulp::{Arch, Simd, WithSimd};
use serde::{Deserialize, Serialize};

use super::rows::Rows;

/// What the units of hidden layers do with their sums. The output layer is linear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// The hyperbolic tangent.
    Tanh,
}

/// y <- f(y + b), with `sums` [rows, features] for y and one b a feature. Without an activation, f(x) is x.
pub(crate) fn activate(activation: Option<Activation>, sums: &mut Rows, rows: usize, bias: &[f32]) {
    match activation {
        None => map(sums, rows, bias, |x| x),
        Some(Activation::Relu) => map(sums, rows, bias, relu),
        Some(Activation::Tanh) => map(sums, rows, bias, tanh),
    }
}

fn map(sums: &mut Rows, rows: usize, bias: &[f32], function: impl Fn(f32) -> f32) {
    Arch::new().dispatch(Map {
        sums,
        rows,
        bias,
        function,
    });
}

struct Map<'a, F> {
    sums: &'a mut Rows,
    rows: usize,
    bias: &'a [f32],
    function: F,
}

impl<F: Fn(f32) -> f32> WithSimd for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for row in self.sums.rows_mut(self.rows, self.bias.len()) {
            for (y, b) in row.iter_mut().zip(self.bias) {
                *y = (self.function)(*y + b);
            }
        }
    }
}

/// d <- d f'(x), with `gradient` [rows, features] for d and `outputs` for f(x).
pub(crate) fn differentiate(activation: Activation, outputs: &Rows, gradient: &mut Rows, rows: usize, features: usize) {
    match activation {
        Activation::Relu => map_gradient(outputs, gradient, rows, features, |y| if y > 0.0 { 1.0 } else { 0.0 }),
        Activation::Tanh => map_gradient(outputs, gradient, rows, features, |y| 1.0 - y * y),
    }
}

fn map_gradient(outputs: &Rows, gradient: &mut Rows, rows: usize, features: usize, derivative: impl Fn(f32) -> f32) {
    Arch::new().dispatch(MapGradient {
        outputs,
        gradient,
        rows,
        features,
        derivative,
    });
}

struct MapGradient<'a, F> {
    outputs: &'a Rows,
    gradient: &'a mut Rows,
    rows: usize,
    features: usize,
    derivative: F,
}

impl<F: Fn(f32) -> f32> WithSimd for MapGradient<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let outputs = self.outputs.numbers().chunks_exact(self.outputs.stride());
        for (gradient, outputs) in self.gradient.rows_mut(self.rows, self.features).zip(outputs) {
            for (d, &y) in gradient.iter_mut().zip(outputs) {
                // A product: a choice between d and 0 would become a masked store, which is slow on Zen 4.
                *d *= (self.derivative)(y);
            }
        }
    }
}

/// The comparison is this way round so that NaN stays NaN.
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// Adding it rounds to an integer, whose bits are then the lowest of the sum.
const ROUND: f32 = 1.5 * (1 << 23) as f32;

/// ln 2 in two parts: n times the first has no rounding.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// tanh x = E / (E + 2) with E = exp(2 x) - 1, without a branch, so that loops of it become vector instructions.
///
/// With 2 x = n ln 2 + r, E = 2^n (exp(r) - 1) + (2^n - 1), and exp(r) - 1 is its Taylor series: |r| is at most (ln 2) / 2,
/// where the eighth power is below what a 32-bit number resolves. Nothing cancels near zero, where n is 0 and E is the series.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    // Beyond 9.01 the nearest 32-bit number is 1.
    let y = 2.0 * x.clamp(-10.0, 10.0);
    let rounded = y * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (y - n * LN_2[0]) - n * LN_2[1];
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    let series = 1.0 / 720.0 + r * (1.0 / 5040.0);
    let series = 1.0 / 24.0 + r * (1.0 / 120.0 + r * series);
    let series = r + r * r * (0.5 + r * (1.0 / 6.0 + r * series));
    let e = power * series + (power - 1.0);
    e / (e + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_is_within_three_units_in_the_last_place() {
        let mut worst = 0.0_f64;
        for bits in (0..f32::INFINITY.to_bits()).step_by(1009) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let exact = f64::from(x).tanh();
                let unit = f64::from((exact as f32).next_up() - exact as f32).abs();
                worst = worst.max((f64::from(tanh(x)) - exact).abs() / unit);
            }
        }
        assert!(worst < 3.0, "{worst}");
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        for activation in [Activation::Relu, Activation::Tanh] {
            let [mut sums, mut gradient, mut outputs] = [(); 3].map(|()| Rows::new(1, 2));
            sums.numbers_mut()[..2].copy_from_slice(&[f32::NAN, 1.0]);
            activate(Some(activation), &mut sums, 1, &[0.0; 2]);
            assert!(sums.numbers()[0].is_nan() && sums.numbers()[1] > 0.5, "{activation:?}");
            outputs.numbers_mut()[..2].fill(0.5);
            gradient.numbers_mut()[0] = f32::NAN;
            differentiate(activation, &outputs, &mut gradient, 1, 2);
            assert!(gradient.numbers()[0].is_nan(), "{activation:?}");
        }
    }
}
