//! Efficient IoU.

use burn::tensor::Tensor;
use etude_boxes::iou::Eiou;

use super::arithmetic::divide;
use super::{Pair, TensorMetric};

/// DIoU - (w - wg)^2 / cw^2 - (h - hg)^2 / ch^2.
impl TensorMetric for Eiou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        let hull = pair.hull();
        let distance = pair.centre_distance(&hull, self.guard);
        let difference = pair.size.clone() - pair.target_size.clone();
        let shape = divide(self.guard, difference.square(), hull.square()).sum_dim(1);
        pair.iou(self.guard) - distance - shape
    }
}
