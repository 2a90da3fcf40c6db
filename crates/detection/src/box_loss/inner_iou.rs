//! Inner IoU.

use burn::tensor::Tensor;
use etude_boxes::iou::{Inner, InnerIou};

use super::{Pair, TensorMetric};

/// The IoU of both boxes times a ratio about their centres.
impl TensorMetric for InnerIou {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        Pair::new(pair.p.resized(self.ratio), pair.g.resized(self.ratio)).iou(self.guard)
    }
}

/// metric - IoU + inner IoU.
impl<M: TensorMetric> TensorMetric for Inner<M> {
    fn value(&self, pair: &Pair) -> Tensor<2> {
        self.metric.value(pair) - pair.iou(self.inner.guard) + self.inner.value(pair)
    }
}
