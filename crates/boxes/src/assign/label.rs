//! What an anchor is assigned to.

use crate::error::check_length;
use crate::iou::{Compared, Iou};
use crate::{BoxError, Boxes, Float};

/// What an anchor, or a prediction, learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// That there is nothing.
    Background,
    /// Nothing: it is left out of the loss.
    Ignored,
    /// The target of this index.
    Target(u32),
}

/// The labels of all anchors.
#[derive(Debug, Clone, PartialEq)]
pub struct Assigned<T> {
    /// One a box.
    pub labels: Vec<Label>,
    /// The IoU of each with its target, or the largest with any where it has none.
    pub ious: Vec<T>,
}

/// Boxes whose IoUs with one target after the other are asked for.
pub(super) struct Ious<T>(Compared<T>);

impl<T: Float> Ious<T> {
    pub(super) fn of(boxes: Boxes<'_, T>) -> Self {
        Self(Compared::new(&Iou::default(), boxes))
    }

    /// Writes the IoU of a target with each of the boxes, of which there are as many as numbers in the row.
    pub(super) fn with(&self, target: [T; 4], row: &mut [T]) {
        self.0.row(&Iou::default(), target, row);
    }
}

/// Whether a point lies inside of a box, and farther than 0.01 from its edges, as ATSS and what came after it have it.
pub(super) fn holds<T: Float>([x1, y1, x2, y2]: [T; 4], [x, y]: [T; 2]) -> bool {
    (x - x1).smaller(x2 - x).smaller((y - y1).smaller(y2 - y)) > T::of(0.01)
}

/// The centre of a box.
pub(super) fn centre<T: Float>([x1, y1, x2, y2]: [T; 4]) -> [T; 2] {
    [(x1 + x2) * T::of(0.5), (y1 + y2) * T::of(0.5)]
}

/// Moves the `count` indices with the least keys to the front, in the order of their keys, and of indices where these
/// are equal.
pub(super) fn least_first<T: Float>(indices: &mut [u32], count: usize, key: impl Fn(u32) -> T) {
    let order = |a: &u32, b: &u32| key(*a).compare(key(*b)).then(a.cmp(b));
    if count < indices.len() {
        indices.select_nth_unstable_by(count, order);
    }
    let count = count.min(indices.len());
    indices[..count].sort_unstable_by(order);
}

/// Checks the scores and the classes of the targets, and returns how many classes there are.
pub(super) fn check_scores<T>(
    scores: &[T],
    predictions: usize,
    targets: usize,
    classes: &[u32],
) -> Result<usize, BoxError> {
    check_length("classes of the targets", classes.len(), targets)?;
    let width = scores.len() / predictions.max(1);
    check_length("scores", scores.len(), predictions * width)?;
    match classes.iter().find(|&&class| class as usize >= width) {
        Some(&class) if predictions > 0 => Err(BoxError::Setting {
            name: "the class of a target",
            found: f64::from(class),
            expected: "less than the number of scores of a prediction",
        }),
        _ => Ok(width),
    }
}
