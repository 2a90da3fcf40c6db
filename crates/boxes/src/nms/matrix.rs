//! Matrix suppression.

use super::neighbours::Neighbours;
use super::ranked::{Scored, by_class, check_min_score, iou};
use crate::error::check_setting;
use crate::{BoxError, Boxes, Float};

/// How a score falls with the IoU with a better box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MatrixDecay {
    /// f = 1 - IoU.
    Linear,
    /// f = exp(-sigma IoU^2).
    Gaussian {
        /// 2 in the paper.
        sigma: f64,
    },
}

impl MatrixDecay {
    #[inline(always)]
    fn factor<T: Float>(self, iou: T) -> T {
        match self {
            Self::Linear => T::one() - iou,
            // In 64 bits, where no finite sigma is infinite.
            Self::Gaussian { sigma } => T::of((-sigma * (iou * iou).to_64()).exp()),
        }
    }
}

/// The score of each box is multiplied by the least, over all better boxes i of its class, of f(IoU with i) / f(the
/// largest IoU of i with what is better than i). Wang et al., "SOLOv2: Dynamic and Fast Instance Segmentation", NeurIPS
/// 2020, section 3.3. Returns the boxes with a score of `min_score` or more, by falling score.
///
/// ```
/// use etude_boxes::nms::{MatrixDecay, matrix_nms};
/// use etude_boxes::{Boxes, Format};
///
/// let boxes = [[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 2.0], [9.0, 9.0, 10.0, 10.0]];
/// let boxes = Boxes::rows(&boxes, Format::Xyxy);
/// let stay = matrix_nms(boxes, &[0.9, 0.8, 0.7], None, MatrixDecay::Linear, 0.05)?;
/// assert_eq!(stay.iter().map(|one| (one.index, one.score)).collect::<Vec<_>>(), [(0, 0.9), (2, 0.7), (1, 0.4)]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many scores, and classes, as boxes; the least score is negative, or sigma is not positive and
/// finite.
pub fn matrix_nms<T: Float>(
    boxes: Boxes<'_, T>,
    scores: &[T],
    classes: Option<&[u32]>,
    decay: MatrixDecay,
    min_score: f64,
) -> Result<Vec<Scored<T>>, BoxError> {
    check_min_score(min_score)?;
    if let MatrixDecay::Gaussian { sigma } = decay {
        check_setting("sigma", sigma, sigma > 0.0 && sigma.is_finite(), "above 0, and finite")?;
    }
    by_class(boxes, scores, classes, |ranked| {
        let mut better = Neighbours::new(ranked.len());
        // Of each box, its largest IoU with what is better.
        let mut lost: Vec<T> = Vec::with_capacity(ranked.len());
        let mut stay = Vec::new();
        for detection in ranked {
            let (mut factor, mut most) = (T::one(), T::zero());
            // Boxes that do not meet have a quotient of 1 or more.
            better.any(detection.corners, 0.0, 0, |index, corners| {
                let iou = iou(corners, detection.corners);
                let lost = decay.factor(lost[index as usize]);
                // One that is lost altogether lies on a better one, which counts in its place.
                if lost > T::zero() {
                    factor = factor.smaller(decay.factor(iou) / lost);
                }
                most = most.larger(iou);
                false
            });
            let (index, score) = (detection.index, detection.score * factor);
            // A negative score times zero is zero, but such a box has less than what it may have from the start.
            if detection.score.smaller(score) >= T::of(min_score) {
                stay.push(Scored { index, score });
            }
            better.insert(detection.corners);
            lost.push(most);
        }
        stay
    })
}
