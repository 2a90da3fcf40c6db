//! The exponential and the hyperbolic tangent of f32, on single numbers and on vectors of them.
//!
//! Nothing here is a fused multiplication and addition, so that a number gives the same bits in every form, on every level
//! of [`Instructions`](crate::Instructions) and on every machine.

#![expect(
    clippy::inline_always,
    reason = "the loops around them must become vector instructions"
)]

use std::f32::consts::LOG2_E;

use pulp::{Scalar, Simd};

/// At this size neighbouring numbers are 1 apart, and the last bits of one are the whole number that was added to it.
const WHOLE: f32 = 1.5 * (1_u32 << 23) as f32;
/// ln(2) in two parts, of which the first has so few digits that its multiples up to 2^15 are exact.
const LN_2: [f32; 2] = [0.693_359_4, -0.000_212_194_44];
/// Below the first, e^x is less than the smallest normal number; above the second, it is more than the largest.
const EXPONENTS: [f32; 2] = [-87.336_54, 88.722_83];
/// 1/7!, 1/6!, ..., 1/2!: what follows in the series of e^r is below 6e-9 where |r| <= ln(2) / 2.
const SERIES: [f32; 6] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5];

/// e^x, within 1 unit of the last place. What would be below the smallest normal number is 0, what would be above the
/// largest is infinite; NaN stays NaN.
#[inline]
pub(crate) fn exp(x: f32) -> f32 {
    exp_lanes(Scalar, x)
}

/// tanh(x), within 3 units of the last place; NaN stays NaN.
#[inline]
#[cfg(test)]
pub(crate) fn tanh(x: f32) -> f32 {
    tanh_lanes(Scalar, x)
}

/// WHOLE + n and e^r - 1, where e^x = 2^n e^r and n is whole.
#[inline(always)]
fn parts<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let shifted = simd.add_f32s(simd.mul_f32s(x, simd.splat_f32s(LOG2_E)), simd.splat_f32s(WHOLE));
    let n = simd.sub_f32s(shifted, simd.splat_f32s(WHOLE));
    let [high, low] = LN_2.map(|part| simd.mul_f32s(n, simd.splat_f32s(part)));
    let r = simd.sub_f32s(simd.sub_f32s(x, high), low);
    let mut sum = simd.splat_f32s(SERIES[0]);
    for factor in &SERIES[1..] {
        sum = simd.add_f32s(simd.mul_f32s(sum, r), simd.splat_f32s(*factor));
    }
    (shifted, simd.add_f32s(r, simd.mul_f32s(simd.mul_f32s(r, r), sum)))
}

/// 2^n times `x`, given WHOLE + n: n is added to the exponent of a number.
#[inline(always)]
fn scale<S: Simd>(simd: S, x: S::f32s, shifted: S::f32s) -> S::f32s {
    let n = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(x), n))
}

/// [`exp`] of each lane.
#[inline(always)]
pub(crate) fn exp_lanes<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let (shifted, rest) = parts(simd, x);
    let value = scale(simd, simd.add_f32s(simd.splat_f32s(1.0), rest), shifted);
    let [least, largest] = EXPONENTS.map(|x| simd.splat_f32s(x));
    let value = simd.select_f32s(simd.less_than_f32s(x, least), simd.splat_f32s(0.0), value);
    // NaN is not at most the largest either, and stays what it is.
    let beyond = simd.add_f32s(x, simd.splat_f32s(f32::INFINITY));
    simd.select_f32s(simd.less_than_or_equal_f32s(x, largest), value, beyond)
}

