//! Finite horizon: backward induction (Puterman, section 4.5).

use crate::error::MdpError;
use crate::model::Model;
use crate::sweep;

/// Optimal values and policies with a given number of steps to go.
#[derive(Debug, Clone, PartialEq)]
pub struct FiniteHorizon {
    /// `values[t][s]`: the optimal expected return from state s with t steps to go; `values[0]` are the final values.
    pub values: Vec<Vec<f64>>,
    /// `policies[t][s]`: the first optimal action with t + 1 steps to go.
    pub policies: Vec<Vec<u32>>,
}

/// v_0 = `final_values`, v_{t+1} = T v_t, for `horizon` steps. Any discount in [0, 1] will do, since all returns are
/// finite sums.
///
/// # Errors
/// A discount out of range; final values that are not one finite number a state.
pub fn finite_horizon<M: Model>(
    model: &M,
    discount: f64,
    horizon: usize,
    final_values: &[f64],
) -> Result<FiniteHorizon, MdpError> {
    if !(0.0..=1.0).contains(&discount) {
        return Err(MdpError::Discount(discount));
    }
    if final_values.len() != model.states() || !final_values.iter().all(|value| value.is_finite()) {
        let found = format!("a list of {}", final_values.len());
        return Err(MdpError::Setting {
            name: "final values",
            found,
            expected: "one finite number for each state",
        });
    }
    let mut values = vec![final_values.to_vec()];
    let mut policies = Vec::with_capacity(horizon);
    for step in 0..horizon {
        let mut next = vec![0.0; model.states()];
        let mut policy = vec![0; model.states()];
        sweep::jacobi(model, discount, &values[step], &mut next, &mut policy);
        values.push(next);
        policies.push(policy);
    }
    Ok(FiniteHorizon { values, policies })
}
