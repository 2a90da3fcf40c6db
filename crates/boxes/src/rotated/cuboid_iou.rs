//! The IoU of boxes in space.

use super::{AngleConvention, Rectangle, intersection};
use crate::Float;
use crate::iou::Guard;

/// The exact IoU of two boxes in space that are turned about the vertical axis, such as cars: the area that their
/// rotated boxes on the ground share, times the height that they share, over the volume of the union. Each is x, y, z,
/// w, h, l and an angle, with the centre x, y, z, and the size l along z. (KITTI's "3D" overlap; mmcv's
/// `diff_iou_rotated_3d`.)
///
/// A box without size, or one that is not finite or beyond [`Float::LIMIT`], has IoU 0 with all others.
///
#[doc = include_str!("../../docs/cuboid_iou.svg")]
///
/// ```
/// use etude_boxes::rotated::{AngleConvention, cuboid_iou};
///
/// let (low, high) = ([0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 0.3], [0.5, 0.5, 1.0, 1.0, 1.0, 2.0, 0.3]);
/// assert!((cuboid_iou(low, high, AngleConvention::MMCV) - 0.5_f64).abs() < 1e-12);
/// ```
pub fn cuboid_iou<T: Float>(p: [T; 7], g: [T; 7], convention: AngleConvention) -> T {
    let ground = |[x, y, _, w, h, _, angle]: [T; 7]| Rectangle::new([x, y, w, h, angle], convention);
    let (p_ground, g_ground) = (ground(p), ground(g));
    let vertical = |[_, _, z, _, _, l, _]: [T; 7]| [z.to_64(), l.to_64().max(0.0)];
    let ([p_z, p_l], [g_z, g_l]) = (vertical(p), vertical(g));
    let within = [p, g].iter().flatten().all(|number| number.abs() <= T::LIMIT);
    if !(within && p_l > 0.0 && g_l > 0.0) {
        return T::zero();
    }
    // In parts of the larger height, so that volumes are numbers.
    let unit = p_l.max(g_l);
    let shared = (p_l.midpoint(g_l) - (p_z - g_z).abs()).min(p_l).min(g_l).max(0.0) / unit;
    let area = intersection::shared(&p_ground, &g_ground);
    let (p_volume, g_volume) = (p_ground.area() * (p_l / unit), g_ground.area() * (g_l / unit));
    let inter = (area * shared).min(p_volume).min(g_volume);
    T::of(Guard::NONE.divide(inter, (p_volume + g_volume) - inter).value)
}
