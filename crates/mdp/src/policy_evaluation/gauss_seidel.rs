//! Gauss-Seidel policy evaluation: sweeps in place, so that a state uses the new values of those before it.

use super::chain::{Monitor, System};
use crate::error::MdpError;

/// Sweeps until the monitor is content. The first eight sweeps are each followed by a pass that measures the
/// residual, later ones every eighth, so that measuring costs little where many sweeps are needed.
pub(crate) fn solve(system: &System<'_>, values: &mut [f64], monitor: Monitor<'_>) -> Result<(), MdpError> {
    let inverse_diagonal = inverse_diagonal(system);
    let mut residuals = vec![0.0; values.len()];
    for iteration in 1.. {
        for state in 0..values.len() {
            let residual = system.right[state] + system.discount * system.expected(state, values) - values[state];
            values[state] += residual * inverse_diagonal[state];
        }
        if iteration <= 8 || iteration % 8 == 0 {
            let residual = system.residual(values, &mut residuals);
            if monitor(iteration, residual)? {
                break;
            }
        }
    }
    Ok(())
}

/// 1 / (1 - gamma P_ss) of each state: what it earns until it leaves is summed at once.
fn inverse_diagonal(system: &System<'_>) -> Vec<f64> {
    let of_state = |state: usize| {
        let (next, probability) = system.chain.row(state);
        let stay = next
            .binary_search(&(state as u32))
            .map_or(0.0, |place| probability[place]);
        1.0 / (1.0 - system.discount * stay)
    };
    (0..system.chain.states()).map(of_state).collect()
}
