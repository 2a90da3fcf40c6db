//! Alpha-IoU and its forms with a penalty.

use burn::tensor::Tensor;
use etude_boxes::iou::{AlphaIou, AlphaPenalty};

use super::arithmetic::{positive_part, power};
use super::ciou::{aspect, weight};
use super::{Pair, TensorMetric};

/// IoU^alpha - penalty^alpha, term by term.
impl TensorMetric for AlphaIou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        let iou = pair.iou(self.guard);
        // Rounding can leave a difference of areas just below zero.
        let term = |term: Tensor<2>| power(positive_part(term), self.alpha);
        let distance = || term(pair.centre_distance(&pair.hull(), self.guard));
        let value = power(iou.clone(), self.alpha);
        match self.penalty {
            AlphaPenalty::None => value,
            AlphaPenalty::Giou => value - term(pair.empty_part(self.guard)),
            AlphaPenalty::Diou => value - distance(),
            AlphaPenalty::Ciou => {
                let v = aspect(pair);
                let beta = weight(self.guard, iou.detach(), v.clone().detach());
                value - distance() - term(beta * v)
            }
        }
    }
}
