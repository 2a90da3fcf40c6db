//! Guaranteed bounds on the error of values, from one Bellman backup.
//!
//! Let w = T v and let w - v lie in [low, high]. Then v* lies in w + gamma / (1 - gamma) [low, high] (MacQueen 1966;
//! Porteus 1971; Puterman 1994, section 6.6.2): T is monotone, T(v + c 1) = T v + gamma c 1, and the two are summed
//! over the iterates of T. Where an episode can end, some mass p(.|s, a) is lost on the way, which is as if one more
//! state had residual zero, so zero is joined to the interval. The same holds for T_pi and v_pi.

use crate::model::Model;

/// The unit roundoff of 64-bit arithmetic.
const UNIT_ROUNDOFF: f64 = f64::EPSILON / 2.0;

/// The range of a Bellman residual w - v over all states, with w = T v or T_pi v.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Residual {
    /// Its least entry.
    pub(crate) low: f64,
    /// Its greatest entry.
    pub(crate) high: f64,
    /// The greatest |v| and |w|.
    pub(crate) scale: f64,
}

impl Residual {
    /// The residual over no states.
    pub(crate) const NONE: Self = Self {
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
        scale: 0.0,
    };

    /// Joins the residual of one state.
    #[inline]
    pub(crate) fn join_state(&mut self, before: f64, after: f64) {
        let residual = after - before;
        self.low = self.low.min(residual);
        self.high = self.high.max(residual);
        self.scale = self.scale.max(before.abs()).max(after.abs());
    }

    /// The residual over the states of two slices of one length. Several states go side by side, since one minimum after
    /// another would hold up a sweep.
    pub(crate) fn between(before: &[f64], after: &[f64]) -> Self {
        const LANES: usize = 8;
        let (mut low, mut high, mut scale) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES], [0.0; LANES]);
        let (before, after) = (before.chunks_exact(LANES), after.chunks_exact(LANES));
        let rest = before.remainder().iter().zip(after.remainder());
        for (before, after) in before.zip(after) {
            for lane in 0..LANES {
                let residual = after[lane] - before[lane];
                let size = greater(after[lane].abs(), before[lane].abs());
                low[lane] = -greater(-residual, -low[lane]);
                high[lane] = greater(residual, high[lane]);
                scale[lane] = greater(size, scale[lane]);
            }
        }
        let mut all = Self::NONE;
        for ((low, high), scale) in low.into_iter().zip(high).zip(scale) {
            all = all.join(Self { low, high, scale });
        }
        for (before, after) in rest {
            all.join_state(*before, *after);
        }
        all
    }

    /// The residual over the states of both.
    pub(crate) fn join(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            scale: self.scale.max(other.scale),
        }
    }

    /// ||w - v|| in the sup norm.
    pub(crate) fn sup(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }
}

/// The greater of two numbers; `b` where either is not a number. One instruction, which `f64::max` is not.
#[inline]
fn greater(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// What turns a residual into a guaranteed bound, for one model and discount.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ErrorBound {
    discount: f64,
    /// 1 / (1 - gamma), or with gamma = 1 a bound on the expected steps to the end under any policy.
    horizon: f64,
    has_terminal: bool,
    max_successors: usize,
}

impl ErrorBound {
    /// For gamma < 1; with gamma = 1 give `longest_episode`.
    pub(crate) fn new(model: &impl Model, discount: f64, longest_episode: Option<f64>) -> Self {
        Self {
            discount,
            horizon: longest_episode.unwrap_or_else(|| 1.0 / (1.0 - discount)),
            has_terminal: model.has_terminal(),
            max_successors: model.max_successors(),
        }
    }

    /// Whether the model's episodes can end.
    pub(crate) fn has_terminal(&self) -> bool {
        self.has_terminal
    }

    /// The most successors of a state and action.
    pub(crate) fn max_successors(&self) -> usize {
        self.max_successors
    }

    /// Rounding error of one backup, relative to the greatest |v| and |w|: the sum of k products errs by at most k
    /// roundings, its product with gamma, the sum with r and the residual's difference by one each, and a row of
    /// probabilities sums to one within eight.
    fn backup_rounding(&self) -> f64 {
        (self.max_successors as f64 + 11.0) * UNIT_ROUNDOFF
    }

    /// The interval that v* - w lies in, rounding left aside.
    fn interval(&self, residual: Residual) -> (f64, f64) {
        if self.discount >= 1.0 {
            // |v* - w| <= ||P|| ||v* - v|| <= ||w - v|| horizon.
            let sup = residual.sup() * self.horizon;
            return (-sup, sup);
        }
        let (mut low, mut high) = (residual.low, residual.high);
        if self.has_terminal {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        let factor = self.discount * self.horizon;
        (factor * low, factor * high)
    }

    /// What rounding may add to the error, however small the residual.
    pub(crate) fn rounding(&self, residual: Residual) -> f64 {
        self.residual_rounding(residual) * self.horizon
    }

    /// By how much a residual may be off through rounding.
    pub(crate) fn residual_rounding(&self, residual: Residual) -> f64 {
        self.backup_rounding() * residual.scale
    }

    /// What rounding adds at least, whatever values come next: v* is no smaller than v less its error.
    pub(crate) fn unavoidable_rounding(&self, residual: Residual) -> f64 {
        let (low, high) = self.interval(residual);
        let scale = residual.scale - low.abs().max(high.abs()) - residual.sup();
        self.rounding(Residual {
            scale: scale.max(0.0),
            ..residual
        })
    }

    /// Whether a residual is no greater than its own rounding, where what all states share does not count if nothing ends.
    pub(crate) fn is_rounding(&self, residual: Residual) -> bool {
        let size = if self.has_terminal || self.discount >= 1.0 {
            residual.sup()
        } else {
            residual.high - residual.low
        };
        size <= self.residual_rounding(residual)
    }

    /// The constant to add to w that centres the interval, and the bound on |v* - w| after that. The constant is zero
    /// where the episode can end: there the values are anchored.
    pub(crate) fn centred(&self, residual: Residual) -> (f64, f64) {
        let (low, high) = self.interval(residual);
        let (shift, bound) = if self.has_terminal {
            (0.0, low.abs().max(high.abs()))
        } else {
            (f64::midpoint(low, high), (high - low) / 2.0)
        };
        // T (v + c 1) = T v + gamma c 1 holds only as far as probabilities sum to one, so the constant is rounded as well.
        let scale = residual.scale + shift.abs();
        let bound = bound + self.rounding(Residual { scale, ..residual });
        // Where numbers overflow nothing is known.
        if shift.is_finite() && bound.is_finite() {
            (shift, bound)
        } else {
            (0.0, f64::INFINITY)
        }
    }

    /// The sup norm of the residual at which the bound certainly meets `tolerance`.
    pub(crate) fn residual_target(&self, tolerance: f64) -> f64 {
        tolerance / (self.discount * self.horizon).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn side_by_side_as_one_after_another(states in prop::collection::vec((-1e3..1e3, -1e3..1e3), 0..40)) {
            let (before, after): (Vec<f64>, Vec<f64>) = states.into_iter().unzip();
            let mut expected = Residual::NONE;
            for (before, after) in before.iter().zip(&after) {
                expected.join_state(*before, *after);
            }
            prop_assert_eq!(Residual::between(&before, &after), expected);
        }
    }
}
