//! The exact answer beside what has been learnt, in environments whose model is known.

use etude_mdp::{Mdp, Policy};

use crate::control::KnownControl;
use crate::error::RlError;
use crate::objectives::{KnownChain, Objectives};
use crate::tabular::TabularModel;

/// Values of all states: the exact ones, the learnt ones, and the share of time spent in each.
#[derive(Debug, Clone, PartialEq)]
pub struct Surface {
    /// v* where acting is learnt, v_pi where a policy is evaluated.
    pub exact: Vec<f64>,
    /// v^.
    pub learnt: Vec<f64>,
    /// The stationary distribution of the policy that is followed, with a new episode after each; none where it is not the
    /// only one.
    pub distribution: Option<Vec<f64>>,
    /// The errors by name, as they are logged.
    pub errors: Vec<(&'static str, f64)>,
}

/// A task whose model is known, and its optimum.
#[derive(Debug, Clone)]
pub struct KnownTask {
    model: TabularModel,
    mdp: Mdp,
    optimum: KnownControl,
    discount: f64,
}

impl KnownTask {
    /// Solves `model` exactly.
    ///
    /// # Errors
    /// With this discount it has no values.
    pub fn new(model: TabularModel, discount: f64) -> Result<Self, RlError> {
        let mdp = model.to_mdp()?;
        Ok(Self {
            optimum: KnownControl::new(&mdp, discount)?,
            mdp,
            model,
            discount,
        })
    }

    /// The model.
    pub fn model(&self) -> &TabularModel {
        &self.model
    }

    /// The chain of a policy in it, with a new episode after each.
    ///
    /// # Errors
    /// As [`KnownChain::with_restarts`].
    pub fn chain(&self, policy: &Policy) -> Result<KnownChain, RlError> {
        KnownChain::with_restarts(&self.mdp, policy, self.discount, self.model.first_states())
    }

    /// The policy that takes all actions alike.
    pub fn uniform(&self) -> Policy {
        Policy::uniform(&self.mdp)
    }

    /// Learnt action values beside the optimum. `q` writes q^(s, .); time is spent as the epsilon-greedy policy of q^ spends it.
    pub fn surface(&self, epsilon: f64, mut q: impl FnMut(usize, &mut [f64])) -> Surface {
        let (states, actions) = (self.model.states(), self.model.actions());
        let mut rows = vec![vec![0.0; actions]; states];
        for (state, row) in rows.iter_mut().enumerate() {
            q(state, row);
        }
        let best = |row: &[f64]| row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let probabilities: Vec<Vec<f64>> = (rows.iter())
            .map(|row| {
                let best = best(row);
                let ties = row.iter().filter(|&&value| value >= best).count() as f64;
                let greedy = |value: f64| if value >= best { (1.0 - epsilon) / ties } else { 0.0 };
                row.iter()
                    .map(|&value| epsilon / actions as f64 + greedy(value))
                    .collect()
            })
            .collect();
        // A greedy policy may have several long runs, of which none is the one.
        let distribution = Policy::stochastic(&self.mdp, &probabilities)
            .ok()
            .and_then(|policy| self.chain(&policy).ok())
            .map(|chain| chain.distribution().to_vec());
        let alike = vec![1.0 / states as f64; states];
        let weights = distribution.as_ref().unwrap_or(&alike);
        let errors = (self.optimum).errors(|state, values| values.copy_from_slice(&rows[state]), weights);
        let mut named = vec![
            ("truth/sup_error", errors.sup),
            ("truth/rmse", errors.rmse),
            ("truth/bellman_error", errors.bellman),
        ];
        if distribution.is_some() {
            named.push(("truth/weighted_rmse", errors.weighted_rmse));
        }
        Surface {
            exact: self.optimum.values().to_vec(),
            learnt: rows.iter().map(|row| best(row)).collect(),
            distribution,
            errors: named,
        }
    }
}

impl KnownTask {
    /// Learnt state values beside the exact ones of the policy with these probabilities, `[states][actions]`, and how far that policy is
    /// from the best. None where it has no single long run.
    pub fn policy_surface(&self, probabilities: &[Vec<f64>], learnt: Vec<f64>) -> Option<Surface> {
        let policy = Policy::stochastic(&self.mdp, probabilities).ok()?;
        let chain = self.chain(&policy).ok()?;
        let (exact, distribution) = (chain.values(), chain.distribution());
        let pairs = || exact.iter().zip(&learnt).map(|(v, w)| (v - w) * (v - w));
        let square: f64 = pairs().sum();
        let weighted: f64 = pairs().zip(distribution).map(|(square, share)| square * share).sum();
        let regret = self.optimum.values().iter().zip(&exact).map(|(best, v)| best - v);
        Some(Surface {
            errors: vec![
                ("truth/rmse", (square / exact.len() as f64).sqrt()),
                ("truth/weighted_rmse", weighted.sqrt()),
                ("truth/regret", regret.fold(0.0, f64::max)),
            ],
            distribution: Some(distribution.to_vec()),
            exact,
            learnt,
        })
    }
}

/// The values of a policy beside the learnt ones, with the three objectives.
pub(crate) fn evaluation_surface(chain: &KnownChain, learnt: Vec<f64>, objectives: Objectives) -> Surface {
    let exact = chain.values();
    let square: f64 = exact.iter().zip(&learnt).map(|(v, w)| (v - w) * (v - w)).sum();
    Surface {
        errors: vec![
            ("truth/rmse", (square / exact.len() as f64).sqrt()),
            ("truth/value_error", objectives.value_error),
            ("truth/bellman_error", objectives.bellman_error),
            ("truth/projected_bellman_error", objectives.projected_bellman_error),
        ],
        distribution: Some(chain.distribution().to_vec()),
        exact,
        learnt,
    }
}
