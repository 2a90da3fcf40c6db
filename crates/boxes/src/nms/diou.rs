//! Suppression by DIoU.

use super::greedy::greedy;
use super::ranked::{check_threshold, pair};
use crate::error::check_setting;
use crate::iou::Guard;
use crate::{BoxError, Boxes, Float};

/// Greedy suppression where a box goes if IoU - (d^2 / c^2)^beta with a better one is above `threshold`: two that
/// overlap much, though their centres are apart, are likely two things. Zheng et al., "Distance-IoU Loss", AAAI 2020,
/// equation 13, where beta is 1; a beta below 1 makes distance count more. With classes, each by itself. Returns the
/// indices of the boxes that stay by falling score.
///
#[doc = include_str!("../../docs/diou_nms.svg")]
///
/// ```
/// use etude_boxes::nms::{diou_nms, nms};
/// use etude_boxes::{Boxes, Format};
///
/// let boxes = [[0.0, 0.0, 4.0, 4.0], [1.4, 0.0, 5.4, 4.0]];
/// let boxes = Boxes::rows(&boxes, Format::Xyxy);
/// assert_eq!(nms(boxes, &[0.9, 0.8], 0.45)?, [0]);
/// assert_eq!(diou_nms(boxes, &[0.9, 0.8], None, 0.45, 1.0)?, [0, 1]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many scores, and classes, as boxes; the threshold is not between 0 and 1, or beta is not
/// positive.
pub fn diou_nms<T: Float>(
    boxes: Boxes<'_, T>,
    scores: &[T],
    classes: Option<&[u32]>,
    threshold: f64,
    beta: f64,
) -> Result<Vec<u32>, BoxError> {
    check_threshold(threshold)?;
    check_setting("beta", beta, beta > 0.0, "above 0")?;
    let (limit, beta) = (T::of(threshold), T::of(beta));
    // The penalty is never negative, so that IoU is above the threshold too.
    greedy(boxes, scores, classes, threshold, |(_, stays), (_, other)| {
        let pair = pair(stays, other);
        let (iou, distance) = (pair.iou(Guard::NONE).0, pair.centre_distance(Guard::NONE).0);
        iou - distance.powf(beta) > limit
    })
}
