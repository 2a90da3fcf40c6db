//! Sine and cosine without a branch, so that a loop over many angles becomes vector instructions.

use std::f64::consts::FRAC_2_PI;

/// pi / 2 in three parts, of which the first two have so few digits that small multiples of them are exact (Cody and
/// Waite 1980).
const HALF_PI: [f64; 3] = [
    1.570_796_326_734_125_6,
    6.077_100_506_303_966e-11,
    2.022_266_248_795_950_6e-21,
];

/// Added to a number below 2^51, it leaves the nearest whole number in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// Coefficients of sin r = r + r^3 (S_1 + r^2 (S_2 + ...)) and cos r = 1 - r^2 / 2 + r^4 (C_1 + r^2 (C_2 + ...)) for
/// |r| <= pi / 4, by which both are right to the last bit or the one before (those of Sun's fdlibm).
const SIN: [f64; 6] = [
    -1.666_666_666_666_663_2e-1,
    8.333_333_333_322_49e-3,
    -1.984_126_982_985_795e-4,
    2.755_731_370_707_006_8e-6,
    -2.505_076_025_340_686_3e-8,
    1.589_690_995_211_55e-10,
];
const COS: [f64; 6] = [
    4.166_666_666_666_66e-2,
    -1.388_888_888_887_411e-3,
    2.480_158_728_947_673e-5,
    -2.755_731_435_139_066_3e-7,
    2.087_572_321_298_175e-9,
    -1.135_964_755_778_819_5e-11,
];

/// (sin x, cos x) for |x| up to about 100,000.
#[inline]
pub(crate) fn sin_cos(x: f64) -> (f64, f64) {
    let shifted = x * FRAC_2_PI + ROUND;
    let quarter_turns = shifted - ROUND;
    let quadrant = shifted.to_bits();
    let rest = x - quarter_turns * HALF_PI[0] - quarter_turns * HALF_PI[1] - quarter_turns * HALF_PI[2];
    let square = rest * rest;
    let polynomial =
        |c: &[f64; 6]| c[0] + square * (c[1] + square * (c[2] + square * (c[3] + square * (c[4] + square * c[5]))));
    let sin = rest + rest * square * polynomial(&SIN);
    let cos = 1.0 - (0.5 * square - square * square * polynomial(&COS));
    // A quarter turn makes a sine of a cosine; half a turn changes the sign.
    let odd = quadrant & 1 != 0;
    let (sin, cos) = if odd { (cos, sin) } else { (sin, cos) };
    let flip = |value: f64, bits: u64| f64::from_bits(value.to_bits() ^ ((bits & 2) << 62));
    (flip(sin, quadrant), flip(cos, quadrant + (quadrant & 1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn as_the_standard_library(x in prop_oneof![-1.0..1.0_f64, -100.0..100.0_f64, -1e5..1e5_f64]) {
            let (sin, cos) = sin_cos(x);
            let bound = 3e-16 + 1e-21 * x.abs();
            prop_assert!((sin - x.sin()).abs() <= bound && (cos - x.cos()).abs() <= bound, "{x}: {sin} {cos}");
        }
    }

    #[test]
    fn quarter_turns() {
        for turns in -8..=8_i32 {
            let (sin, cos) = sin_cos(f64::from(turns) * std::f64::consts::FRAC_PI_2);
            let expected = [(0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0)][turns.rem_euclid(4) as usize];
            assert!(
                (sin - expected.0).abs() < 1e-14 && (cos - expected.1).abs() < 1e-14,
                "{turns}: {sin} {cos}"
            );
        }
    }
}
