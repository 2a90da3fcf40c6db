//! Generalised IoU.

use super::{Guard, Metric, Pair, Slopes};
use crate::Float;

/// GIoU = IoU - (C - U) / C, with C the area of the smallest enclosing box. Rezatofighi et al., "Generalized
/// Intersection over Union: A Metric and A Loss for Bounding Box Regression", CVPR 2019, algorithm 1. Boxes that do not
/// meet are drawn together, though often by growing the predicted box first.
///
#[doc = include_str!("../../docs/giou.svg")]
///
/// ```
/// use etude_boxes::iou::{Giou, Metric};
///
/// assert_eq!(Giou::default().of([0.0, 0.0, 1.0, 1.0], [3.0, 0.0, 4.0, 1.0]), -0.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Giou {
    /// What is done to denominators.
    pub guard: Guard,
}

impl<T: Float> Metric<T> for Giou {
    #[inline(always)]
    fn least(&self) -> T {
        -T::one()
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let (iou, mut slopes) = pair.iou(self.guard);
        let (empty, by) = pair.empty_part(self.guard);
        slopes.add(-T::one(), &by);
        (iou - empty, slopes)
    }
}