/// [`tanh`] of each lane: m / (m + 2), where m = e^(2 |x|) - 1, with the sign of x.
#[inline(always)]
pub(crate) fn tanh_lanes<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Twice the size from which tanh rounds to 1.
    const LARGE: f32 = 20.0;
    let (one, two, large) = (simd.splat_f32s(1.0), simd.splat_f32s(2.0), simd.splat_f32s(LARGE));
    let size = simd.abs_f32s(x);
    let double = simd.add_f32s(size, size);
    // Not the smaller of both, which would lose NaN.
    let double = simd.select_f32s(simd.greater_than_f32s(double, large), large, double);
    let (shifted, rest) = parts(simd, double);
    let power = scale(simd, one, shifted);
    let m = simd.add_f32s(simd.mul_f32s(power, rest), simd.sub_f32s(power, one));
    let value = simd.div_f32s(m, simd.add_f32s(m, two));
    let sign = simd.and_f32s(x, simd.splat_f32s(-0.0));
    simd.or_f32s(simd.abs_f32s(value), sign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instructions;
    use crate::attention::{Kernel, Lanes, Vectors};

    /// |found - exact| in units of the last place of `exact`.
    fn units(found: f32, exact: f64) -> f64 {
        let last = (exact.abs().log2().floor() - 23.0).max(-149.0).exp2();
        ((f64::from(found) - exact) / last).abs()
    }

    #[test]
    fn they_are_exact_within_the_stated_error() {
        let (mut worst_exp, mut worst_tanh) = (0.0_f64, 0.0_f64);
        // Every 1,999th of all numbers.
        for bits in (0..=u32::MAX).step_by(1999) {
            let x = f32::from_bits(bits);
            if x.is_nan() {
                assert!(exp(x).is_nan() && tanh(x).is_nan(), "{bits:x}");
                continue;
            }
            let exact = f64::from(x).exp();
            if exact < f64::from(f32::MIN_POSITIVE) {
                assert!(exp(x) <= f32::MIN_POSITIVE, "{x}");
            } else if exact > f64::from(f32::MAX) {
                assert!(exp(x).is_infinite(), "{x}");
            } else {
                worst_exp = worst_exp.max(units(exp(x), exact));
            }
            worst_tanh = worst_tanh.max(units(tanh(x), f64::from(x).tanh()));
        }
        assert!(worst_exp < 1.0, "{worst_exp}");
        assert!(worst_tanh < 3.0, "{worst_tanh}");
    }

    #[test]
    fn they_are_exact_at_the_ends() {
        assert_eq!((exp(0.0), exp(-0.0), tanh(0.0), tanh(1e30)), (1.0, 1.0, 0.0, 1.0));
        assert!(tanh(-0.0).is_sign_negative());
        assert_eq!((exp(f32::NEG_INFINITY), exp(f32::INFINITY)), (0.0, f32::INFINITY));
        assert_eq!((tanh(f32::NEG_INFINITY), tanh(f32::INFINITY)), (-1.0, 1.0));
        assert_eq!((exp(-1e30), exp(1e30)), (0.0, f32::INFINITY));
    }

    struct Both<'a>(&'a [f32], &'a mut [[f32; 2]]);

    impl Kernel for Both<'_> {
        #[inline(always)]
        fn run<S: Lanes>(self, simd: S) {
            for (from, to) in self.0.chunks(S::F32_LANES).zip(self.1.chunks_mut(S::F32_LANES)) {
                let x = simd.partial_load_f32s(from);
                let (mut exps, mut tanhs) = (vec![0.0; S::F32_LANES], vec![0.0; S::F32_LANES]);
                simd.partial_store_f32s(&mut exps, exp_lanes(simd, x));
                simd.partial_store_f32s(&mut tanhs, tanh_lanes(simd, x));
                for ((to, exp), tanh) in to.iter_mut().zip(exps).zip(tanhs) {
                    *to = [exp, tanh];
                }
            }
        }
    }

    #[test]
    fn vectors_give_the_bits_of_single_numbers() {
        let numbers: Vec<f32> = (0..=u32::MAX).step_by(99_991).map(f32::from_bits).collect();
        for instructions in Instructions::available() {
            let mut found = vec![[0.0; 2]; numbers.len()];
            Vectors::new(instructions).run(Both(&numbers, &mut found));
            for (&x, [exp_x, tanh_x]) in numbers.iter().zip(found) {
                assert!(
                    exp_x.to_bits() == exp(x).to_bits() || x.is_nan() && exp_x.is_nan(),
                    "{x}"
                );
                assert!(
                    tanh_x.to_bits() == tanh(x).to_bits() || x.is_nan() && tanh_x.is_nan(),
                    "{x}"
                );
            }
        }
    }
}
