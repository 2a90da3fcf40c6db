//! Loops over slices for every level of [`Instructions`](crate::Instructions), and what such loops have in common.
//!
//! Nothing here contracts a product and a sum into one rounding, and sums are over a fixed number of lanes, whatever the width of
//! the registers. So a function made of these parts gives the same bits at every level.

#![expect(
    clippy::inline_always,
    reason = "the loops must take on the vector instructions of the functions that they are used in"
)]

/// A function of slices, compiled once for each level of instructions, which it takes as its first argument.
///
/// The loops in its body become vector instructions of that level, as do those of functions it calls that are `inline(always)`.
macro_rules! vectorized {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? $body:block) => {
        $(#[$meta])*
        $visibility fn $name(instructions: $crate::Instructions, $($argument: $type),*) $(-> $output)? {
            // It must take on the instructions of the function around it.
            #[inline(always)]
            fn body($($argument: $type),*) $(-> $output)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2($($argument: $type),*) $(-> $output)? {
                body($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($argument: $type),*) $(-> $output)? {
                body($($argument),*)
            }

            // No more than the processor has, whatever was asked for.
            match instructions.min($crate::Instructions::best()) {
                #[cfg(target_arch = "x86_64")]
                $crate::Instructions::Avx2 => {
                    #[expect(unsafe_code, reason = "only `unsafe` may call a function that needs AVX2")]
                    // SAFETY: the levels of one architecture include each other, and the best one is at least this one.
                    unsafe {
                        avx2($($argument),*)
                    }
                }
                #[cfg(target_arch = "x86_64")]
                level if level >= $crate::Instructions::Avx512 => {
                    #[expect(unsafe_code, reason = "only `unsafe` may call a function that needs AVX-512")]
                    // SAFETY: the levels of one architecture include each other, and the best one is at least this one.
                    unsafe {
                        avx512($($argument),*)
                    }
                }
                _ => body($($argument),*),
            }
        }
    };
}

pub(crate) use vectorized;

/// Numbers that one thread takes at a time. Fewer are done sooner than another thread wakes up.
pub(crate) const PART: usize = 1 << 15;

/// Lanes of a sum: four registers of AVX-512, so that additions overlap.
const LANES: usize = 64;

/// The sum of what `term` makes of the entries of N slices of the same length, in an order that depends on the length alone:
/// lane i adds entries i, i + 64, i + 128 and so on, and then the lanes are added up in pairs.
#[inline(always)]
pub(crate) fn sum<const N: usize>(slices: [&[f32]; N], term: impl Fn([f32; N]) -> f32) -> f32 {
    let parts = slices.map(|slice| slice.as_chunks::<LANES>());
    let rest = parts[0].1.len();
    let mut lanes = [0.0; LANES];
    for (lane, total) in lanes.iter_mut().enumerate().take(rest) {
        *total = term(parts.map(|(_, rest)| rest[lane]));
    }
    for chunk in 0..parts[0].0.len() {
        let chunks = parts.map(|(chunks, _)| &chunks[chunk]);
        for (lane, total) in lanes.iter_mut().enumerate() {
            *total += term(chunks.map(|chunk| chunk[lane]));
        }
    }
    tree(lanes, |a, b| a + b)
}

/// The largest entry, or `start` if that is larger. Entries that are not numbers are passed over.
#[inline(always)]
pub(crate) fn max(slice: &[f32], start: f32) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = slice.as_chunks::<LANES>();
    let mut lanes = [start; LANES];
    for (lane, entry) in lanes.iter_mut().zip(rest) {
        *lane = larger(*lane, *entry);
    }
    for chunk in chunks {
        for (lane, entry) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, *entry);
        }
    }
    tree(lanes, larger)
}

/// Joins the upper half of the lanes with the lower one, until one is left.
#[inline(always)]
fn tree(mut lanes: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        let (lower, upper) = lanes.split_at_mut(half);
        for (a, b) in lower.iter_mut().zip(upper) {
            *a = join(*a, *b);
        }
        half /= 2;
    }
    lanes[0]
}

/// Adding it rounds to an integer, whose bits are then the lowest of the sum.
const ROUND: f32 = 1.5 * (1 << 23) as f32;

