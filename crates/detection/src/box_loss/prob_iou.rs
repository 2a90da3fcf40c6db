//! Probabilistic IoU of rotated boxes.

use burn::tensor::Tensor;
use etude_boxes::iou::Guard;
use etude_boxes::rotated::AngleConvention;

use super::arithmetic::{column, divide, with_slopes};
use super::{at_least_single, limit, no_losses};

/// The loss 1 - ProbIoU of each predicted rotated box and its target, shape `[n]`, where boxes cx, cy, w, h and angle
/// have shape `[n, 5]`: see [`ProbIou`](etude_boxes::rotated::ProbIou). Llerena et al. 2021, equations 2 to 7. Targets
/// are constants for the gradient. A pair with a box that is not finite, or that has no width or height (or less than
/// 1e-8 of the largest side, or all sides below 1e-18), has loss 1 and no gradient.
///
/// As sums of squares, nothing cancels where boxes fit well, which 32 bits would not bear: with the sides w and h, the
/// axes u and v, and t the angle between both boxes,
///
/// ```text
/// B = d^T S^-1 d / 4 + ln(1 + N / (4 wp hp wg hg)) / 2
/// N = (wp hp - wg hg)^2 + cos^2 t (wp hg - hp wg)^2 + sin^2 t (wp wg - hp hg)^2
/// d^T S^-1 d = 12 sum over p and g of (w^2 (d v)^2 + h^2 (d u)^2) / (4 wp hp wg hg + N)
/// ```
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use etude_boxes::rotated::AngleConvention;
/// use etude_detection::box_loss::prob_iou_loss;
///
/// let device = Device::flex().autodiff();
/// let predicted = Tensor::<2>::from_data([[5.0, 5.0, 4.0, 2.0, 10.0]], &device).require_grad();
/// let targets = Tensor::<2>::from_data([[5.0, 5.0, 4.0, 2.0, 30.0]], &device);
/// let loss = prob_iou_loss(predicted.clone(), targets, AngleConvention::DETECTRON2).sum();
/// let by = predicted.grad(&loss.backward()).map(|by| by.to_data().iter::<f32>().nth(4));
/// assert!(by.flatten().is_some_and(|slope| slope < 0.0)); // it should be turned farther
/// ```
///
/// # Panics
/// The shapes are not `[n, 5]` for the same n.
pub fn prob_iou_loss(predicted: Tensor<2>, targets: Tensor<2>, convention: AngleConvention) -> Tensor<1> {
    let [n, _] = predicted.dims();
    assert_eq!(
        (predicted.dims(), targets.dims()),
        ([n, 5], [n, 5]),
        "predicted boxes and targets"
    );
    if n == 0 {
        return no_losses(predicted);
    }
    let (predicted, targets) = (at_least_single(predicted), at_least_single(targets).detach());
    let sides = Tensor::cat(
        vec![
            predicted.clone().detach().narrow(1, 2, 2),
            targets.clone().narrow(1, 2, 2),
        ],
        1,
    );
    let numbers = Tensor::cat(vec![predicted.clone().detach(), targets.clone()], 1);
    let far = numbers.abs().lower_equal_elem(limit(&targets)).bool_not().any_dim(1);
    // The metric has no scale: the largest side is the unit.
    let unit = sides.clone().max_dim(1);
    let thin = sides.min_dim(1).greater(unit.clone() * LEAST_SIDE).bool_not();
    let small = unit.clone().lower_elem(limit(&targets).recip());
    let bad = far.bool_or(thin).bool_or(small);
    let unit = unit.mask_fill(bad.clone(), 1.0);
    let sound = |boxes: Tensor<2>| boxes.mask_fill(bad.clone().expand([n, 5]), 1.0);
    let [p, g] = [predicted, targets].map(|boxes| Rotated::new(&sound(boxes), &unit, convention));

    let apart = |axis: usize| p.centre[axis].clone() - g.centre[axis].clone();
    let d = [0, 1].map(|axis| apart(axis).clamp(-FAR, FAR));
    let [wp, hp] = &p.size;
    let [wg, hg] = &g.size;
    let difference = |a: [&Tensor<2>; 2], b: [&Tensor<2>; 2]| a[0].clone() * a[1].clone() - b[0].clone() * b[1].clone();
    let areas = difference([wp, hp], [wg, hg]);
    let straight = difference([wp, hg], [hp, wg]) * dot(&p.turn, &g.turn);
    let turned = difference([wp, wg], [hp, hg]) * cross(&p.turn, &g.turn);
    let excess = areas.square() + straight.square() + turned.square();
    let product = wp.clone() * hp.clone() * wg.clone() * hg.clone() * 4.0;
    let form = divide(Guard::NONE, p.form(&d) + g.form(&d), product.clone() + excess.clone());
    let distance = form * 3.0 + divide(Guard::NONE, excess, product).log1p() * 0.5;
    hellinger(distance).mask_fill(bad, 1.0).reshape([n])
}

/// Sides below this part of the largest one are none: products of four of them, and their squares, must be numbers.
const LEAST_SIDE: f64 = 1e-8;

/// In units of the largest side, boxes so far apart have exp(-B) = 0.
const FAR: f64 = 30.0;

/// sqrt(1 - exp(-B)), with no slope at zero.
fn hellinger(distance: Tensor<2>) -> Tensor<2> {
    let number = distance.clone().detach();
    let part = (-number.clone()).exp();
    // 1 - exp(-B) without what is lost by subtraction.
    let value = ((number * 0.5).tanh() * (part.clone() + 1.0)).sqrt();
    let slope = divide(Guard::NONE, part * 0.5, value.clone());
    with_slopes(value, [(distance, slope)])
}

/// Rotated boxes, column by column, shape `[n, 1]`.
struct Rotated {
    centre: [Tensor<2>; 2],
    size: [Tensor<2>; 2],
    /// Cosine and sine of the angle.
    turn: [Tensor<2>; 2],
}

impl Rotated {
    fn new(boxes: &Tensor<2>, unit: &Tensor<2>, convention: AngleConvention) -> Self {
        let scaled = |index| column(boxes, index) / unit.clone();
        let angle = column(boxes, 4) * convention.scale();
        Self {
            centre: [scaled(0), scaled(1)],
            size: [scaled(2), scaled(3)],
            turn: [angle.clone().cos(), angle.sin()],
        }
    }

    /// w^2 (d v)^2 + h^2 (d u)^2.
    fn form(&self, d: &[Tensor<2>; 2]) -> Tensor<2> {
        let [w, h] = &self.size;
        (w.clone() * cross(&self.turn, d)).square() + (h.clone() * dot(&self.turn, d)).square()
    }
}

/// The product a b of two vectors, or of directions, the cosine between them.
fn dot(a: &[Tensor<2>; 2], b: &[Tensor<2>; 2]) -> Tensor<2> {
    a[0].clone() * b[0].clone() + a[1].clone() * b[1].clone()
}

/// The part of b across a, or of directions, the sine between them.
fn cross(a: &[Tensor<2>; 2], b: &[Tensor<2>; 2]) -> Tensor<2> {
    a[0].clone() * b[1].clone() - a[1].clone() * b[0].clone()
}
