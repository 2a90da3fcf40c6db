//! Inner IoU.

use super::pair::resize_weights;
use super::{Guard, Iou, Metric, Pair, Slopes};
use crate::Float;

/// The IoU of both boxes shrunk, or grown, to `ratio` times their size about their own centres. Zhang, Xu and Zhang,
/// "Inner-IoU: More Effective Intersection over Union Loss with Auxiliary Bounding Box", 2023. A ratio below 1 sharpens
/// the gradient of pairs that fit well, one above 1 reaches pairs that do not meet.
///
#[doc = include_str!("../../docs/inner_iou.svg")]
///
/// ```
/// use etude_boxes::iou::{InnerIou, Metric};
///
/// let inner: f64 = InnerIou::new(0.75).of([50.0, 50.0, 150.0, 150.0], [60.0, 40.0, 180.0, 120.0]);
/// assert!((inner - 0.368503).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InnerIou {
    /// By what sizes are multiplied: 0.5 to 1.5 in the paper. Positive.
    pub ratio: f64,
    /// What is done to the denominator.
    pub guard: Guard,
}

impl InnerIou {
    /// With this ratio.
    pub fn new(ratio: f64) -> Self {
        let guard = Guard::default();
        Self { ratio, guard }
    }
}

impl<T: Float> Metric<T> for InnerIou {
    #[inline(always)]
    fn least(&self) -> T {
        T::zero()
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let ratio = T::of(self.ratio);
        let inner = Pair::new(pair.p.resized(ratio), pair.g.resized(ratio));
        let (iou, by) = inner.iou(self.guard);
        let [x1, y1, x2, y2] = inner.pull_back(&by);
        let (near, far) = resize_weights(ratio);
        let slopes = Slopes {
            corners: [
                near * x1 + far * x2,
                near * y1 + far * y2,
                far * x1 + near * x2,
                far * y1 + near * y2,
            ],
            ..Slopes::default()
        };
        (iou, slopes)
    }
}

/// Another metric with IoU replaced by [`InnerIou`]: metric - IoU + inner IoU, so that the loss is L + IoU - inner IoU,
/// as in the paper's Inner-CIoU and Inner-SIoU.
///
/// ```
/// use etude_boxes::iou::{Ciou, Inner, InnerIou, Iou, Metric};
///
/// let (p, g) = ([50.0, 50.0, 150.0, 150.0], [60.0, 40.0, 180.0, 120.0]);
/// let inner = InnerIou::new(0.75);
/// let inner_ciou: f64 = Inner { metric: Ciou::default(), inner }.of(p, g);
/// let expected = Ciou::default().of(p, g) - Iou::default().of(p, g) + inner.of(p, g);
/// assert!((inner_ciou - expected).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inner<M> {
    /// The metric that holds an IoU.
    pub metric: M,
    /// What takes its place.
    pub inner: InnerIou,
}

impl<T: Float, M: Metric<T>> Metric<T> for Inner<M> {
    const ANGLES: bool = M::ANGLES;

    #[inline(always)]
    fn least(&self) -> T {
        self.metric.least() - T::one()
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let (metric, mut slopes) = self.metric.slopes(pair);
        let (iou, by_iou) = Iou {
            guard: self.inner.guard,
        }
        .slopes(pair);
        let (inner, by_inner) = self.inner.slopes(pair);
        slopes.add(-T::one(), &by_iou);
        slopes.add(T::one(), &by_inner);
        (metric - iou + inner, slopes)
    }
}
