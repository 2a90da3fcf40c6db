//! Minimum point distance IoU.

use super::{Guard, Metric, Pair, Slopes};
use crate::Float;

/// MPDIoU = IoU - d1^2 / D^2 - d2^2 / D^2, with d1 and d2 the distances of the first and of the second corners, and D
/// the diagonal of the picture. Ma and Xu, "MPDIoU: A Loss for Efficient and Accurate Bounding Box Regression", 2023,
/// algorithm 1. Boxes outside of the picture can have less than -2.
///
#[doc = include_str!("../../docs/mpdiou.svg")]
///
/// ```
/// use etude_boxes::iou::{Metric, Mpdiou};
///
/// let mpdiou: f64 = Mpdiou::new(640.0, 640.0).of([50.0, 50.0, 150.0, 150.0], [60.0, 40.0, 180.0, 120.0]);
/// assert!((mpdiou - 0.471243).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mpdiou {
    /// Width of the picture.
    pub width: f64,
    /// Height of the picture.
    pub height: f64,
    /// What is done to denominators.
    pub guard: Guard,
}

impl Mpdiou {
    /// In a picture of this size.
    pub fn new(width: f64, height: f64) -> Self {
        let guard = Guard::default();
        Self { width, height, guard }
    }
}

impl<T: Float> Metric<T> for Mpdiou {
    #[inline(always)]
    fn least(&self) -> T {
        T::of(-2.0)
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let (iou, mut slopes) = pair.iou(self.guard);
        let diagonal = T::of(self.width * self.width + self.height * self.height);
        let [x1, y1] = [pair.p.x1 - pair.g.x1, pair.p.y1 - pair.g.y1];
        let [x2, y2] = [pair.p.x2 - pair.g.x2, pair.p.y2 - pair.g.y2];
        let first = self.guard.divide(x1 * x1 + y1 * y1, diagonal);
        let second = self.guard.divide(x2 * x2 + y2 * y2, diagonal);
        let by = T::of(-2.0) * first.by_numerator;
        slopes.corners = [by * x1, by * y1, by * x2, by * y2];
        (iou - first.value - second.value, slopes)
    }
}
