//! Fast suppression.

use super::neighbours::Neighbours;
use super::ranked::{by_class, check_threshold, iou};
use crate::{BoxError, Boxes, Float};

/// A box goes if its IoU with any better one is above `threshold`, whether that one stays or goes itself; so a few more
/// go than in greedy suppression. Bolya et al., "YOLACT: Real-time Instance Segmentation", ICCV 2019, section 4.1. With
/// classes, each by itself. Returns the indices of the boxes that stay by falling score.
///
#[doc = include_str!("../../docs/fast_nms.svg")]
///
/// ```
/// use etude_boxes::nms::{fast_nms, nms};
/// use etude_boxes::{Boxes, Format};
///
/// // The second meets the first, the third meets the second only.
/// let boxes = [[0.0, 0.0, 4.0, 4.0], [1.0, 0.0, 5.0, 4.0], [2.0, 0.0, 6.0, 4.0]];
/// let boxes = Boxes::rows(&boxes, Format::Xyxy);
/// assert_eq!(nms(boxes, &[0.9, 0.8, 0.7], 0.5)?, [0, 2]);
/// assert_eq!(fast_nms(boxes, &[0.9, 0.8, 0.7], None, 0.5)?, [0]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many scores, and classes, as boxes; the threshold is not between 0 and 1.
pub fn fast_nms<T: Float>(
    boxes: Boxes<'_, T>,
    scores: &[T],
    classes: Option<&[u32]>,
    threshold: f64,
) -> Result<Vec<u32>, BoxError> {
    check_threshold(threshold)?;
    let limit = T::of(threshold);
    let stay = by_class(boxes, scores, classes, |ranked| {
        let mut better = Neighbours::new(ranked.len());
        let mut stay = Vec::new();
        for detection in ranked {
            let corners = detection.corners;
            if !better.any(corners, threshold, 0, |_, other| iou(other, corners) > limit) {
                stay.push(detection.scored());
            }
            better.insert(corners);
        }
        stay
    })?;
    Ok(stay.iter().map(|one| one.index).collect())
}
