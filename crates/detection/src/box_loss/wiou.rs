//! Wise IoU.

use burn::tensor::Tensor;
use etude_boxes::iou::{Wiou, WiouFocus};

use super::{Pair, TensorMetric};

/// 1 - r exp(d^2 / c^2) (1 - IoU), with c^2 and r constants. The running mean of versions 2 and 3 is that of
/// [`RunningMean`](etude_boxes::iou::RunningMean), which the caller updates with the mean of
/// [`box_loss`](super::box_loss) by [`Iou`](etude_boxes::iou::Iou).
impl TensorMetric for Wiou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        let loss = -pair.iou(self.guard) + 1.0;
        let distance = pair.centre_distance(&pair.hull().detach(), self.guard);
        let weighted = distance.exp() * loss.clone();
        let loss = loss.detach();
        let weighted = match self.focus {
            WiouFocus::V1 => weighted,
            WiouFocus::V2 { gamma, mean } => weighted * (loss / mean).powf_scalar(gamma),
            WiouFocus::V3 { alpha, delta, mean } => {
                let outlier = loss / mean;
                let decay = ((-outlier.clone() + delta) * alpha.ln()).exp();
                weighted * (outlier * decay / delta)
            }
        };
        -weighted + 1.0
    }
}
