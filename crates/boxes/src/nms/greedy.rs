//! Greedy suppression.

use super::neighbours::Neighbours;
use super::ranked::{Scored, by_class, check_threshold, iou};
use crate::{BoxError, Boxes, Float};

/// Greedy non-maximum suppression: by falling score, each box stays that has an IoU of no more than `threshold` with
/// all that stay before it. Returns their indices by falling score.
///
#[doc = include_str!("../../docs/nms.svg")]
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
    by_iou(boxes, scores, None, threshold)
}

/// [`nms`] in each class by itself. Returns the indices of the boxes that stay, of all classes, by falling score.
///
#[doc = include_str!("../../docs/batched_nms.svg")]
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
    by_iou(boxes, scores, Some(classes), threshold)
}

/// Greedy suppression by IoU.
fn by_iou<T: Float>(
    boxes: Boxes<'_, T>,
    scores: &[T],
    classes: Option<&[u32]>,
    threshold: f64,
) -> Result<Vec<u32>, BoxError> {
    check_threshold(threshold)?;
    let limit = T::of(threshold);
    greedy(boxes, scores, classes, threshold, |(_, stays), (_, other)| {
        iou(stays, other) > limit
    })
}

/// Greedy suppression by any rule that asks for an IoU above `least`. The rule is shown the index and the corners of a
/// box that stays, and of another one.
pub(super) fn greedy<T: Float>(
    boxes: Boxes<'_, T>,
    scores: &[T],
    classes: Option<&[u32]>,
    least: f64,
    suppresses: impl Fn((u32, [T; 4]), (u32, [T; 4])) -> bool + Sync,
) -> Result<Vec<u32>, BoxError> {
    let stay = by_class(boxes, scores, classes, |ranked| {
        let mut neighbours = Neighbours::new(ranked.len());
        let mut stay: Vec<Scored<T>> = Vec::new();
        for detection in ranked {
            let other = (detection.index, detection.corners);
            let meets = |stays: u32, corners| suppresses((stay[stays as usize].index, corners), other);
            if !neighbours.any(detection.corners, least, 0, meets) {
                neighbours.insert(detection.corners);
                stay.push(detection.scored());
            }
        }
        stay
    })?;
    Ok(stay.iter().map(|one| one.index).collect())
}
