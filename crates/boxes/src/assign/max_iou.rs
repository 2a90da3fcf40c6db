//! Assignment by the largest IoU.

use super::label::{Assigned, Ious, Label};
use crate::{Boxes, Float};

/// The thresholds of [`max_iou`]. The default is RetinaNet's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxIou {
    /// From this IoU on an anchor belongs to the target.
    pub positive: f64,
    /// Below this IoU with all targets an anchor is background. Between the two it is ignored.
    pub negative: f64,
    /// From this IoU on, and above zero, a target gets the anchors that fit it best, however badly that is. `None`: it
    /// may go without.
    pub low_quality: Option<f64>,
}

impl Default for MaxIou {
    fn default() -> Self {
        Self {
            positive: 0.5,
            negative: 0.4,
            low_quality: Some(0.0),
        }
    }
}

/// Each anchor belongs to the target with which it has the largest IoU: S. Ren et al., "Faster R-CNN", 2015, section
/// 3.1.2, in the form of mmdetection's `MaxIoUAssigner`, but for targets that meet no anchor: they get none, and there
/// they get all that have IoU zero too. Of equal targets the first counts; a target that gets its best anchors takes
/// all that are equally good, and the last such target wins. Memory: a few numbers an anchor.
///
#[doc = include_str!("../../docs/max_iou.svg")]
///
/// ```
/// use etude_boxes::assign::{Label, MaxIou, max_iou};
/// use etude_boxes::{Boxes, Format};
///
/// let anchors = [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 4.5], [50.0, 50.0, 60.0, 60.0]];
/// let targets = [[0.0, 0.0, 10.0, 9.0]];
/// let (anchors, targets) = (Boxes::rows(&anchors, Format::Xyxy), Boxes::rows(&targets, Format::Xyxy));
/// let found = max_iou(anchors, targets, &MaxIou { positive: 0.7, ..MaxIou::default() });
/// assert_eq!(found.labels, [Label::Target(0), Label::Ignored, Label::Background]);
/// assert_eq!(found.ious, [0.9, 0.5, 0.0]);
/// ```
pub fn max_iou<T: Float>(anchors: Boxes<'_, T>, targets: Boxes<'_, T>, rule: &MaxIou) -> Assigned<T> {
    let overlaps = Ious::of(anchors);
    let mut row = vec![T::zero(); anchors.len()];
    let (mut ious, mut best) = (row.clone(), vec![0_u32; anchors.len()]);
    let mut best_of_target = vec![T::zero(); targets.len()];
    for (target, most) in best_of_target.iter_mut().enumerate() {
        overlaps.with(targets.corners(target), &mut row);
        for ((iou, best), &found) in ious.iter_mut().zip(&mut best).zip(&row) {
            *best = if found > *iou { target as u32 } else { *best };
            *iou = iou.larger(found);
            *most = most.larger(found);
        }
    }
    let (positive, negative) = (T::of(rule.positive), T::of(rule.negative));
    let label = |(&iou, &best): (&T, &u32)| {
        if iou >= positive && !targets.is_empty() {
            Label::Target(best)
        } else if iou < negative {
            Label::Background
        } else {
            Label::Ignored
        }
    };
    let mut labels: Vec<Label> = ious.iter().zip(&best).map(label).collect();
    if let Some(least) = rule.low_quality {
        for (target, &most) in best_of_target.iter().enumerate() {
            if most < T::of(least) || most == T::zero() {
                continue;
            }
            overlaps.with(targets.corners(target), &mut row);
            for index in (0..row.len()).filter(|&index| row[index] == most) {
                (labels[index], ious[index]) = (Label::Target(target as u32), most);
            }
        }
    }
    Assigned { labels, ious }
}
