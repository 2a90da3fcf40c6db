//! Distance IoU.

use super::{Guard, Metric, Pair, Slopes};
use crate::Float;

/// DIoU = IoU - d^2 / c^2, with d the distance of the centres and c the diagonal of the smallest enclosing box. Zheng
/// et al., "Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression", AAAI 2020, equation 7.
///
#[doc = include_str!("../../docs/diou.svg")]
///
/// ```
/// use etude_boxes::iou::{Diou, Metric};
///
/// let diou: f64 = Diou::default().of([0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 50.0, 40.0]);
/// assert!((diou + 0.371951).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Diou {
    /// What is done to denominators.
    pub guard: Guard,
}

impl<T: Float> Metric<T> for Diou {
    #[inline(always)]
    fn least(&self) -> T {
        -T::one()
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let (iou, mut slopes) = pair.iou(self.guard);
        let (distance, by) = pair.centre_distance(self.guard);
        slopes.add(-T::one(), &by);
        (iou - distance, slopes)
    }
}
