//! Exponentials and powers that become vector instructions in a loop, unlike calls of the system's library, and that are
//! the same numbers on every machine.

use crate::Float;

/// What there is to a number's bits, and how many terms of a series make one.
///
/// Public in a private module, so that nobody else makes a [`Float`].
pub trait Bits: Sized {
    /// Terms of the series of the exponential on [-ln(2) / 2, ln(2) / 2].
    const EXPONENTIAL_TERMS: u32;
    /// Terms of the series of the logarithm on [sqrt(1/2), sqrt(2)].
    const LOGARITHM_TERMS: u32;
    /// ln(2) in two parts, of which the first times a whole number is exact.
    const LN_2: [Self; 2];
    /// Between these, exponentials are neither too small nor too large.
    const EXPONENTS: [Self; 2];

    /// The nearest whole number n, and 2^n.
    fn nearest_power(self) -> (Self, Self);

    /// For a positive normal number x: m from sqrt(1/2) to sqrt(2), and n, where x = m 2^n.
    fn split(self) -> (Self, Self);
}

impl Bits for f32 {
    const EXPONENTIAL_TERMS: u32 = 8;
    const LOGARITHM_TERMS: u32 = 6;
    const LN_2: [Self; 2] = [0.693_359_4, -0.000_212_194_44];
    const EXPONENTS: [Self; 2] = [-87.0, 88.0];

    #[inline(always)]
    fn nearest_power(self) -> (Self, Self) {
        // At this size neighbouring numbers are 1 apart, and the last bits of one are n.
        const LARGE: f32 = 1.5 * (1_u32 << 23) as f32;
        let sum = self + LARGE;
        (sum - LARGE, Self::from_bits(sum.to_bits().wrapping_add(127) << 23))
    }

    #[inline(always)]
    fn split(self) -> (Self, Self) {
        const LARGE: f32 = (1_u32 << 23) as f32;
        let root = std::f32::consts::FRAC_1_SQRT_2.to_bits();
        let shifted = self.to_bits().wrapping_add(1_f32.to_bits() - root);
        let exponent = Self::from_bits(LARGE.to_bits() | (shifted >> 23)) - (LARGE + 127.0);
        (Self::from_bits((shifted & 0x7f_ffff) + root), exponent)
    }
}

impl Bits for f64 {
    const EXPONENTIAL_TERMS: u32 = 14;
    const LOGARITHM_TERMS: u32 = 12;
    const LN_2: [Self; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];
    const EXPONENTS: [Self; 2] = [-708.0, 709.0];

    #[inline(always)]
    fn nearest_power(self) -> (Self, Self) {
        const LARGE: f64 = 1.5 * (1_u64 << 52) as f64;
        let sum = self + LARGE;
        (sum - LARGE, Self::from_bits(sum.to_bits().wrapping_add(1023) << 52))
    }

    #[inline(always)]
    fn split(self) -> (Self, Self) {
        const LARGE: f64 = (1_u64 << 52) as f64;
        let root = std::f64::consts::FRAC_1_SQRT_2.to_bits();
        let shifted = self.to_bits().wrapping_add(1_f64.to_bits() - root);
        let exponent = Self::from_bits(LARGE.to_bits() | (shifted >> 52)) - (LARGE + 1023.0);
        (Self::from_bits((shifted & 0xf_ffff_ffff_ffff) + root), exponent)
    }
}

/// 2^n and e^r - 1, where e^x = 2^n e^r.
#[inline(always)]
fn parts<T: Float>(x: T) -> (T, T) {
    let [least, largest] = T::EXPONENTS;
    // What is no number stays so.
    let x = if x < least { least } else { x };
    let x = if x > largest { largest } else { x };
    let (n, power) = (x * T::of(std::f64::consts::LOG2_E)).nearest_power();
    let r = (x - n * T::LN_2[0]) - n * T::LN_2[1];
    // r (1 + r/2 (1 + r/3 (1 + ...)))
    let mut sum = T::one();
    for term in (2..T::EXPONENTIAL_TERMS).rev() {
        sum = T::one() + sum * (r * T::of(1.0 / f64::from(term)));
    }
    (power, r * sum)
}

/// e^x, within a few units of the last place; infinite where it is about as large as a number can be.
#[inline(always)]
pub(crate) fn exp<T: Float>(x: T) -> T {
    let (power, rest) = parts(x);
    let value = power + power * rest;
    if x > T::EXPONENTS[1] { T::infinity() } else { value }
}

