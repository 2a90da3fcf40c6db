//! Shape IoU.

use burn::tensor::Tensor;
use etude_boxes::iou::{Guard, ShapeIou};

use super::arithmetic::divide;
use super::siou::shape_cost;
use super::{Pair, TensorMetric};

/// IoU - (hh dx^2 + ww dy^2) / c^2 - S / 2.
impl TensorMetric for ShapeIou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        // ww and hh, and the other way around: each counts across its side.
        let powers = pair.target_size.clone().powf_scalar(self.scale);
        let whole = powers.clone().sum_dim(1).expand(powers.shape());
        let across = divide(Guard::NONE, powers, whole).flip([1]) * 2.0;
        let far = (pair.offset().square() * across.clone()).sum_dim(1);
        let distance = divide(self.guard, far, pair.hull().square().sum_dim(1));
        let shape = shape_cost(pair, Some(across), 4.0, self.guard).sum_dim(1);
        pair.iou(self.guard) - distance - shape * 0.5
    }
}
