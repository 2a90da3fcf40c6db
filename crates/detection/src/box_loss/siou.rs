//! SIoU.

use burn::tensor::Tensor;
use etude_boxes::iou::{Exponent, Guard, Siou};

use super::arithmetic::{divide, larger, power, product, with_slopes};
use super::{Pair, TensorMetric};

/// IoU - (D + S) / 2.
impl TensorMetric for Siou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        let sign = match self.exponent {
            Exponent::Negative => -1.0,
            Exponent::Positive => 1.0,
        };
        let offset = pair.offset();
        // Cosine and sine of the angle between the line of the centres and the axes.
        let distance = length(&offset).expand(offset.shape());
        let turn = divide(self.guard, offset.clone().abs(), distance);
        let gamma = -(product(&turn) * 2.0) + 2.0;
        let far = divide(self.guard, offset, pair.hull()).square();
        let near = (far * gamma * sign).exp();
        let cost = (-near + 1.0) + shape_cost(pair, None, self.theta, self.guard);
        pair.iou(self.guard) - cost.sum_dim(1) * 0.5
    }
}

/// (1 - exp(-factor |size - target| / max(size, target)))^theta for width and height, with factor 1 where none is
/// given.
pub(super) fn shape_cost(pair: &Pair, factor: Option<Tensor<2>>, theta: f64, guard: Guard) -> Tensor<2> {
    let (size, target) = (pair.size.clone(), pair.target_size.clone());
    let part = divide(guard, (size.clone() - target.clone()).abs(), larger(size, target));
    let part = match factor {
        Some(factor) => part * factor,
        None => part,
    };
    power(-(-part).exp() + 1.0, theta)
}

/// The length of each vector, shape `[n, 1]` of `[n, 2]`.
fn length(vectors: &Tensor<2>) -> Tensor<2> {
    let value = vectors.clone().detach().square().sum_dim(1).sqrt();
    let by_vector = divide(
        Guard::NONE,
        vectors.clone().detach(),
        value.clone().expand(vectors.shape()),
    );
    let [x, y] = [0, 1].map(|axis| {
        let column = |tensor: &Tensor<2>| tensor.clone().narrow(1, axis, 1);
        (column(vectors), column(&by_vector))
    });
    with_slopes(value, [x, y])
}
