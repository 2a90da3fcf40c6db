//! The losses of the IoU family on Burn's tensors, for any device, differentiable by its autodiff.
//!
//! The metrics are those of [`etude_boxes::iou`], with the same settings, of which the paper's are the default: its
//! table says where libraries differ. [`box_loss`] takes any of them. For rotated boxes there is [`prob_iou_loss`].
//!
//! Values and gradients are those of [`etude_boxes::iou::loss_and_gradient`], for boxes that are hardly boxes too: zero
//! over zero is zero, a kink has the mean of the slopes to both sides, a box that is not finite has the loss of the
//! worst pair and no gradient. Nothing is NaN or infinite. One thing differs: a pair with a side above zero, but below
//! 1e-18 in 32 bits or 1e-150 in 64, has no gradient, for that could be too large for a number.

mod alpha_iou;
mod arithmetic;
mod bounded_iou;
mod ciou;
mod diou;
mod eiou;
mod focal_eiou;
mod giou;
mod inner_iou;
mod iou;
mod mpdiou;
mod pair;
mod prob_iou;
mod shape_iou;
mod siou;
mod wiou;

use burn::tensor::{DType, Tensor};
use etude_boxes::Float;
use etude_boxes::iou::Metric;

pub use pair::{Corners, Pair};
pub use prob_iou::prob_iou_loss;

/// A metric of the IoU family on tensors.
pub trait TensorMetric: Metric<f64> {
    /// The metric of each pair, shape `[n, 1]`.
    fn value(&self, pair: &Pair) -> Tensor<2>;
}

/// The loss 1 - metric of each predicted box and its target, shape `[n]`, where boxes x1, y1, x2, y2 have shape `[n,
/// 4]`. Targets are constants for the gradient. Boxes in half precision are brought to 32 bits, and so are their
/// losses.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use etude_boxes::iou::Giou;
/// use etude_detection::box_loss::box_loss;
///
/// let device = Device::flex().autodiff();
/// let predicted = Tensor::<2>::from_data([[0.0, 0.0, 1.0, 1.0]], &device).require_grad();
/// let targets = Tensor::<2>::from_data([[3.0, 0.0, 4.0, 1.0]], &device);
/// let losses = box_loss(&Giou::default(), predicted.clone(), targets);
/// assert_eq!(losses.to_data().iter::<f32>().next(), Some(1.5));
///
/// let gradients = losses.mean().backward();
/// let right = predicted.grad(&gradients).map(|by| by.to_data().iter::<f32>().nth(2));
/// assert!(right.flatten().is_some_and(|slope| slope < 0.0)); // the loss falls as the right edge moves to the right
/// ```
///
/// # Panics
/// The shapes are not `[n, 4]` for the same n.
pub fn box_loss(metric: &impl TensorMetric, predicted: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let [n, _] = predicted.dims();
    assert_eq!(
        (predicted.dims(), targets.dims()),
        ([n, 4], [n, 4]),
        "predicted boxes and targets"
    );
    if n == 0 {
        return no_losses(predicted);
    }
    let (predicted, targets) = (at_least_single(predicted), at_least_single(targets).detach());
    let limit = limit(&predicted);
    let beyond = |boxes: &Tensor<2>| {
        boxes
            .clone()
            .detach()
            .abs()
            .lower_equal_elem(limit)
            .bool_not()
            .any_dim(1)
    };
    let bad = beyond(&predicted).bool_or(beyond(&targets));
    let all = bad.clone().expand([n, 4]);
    let p = Corners::new(predicted.mask_fill(all.clone(), 0.0));
    let g = Corners::new(targets.mask_fill(all, 0.0));

    let thin = |sides: Tensor<2>| {
        sides
            .clone()
            .greater_elem(0.0)
            .bool_and(sides.lower_elem(limit.recip()))
    };
    // The enclosing box of boxes without an inside may be thin where neither of them is.
    let hull = Pair::new(p.clone().detach(), g.clone()).hull();
    let thin = thin(p.clone().detach().size())
        .bool_or(thin(g.size()))
        .bool_or(thin(hull))
        .any_dim(1);
    let p = p.held_where(&thin);

    let value = metric.value(&Pair::new(p, g));
    let bad = bad.bool_or(value.clone().is_finite().bool_not());
    (-value.mask_fill(bad, Metric::<f64>::least(metric)) + 1.0).reshape([n])
}

/// No losses of no boxes, which still have a gradient. (Not all of Burn's reductions take tensors without numbers.)
fn no_losses(predicted: Tensor<2>) -> Tensor<1> {
    at_least_single(predicted).flatten(0, 1)
}

/// Itself, or in 32 bits where it has fewer.
fn at_least_single(tensor: Tensor<2>) -> Tensor<2> {
    match tensor.dtype() {
        DType::F64 | DType::F32 => tensor,
        _ => tensor.cast(DType::F32),
    }
}

/// The largest coordinate that a box of this kind may have.
fn limit(tensor: &Tensor<2>) -> f64 {
    match tensor.dtype() {
        DType::F64 => f64::LIMIT,
        _ => f32::LIMIT.into(),
    }
}
