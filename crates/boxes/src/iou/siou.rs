//! SIoU.

use super::{Guard, Metric, Pair, Slopes};
use crate::Float;
use crate::exponential::{exp, exp_m1, power};

/// SIoU = IoU - (D + S) / 2. Gevorgyan, "SIoU Loss: More Powerful Learning for Bounding Box Regression", 2022.
///
/// - The angle between the line of the centres and the axes: L = sin(2 arcsin(|dy| / d)) = 2 |dx| |dy| / d^2.
/// - The distance: D = sum over x and y of 1 - exp(-(2 - L) (dx / cw)^2).
/// - The shape: S = sum over w and h of (1 - exp(-|w - wg| / max(w, wg)))^theta.
///
#[doc = include_str!("../../docs/siou.svg")]
///
/// ```
/// use etude_boxes::iou::{Metric, Siou};
///
/// let siou: f64 = Siou::default().of([50.0, 50.0, 150.0, 150.0], [60.0, 40.0, 180.0, 120.0]);
/// assert!((siou - 0.444913).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Siou {
    /// The power of the shape's cost: 4 in the paper, which has it between 2 and 6.
    pub theta: f64,
    /// The sign in the exponent of the distance.
    pub exponent: Exponent,
    /// What is done to denominators.
    pub guard: Guard,
}

/// The sign of SIoU's exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exponent {
    /// exp(-(2 - L) (dx / cw)^2), as in the paper: the farther, the larger the loss.
    #[default]
    Negative,
    /// exp(+(2 - L) (dx / cw)^2), as in mmdetection's `SIoULoss` by default: the farther, the smaller the loss.
    Positive,
}

impl Default for Siou {
    fn default() -> Self {
        Self {
            theta: 4.0,
            exponent: Exponent::default(),
            guard: Guard::default(),
        }
    }
}

impl<T: Float> Metric<T> for Siou {
    #[inline(always)]
    fn least(&self) -> T {
        T::of(-2.0)
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let (half, one, two) = (T::of(0.5), T::one(), T::of(2.0));
        let sign = if self.exponent == Exponent::Negative { -one } else { one };
        let (iou, mut slopes) = pair.iou(self.guard);

        // Cosine and sine of the angle; at one centre there is none, and L is zero.
        let distance = (pair.dx * pair.dx + pair.dy * pair.dy).sqrt();
        let (cosine, sine) = (
            self.guard.divide(pair.dx.abs(), distance),
            self.guard.divide(pair.dy.abs(), distance),
        );
        let gamma = two - two * cosine.value * sine.value;
        // The slopes of gamma by |dx| and |dy|, by which the distance moves too.
        let by_distance = -two * (cosine.value * sine.by_denominator + sine.value * cosine.by_denominator);
        let by_abs_x = -two * sine.value * cosine.by_numerator + by_distance * cosine.value;
        let by_abs_y = -two * cosine.value * sine.by_numerator + by_distance * sine.value;

        let (x, y) = (
            self.guard.divide(pair.dx, pair.hull_w),
            self.guard.divide(pair.dy, pair.hull_h),
        );
        let (near_x, near_y) = (
            exp(sign * gamma * x.value * x.value),
            exp(sign * gamma * y.value * y.value),
        );
        let by_gamma = -sign * (near_x * x.value * x.value + near_y * y.value * y.value);
        let (by_x, by_y) = (
            -sign * near_x * gamma * two * x.value,
            -sign * near_y * gamma * two * y.value,
        );

        let theta = T::of(self.theta);
        let (width, by_w) = shape_cost(pair.w, pair.target_w, one, theta, self.guard);
        let (height, by_h) = shape_cost(pair.h, pair.target_h, one, theta, self.guard);
        let by = Slopes {
            dx: by_x * x.by_numerator + by_gamma * by_abs_x * sign_of(pair.dx),
            dy: by_y * y.by_numerator + by_gamma * by_abs_y * sign_of(pair.dy),
            hull_w: by_x * x.by_denominator,
            hull_h: by_y * y.by_denominator,
            w: by_w,
            h: by_h,
            ..Slopes::default()
        };
        slopes.add(-half, &by);
        (iou - half * ((two - near_x - near_y) + (width + height)), slopes)
    }
}

/// (1 - exp(-factor |size - target| / max(size, target)))^theta, and its slope by the size.
#[inline(always)]
pub(crate) fn shape_cost<T: Float>(size: T, target: T, factor: T, theta: T, guard: Guard) -> (T, T) {
    let difference = size - target;
    let part = guard.divide(difference.abs(), size.larger(target));
    let by_size = sign_of(difference) * part.by_numerator + size.above(target) * part.by_denominator;
    let far = exp_m1(-factor * part.value);
    let (cost, by_cost) = power(-far, theta);
    (cost, by_cost * (far + T::one()) * factor * by_size)
}

/// The slope of |x|.
#[inline(always)]
pub(crate) fn sign_of<T: Float>(x: T) -> T {
    T::of(2.0) * x.above(T::zero()) - T::one()
}
