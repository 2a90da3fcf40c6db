//! Efficient IoU.

use super::{Diou, Guard, Metric, Pair, Slopes};
use crate::Float;

/// EIoU = DIoU - (w - wg)^2 / cw^2 - (h - hg)^2 / ch^2, with cw and ch the sides of the smallest enclosing box. Zhang
/// et al., "Focal and Efficient IOU Loss for Accurate Bounding Box Regression", 2021, equation 7. (Mmdetection's
/// `EIoULoss` is something else, the Extended IoU.)
///
#[doc = include_str!("../../docs/eiou.svg")]
///
/// ```
/// use etude_boxes::iou::{Eiou, Metric};
///
/// let eiou: f64 = Eiou::default().of([0.0, 0.0, 10.0, 8.0], [0.0, 0.0, 10.0, 10.0]);
/// assert!((eiou - 0.755).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Eiou {
    /// What is done to denominators.
    pub guard: Guard,
}

impl<T: Float> Metric<T> for Eiou {
    #[inline(always)]
    fn least(&self) -> T {
        T::of(-3.0)
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let (diou, mut slopes) = Diou { guard: self.guard }.slopes(pair);
        let (width, by_w, by_hull_w) = squared_part(pair.w - pair.target_w, pair.hull_w, self.guard);
        let (height, by_h, by_hull_h) = squared_part(pair.h - pair.target_h, pair.hull_h, self.guard);
        let by = Slopes {
            w: by_w,
            h: by_h,
            hull_w: by_hull_w,
            hull_h: by_hull_h,
            ..Slopes::default()
        };
        slopes.add(-T::one(), &by);
        (diou - width - height, slopes)
    }
}

/// (difference / whole)^2, and its slopes by both.
#[inline(always)]
fn squared_part<T: Float>(difference: T, whole: T, guard: Guard) -> (T, T, T) {
    let two = T::of(2.0);
    let part = guard.divide(difference * difference, whole * whole);
    (
        part.value,
        two * difference * part.by_numerator,
        two * whole * part.by_denominator,
    )
}
