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
    class: u32,
    pub(super) score: T,
    pub(super) corners: [T; 4],
}

impl<T: Float> Detection<T> {
    /// That it stays as it is.
    pub(super) fn scored(&self) -> Scored<T> {
        Scored {
            index: self.index,
            score: self.score,
        }
    }
}

/// What decides between two boxes.
#[inline(always)]
pub(super) fn pair<T: Float>(a: [T; 4], b: [T; 4]) -> Pair<T> {
    Pair::new(Corners::new(a), Corners::new(b))
}

/// Their IoU.
#[inline(always)]
pub(super) fn iou<T: Float>(a: [T; 4], b: [T; 4]) -> T {
    pair(a, b).iou(Guard::NONE).0
}

/// Suppresses in each class by itself, and returns the boxes that stay by falling score, and of equal scores by rising
/// index. The detections of a class come in this order too, without those that are not finite. Classes are shared
/// between the threads of the current Rayon pool.
pub(super) fn by_class<T: Float>(
    boxes: Boxes<'_, T>,
    scores: &[T],
    classes: Option<&[u32]>,
    suppress: impl Fn(&[Detection<T>]) -> Vec<Scored<T>> + Sync,
) -> Result<Vec<Scored<T>>, BoxError> {
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
        .filter(|one| within_limits(one.corners) && one.score.is_finite())
        .collect();
    ranked.par_sort_by(|a, b| a.class.cmp(&b.class).then(b.score.compare(a.score)));
    let runs: Vec<&[Detection<T>]> = ranked.chunk_by(|a, b| a.class == b.class).collect();
    let mut stay: Vec<Scored<T>> = runs.into_par_iter().flat_map_iter(&suppress).collect();
    stay.par_sort_by(|a, b| b.score.compare(a.score).then(a.index.cmp(&b.index)));
    Ok(stay)
}

/// Checks a threshold of IoU.
pub(super) fn check_threshold(threshold: f64) -> Result<(), BoxError> {
    check_setting("the threshold", threshold, (0.0..=1.0).contains(&threshold), "0 to 1")
}

/// Checks the least score that a box may have.
pub(super) fn check_min_score(score: f64) -> Result<(), BoxError> {
    check_setting("the least score", score, score >= 0.0, "0 or more")
}
