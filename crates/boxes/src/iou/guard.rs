//! How a quotient is kept from dividing by zero.

use crate::Float;

/// What becomes of a denominator, where libraries differ.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Guard {
    /// The formula of the paper. Where the denominator is zero, so is the quotient, and it has no slope.
    #[default]
    Zero,
    /// denominator + eps. Torchvision's losses add 1e-7, Ultralytics too.
    Added(f64),
    /// max(denominator, eps). Mmdetection takes 1e-6.
    Floor(f64),
}

/// A quotient and its slopes by numerator and denominator.
#[derive(Debug, Clone, Copy)]
pub struct Quotient<T> {
    /// numerator / denominator.
    pub value: T,
    /// 1 / denominator.
    pub by_numerator: T,
    /// -value / denominator.
    pub by_denominator: T,
}

impl Guard {
    /// numerator / denominator, with slopes.
    ///
    /// ```
    /// use etude_boxes::iou::Guard;
    ///
    /// assert_eq!(Guard::Zero.divide(0.0, 0.0).value, 0.0);
    /// assert_eq!(Guard::Added(1.0).divide(1.0, 3.0).value, 0.25);
    /// assert_eq!(Guard::Floor(4.0).divide(1.0, 3.0).value, 0.25);
    /// assert_eq!(Guard::Floor(4.0).divide(1.0, 3.0).by_denominator, 0.0);
    /// ```
    #[inline(always)]
    pub fn divide<T: Float>(self, numerator: T, denominator: T) -> Quotient<T> {
        let (added, floor) = match self {
            Self::Zero => (0.0, 0.0),
            Self::Added(eps) => (eps, 0.0),
            Self::Floor(eps) => (0.0, eps),
        };
        let raised = denominator + T::of(added);
        let divisor = raised.larger(T::of(floor));
        let counts = divisor >= T::min_positive_value();
        let value = if counts { numerator / divisor } else { T::zero() };
        let by_numerator = if counts { T::one() / divisor } else { T::zero() };
        let by_denominator = -value * by_numerator * raised.above(T::of(floor));
        Quotient {
            value,
            by_numerator,
            by_denominator,
        }
    }
}
