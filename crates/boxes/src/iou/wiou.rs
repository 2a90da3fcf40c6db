//! Wise IoU.

use super::{Guard, Metric, Pair, Slopes};
use crate::Float;
use crate::exponential::{exp, power};

/// The loss r exp(d^2 / c^2) (1 - IoU), where c^2 and r are constants for the gradient; the metric is 1 minus it. Tong
/// et al., "Wise-IoU: Bounding Box Regression Loss with Dynamic Focusing Mechanism", 2023. Versions 2 and 3 compare the
/// loss 1 - IoU with its mean over recent batches, a [`RunningMean`] that the caller keeps.
///
#[doc = include_str!("../../docs/wiou.svg")]
///
/// ```
/// use etude_boxes::iou::{Metric, RunningMean, Wiou, WiouFocus};
///
/// let (p, g) = ([0.0, 0.0, 10.0, 8.0], [0.0, 0.0, 10.0, 10.0]);
/// let (first, _): (f64, _) = Wiou::default().loss_of(p, g);
/// assert!((first - 0.201003).abs() < 1e-6);
///
/// let mut mean = RunningMean::new(7000);
/// mean.update(0.4); // the mean of 1 - IoU in this batch
/// let focus = WiouFocus::V3 { alpha: 1.9, delta: 3.0, mean: mean.value() };
/// let (third, _): (f64, _) = Wiou { focus, ..Wiou::default() }.loss_of(p, g);
/// assert!(third < first); // such a pair is better than most, and counts less than an ordinary one
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wiou {
    /// The factor r.
    pub focus: WiouFocus,
    /// What is done to denominators.
    pub guard: Guard,
}

/// How much a pair counts in [`Wiou`], with b = (1 - IoU) / mean, a constant for the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum WiouFocus {
    /// Version 1: r = 1.
    #[default]
    V1,
    /// Version 2: r = b^gamma, so that pairs which fit badly count more.
    V2 {
        /// The power: 0.5 in the paper.
        gamma: f64,
        /// The mean of 1 - IoU over recent batches. Positive.
        mean: f64,
    },
    /// Version 3: r = b / (delta alpha^(b - delta)), so that ordinary pairs count most.
    V3 {
        /// 1.9 in the paper. Above 1.
        alpha: f64,
        /// The b at which r is 1: 3 in the paper.
        delta: f64,
        /// The mean of 1 - IoU over recent batches. Positive.
        mean: f64,
    },
}

impl WiouFocus {
    /// The factor r of a pair with this loss 1 - IoU.
    #[inline(always)]
    fn factor<T: Float>(self, loss: T) -> T {
        match self {
            Self::V1 => T::one(),
            Self::V2 { gamma, mean } => power(loss / T::of(mean), T::of(gamma)).0,
            Self::V3 { alpha, delta, mean } => {
                let outlier = loss / T::of(mean);
                outlier / (T::of(delta) * power(T::of(alpha), outlier - T::of(delta)).0)
            }
        }
    }
}

impl<T: Float> Metric<T> for Wiou {
    /// 1 - e r, with the largest r there is.
    #[inline(always)]
    fn least(&self) -> T {
        let largest = match self.focus {
            // r grows up to b = 1 / ln(alpha).
            WiouFocus::V3 { alpha, mean, .. } => T::one().smaller(T::of(mean / alpha.ln())),
            _ => T::one(),
        };
        (T::one() - exp(T::one()) * self.focus.factor(largest)).or_zero()
    }

    #[inline(always)]
    fn slopes(&self, pair: &Pair<T>) -> (T, Slopes<T>) {
        let (iou, by_iou) = pair.iou(self.guard);
        let (distance, by_distance) = pair.centre_distance(self.guard);
        let loss = T::one() - iou;
        let factor = self.focus.factor(loss) * exp(distance);
        let mut slopes = by_iou.times(factor);
        let far = -factor * loss;
        slopes.dx = slopes.dx + far * by_distance.dx;
        slopes.dy = slopes.dy + far * by_distance.dy;
        (T::one() - factor * loss, slopes)
    }
}

/// The mean of 1 - IoU over recent batches: m <- (1 - momentum) m + momentum (mean of the batch), from m = 1 on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunningMean {
    mean: f64,
    momentum: f64,
}

impl RunningMean {
    /// A mean in which half of what was is gone after so many updates: momentum = 1 - 0.5^(1 / updates). The authors'
    /// code has 7000.
    ///
    /// ```
    /// use etude_boxes::iou::RunningMean;
    ///
    /// let mut mean = RunningMean::new(10);
    /// (0..10).for_each(|_| mean.update(0.0));
    /// assert!((mean.value() - 0.5).abs() < 1e-12);
    /// ```
    pub fn new(updates: u32) -> Self {
        let momentum = 1.0 - 0.5_f64.powf(1.0 / f64::from(updates.max(1)));
        Self { mean: 1.0, momentum }
    }

    /// Takes in the mean of 1 - IoU of one batch. One that is no number is left out, and one that is not between 0 and
    /// 1 counts as the nearer of the two.
    pub fn update(&mut self, mean: f64) {
        if mean.is_finite() {
            self.mean += self.momentum * (mean.clamp(0.0, 1.0) - self.mean);
        }
    }

    /// The mean so far.
    pub fn value(&self) -> f64 {
        self.mean
    }
}
