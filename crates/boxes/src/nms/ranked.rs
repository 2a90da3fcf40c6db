//! Detections by falling score.

use rayon::prelude::*;

use crate::boxes::within_limits;
use crate::error::{check_length, check_setting};
use crate::iou::{Corners, Guard, Pair};
use crate::{BoxError, Boxes, Float};

/// A box that stays, and the score that is left to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored<T> {
    /// Which box.
    pub index: u32,
    /// Its score.
    pub score: T,
}

/// A detection that can be reckoned with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detection<T> {
    pub(super) index: u32,
    /// Zero for all where there are no classes.
    pub(super) class: u32,
    pub(super) score: T,
    pub(super) corners: [T; 4],
}

impl<T: Float> Detection<T> {
    /// What decides between two boxes.
    #[inline(always)]
    pub(super) fn pair(&self, other: &Self) -> Pair<T> {
        Pair::new(Corners::new(self.corners), Corners::new(other.corners))
    }

    /// The IoU with another box.
    #[inline(always)]
    pub(super) fn iou(&self, other: &Self) -> T {
        self.pair(other).iou(Guard::NONE).0
    }
}

/// The detections by falling score, and of equal scores by rising index; without those that are not finite.
pub(super) fn ranked<T: Float>(
    boxes: Boxes<'_, T>,
    scores: &[T],
    classes: Option<&[u32]>,
) -> Result<Vec<Detection<T>>, BoxError> {
    check_length("scores", scores.len(), boxes.len())?;
    if let Some(classes) = classes {
        check_length("classes", classes.len(), boxes.len())?;
    }
    let detection = |(index, &score): (usize, &T)| Detection {
        index: index as u32,
        class: classes.map_or(0, |classes| classes[index]),
        score,
        corners: boxes.corners(index),
    };
    let all = scores.iter().enumerate().map(detection);
    let mut ranked: Vec<_> = all
        .filter(|one| within_limits(one.corners) && !one.score.is_nan())
        .collect();
    ranked.par_sort_by(|a, b| b.score.compare(a.score));
    Ok(ranked)
}

/// Checks a threshold of IoU.
pub(super) fn check_threshold(threshold: f64) -> Result<(), BoxError> {
    check_setting("the threshold", threshold, (0.0..=1.0).contains(&threshold), "0 to 1")
}

/// Checks the least score that a box may have.
pub(super) fn check_min_score(score: f64) -> Result<(), BoxError> {
    check_setting("the least score", score, score >= 0.0, "0 or more")
}
