//! What the formulas are made of, with the slopes of `crates/boxes`: means at kinks, and none where there is no number.
//!
//! Autodiff's own rules will not do. Its quotient has the square of the denominator in its slope, which is zero for
//! boxes that are small and still good ones; its maximum takes one side of a kink.

use burn::tensor::{DType, Tensor};
use etude_boxes::iou::Guard;

/// A function with known slopes: `value`, and for each argument the slope by it. One that is too large for a number
/// counts as zero.
pub(super) fn with_slopes<const N: usize>(value: Tensor<2>, slopes: [(Tensor<2>, Tensor<2>); N]) -> Tensor<2> {
    slopes.into_iter().fold(value.detach(), |value, (argument, slope)| {
        if argument.is_tracked() {
            // The difference is zero, and so is what is added.
            let moved = argument.clone() - argument.detach();
            let slope = slope.detach();
            let infinite = slope.clone().is_finite().bool_not();
            value + slope.mask_fill(infinite, 0.0) * moved
        } else {
            value
        }
    })
}

/// numerator / denominator, zero where the denominator is. Both have the same shape.
pub(super) fn divide(guard: Guard, numerator: Tensor<2>, denominator: Tensor<2>) -> Tensor<2> {
    let raised = denominator + guard.added;
    let divisor = if guard.floor > 0.0 {
        let floor = raised.full_like(guard.floor);
        larger(raised, floor)
    } else {
        raised
    };
    let least = match divisor.dtype() {
        DType::F64 => f64::MIN_POSITIVE,
        _ => f32::MIN_POSITIVE.into(),
    };
    let none = divisor.clone().detach().greater_equal_elem(least).bool_not();
    let safe = divisor.clone().detach().mask_fill(none.clone(), 1.0);
    let value = (numerator.clone().detach() / safe.clone()).mask_fill(none.clone(), 0.0);
    let inverse = safe.recip().mask_fill(none, 0.0);
    let by_divisor = -value.clone() * inverse.clone();
    with_slopes(value, [(numerator, inverse), (divisor, by_divisor)])
}

/// x^exponent for x >= 0, with no slope at zero.
pub(super) fn power(x: Tensor<2>, exponent: f64) -> Tensor<2> {
    let number = x.clone().detach();
    let value = number.clone().powf_scalar(exponent);
    let slope = divide(Guard::NONE, value.clone() * exponent, number);
    with_slopes(value, [(x, slope)])
}

/// The larger one.
pub(super) fn larger(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let (less, at_most) = (a.clone().lower(b.clone()), a.clone().lower_equal(b.clone()));
    (a.clone().mask_where(less, b.clone()) + a.mask_where(at_most, b)) * 0.5
}

/// The smaller one.
pub(super) fn smaller(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let (more, at_least) = (a.clone().greater(b.clone()), a.clone().greater_equal(b.clone()));
    (a.clone().mask_where(more, b.clone()) + a.mask_where(at_least, b)) * 0.5
}

/// Itself, or zero for what is negative.
pub(super) fn positive_part(x: Tensor<2>) -> Tensor<2> {
    let (less, at_most) = (x.clone().lower_elem(0.0), x.clone().lower_equal_elem(0.0));
    (x.clone().mask_fill(less, 0.0) + x.mask_fill(at_most, 0.0)) * 0.5
}

/// The product of the two columns, shape `[n, 1]` of `[n, 2]`.
pub(super) fn product(x: &Tensor<2>) -> Tensor<2> {
    column(x, 0) * column(x, 1)
}

/// One column, shape `[n, 1]`.
pub(super) fn column(x: &Tensor<2>, index: usize) -> Tensor<2> {
    x.clone().narrow(1, index, 1)
}
