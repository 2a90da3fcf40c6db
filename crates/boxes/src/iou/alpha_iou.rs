//! Alpha-IoU and its forms with a penalty.

use super::ciou::aspect;
use super::{Guard, Metric, Pair, Slopes};
use crate::Float;
use crate::exponential::power;

/// IoU^alpha - penalty^alpha, term by term. He et al., "Alpha-IoU: A Family of Power Intersection over Union Losses for
/// Bounding Box Regression", NeurIPS 2021, equation 4. With alpha above 1, pairs that fit well count more.
///
#[doc = include_str!("../../docs/alpha_iou.svg")]
///
/// ```
/// use etude_boxes::iou::{AlphaIou, Metric};
///
/// let cubed: f64 = AlphaIou::default().of([0.0, 0.0, 10.0, 8.0], [0.0, 0.0, 10.0, 10.0]);
/// assert!((cubed - 0.512).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlphaIou {
    /// The power: 3 in the paper. Positive.
    pub alpha: f64,
    /// What else there is beside IoU.
    pub penalty: AlphaPenalty,
    /// What is done to denominators.
    pub guard: Guard,
}

/// The penalty of an [`AlphaIou`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AlphaPenalty {
    /// None: IoU^alpha.
    #[default]
    None,
    /// That of GIoU: ((C - U) / C)^alpha.
    Giou,
    /// That of DIoU: (d^2 / c^2)^alpha.
    Diou,
    /// Both of CIoU: (d^2 / c^2)^alpha + (beta v)^alpha, where beta = v / ((1 - IoU) + v) is a constant for the
    /// gradient.
    Ciou,
}

impl Default for AlphaIou {
    fn default() -> Self {
        Self {
            alpha: 3.0,
            penalty: AlphaPenalty::default(),
            guard: Guard::default(),
        }
    }
}

impl<T: Float> Metric<T> for AlphaIou {
    const ANGLES: bool = true;

    #[inline(always)]
    fn least(&self) -> T {
        match self.penalty {
            AlphaPenalty::None => T::zero(),
            AlphaPenalty::Giou | AlphaPenalty::Diou => -T::one(),
            AlphaPenalty::Ciou => T::of(-2.0),
        }
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let alpha = T::of(self.alpha);
        let (iou, by_iou) = pair.iou(self.guard);
        let (mut value, by) = power(iou, alpha);
        let mut slopes = by_iou.times(by);
        let mut subtract = |(term, by_term): (T, Slopes<T>)| {
            // Rounding can leave a difference of areas just below zero.
            let (power, by) = power(term.positive_part(), alpha);
            value = value - power;
            slopes.add(-by, &by_term);
        };
        match self.penalty {
            AlphaPenalty::None => {}
            AlphaPenalty::Giou => subtract(pair.empty_part(self.guard)),
            AlphaPenalty::Diou => subtract(pair.centre_distance(self.guard)),
            AlphaPenalty::Ciou => {
                subtract(pair.centre_distance(self.guard));
                let (v, by_v) = aspect(pair);
                let beta = self.guard.divide(v, (T::one() - iou) + v).value;
                subtract((beta * v, by_v.times(beta)));
            }
        }
        (value, slopes)
    }
}
