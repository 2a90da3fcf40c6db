//! How far an evaluation has come: when to stop, and what the answer is certain to be worth.

use super::chain::{Chain, Residual};
use super::horizon::Horizon;
use super::{EvaluationMethod, EvaluationOptions};
use crate::error::MdpError;
use crate::iteration::{Iteration, OnIteration};
use crate::model::Model;
use crate::policy::Policy;

/// Unit roundoff of 64-bit arithmetic, 2^-53.
const UNIT_ROUNDOFF: f64 = f64::EPSILON / 2.0;

/// How much of the tolerance a method is to use. The rest is for what the chain that it works on, whose entries are
/// rounded, and the model, by which the answer is certified, may differ.
const MARGIN: f64 = 0.9;

/// Rounding that takes so little of the tolerance is of no concern.
const NO_ROUNDING: f64 = 0.1;

/// A bound of which rounding is this much, and that no longer shrinks, is as good as rounding lets it be.
const SHARE_OF_ROUNDING: f64 = 0.2;

/// Residuals without a smaller one among them after which a method that stands at rounding is stuck.
const PATIENCE: usize = 64;

/// Watches a method from residual to residual, and certifies its answer.
pub(crate) struct Progress<'a> {
    method: EvaluationMethod,
    options: &'a EvaluationOptions,
    discount: f64,
    horizon: Horizon,
    rounding: Rounding,
    can_end: bool,
    on_iteration: OnIteration<'a>,
    /// The smallest truncation so far, and how many residuals ago it was.
    smallest: (f64, usize),
    pub(crate) iterations: usize,
    pub(crate) history: Vec<(usize, f64)>,
}

impl<'a> Progress<'a> {
    /// # Errors
    /// Where no residual, however small, bounds the error.
    pub(crate) fn new(
        model: &impl Model,
        policy: &Policy,
        chain: &Chain,
        discount: f64,
        method: EvaluationMethod,
        options: &'a EvaluationOptions,
        on_iteration: OnIteration<'a>,
    ) -> Result<Self, MdpError> {
        let mut horizon = Horizon::new(chain, discount);
        let rounding = Rounding::new(model, policy);
        // With gamma near 1 the sum of its powers is long, and values may be far from as large as it allows.
        let most_rounding = rounding.of(rounding.rewards * horizon.longest()) * horizon.longest();
        if discount < 1.0 && chain.can_end && most_rounding > NO_ROUNDING * options.tolerance {
            horizon.tighten(chain, discount);
        }
        if horizon.longest().is_infinite() {
            return Err(if discount >= 1.0 {
                MdpError::UnboundedEpisode
            } else {
                // The discount is within rounding of 1.
                MdpError::BelowRounding {
                    tolerance: options.tolerance,
                    rounding: f64::INFINITY,
                }
            });
        }
        Ok(Self {
            method,
            options,
            discount,
            horizon,
            rounding,
            can_end: chain.can_end,
            on_iteration,
            smallest: (f64::INFINITY, 0),
            iterations: 0,
            history: Vec::new(),
        })
    }

    /// Takes note of an iteration; true where the tolerance is reached.
    pub(crate) fn observe(&mut self, iteration: usize, residual: Residual) -> Result<bool, MdpError> {
        let (low, high) = self.horizon.error(residual, 0.0);
        // Where no episode ends, the middle of the interval is added in the end; see `certify`.
        let truncation = if self.can_end {
            high.max(-low)
        } else {
            0.5 * (high - low)
        };
        let rounding = self.rounding.of(residual.scale) * self.horizon.longest();
        let bound = truncation + rounding;
        self.iterations = iteration;
        self.history.push((iteration, residual.norm()));
        let report = Iteration {
            index: iteration,
            residual: residual.norm(),
            bound,
        };
        if (self.on_iteration)(report).is_break() {
            Err(MdpError::Interrupted(iteration))
        } else if bound <= MARGIN * self.options.tolerance {
            Ok(true)
        } else if self.is_rounding(truncation, rounding) {
            // Within the margin of the tolerance, the model decides.
            if bound <= self.options.tolerance {
                Ok(true)
            } else {
                Err(self.below_rounding(bound))
            }
        } else if iteration >= self.options.max_iterations || residual.norm().is_infinite() {
            // From an overflow no method recovers.
            Err(self.not_converged(bound))
        } else {
            Ok(false)
        }
    }

