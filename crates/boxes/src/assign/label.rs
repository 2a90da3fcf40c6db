//! What an anchor is assigned to.

use crate::iou::{Iou, pairwise};
use crate::{Boxes, Float, Format};

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

/// Writes the IoU of one target with all boxes, of which there are as many as numbers in the row.
pub(super) fn iou_row<T: Float>(boxes: Boxes<'_, T>, target: [T; 4], row: &mut [T]) {
    // The lengths are right.
    let _ = pairwise(&Iou::default(), Boxes::rows(&[target], Format::Xyxy), boxes, row);
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
