//! Boxes as plain arrays: how well they fit, which of them stay, and which belong together.
//!
//! - [`Boxes`]: views of boxes in somebody's memory, in any usual [`Format`]; conversion, clipping, area, validity.
//! - [`iou`]: the IoU family, from [`Iou`](iou::Iou) and [`Ciou`](iou::Ciou) to [`ShapeIou`](iou::ShapeIou), as metrics
//!   and as losses with gradients in closed form.
//! - [`rotated`]: rotated boxes, their exact IoU and ProbIoU.
//! - [`assign`]: which prediction belongs to which target: the Hungarian matcher, max-IoU, ATSS, SimOTA, task-aligned.
//! - [`nms`]: which detections stay: greedy, batched, soft, DIoU, matrix, fast and rotated suppression, and weighted
//!   boxes fusion.
//! - [`mask`]: masks run by run, as COCO has them: encoded, decoded, compressed, drawn from polygons, compared.
//!
//! ```
//! use etude_boxes::iou::{Ciou, loss_and_gradient};
//! use etude_boxes::{Boxes, Format};
//!
//! // Gradient descent draws a box to its target.
//! let (mut p, g) = ([[0.0, 0.0, 10.0, 10.0]], [[20.0, 20.0, 50.0, 40.0]]);
//! let (mut loss, mut gradient) = ([0.0], [[0.0; 4]]);
//! for step in 0..2000 {
//!     let (p_view, g_view) = (Boxes::rows(&p, Format::Xyxy), Boxes::rows(&g, Format::Xyxy));
//!     loss_and_gradient(&Ciou::default(), p_view, g_view, &mut loss, &mut gradient)?;
//!     let rate = if step < 1000 { 20.0 } else { 1.0 };
//!     p[0].iter_mut().zip(gradient[0]).for_each(|(corner, slope)| *corner -= rate * slope);
//! }
//! assert!(loss[0] < 0.05);
//! # Ok::<(), etude_boxes::BoxError>(())
//! ```
//!
//! Everything works on `f32` and `f64`. Nothing is ever NaN or infinite, whatever the boxes are: [`iou`] says what is
//! what. The same input gives the same bytes on any number of threads.

// Input from outside must not panic: what cannot be is an error or is shown by the types. Tests may.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo
    )
)]
#![expect(
    clippy::inline_always,
    reason = "the loops must take on the vector instructions of `with_simd`"
)]

#[cfg(test)]
extern crate self as etude_boxes; // for what unit tests share with those in tests/

pub mod assign;
mod boxes;
mod error;
mod exponential;
mod float;
#[cfg(test)]
mod instructions;
pub mod iou;
mod layout;
pub mod mask;
pub mod nms;
pub mod rotated;

pub use boxes::{Boxes, Format, Validity, area, clip, convert, scale, validity};
pub use error::BoxError;
pub use float::Float;
