//! Rotated boxes: a centre, a size and an angle.
//!
//! | metric | what it is | file and source |
//! |---|---|---|
//! | [`RotatedIou`] | the exact IoU, by clipping one rectangle with the other | `rotated_iou.rs` |
//! | [`ProbIou`] | 1 - the Hellinger distance of two Gaussians | `prob_iou.rs`, Llerena et al. 2021 |
//!
//! [`cuboid_iou`] is the IoU of boxes in space that are turned about the vertical axis.
//!
//! As for upright boxes, the loss is 1 - metric, and its gradient by the first box is in closed form. A negative width
//! or height counts as zero. A pair with a box that is not finite (or beyond [`Float::LIMIT`](crate::Float::LIMIT)) has
//! metric 0 and gradient zero. Everything is reckoned in 64 bits.

mod boxes;
mod compute;
mod cuboid_iou;
mod intersection;
mod prob_iou;
mod rectangle;
mod rotated_iou;

pub use boxes::{AngleConvention, AngleUnit, Direction, RotatedBoxes};
pub use compute::{elementwise, loss_and_gradient, pairwise};
pub use cuboid_iou::cuboid_iou;
pub use prob_iou::ProbIou;
pub use rectangle::Rectangle;
pub use rotated_iou::RotatedIou;

/// A metric of rotated boxes.
pub trait RotatedMetric: Copy + Send + Sync {
    /// The metric of a predicted box and its target.
    fn value(&self, p: &Rectangle, g: &Rectangle) -> f64;

    /// The same, and its slopes by the centre, the size and the angle of p.
    fn slopes(&self, p: &Rectangle, g: &Rectangle) -> (f64, [f64; 5]);
}
