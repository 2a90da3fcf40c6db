//! How far learnt action values are from the optimum, where the model is known.

use etude_mdp::optimal::{SolveOptions, solve};
use etude_mdp::{ActionValues as ExactValues, Mdp, Model, silent};

use super::epsilon_greedy::greatest;
use crate::error::RlError;

/// The optimum of a model, solved exactly: v* and q*, within 1e-9.
#[derive(Debug, Clone)]
pub struct KnownControl {
    model: Mdp,
    discount: f64,
    values: Vec<f64>,
    action_values: ExactValues,
}

/// How far learnt action values q^ are from the optimum. States without actions do not count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ControlErrors {
    /// The greatest difference of max over a of q^(s, a) and v*(s).
    pub sup: f64,
    /// The root of the mean square of that difference, all states alike.
    pub rmse: f64,
    /// The same, each state weighted by its share of the time.
    pub weighted_rmse: f64,
    /// The greatest Bellman optimality error: of r + gamma sum p(s'|s, a) max over a' of q^(s', a') - q^(s, a).
    pub bellman: f64,
}

impl KnownControl {
    /// Solves `model`.
    ///
    /// # Errors
    /// What [`solve`] reports.
    pub fn new(model: &impl Model, discount: f64) -> Result<Self, RlError> {
        let model = Mdp::store(model)?;
        let solution = solve(&model, discount, &SolveOptions::default(), &mut silent)?;
        Ok(Self {
            action_values: solution.action_values(&model),
            values: solution.values,
            discount,
            model,
        })
    }

    /// v*.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// q*.
    pub fn action_values(&self) -> &ExactValues {
        &self.action_values
    }

    /// The errors of `learnt`, which writes q^(s, .) of a state; `distribution` says how much of the time is spent in each.
    pub fn errors(&self, mut learnt: impl FnMut(usize, &mut [f64]), distribution: &[f64]) -> ControlErrors {
        let states = self.values.len();
        let actions = (0..states).map(|state| self.model.actions(state)).max().unwrap_or(0);
        let mut table = vec![0.0; states * actions];
        for state in 0..states {
            learnt(state, &mut table[state * actions..][..actions]);
        }
        // A model may have fewer actions in some states.
        let of = |state: usize| &table[state * actions..][..self.model.actions(state)];
        let best: Vec<f64> = (0..states)
            .map(|state| if of(state).is_empty() { 0.0 } else { greatest(of(state)) })
            .collect();
        let mut errors = ControlErrors {
            sup: 0.0,
            rmse: 0.0,
            weighted_rmse: 0.0,
            bellman: 0.0,
        };
        let (mut count, mut weight) = (0.0, 0.0);
        for state in (0..states).filter(|&state| !of(state).is_empty()) {
            let error = best[state] - self.values[state];
            errors.sup = worse(errors.sup, error.abs());
            errors.rmse += error * error;
            errors.weighted_rmse += distribution[state] * error * error;
            count += 1.0;
            weight += distribution[state];
            for (action, learnt) in of(state).iter().enumerate() {
                let backed_up = self.model.action_value(state, action, self.discount, &best);
                errors.bellman = worse(errors.bellman, (backed_up - learnt).abs());
            }
        }
        errors.rmse = (errors.rmse / count).sqrt();
        errors.weighted_rmse = (errors.weighted_rmse / weight).sqrt();
        errors
    }
}

/// The greater of two errors. One that is no number is the worst of all, where `f64::max` would overlook it.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b <= a { a } else { b }
}
