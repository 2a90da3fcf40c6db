//! Focal EIoU.

use burn::tensor::Tensor;
use etude_boxes::iou::{Eiou, FocalEiou, Weight};

use super::arithmetic::power;
use super::{Pair, TensorMetric};

/// 1 - IoU^gamma (1 - EIoU).
impl TensorMetric for FocalEiou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        let weight = power(pair.iou(self.guard), self.gamma);
        let weight = match self.weight {
            Weight::Constant => weight.detach(),
            Weight::Differentiated => weight,
        };
        let loss = -Eiou { guard: self.guard }.value(pair) + 1.0;
        -(weight * loss) + 1.0
    }
}
