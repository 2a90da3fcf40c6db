//! Soft suppression.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::neighbours::Neighbours;
use super::ranked::{Detection, Scored, by_class, check_min_score, check_threshold, iou};
use crate::error::check_setting;
use crate::{BoxError, Boxes, Float};

/// By what the score of a box is multiplied when a better one stays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SoftDecay {
    /// 1 - IoU where IoU is `threshold` or more, else 1.
    Linear {
        /// The threshold: 0.3 in the paper.
        threshold: f64,
    },
    /// exp(-IoU^2 / sigma).
    Gaussian {
        /// The width: 0.5 in the paper.
        sigma: f64,
    },
}

/// Soft suppression: the box of the largest score stays, the scores of all others fall by what they share with it, and
/// so on, until all scores left are below `min_score`. Bodla et al., "Soft-NMS: Improving Object Detection With One
/// Line of Code", ICCV 2017, equations 2 and 3. With classes, each by itself. Returns the boxes that stay by falling
/// score.
///
/// ```
/// use etude_boxes::nms::{SoftDecay, soft_nms};
/// use etude_boxes::{Boxes, Format};
///
/// let boxes = [[6.0, 3.0, 8.0, 7.0], [3.0, 6.0, 9.0, 11.0], [3.0, 7.0, 10.0, 12.0], [1.0, 4.0, 13.0, 7.0]];
/// let decay = SoftDecay::Linear { threshold: 0.3 };
/// let stay = soft_nms(Boxes::rows(&boxes, Format::Xyxy), &[0.6, 0.9, 0.7, 0.2], None, decay, 0.01)?;
/// assert_eq!(stay.iter().map(|one| one.index).collect::<Vec<_>>(), [1, 0, 2, 3]);
/// let score: f64 = stay[2].score;
/// assert!((score - 0.290_243_92).abs() < 1e-7);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many scores, and classes, as boxes; the threshold is not between 0 and 1, sigma is not positive, or
/// the least score is negative.
pub fn soft_nms<T: Float>(
    boxes: Boxes<'_, T>,
    scores: &[T],
    classes: Option<&[u32]>,
    decay: SoftDecay,
    min_score: f64,
) -> Result<Vec<Scored<T>>, BoxError> {
    check_min_score(min_score)?;
    let least = match decay {
        SoftDecay::Linear { threshold } => {
            check_threshold(threshold)?;
            // At the threshold itself scores fall too.
            threshold * (1.0 - 1e-6)
        }
        SoftDecay::Gaussian { sigma } => {
            check_setting("sigma", sigma, sigma > 0.0, "above 0")?;
            0.0
        }
    };
    by_class(boxes, scores, classes, |ranked| {
        soften(ranked, decay, least, T::of(min_score))
    })
}

/// Soft suppression of the boxes of one class, where those that meet have an IoU above `least`.
fn soften<T: Float>(ranked: &[Detection<T>], decay: SoftDecay, least: f64, min_score: T) -> Vec<Scored<T>> {
    let mut stay = Neighbours::new(ranked.len());
    let first = ranked.iter().filter(|one| one.score >= min_score);
    let mut waiting: BinaryHeap<Waiting<T>> = first.map(|&detection| Waiting { detection, seen: 0 }).collect();
    let mut met = Vec::new();
    let mut scored = Vec::new();
    // Scores only fall. So the first in line is next, unless boxes that have stayed since it was looked at lower its
    // score.
    while let Some(Waiting { mut detection, seen }) = waiting.pop() {
        met.clear();
        stay.any(detection.corners, least, seen, |index, corners| {
            met.push((index, corners));
            false
        });
        met.sort_unstable_by_key(|&(index, _)| index);
        met.dedup_by_key(|&mut (index, _)| index);
        let before = detection.score;
        for &(_, corners) in &met {
            detection.score = detection.score * decay.factor(iou(corners, detection.corners));
        }
        if detection.score < min_score {
            continue;
        }
        if detection.score < before {
            let seen = stay.len() as u32;
            waiting.push(Waiting { detection, seen });
        } else {
            scored.push(detection.scored());
            stay.insert(detection.corners);
        }
    }
    scored
}

impl SoftDecay {
    fn factor<T: Float>(self, iou: T) -> T {
        match self {
            Self::Linear { threshold } if iou < T::of(threshold) => T::one(),
            Self::Linear { .. } => T::one() - iou,
            // In 64 bits, where no sigma above zero is zero.
            Self::Gaussian { sigma } => T::of((-(iou * iou).to_64() / sigma).exp()),
        }
    }
}

/// A box whose score has been lowered by the first `seen` boxes that stay.
struct Waiting<T> {
    detection: Detection<T>,
    seen: u32,
}

impl<T: Float> Ord for Waiting<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let score = self.detection.score.compare(other.detection.score);
        score.then(other.detection.index.cmp(&self.detection.index))
    }
}

impl<T: Float> PartialOrd for Waiting<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Float> PartialEq for Waiting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Float> Eq for Waiting<T> {}
