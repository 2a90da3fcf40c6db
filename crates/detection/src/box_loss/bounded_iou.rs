//! Bounded IoU.

use burn::tensor::Tensor;
use etude_boxes::iou::BoundedIou;

use super::arithmetic::{divide, positive_part, smaller};
use super::{Pair, TensorMetric};

/// 1 - the losses of the bounds of x, y, w and h.
impl TensorMetric for BoundedIou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        let (size, target) = (pair.size.clone(), pair.target_size.clone());
        let apart = pair.offset().abs() * 2.0;
        let centre = positive_part(divide(
            self.guard,
            target.clone() - apart.clone(),
            target.clone() + apart,
        ));
        let side = smaller(
            divide(self.guard, size.clone(), target.clone()),
            divide(self.guard, target, size),
        );
        let loss = smooth_l1(-centre + 1.0, self.beta) + smooth_l1(-side + 1.0, self.beta);
        -loss.sum_dim(1) + 1.0
    }
}

/// z^2 / (2 beta) below beta, z - beta / 2 above.
fn smooth_l1(z: Tensor<2>, beta: f64) -> Tensor<2> {
    let below = z.clone().lower_elem(beta);
    let straight = z.clone() - beta / 2.0;
    straight.mask_where(below, z.square() * (0.5 / beta))
}
