//! Non-maximum suppression: of many detections of the same thing, one.
//!
//! | function | what becomes of a box that meets a better one | source |
//! |---|---|---|
//! | [`nms`], [`batched_nms`] | IoU above the threshold: it goes | greedy, as in torchvision |
//! | [`diou_nms`] | DIoU above the threshold: it goes | Zheng et al. 2020 |
//! | [`fast_nms`] | the same as greedy, but boxes that went count too | YOLACT, Bolya et al. 2019 |
//! | [`soft_nms`] | its score falls with the IoU | Bodla et al. 2017 |
//! | [`matrix_nms`] | its score falls with the IoU, all at a time | SOLOv2, Wang et al. 2020 |
//! | [`rotated_nms`] | IoU of the rotated boxes above the threshold: it goes | greedy, as in detectron2 |
//! | [`weighted_boxes_fusion`] | both become one box in between | Solovyev et al. 2021 |
//!
//! Of equal scores the first counts as better. A box that is not finite, or whose score is not, never stays; an empty
//! or inverted one meets nothing and stays. Memory is proportional to the number of boxes: those that a box may meet
//! are found by a hash of places, one grid for each power of two that boxes are large.

mod diou;
mod fast;
mod fusion;
mod greedy;
mod matrix;
mod neighbours;
mod ranked;
mod rotated;
mod soft;

pub use diou::diou_nms;
pub use fast::fast_nms;
pub use fusion::{Confidence, Detections, Fused, Fusion, weighted_boxes_fusion};
pub use greedy::{batched_nms, nms};
pub use matrix::{MatrixDecay, matrix_nms};
pub use ranked::Scored;
pub use rotated::rotated_nms;
pub use soft::{SoftDecay, soft_nms};