/// e^x - 1, within a few units of the last place.
#[inline(always)]
pub(crate) fn exp_m1<T: Float>(x: T) -> T {
    let (power, rest) = parts(x);
    (power - T::one()) + power * rest
}

/// ln(x) of a positive normal number. What is infinite or no number stays so.
#[inline(always)]
fn ln<T: Float>(x: T) -> T {
    let (m, n) = x.split();
    // 2 artanh(s) = 2 s (1 + s^2/3 + s^4/5 + ...)
    let s = (m - T::one()) / (m + T::one());
    let mut sum = T::zero();
    // Not `1..=`, which is not unrolled in time for what is around it to become vector instructions.
    for term in (1..T::LOGARITHM_TERMS).rev() {
        sum = (sum + T::of(1.0 / f64::from(2 * term + 1))) * (s * s);
    }
    let value = n * T::LN_2[0] + (n * T::LN_2[1] + T::of(2.0) * (s + s * sum));
    if x <= T::max_value() { value } else { x }
}

/// x^exponent for x >= 0, and its slope, which counts as zero at x = 0. The error is a few units of the last place, times
/// the logarithm of the power where that is above 1.
#[inline(always)]
pub(crate) fn power<T: Float>(x: T, exponent: T) -> (T, T) {
    let least = T::min_positive_value();
    let positive = if x < least { least } else { x };
    let power = exp(exponent * ln(positive));
    // Zero to the power of zero is one.
    let vanishes = (x <= T::zero()) & (exponent > T::zero());
    let value = if vanishes { T::zero() } else { power };
    (value, exponent * value / positive)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// |found - expected| in units of the last place of the larger of both that is one at least.
    fn units<T: Float>(found: T, expected: T) -> f64 {
        ((found - expected) / (expected * T::epsilon())).to_64().abs()
    }

    fn check<T: Float>() {
        let [least, largest] = T::EXPONENTS.map(T::to_64);
        let mut worst = [0.0_f64; 4];
        for step in 1..20_000 {
            let share = f64::from(step) / 20_000.0;
            let x = T::of(least + (largest - least) * share);
            worst[0] = worst[0].max(units(exp(x), x.exp()));
            let near = T::of((share - 0.5).powi(3) * 8.0);
            if near != T::zero() {
                worst[1] = worst[1].max(units(exp_m1(near), near.exp_m1()));
            }
            let positive = exp(x);
            worst[2] = worst[2].max(
                (ln(positive) - positive.ln()).abs().to_64()
                    / T::epsilon().to_64()
                    / positive.ln().abs().max(T::one()).to_64(),
            );
            for exponent in [0.5, 3.0, 4.0] {
                let (base, exponent) = (T::of(share), T::of(exponent));
                let (value, slope) = power(base, exponent);
                let logarithm = (exponent * base.ln()).abs().to_64();
                worst[3] = worst[3].max(units(value, base.powf(exponent)) / logarithm.max(1.0));
                worst[3] = worst[3].max(units(slope, exponent * value / base));
            }
        }
        assert!(worst.iter().all(|&units| units < 4.0), "{worst:?}");
    }

    #[test]
    fn they_are_those_of_the_library() {
        check::<f32>();
        check::<f64>();
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these numbers are exact")]
    fn at_the_ends_they_are_the_library_s_too() {
        assert_eq!((exp(0.0), exp_m1(0.0), ln(1.0)), (1.0, 0.0, 0.0));
        assert_eq!([0.0, 0.5, 1.0].map(|x| power(x, 0.0)), [(1.0, 0.0); 3]);
        assert_eq!(power(0.0, 3.0), (0.0, 0.0));
        assert_eq!(power(1.0, 3.0), (1.0, 3.0));
        assert_eq!((exp(1e300), exp(f32::MAX)), (f64::INFINITY, f32::INFINITY));
        assert_eq!(power(f64::INFINITY, 0.5).0, f64::INFINITY);
        assert!(exp(f64::NAN).is_nan() && power(f32::NAN, 2.0).0.is_nan());
        assert!(exp(-1e300) < 1e-300 && exp(f32::MIN) < 1e-37);
        assert_eq!(exp_m1(-1e300), -1.0);
    }
}
