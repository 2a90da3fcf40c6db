//! The Python module `etude_boxes`: [`etude_boxes`](::etude_boxes) on NumPy arrays.
//!
//! Arrays are read where they lie, and results are written into new ones. The first array of a call decides between 32
//! and 64 bits, and all others must be of the same kind. While boxes are reckoned with, other Python threads run.

#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::todo
)]

#[macro_use]
mod arrays;
mod assign;
mod choice;
mod metric;
mod nms;
mod rotated;

use pyo3::prelude::*;

/// How well boxes fit, which of them stay, and which belong together.
///
/// A metric, such as `ciou()`, compares boxes `pairwise` and `elementwise`, and has a `loss_and_gradient`. Boxes are
/// float32 or float64 arrays [n, 4], in C or Fortran order, and are not copied; do not write to them from another
/// thread meanwhile. Whatever is wrong with them, results are never NaN or infinite. The formulas are those of the
/// papers; what libraries do otherwise has a name.
#[pymodule(name = "etude_boxes")]
mod module {
    #[pymodule_export]
    use crate::assign::{atss, linear_assignment, max_iou, sim_ota, task_aligned};
    #[pymodule_export]
    use crate::metric::{
        Guard, Metric, RunningMean, alpha_iou, bounded_iou, ciou, diou, eiou, focal_eiou, giou, inner_ciou, inner_iou,
        inner_siou, iou, mpdiou, shape_iou, siou, wiou_v1, wiou_v2, wiou_v3,
    };
    #[pymodule_export]
    use crate::nms::{batched_nms, diou_nms, fast_nms, matrix_nms, nms, rotated_nms, soft_nms, weighted_boxes_fusion};
    #[pymodule_export]
    use crate::rotated::{RotatedMetric, prob_iou, rotated_iou};
}