    /// The residual of the answer and the guaranteed bound on its error, from the model and the policy themselves and
    /// from nothing that a method made.
    ///
    /// Where no episode ends, a constant c added to all values changes the residual by -(1 - gamma) c everywhere; so
    /// the values are first moved to the middle of the interval in which v_pi is certain to lie (MacQueen, 1966).
    pub(crate) fn certify(
        &self,
        model: &impl Model,
        policy: &Policy,
        values: &mut [f64],
    ) -> Result<(f64, f64), MdpError> {
        if !self.can_end {
            let residual = bellman_residual(model, policy, self.discount, values);
            let (low, high) = self.horizon.error(residual, 0.0);
            for value in &mut *values {
                *value += 0.5 * (low + high);
            }
        }
        let residual = bellman_residual(model, policy, self.discount, values);
        let (low, high) = self.horizon.error(residual, self.rounding.of(residual.scale));
        let bound = high.max(-low);
        if bound <= self.options.tolerance {
            Ok((residual.norm(), bound))
        } else if self.rounding.of(residual.scale) * self.horizon.longest() >= SHARE_OF_ROUNDING * bound {
            Err(self.below_rounding(bound))
        } else if self.iterations < self.options.max_iterations && bound.is_finite() {
            Err(MdpError::Stalled {
                method: self.method.name(),
                iterations: self.iterations,
                bound,
                tolerance: self.options.tolerance,
            })
        } else {
            Err(self.not_converged(bound))
        }
    }

    /// Whether what keeps the bound from the tolerance is rounding: sweeping on would change nothing, or nearly so.
    fn is_rounding(&mut self, truncation: f64, rounding: f64) -> bool {
        if truncation < self.smallest.0 {
            self.smallest = (truncation, 0);
        } else {
            self.smallest.1 += 1;
        }
        let stuck = self.smallest.1 >= PATIENCE && truncation * SHARE_OF_ROUNDING <= rounding;
        let hopeless = rounding > self.options.tolerance && truncation <= 2.0 * rounding;
        stuck || hopeless || truncation <= 0.5 * rounding
    }

    fn below_rounding(&self, rounding: f64) -> MdpError {
        MdpError::BelowRounding {
            tolerance: self.options.tolerance,
            rounding,
        }
    }

    fn not_converged(&self, bound: f64) -> MdpError {
        MdpError::NotConverged {
            method: self.method.name(),
            iterations: self.iterations,
            bound,
            tolerance: self.options.tolerance,
        }
    }
}

/// T_pi v - v over all states.
fn bellman_residual(model: &impl Model, policy: &Policy, discount: f64, values: &[f64]) -> Residual {
    Residual::over_blocks(values, |first, extremes, block| {
        for (state, &value) in (first..).zip(block) {
            let mut backed_up = 0.0;
            policy.for_each(state, |action, probability| {
                backed_up += probability * model.action_value(state, action, discount, values);
            });
            extremes.include(backed_up - value, value);
        }
    })
}

/// How far rounding can move an entry of T v - v.
///
/// A sum of k products errs, to first order, by at most k u times the sum of their absolute values. The backup of a
/// state is such a sum over successors within one over actions, and three more operations, of which the difference with
/// v may be twice as large as the others; one more is for the second order.
#[derive(Debug, Clone, Copy)]
struct Rounding {
    operations: usize,
    /// The largest |r(s, a)|.
    rewards: f64,
}

impl Rounding {
    fn new(model: &impl Model, policy: &Policy) -> Self {
        let (mut most_actions, mut rewards) = (0, 0.0_f64);
        for state in 0..model.states() {
            let mut actions = 0;
            policy.for_each(state, |action, _| {
                actions += 1;
                rewards = rewards.max(model.reward(state, action).abs());
            });
            most_actions = most_actions.max(actions);
        }
        Self {
            operations: model.max_successors() + most_actions + 5,
            rewards,
        }
    }

    /// For values of size up to `scale`.
    fn of(&self, scale: f64) -> f64 {
        self.operations as f64 * UNIT_ROUNDOFF * (self.rewards + scale)
    }
}
