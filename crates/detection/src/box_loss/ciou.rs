//! Complete IoU.

use std::f64::consts::PI;

use burn::tensor::Tensor;
use etude_boxes::iou::{Alpha, Ciou, Diou, Guard};

use super::arithmetic::{column, divide, with_slopes};
use super::{Pair, TensorMetric};

/// DIoU - alpha v.
impl TensorMetric for Ciou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        let (iou, v) = (pair.iou(self.guard), aspect(pair));
        let alpha = match self.alpha {
            Alpha::Differentiated => weight(self.guard, iou, v.clone()),
            Alpha::Constant => weight(self.guard, iou.detach(), v.clone().detach()),
            Alpha::AboveHalf => {
                let low = iou.clone().detach().lower_equal_elem(0.5);
                weight(self.guard, iou.detach(), v.clone().detach()).mask_fill(low, 0.0)
            }
        };
        Diou { guard: self.guard }.value(pair) - alpha * v
    }
}

/// alpha = v / ((1 - IoU) + v).
pub(super) fn weight(guard: Guard, iou: Tensor<2>, v: Tensor<2>) -> Tensor<2> {
    divide(guard, v.clone(), (-iou + 1.0) + v)
}

/// v = 4 / pi^2 (arctan(wg / hg) - arctan(w / h))^2.
pub(super) fn aspect(pair: &Pair) -> Tensor<2> {
    (angle(&pair.target_size) - angle(&pair.size)).square() * (4.0 / (PI * PI))
}

/// arctan(w / h), zero for a box of no width.
fn angle(size: &Tensor<2>) -> Tensor<2> {
    let (w, h) = (column(size, 0), column(size, 1));
    let empty = w.clone().detach().equal_elem(0.0);
    let value = w.clone().detach().atan2(h.clone().detach()).mask_fill(empty, 0.0);
    let square = size.clone().detach().square().sum_dim(1);
    let by_w = divide(Guard::NONE, h.clone().detach(), square.clone());
    let by_h = divide(Guard::NONE, -w.clone().detach(), square);
    with_slopes(value, [(w, by_w), (h, by_h)])
}
