//! Focal EIoU.

use super::{Eiou, Guard, Metric, Pair, Slopes};
use crate::Float;
use crate::exponential::power;

/// The loss IoU^gamma (1 - EIoU), so that pairs which fit well count more; the metric is 1 minus it. Zhang et al.,
/// "Focal and Efficient IOU Loss for Accurate Bounding Box Regression", 2021, equation 11.
///
#[doc = include_str!("../../docs/focal_eiou.svg")]
///
/// ```
/// use etude_boxes::iou::{Eiou, FocalEiou, Metric};
///
/// let (p, g) = ([0.0, 0.0, 10.0, 8.0], [0.0, 0.0, 10.0, 10.0]);
/// let (loss, _) = FocalEiou::default().loss_of(p, g);
/// let expected = 0.8_f64.sqrt() * (1.0 - Eiou::default().of(p, g));
/// assert!((loss - expected).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FocalEiou {
    /// The power of IoU: 0.5 in the paper. Positive.
    pub gamma: f64,
    /// Whether IoU^gamma has a gradient.
    pub weight: Weight,
    /// What is done to denominators.
    pub guard: Guard,
}

/// Whether a weight is differentiated with what it weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weight {
    /// It is a constant. (Else boxes that hardly meet are driven apart: the weight falls faster than the loss grows.)
    #[default]
    Constant,
    /// It has its gradient, as in ports that leave IoU attached.
    Differentiated,
}

impl Default for FocalEiou {
    fn default() -> Self {
        Self {
            gamma: 0.5,
            weight: Weight::default(),
            guard: Guard::default(),
        }
    }
}

impl<T: Float> Metric<T> for FocalEiou {
    #[inline(always)]
    fn least(&self) -> T {
        T::of(-3.0)
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let (iou, by_iou) = pair.iou(self.guard);
        let (eiou, by_eiou) = Eiou { guard: self.guard }.slopes(pair);
        let (weight, by_weight) = power(iou, T::of(self.gamma));
        let loss = T::one() - eiou;
        let mut slopes = by_eiou.times(weight);
        if self.weight == Weight::Differentiated {
            slopes.add(-loss * by_weight, &by_iou);
        }
        (T::one() - weight * loss, slopes)
    }
}
