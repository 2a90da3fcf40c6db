//! Numbers that are checked while a recipe is read, so that the error names their line and their range.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// Defines a checked `f64`: its name, its range in words, and the check.
macro_rules! checked {
    ($($(#[$doc:meta])* $name:ident, $words:literal, |$value:ident| $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
        pub struct $name(f64);

        impl $name {
            /// The value that a recipe has by default.
            ///
            /// # Panics
            /// Where `value` is out of range: at compile time in a constant.
            pub const fn constant(value: f64) -> Self {
                assert!(Self::holds(value), concat!("must be ", $words));
                Self(value)
            }

            /// The number itself.
            pub const fn get(self) -> f64 {
                self.0
            }

            const fn holds($value: f64) -> bool {
                $check
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_f64(Number { words: $words, holds: Self::holds }).map(Self)
            }
        }
    )*};
}

checked! {
    /// A discount factor in [0, 1]; whether 1 is allowed depends on the model.
    Discount, "a number in [0, 1]", |x| 0.0 <= x && x <= 1.0;
    /// A probability in [0, 1].
    Probability, "a number in [0, 1]", |x| 0.0 <= x && x <= 1.0;
    /// A finite number above 0, such as a tolerance.
    Positive, "a number above 0", |x| 0.0 < x && x < f64::INFINITY;
    /// A finite number, 0 or more.
    NonNegative, "a number, 0 or more", |x| 0.0 <= x && x < f64::INFINITY;
    /// A finite number, such as a reward.
    Finite, "a finite number", |x| x.is_finite();
}

struct Number {
    words: &'static str,
    holds: fn(f64) -> bool,
}

impl Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        if (self.holds)(value) {
            Ok(value)
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        let number = value as f64;
        if (self.holds)(number) {
            Ok(number)
        } else {
            Err(E::invalid_value(Unexpected::Signed(value), &self))
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        let number = value as f64;
        if (self.holds)(number) {
            Ok(number)
        } else {
            Err(E::invalid_value(Unexpected::Unsigned(value), &self))
        }
    }
}

/// A whole number from `MIN` to `MAX`, such as a number of sweeps (`Whole<1>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Whole<const MIN: usize, const MAX: usize = { usize::MAX }>(usize);

impl<const MIN: usize, const MAX: usize> Whole<MIN, MAX> {
    /// The value that a recipe has by default.
    ///
    /// # Panics
    /// Where `value` is out of range: at compile time in a constant.
    pub const fn constant(value: usize) -> Self {
        assert!(MIN <= value && value <= MAX, "out of range");
        Self(value)
    }

    /// The number itself.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_u64(WholeNumber { min: MIN, max: MAX })
            .map(Self)
    }
}

struct WholeNumber {
    min: usize,
    max: usize,
}

impl Visitor<'_> for WholeNumber {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            usize::MAX => write!(f, "a whole number, {} or more", self.min),
            max => write!(f, "a whole number from {} to {max}", self.min),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<usize, E> {
        match usize::try_from(value) {
            Ok(number) if (self.min..=self.max).contains(&number) => Ok(number),
            _ => Err(E::invalid_value(Unexpected::Signed(value), &self)),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<usize, E> {
        match usize::try_from(value) {
            Ok(number) if (self.min..=self.max).contains(&number) => Ok(number),
            _ => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
        }
    }
}
