//! Intersection over union.

use super::{Guard, Metric, Pair, Slopes};
use crate::Float;

/// IoU = I / U, the area of the intersection over that of the union (Jaccard's index). As a loss it has no gradient
/// where boxes do not meet.
///
#[doc = include_str!("../../docs/iou.svg")]
///
/// ```
/// use etude_boxes::iou::{Iou, Metric};
///
/// assert_eq!(Iou::default().of([0.0, 0.0, 10.0, 8.0], [0.0, 0.0, 10.0, 10.0]), 0.8);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Iou {
    /// What is done to the denominator.
    pub guard: Guard,
}

impl<T: Float> Metric<T> for Iou {
    #[inline(always)]
    fn least(&self) -> T {
        T::zero()
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        pair.iou(self.guard)
    }
}
