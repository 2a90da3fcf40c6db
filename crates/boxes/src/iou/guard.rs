//! How a quotient is kept from dividing by zero.

use crate::Float;

/// What becomes of a denominator, where libraries differ: max(denominator + added, floor). Without either, a quotient
/// is zero where its denominator is, and has no slope there.
///
/// (Two numbers, and no enumeration: a choice in the middle of a loop would keep it from becoming vector instructions.)
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Guard {
    /// What is added to the denominator.
    pub added: f64,
    /// The least that it may be after that.
    pub floor: f64,
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
    /// The formulas of the papers, as they are.
    pub const NONE: Self = Self { added: 0.0, floor: 0.0 };

    /// Denominator + eps: torchvision's losses add 1e-7, and so does Ultralytics.
    pub const fn added(eps: f64) -> Self {
        Self { added: eps, floor: 0.0 }
    }

    /// max(denominator, eps): mmdetection takes 1e-6.
    pub const fn floor(eps: f64) -> Self {
        Self { added: 0.0, floor: eps }
    }

    /// numerator / denominator, with slopes.
    ///
    /// ```
    /// use etude_boxes::iou::Guard;
    ///
    /// assert_eq!(Guard::NONE.divide(0.0, 0.0).value, 0.0);
    /// assert_eq!(Guard::added(1.0).divide(1.0, 3.0).value, 0.25);
    /// assert_eq!(Guard::floor(4.0).divide(1.0, 3.0).value, 0.25);
    /// assert_eq!(Guard::floor(4.0).divide(1.0, 3.0).by_denominator, 0.0);
    /// ```
    #[inline(always)]
    pub fn divide<T: Float>(self, numerator: T, denominator: T) -> Quotient<T> {
        let raised = denominator + T::of(self.added);
        let divisor = raised.larger(T::of(self.floor));
        // Both are divided in any case: a division that is not always made would be a branch.
        let counts = divisor >= T::min_positive_value();
        let (quotient, inverse) = (numerator / divisor, T::one() / divisor);
        let value = if counts { quotient } else { T::zero() };
        let by_numerator = if counts { inverse } else { T::zero() };
        let by_denominator = -value * by_numerator * raised.above(T::of(self.floor));
        Quotient {
            value,
            by_numerator,
            by_denominator,
        }
    }
}
