//! The exact IoU of rotated boxes.

use super::intersection;
use super::{Rectangle, RotatedMetric};
use crate::Float;
use crate::iou::Guard;

/// IoU = I / (A + B - I), with I the area of the polygon in which two rotated boxes overlap.
///
#[doc = include_str!("../../docs/rotated_iou.svg")]
///
/// ```
/// use etude_boxes::rotated::{AngleConvention, Rectangle, RotatedIou, RotatedMetric};
///
/// let upright = Rectangle::new([0.5, 0.5, 1.0, 1.0, 0.0], AngleConvention::DETECTRON2);
/// let turned = Rectangle::new([0.5, 0.5, 1.0, 1.0, 45.0], AngleConvention::DETECTRON2);
/// assert!((RotatedIou.value(&turned, &upright) - 0.5_f64.sqrt()).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RotatedIou;

impl RotatedMetric for RotatedIou {
    fn value(&self, p: &Rectangle, g: &Rectangle) -> f64 {
        quotient(intersection::shared(p, g), p.area(), g.area())
    }

    fn slopes(&self, p: &Rectangle, g: &Rectangle) -> (f64, [f64; 5]) {
        let iou = self.value(p, g);
        let half = g.size.map(|side| side.max(0.0) / 2.0);
        let seen = p.seen_from(g);
        let [x, y, w, h, angle] = intersection::slopes(&seen, half);
        // Back from where g is upright.
        let [c, s] = g.turn;
        let [grows_w, grows_h] = p.size.map(|side| side.above(0.0));
        let by_inter = [x * c - y * s, x * s + y * c, w * grows_w, h * grows_h, angle];
        let by_area = [
            0.0,
            0.0,
            grows_w * p.size[1].max(0.0),
            grows_h * p.size[0].max(0.0),
            0.0,
        ];
        // I = IoU U, and U = A + B - I.
        let union = p.area() + g.area() - iou / (1.0 + iou) * (p.area() + g.area());
        let slope = |k: usize| {
            Guard::NONE
                .divide((1.0 + iou) * by_inter[k] - iou * by_area[k], union)
                .value
        };
        (iou, [0, 1, 2, 3, 4].map(slope))
    }
}

/// I / (A + B - I), where rounding cannot make it larger than 1.
fn quotient(inter: f64, p: f64, g: f64) -> f64 {
    let inter = inter.min(p).min(g);
    Guard::NONE.divide(inter, (p + g) - inter).value
}
