//! Shape IoU.

use super::siou::shape_cost;
use super::{Guard, Metric, Pair, Slopes};
use crate::Float;
use crate::exponential::power;

/// Shape-IoU = IoU - (hh dx^2 + ww dy^2) / c^2 - S / 2, weighted by the shape of the target. Zhang and Zhang,
/// "Shape-IoU: More Accurate Metric considering Bounding Box Shape and Scale", 2023.
///
/// - ww = 2 wg^s / (wg^s + hg^s), hh = 2 hg^s / (wg^s + hg^s), with s the scale.
/// - S = (1 - exp(-hh |w - wg| / max(w, wg)))^4 + (1 - exp(-ww |h - hg| / max(h, hg)))^4.
///
#[doc = include_str!("../../docs/shape_iou.svg")]
///
/// ```
/// use etude_boxes::iou::{Metric, ShapeIou};
///
/// let shape: f64 = ShapeIou::default().of([50.0, 50.0, 150.0, 150.0], [60.0, 40.0, 180.0, 120.0]);
/// assert!((shape - 0.44528).abs() < 1e-5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ShapeIou {
    /// How much the shape of the target counts: 0 for not at all. The paper fits it to the size of objects in a data
    /// set.
    pub scale: f64,
    /// What is done to denominators.
    pub guard: Guard,
}

impl<T: Float> Metric<T> for ShapeIou {
    #[inline(always)]
    fn least(&self) -> T {
        T::of(-3.0)
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let (half, two) = (T::of(0.5), T::of(2.0));
        let scale = T::of(self.scale);
        let (wide, high) = (power(pair.target_w, scale).0, power(pair.target_h, scale).0);
        let by_width = two * Guard::NONE.divide(wide, wide + high).value;
        let by_height = two * Guard::NONE.divide(high, wide + high).value;

        let (iou, mut slopes) = pair.iou(self.guard);
        let diagonal = pair.hull_w * pair.hull_w + pair.hull_h * pair.hull_h;
        let far = by_height * pair.dx * pair.dx + by_width * pair.dy * pair.dy;
        let distance = self.guard.divide(far, diagonal);
        let theta = T::of(4.0);
        let (width, by_w) = shape_cost(pair.w, pair.target_w, by_height, theta, self.guard);
        let (height, by_h) = shape_cost(pair.h, pair.target_h, by_width, theta, self.guard);
        let by = Slopes {
            dx: two * by_height * pair.dx * distance.by_numerator,
            dy: two * by_width * pair.dy * distance.by_numerator,
            hull_w: two * pair.hull_w * distance.by_denominator,
            hull_h: two * pair.hull_h * distance.by_denominator,
            w: half * by_w,
            h: half * by_h,
            ..Slopes::default()
        };
        slopes.add(-T::one(), &by);
        (iou - distance.value - half * (width + height), slopes)
    }
}
