//! Bounded IoU.

use super::siou::sign_of;
use super::{Guard, Metric, Pair, Slopes};
use crate::Float;

/// Four losses, one for each of x, y, w and h: 1 minus the largest IoU that is possible with such an x, everything else
/// being right. Tychsen-Smith and Petersson, "Improving Object Localization with Fitness NMS and Bounded IoU Loss",
/// CVPR 2018; here with the smooth L1 of mmdetection's `BoundedIoULoss`. The loss is their sum, and the metric 1 minus
/// it.
///
/// ```text
/// bound of x = max(0, (wg - 2 |dx|) / (wg + 2 |dx|))        bound of w = min(wg / w, w / wg)
/// loss = sum over x, y, w, h of smooth(1 - bound), where smooth(z) = z^2 / (2 beta) below beta, z - beta / 2 above
/// ```
///
/// ```
/// use etude_boxes::iou::{BoundedIou, Metric};
///
/// let (loss, _): (f64, _) = BoundedIou::default().loss_of([0.0, 0.0, 10.0, 8.0], [0.0, 0.0, 10.0, 10.0]);
/// // The centre is 1 too high, bound 8 / 12, and the height 8 / 10.
/// assert!((loss - (1.0 / 3.0 - 0.1 + 0.1)).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundedIou {
    /// Where the smooth L1 becomes straight: 0.2 in mmdetection. Between 0 and 1.
    pub beta: f64,
    /// What is done to denominators. Mmdetection adds 1e-3.
    pub guard: Guard,
}

impl Default for BoundedIou {
    fn default() -> Self {
        Self {
            beta: 0.2,
            guard: Guard::default(),
        }
    }
}

impl<T: Float> Metric<T> for BoundedIou {
    #[inline(always)]
    fn least(&self) -> T {
        T::of(2.0 * self.beta - 3.0).or_zero()
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let (x, dx) = self.centre(pair.dx, pair.target_w);
        let (y, dy) = self.centre(pair.dy, pair.target_h);
        let (width, w) = self.size(pair.w, pair.target_w);
        let (height, h) = self.size(pair.h, pair.target_h);
        let slopes = Slopes {
            dx,
            dy,
            w,
            h,
            ..Slopes::default()
        };
        (T::one() - (x + y + width + height), slopes)
    }
}

impl BoundedIou {
    /// The loss of a distance of centres, and the slope of the metric.
    #[inline(always)]
    fn centre<T: Float>(&self, distance: T, target: T) -> (T, T) {
        let two = T::of(2.0);
        let apart = two * distance.abs();
        let bound = self.guard.divide(target - apart, target + apart);
        let slope = two * sign_of(distance) * (bound.by_denominator - bound.by_numerator);
        let (loss, by_bound) = self.smooth(T::one() - bound.value.positive_part());
        (loss, by_bound * bound.value.above(T::zero()) * slope)
    }

    /// The loss of a size, and the slope of the metric.
    #[inline(always)]
    fn size<T: Float>(&self, size: T, target: T) -> (T, T) {
        let (small, large) = (self.guard.divide(size, target), self.guard.divide(target, size));
        let bound = small.value.smaller(large.value);
        let slope =
            small.by_numerator * large.value.above(small.value) + large.by_denominator * small.value.above(large.value);
        let (loss, by_bound) = self.smooth(T::one() - bound);
        (loss, by_bound * slope)
    }

    /// The smooth L1 of a loss, and its slope.
    #[inline(always)]
    fn smooth<T: Float>(&self, loss: T) -> (T, T) {
        let (half, beta) = (T::of(0.5), T::of(self.beta));
        if loss < beta {
            (half * loss * loss / beta, loss / beta)
        } else {
            (loss - half * beta, T::one())
        }
    }
}
