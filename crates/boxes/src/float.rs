//! The two kinds of numbers that boxes are made of.

use std::cmp::Ordering;
use std::fmt::{Debug, Display};
use std::iter::Sum;

use crate::exponential::Bits;

/// `f32` or `f64`.
pub trait Float: num_traits::Float + Sum + Debug + Display + Default + Send + Sync + Bits + 'static {
    /// The largest coordinate that a box may have: 1e18 in 32 bits and 1e150 in 64. Squares of sums of a few of them
    /// are still numbers.
    const LIMIT: Self;

    /// The nearest number of this kind.
    fn of(number: f64) -> Self;

    /// This number in 64 bits.
    fn to_64(self) -> f64;

    /// The larger of two numbers. A single instruction, unlike `max`, which has rules for what is not a number.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    /// The smaller of two numbers, in a single instruction.
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        if self < other { self } else { other }
    }

    /// Itself, or zero for what is negative.
    #[inline(always)]
    fn positive_part(self) -> Self {
        self.larger(Self::zero())
    }

    /// The slope of the larger of `self` and `other` by `self`: 1, 0, or 1/2 where they are equal, the mean of the
    /// slopes to both sides.
    #[inline(always)]
    fn above(self, other: Self) -> Self {
        let half = Self::of(0.5);
        let up = if self > other { half } else { Self::zero() };
        let level = if self >= other { half } else { Self::zero() };
        up + level
    }

    /// The order of numbers, with what is no number after, or before, all others.
    fn compare(self, other: Self) -> Ordering {
        self.to_64().total_cmp(&other.to_64())
    }

    /// Itself, or zero for what is infinite or no number.
    #[inline(always)]
    fn or_zero(self) -> Self {
        if self.abs() <= Self::max_value() {
            self
        } else {
            Self::zero()
        }
    }
}

impl Float for f32 {
    const LIMIT: Self = 1e18;

    #[inline(always)]
    fn of(number: f64) -> Self {
        number as f32
    }

    #[inline(always)]
    fn to_64(self) -> f64 {
        f64::from(self)
    }
}

impl Float for f64 {
    const LIMIT: Self = 1e150;

    #[inline(always)]
    fn of(number: f64) -> Self {
        number
    }

    #[inline(always)]
    fn to_64(self) -> f64 {
        self
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn the_slope_at_a_tie_is_the_mean_of_both_sides() {
        assert_eq!([2.0.above(1.0), 1.0.above(1.0), 0.0.above(1.0)], [1.0, 0.5, 0.0]);
    }

    #[test]
    fn what_is_no_number_becomes_zero() {
        assert_eq!(
            [f32::NAN, f32::INFINITY, -3.0, f32::MAX].map(Float::or_zero),
            [0.0, 0.0, -3.0, f32::MAX]
        );
    }
}
