//! Complete IoU.

use std::f64::consts::PI;

use super::{Diou, Guard, Metric, Pair, Slopes};
use crate::Float;

/// CIoU = DIoU - alpha v, with v = 4 / pi^2 (arctan(wg / hg) - arctan(w / h))^2 and [`Alpha`]. Zheng et al.,
/// "Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression", AAAI 2020, equations 8 to 12. Equation
/// 12 divides by w^2 + h^2, and so it is here; the authors' code leaves that factor out.
///
#[doc = include_str!("../../docs/ciou.svg")]
///
/// ```
/// use etude_boxes::iou::{Ciou, Metric};
///
/// let ciou: f64 = Ciou::default().of([50.0, 50.0, 150.0, 150.0], [60.0, 40.0, 180.0, 120.0]);
/// assert!((ciou - 0.445638).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ciou {
    /// The weight of v.
    pub alpha: Alpha,
    /// What is done to denominators.
    pub guard: Guard,
}

/// How CIoU's weight alpha of the difference in aspect ratio is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alpha {
    /// alpha = v / ((1 - IoU) + v), a constant for the gradient: the paper's equation 11, torchvision, detectron2,
    /// Ultralytics.
    #[default]
    Constant,
    /// The same with a gradient of its own: mmdetection up to 2.10.
    Differentiated,
    /// The same constant, and zero where IoU is 1/2 or less: the authors' later rule, and mmdetection's.
    AboveHalf,
}

impl<T: Float> Metric<T> for Ciou {
    const ANGLES: bool = true;

    #[inline(always)]
    fn least(&self) -> T {
        T::of(-1.5)
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let (iou, by_iou) = pair.iou(self.guard);
        let (diou, mut slopes) = Diou { guard: self.guard }.slopes(pair);
        let (v, by_v) = aspect(pair);
        let alpha = self.guard.divide(v, (T::one() - iou) + v).value;
        let alpha = match self.alpha {
            Alpha::AboveHalf if iou <= T::of(0.5) => T::zero(),
            _ => alpha,
        };
        if self.alpha == Alpha::Differentiated {
            slopes.add(-alpha * (T::of(2.0) - alpha), &by_v);
            slopes.add(-alpha * alpha, &by_iou);
        } else {
            slopes.add(-alpha, &by_v);
        }
        (diou - alpha * v, slopes)
    }
}

/// v, the difference in aspect ratio, and its slopes.
#[inline(always)]
pub(crate) fn aspect<T: Float>(pair: &Pair<T>) -> (T, Slopes<T>) {
    let scale = T::of(4.0 / (PI * PI));
    let difference = pair.g.angle - pair.p.angle;
    // The slopes of an angle arctan(w / h): h and -w over w^2 + h^2.
    let by_angle = T::of(-2.0) * scale * difference;
    let square = pair.w * pair.w + pair.h * pair.h;
    let slopes = Slopes {
        w: by_angle * Guard::NONE.divide(pair.h, square).value,
        h: -by_angle * Guard::NONE.divide(pair.w, square).value,
        ..Slopes::default()
    };
    (scale * difference * difference, slopes)
}
