//! The answer.

use super::Method;
use crate::action_values::ActionValues;
use crate::model::Model;

/// An optimal policy and its values, with their guarantee.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// The method used.
    pub method: Method,
    /// Why it was used.
    pub reason: String,
    /// The discount.
    pub discount: f64,
    /// v*(s), within `bound`, by state.
    pub values: Vec<f64>,
    /// One greedy action (index) for each state; 0 where the state is terminal.
    pub policy: Vec<u32>,
    /// Iterations of the method.
    pub iterations: usize,
    /// Passes over the transitions, of all actions or of one policy, that the iterations took.
    pub sweeps: usize,
    /// The sup norm of the Bellman residual, ||T v - v||, of the values before their last backup.
    pub residual: f64,
    /// A guaranteed bound on the sup norm of `values` - v*, rounding included.
    pub bound: f64,
    /// The residual iteration by iteration.
    pub history: Vec<f64>,
    /// Wall time.
    pub seconds: f64,
}

impl Solution {
    /// q*(s, a), within gamma times `bound`.
    pub fn action_values(&self, model: &impl Model) -> ActionValues {
        ActionValues::from_values(model, self.discount, &self.values)
    }

    /// The actions (indices) of `state` that may be optimal: those whose value lies within what the bound leaves open
    /// of the best. None that is optimal is missing; a tighter tolerance leaves out near ties.
    pub fn optimal_actions(&self, state: usize, action_values: &ActionValues) -> Vec<u32> {
        let q = action_values.of(state);
        let best = q.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Each of the two values is off by at most gamma times the bound, and by rounding.
        let margin = 2.0 * self.discount * self.bound + 64.0 * f64::EPSILON * best.abs();
        (0..)
            .zip(q)
            .filter(|&(_, &value)| value >= best - margin)
            .map(|(action, _)| action)
            .collect()
    }

    /// The factor by which the residual shrank from one iteration to the next, on (geometric) average over the
    /// iterations; at most gamma for value iteration. `None` where there were fewer than two.
    pub fn contraction(&self) -> Option<f64> {
        let (first, last) = (self.history.first()?, self.history.last()?);
        let steps = self.history.len() - 1;
        (steps > 0 && *first > 0.0).then(|| (last / first).powf(1.0 / steps as f64))
    }
}