/// ln 2 in two parts: n times the first has no rounding.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// exp x within two units in the last place, without a branch. Below -87 it is 0.
///
/// With x = n ln 2 + r it is 2^n exp(r), and exp(r) is its Taylor series: |r| is at most (ln 2) / 2, where the eighth power is
/// below what a 32-bit number resolves.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.3, 89.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2[0]) - n * LN_2[1];
    // 2^(n - 1), since n goes up to 128, which has no power of two; and zero where n is -126.
    let half = f32::from_bits(rounded.to_bits().wrapping_add(126) << 23);
    let series = 1.0 / 720.0 + r * (1.0 / 5040.0);
    let series = 1.0 / 24.0 + r * (1.0 / 120.0 + r * series);
    let series = 1.0 + (r + r * r * (0.5 + r * (1.0 / 6.0 + r * series)));
    series * half * 2.0
}

/// 1 / (1 + exp(-x)).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instructions;

    vectorized! {
        fn sums(slice: &[f32], other: &[f32]) -> [f32; 2] {
            [sum([slice, other], |[a, b]| a * b), max(slice, f32::MIN)]
        }
    }

    vectorized! {
        fn exponentials(slice: &mut [f32]) {
            for entry in slice {
                *entry = exp(*entry);
            }
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "sums of integers are exact")]
    fn sums_and_maxima_of_every_length_are_complete() {
        for instructions in Instructions::available() {
            for length in 0..200_u32 {
                let slice: Vec<f32> = (0..length).map(|number| (number * 89 % 199) as f32).collect();
                let other: Vec<f32> = (0..length).map(|number| (number % 7) as f32).collect();
                let total: f32 = slice.iter().zip(&other).map(|(a, b)| a * b).sum();
                let largest = slice.iter().copied().fold(f32::MIN, f32::max);
                assert_eq!(
                    sums(instructions, &slice, &other),
                    [total, largest],
                    "{length}, {instructions}"
                );
            }
        }
    }

    #[test]
    fn exponentials_are_within_two_units_and_the_same_at_every_level() {
        let places = (0..0x43_00_00_00_u32).step_by(997).map(f32::from_bits);
        let places: Vec<f32> = places
            .flat_map(|x| [x, -x])
            .filter(|x| (-86.9..88.72).contains(x))
            .collect();
        let mut found = places.clone();
        exponentials(Instructions::Portable, &mut found);
        let mut worst = 0.0_f64;
        for (&x, &found) in places.iter().zip(&found) {
            let exact = f64::from(x).exp();
            let unit = f64::from((exact as f32).next_up() - exact as f32);
            worst = worst.max((f64::from(found) - exact).abs() / unit);
        }
        assert!(worst < 2.0, "{worst}");
        for instructions in Instructions::available() {
            let mut same = places.clone();
            exponentials(instructions, &mut same);
            assert!(
                same.iter().zip(&found).all(|(a, b)| a.to_bits() == b.to_bits()),
                "{instructions}"
            );
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "limits are exact")]
    fn exponentials_have_their_limits() {
        assert_eq!([exp(f32::NEG_INFINITY), exp(-1e4), exp(0.0)], [0.0, 0.0, 1.0]);
        assert_eq!([exp(89.0), exp(f32::INFINITY)], [f32::INFINITY; 2]);
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(
            [sigmoid(f32::NEG_INFINITY), sigmoid(0.0), sigmoid(f32::INFINITY)],
            [0.0, 0.5, 1.0]
        );
    }
}

/// What the tests of modules share that are made of such functions.
#[cfg(test)]
pub(crate) mod testing {
    use crate::Instructions;

    /// Irregular numbers between -2 and 2.
    pub(crate) fn numbers(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32)
            .map(|index| {
                (index.wrapping_mul(2_654_435_761).wrapping_add(seed * 40_503) >> 8) as f32 / (1 << 22) as f32 - 2.0
            })
            .collect()
    }

    /// `function` gives the same bits at every level that this processor has.
    pub(crate) fn assert_same_at_every_level(function: impl Fn(Instructions) -> Vec<f32>) {
        let bits = |level| -> Vec<u32> { function(level).into_iter().map(f32::to_bits).collect() };
        let portable = bits(Instructions::Portable);
        assert!(!portable.is_empty());
        for level in Instructions::available() {
            assert!(bits(level) == portable, "{level}");
        }
    }
}
