//! Suppression of rotated boxes.

use super::greedy::greedy;
use super::ranked::check_threshold;
use crate::rotated::{Rectangle, RotatedBoxes, RotatedIou, RotatedMetric};
use crate::{BoxError, Boxes, Float, Format};

/// Greedy suppression of rotated boxes by their exact [`RotatedIou`]: by falling score, each stays that has an IoU of
/// no more than `threshold` with all that stay before it. With classes, each by itself. Returns their indices by
/// falling score.
///
/// ```
/// use etude_boxes::nms::rotated_nms;
/// use etude_boxes::rotated::{AngleConvention, RotatedBoxes};
///
/// // A cross, and a box that is a little turned.
/// let boxes = [[5.0, 5.0, 8.0, 1.0, 0.0], [5.0, 5.0, 8.0, 1.0, 90.0], [5.0, 5.0, 8.0, 1.0, 2.0]];
/// let keep = rotated_nms(RotatedBoxes::rows(&boxes, AngleConvention::DETECTRON2), &[0.9, 0.8, 0.7], None, 0.5)?;
/// assert_eq!(keep, [0, 1]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many scores, and classes, as boxes; the threshold is not between 0 and 1.
pub fn rotated_nms<T: Float>(
    boxes: RotatedBoxes<'_, T>,
    scores: &[T],
    classes: Option<&[u32]>,
    threshold: f64,
) -> Result<Vec<u32>, BoxError> {
    check_threshold(threshold)?;
    let rectangles: Vec<Rectangle> = (0..boxes.len()).map(|index| boxes.rectangle(index)).collect();
    let around: Vec<[T; 4]> = rectangles.iter().map(around).collect();
    let around = Boxes::rows(&around, Format::Xyxy);
    greedy(around, scores, classes, 0.0, |(stays, _), (other, _)| {
        let [stays, other] = [stays, other].map(|index| &rectangles[index as usize]);
        RotatedIou.value(stays, other) > threshold
    })
}

/// An upright box around a rotated one: boxes that meet have such boxes that meet. It is a little too large, so that
/// rounding takes nothing away, and ends at the limit of what boxes may be.
fn around<T: Float>(rectangle: &Rectangle) -> [T; 4] {
    let [x1, y1, x2, y2] = rectangle.bounding_box().map(T::of);
    let grown = |x: T, by: T| (x + by * x.abs()).larger(-T::LIMIT).smaller(T::LIMIT);
    let more = T::epsilon() + T::epsilon();
    if rectangle.holds {
        [grown(x1, -more), grown(y1, -more), grown(x2, more), grown(y2, more)]
    } else {
        [T::nan(); 4]
    }
}
