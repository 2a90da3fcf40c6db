//! Iterative policy evaluation: v_{k+1} = r_pi + gamma P_pi v_k, every state from the old values.

use super::chain::{Monitor, System};
use crate::error::MdpError;

/// Sweeps until the monitor is content. The error shrinks by gamma a sweep, or faster.
pub(crate) fn solve(system: &System<'_>, values: &mut Vec<f64>, monitor: Monitor<'_>) -> Result<(), MdpError> {
    let mut backed_up = vec![0.0; values.len()];
    for iteration in 1.. {
        let residual = system.backup(values, &mut backed_up);
        // What was just computed is a step closer than what the residual vouches for.
        std::mem::swap(values, &mut backed_up);
        if monitor(iteration, residual)? {
            break;
        }
    }
    Ok(())
}
