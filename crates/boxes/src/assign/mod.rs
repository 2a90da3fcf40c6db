//! Which prediction, or which anchor, belongs to which target.
//!
//! | function | rule | used by |
//! |---|---|---|
//! | [`linear_assignment`] | one to one, the least total cost (the Hungarian matcher) | DETR, trackers |
//! | [`max_iou`] | the target of the largest IoU, between two thresholds | Faster R-CNN, RetinaNet, SSD |
//! | [`atss`] | IoU above mean + deviation of the nearest anchors | ATSS, VarifocalNet |
//! | [`sim_ota`] | the cheapest predictions, as many as their IoUs add up to | YOLOX |
//! | [`task_aligned`] | the largest score^alpha IoU^beta | TOOD, YOLOv8 |

mod atss;
mod label;
mod linear;
mod max_iou;
mod sim_ota;
mod task_aligned;

pub use atss::atss;
pub use label::{Assigned, Label};
pub use linear::{Assignment, linear_assignment};
pub use max_iou::{MaxIou, max_iou};
pub use sim_ota::{SimOta, sim_ota};
pub use task_aligned::{Aligned, TaskAligned, task_aligned};
