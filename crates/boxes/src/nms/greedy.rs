//! Greedy suppression.

use super::neighbours::Neighbours;
use super::ranked::{Detection, check_threshold, ranked};
use crate::{BoxError, Boxes, Float};

/// Greedy non-maximum suppression: by falling score, each box stays that has an IoU of no more than `threshold` with all that stay
/// before it. Returns their indices by falling score.
///
/// ```
/// use etude_boxes::nms::nms;
/// use etude_boxes::{Boxes, Format};
///
/// let boxes = [[6.0, 3.0, 8.0, 7.0], [3.0, 6.0, 9.0, 11.0], [3.0, 7.0, 10.0, 12.0], [1.0, 4.0, 13.0, 7.0]];
/// let keep = nms(Boxes::rows(&boxes, Format::Xyxy), &[0.6, 0.9, 0.7, 0.2], 0.3)?;
/// assert_eq!(keep, [1, 0, 3]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many scores as boxes; the threshold is not between 0 and 1.
pub fn nms<T: Float>(boxes: Boxes<'_, T>, scores: &[T], threshold: f64) -> Result<Vec<u32>, BoxError> {
    check_threshold(threshold)?;
    Ok(by_iou(&ranked(boxes, scores, None)?, threshold))
}

/// [`nms`] in each class by itself. Returns the indices of the boxes that stay, of all classes, by falling score.
///
/// ```
/// use etude_boxes::nms::batched_nms;
/// use etude_boxes::{Boxes, Format};
///
/// let boxes = [[0.0, 0.0, 4.0, 4.0]; 3];
/// let keep = batched_nms(Boxes::rows(&boxes, Format::Xyxy), &[0.5, 0.6, 0.7], &[1, 1, 2], 0.5)?;
/// assert_eq!(keep, [2, 1]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many scores and classes as boxes; the threshold is not between 0 and 1.
pub fn batched_nms<T: Float>(
    boxes: Boxes<'_, T>,
    scores: &[T],
    classes: &[u32],
    threshold: f64,
) -> Result<Vec<u32>, BoxError> {
    check_threshold(threshold)?;
    Ok(by_iou(&ranked(boxes, scores, Some(classes))?, threshold))
}

/// Greedy suppression by IoU.
fn by_iou<T: Float>(ranked: &[Detection<T>], threshold: f64) -> Vec<u32> {
    let limit = T::of(threshold);
    greedy(ranked, threshold, |stays, other| stays.iou(other) > limit)
}

/// Greedy suppression by any rule that asks for an IoU above `least`.
pub(super) fn greedy<T: Float>(
    ranked: &[Detection<T>],
    least: f64,
    suppresses: impl Fn(&Detection<T>, &Detection<T>) -> bool,
) -> Vec<u32> {
    let mut stay = Neighbours::new(ranked.len());
    let mut indices = Vec::new();
    for detection in ranked {
        if !stay.any(detection, least, 0, |_, stays| suppresses(stays, detection)) {
            stay.insert(*detection);
            indices.push(detection.index);
        }
    }
    indices
}
