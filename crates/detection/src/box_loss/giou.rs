//! Generalised IoU.

use burn::tensor::Tensor;
use etude_boxes::iou::Giou;

use super::{Pair, TensorMetric};

/// IoU - (C - U) / C.
impl TensorMetric for Giou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        pair.iou(self.guard) - pair.empty_part(self.guard)
    }
}
