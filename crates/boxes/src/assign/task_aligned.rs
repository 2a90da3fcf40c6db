//! Task-aligned assignment.

use super::label::{Ious, Label, centre, check_scores, holds, least_first};
use crate::error::{check_length, check_setting};
use crate::{BoxError, Boxes, Float};

/// The constants of [`task_aligned`]. The default is TOOD's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskAligned {
    /// The power of the score: 1. Not negative.
    pub alpha: f64,
    /// The power of the IoU: 6. Not negative.
    pub beta: f64,
    /// How many predictions a target gets: 13.
    pub count: usize,
}

impl Default for TaskAligned {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            beta: 6.0,
            count: 13,
        }
    }
}

/// The labels of all predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned<T> {
    /// One a prediction.
    pub labels: Vec<Label>,
    /// The IoU of each with its target, zero without one.
    pub ious: Vec<T>,
    /// The score that each should have for the class of its target, zero without one: its alignment, scaled so that the
    /// largest one of a target is the largest IoU of that target's predictions.
    pub scores: Vec<T>,
}

/// Each target takes the predictions of the largest alignment t = score^alpha IoU^beta, as far as their anchor's centre
/// is inside of the target and t is not zero. A prediction that several targets take goes to the one with the largest
/// IoU. C. Feng et al., "TOOD: Task-aligned One-stage Object Detection", ICCV 2021, section 3.2.
///
/// `scores` [predictions, classes] are probabilities; `classes` are those of the targets. Memory: a few numbers a
/// prediction.
///
/// ```
/// use etude_boxes::assign::{Label, TaskAligned, task_aligned};
/// use etude_boxes::{Boxes, Format};
///
/// let anchors = [[0.0, 0.0, 8.0, 8.0], [2.0, 0.0, 10.0, 8.0], [30.0, 0.0, 38.0, 8.0]];
/// let predicted = [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0], [0.0, 0.0, 10.0, 10.0]];
/// let targets = [[0.0, 0.0, 10.0, 10.0]];
/// let view = |boxes| Boxes::rows(boxes, Format::Xyxy);
/// let (anchors, predicted, targets) = (view(&anchors), view(&predicted), view(&targets));
/// let found = task_aligned(anchors, predicted, &[0.5, 0.5, 0.9], targets, &[0], &TaskAligned::default())?;
/// assert_eq!(found.labels, [Label::Target(0), Label::Target(0), Label::Background]);
/// assert_eq!(found.scores, [1.0, 0.5_f64.powi(6), 0.0]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There are not as many anchors as predictions, classes as targets, or scores of each class as predictions; a class
/// has no scores; a power is negative.
pub fn task_aligned<T: Float>(
    anchors: Boxes<'_, T>,
    predicted: Boxes<'_, T>,
    scores: &[T],
    targets: Boxes<'_, T>,
    classes: &[u32],
    rule: &TaskAligned,
) -> Result<Aligned<T>, BoxError> {
    check_length("anchors", anchors.len(), predicted.len())?;
    for (name, power) in [("alpha", rule.alpha), ("beta", rule.beta)] {
        check_setting(name, power, power >= 0.0, "0 or more")?;
    }
    let width = check_scores(scores, predicted.len(), targets.len(), classes)?;
    let overlaps = Ious::of(predicted);
    let mut row = vec![T::zero(); predicted.len()];
    let mut alignment = row.clone();
    let mut aligned = Aligned {
        labels: vec![Label::Background; predicted.len()],
        ious: row.clone(),
        scores: row.clone(),
    };
    let mut order: Vec<u32> = (0..predicted.len() as u32).collect();
    for (index, target) in targets.iter().enumerate() {
        overlaps.with(target, &mut row);
        for (at, alignment) in alignment.iter_mut().enumerate() {
            // A probability, whatever it is.
            let score = scores[at * width + classes[index] as usize]
                .positive_part()
                .smaller(T::one());
            *alignment = score.powf(T::of(rule.alpha)) * row[at].powf(T::of(rule.beta));
        }
        least_first(&mut order, rule.count, |at| -alignment[at as usize]);
        for at in order.iter().take(rule.count).map(|&at| at as usize) {
            let inside = alignment[at] > T::zero() && holds(target, centre(anchors.corners(at)));
            if inside && (aligned.labels[at] == Label::Background || row[at] > aligned.ious[at]) {
                aligned.labels[at] = Label::Target(index as u32);
                (aligned.ious[at], aligned.scores[at]) = (row[at], alignment[at]);
            }
        }
    }
    let mut most = vec![(T::zero(), T::zero()); targets.len()];
    for at in 0..predicted.len() {
        if let Label::Target(target) = aligned.labels[at] {
            let (score, iou) = &mut most[target as usize];
            (*score, *iou) = (score.larger(aligned.scores[at]), iou.larger(aligned.ious[at]));
        }
    }
    for (label, scaled) in aligned.labels.iter().zip(&mut aligned.scores) {
        if let Label::Target(target) = *label {
            let (score, iou) = most[target as usize];
            *scaled = *scaled / score * iou;
        }
    }
    Ok(aligned)
}
