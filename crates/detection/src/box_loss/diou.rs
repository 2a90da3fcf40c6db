//! Distance IoU.

use burn::tensor::Tensor;
use etude_boxes::iou::Diou;

use super::{Pair, TensorMetric};

/// IoU - d^2 / c^2.
impl TensorMetric for Diou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        pair.iou(self.guard) - pair.centre_distance(&pair.hull(), self.guard)
    }
}
