//! Minimum point distance IoU.

use burn::tensor::Tensor;
use etude_boxes::iou::Mpdiou;

use super::arithmetic::divide;
use super::{Pair, TensorMetric};

/// IoU - d1^2 / D^2 - d2^2 / D^2.
impl TensorMetric for Mpdiou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        let Pair { p, g, .. } = pair;
        let squared = |a: &Tensor<2>, b: &Tensor<2>| (a.clone() - b.clone()).square().sum_dim(1);
        let (first, second) = (squared(&p.first, &g.first), squared(&p.second, &g.second));
        let diagonal = first.full_like(self.width * self.width + self.height * self.height);
        let iou = pair.iou(self.guard);
        iou - divide(self.guard, first, diagonal.clone()) - divide(self.guard, second, diagonal)
    }
}
