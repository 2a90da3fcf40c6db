//! Probabilistic IoU.

use super::{Rectangle, RotatedMetric};

/// ProbIoU = 1 - H, with H = sqrt(1 - exp(-B)) the Hellinger distance, and B the Bhattacharyya distance, of the
/// Gaussians with the means and covariances of the two boxes (w^2 / 12 and h^2 / 12 along their axes). Llerena, Zeni,
/// Kristen and Jung, "Gaussian Bounding Boxes and Probabilistic Intersection-over-Union for Object Detection", 2021,
/// equations 2 to 7. The loss 1 - ProbIoU is their L1.
///
#[doc = include_str!("../../docs/prob_iou.svg")]
///
/// ```text
/// B = d^T S^-1 d / 4 + ln(det S / (4 sqrt(det Sp det Sg))) / 2,        S = Sp + Sg
/// ```
///
/// A box without width or height has ProbIoU 0 with all others, and no gradient; so has, at its peak, a perfect fit.
///
/// ```
/// use etude_boxes::rotated::{AngleConvention, ProbIou, Rectangle, RotatedMetric};
///
/// let one = Rectangle::new([5.0, 5.0, 4.0, 2.0, 0.3], AngleConvention::MMCV);
/// let other = Rectangle::new([6.0, 5.0, 4.0, 2.0, 0.3], AngleConvention::MMCV);
/// assert!(ProbIou.value(&one, &one) > 1.0 - 1e-7);
/// assert!((0.5..0.9).contains(&ProbIou.value(&one, &other)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProbIou;

impl RotatedMetric for ProbIou {
    fn value(&self, p: &Rectangle, g: &Rectangle) -> f64 {
        self.slopes(p, g).0
    }

    fn slopes(&self, p: &Rectangle, g: &Rectangle) -> (f64, [f64; 5]) {
        let smallest = p.size[0].min(p.size[1]).min(g.size[0]).min(g.size[1]);
        // The metric has no scale: the largest side is the unit.
        let unit = p.size[0].max(p.size[1]).max(g.size[0]).max(g.size[1]);
        let [dx, dy] = [0, 1].map(|axis| (p.centre[axis] - g.centre[axis]) / unit);
        let (one, other) = (Covariance::of(p, unit), Covariance::of(g, unit));
        let (a, b, c) = (one.xx + other.xx, one.yy + other.yy, one.xy + other.xy);
        let determinant = a * b - c * c;
        let form = (a * dy * dy + b * dx * dx - 2.0 * c * dx * dy) / determinant;
        // Without size, or too thin or too far apart for numbers.
        if smallest <= 0.0 || determinant <= 0.0 || !form.is_finite() {
            return (0.0, [0.0; 5]);
        }
        let roots = one.logarithm + other.logarithm;
        // Not below zero, whatever is rounded.
        let distance = (form / 4.0 + ((determinant / 4.0).ln() - roots) / 2.0).max(0.0);
        let hellinger = (-(-distance).exp_m1()).sqrt();
        if hellinger <= 0.0 {
            return (1.0, [0.0; 5]);
        }

        // The slopes of B by the entries of S, and by what makes them.
        let by_a = (dy * dy / determinant - form * b / determinant) / 4.0 + b / determinant / 2.0;
        let by_b = (dx * dx / determinant - form * a / determinant) / 4.0 + a / determinant / 2.0;
        let by_c = (form * c - dx * dy) / determinant / 2.0 - c / determinant;
        let ([cosine, sine], [w, h]) = (p.turn, p.size.map(|side| side / unit));
        let by_width = by_a * cosine * cosine + by_b * sine * sine + by_c * cosine * sine;
        let by_height = by_a * sine * sine + by_b * cosine * cosine - by_c * cosine * sine;
        let apart = (w * w - h * h) / 12.0;
        let by_angle = 2.0 * cosine * sine * (by_b - by_a) + (cosine * cosine - sine * sine) * by_c;
        let by_distance = -(-distance).exp() / (2.0 * hellinger);
        let slopes = [
            (b * dx - c * dy) / determinant / 2.0 / unit,
            (a * dy - c * dx) / determinant / 2.0 / unit,
            (by_width * w / 6.0 - 0.5 / w) / unit,
            (by_height * h / 6.0 - 0.5 / h) / unit,
            by_angle * apart,
        ];
        (1.0 - hellinger, slopes.map(|slope| by_distance * slope))
    }
}

/// The covariance of a box, in a unit of length, and half the logarithm of its determinant.
struct Covariance {
    xx: f64,
    yy: f64,
    xy: f64,
    logarithm: f64,
}

impl Covariance {
    fn of(rectangle: &Rectangle, unit: f64) -> Self {
        let [cosine, sine] = rectangle.turn;
        let [w, h] = rectangle.size.map(|side| side / unit);
        let [wide, high] = [w * w / 12.0, h * h / 12.0];
        Self {
            xx: wide * cosine * cosine + high * sine * sine,
            yy: wide * sine * sine + high * cosine * cosine,
            xy: (wide - high) * cosine * sine,
            logarithm: (w / 12.0).ln() + h.ln(),
        }
    }
}
