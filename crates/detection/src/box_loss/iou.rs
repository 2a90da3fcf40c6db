//! Intersection over union.

use burn::tensor::Tensor;
use etude_boxes::iou::Iou;

use super::{Pair, TensorMetric};

/// I / U.
impl TensorMetric for Iou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        pair.iou(self.guard)
    }
}
