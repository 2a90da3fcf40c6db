//! Gauss-Seidel policy evaluation: sweeps in place, so that a state uses the new values of those before it.

use super::chain::{Chain, Monitor, System};
use crate::error::MdpError;

/// Sweeps until the monitor is content. The first eight sweeps are each followed by a pass that measures the
/// residual, later ones every eighth, so that measuring costs little where many sweeps are needed.
///
/// Where episodes never end, a constant passes through P unchanged, and sweeps are slow to take it out of the error.
/// The residual tells it (MacQueen, 1966), and it is added after each measurement.
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
            if !system.chain.can_end {
                let constant = 0.5 * (residual.low + residual.high) / (1.0 - system.discount);
                values.iter_mut().for_each(|value| *value += constant);
            }
        }
    }
    Ok(())
}

/// 1 / (1 - gamma P_ss) of each state: what it earns until it leaves is summed at once.
fn inverse_diagonal(system: &System<'_>) -> Vec<f64> {
    let of_state = |state: usize| {
        let (next, probability) = system.chain.row(state);
        let stay = next.binary_search(&(state as u32)).map_or(0.0, |place| probability[place]);
        1.0 / (1.0 - system.discount * stay)
    };
    (0..system.chain.states()).map(of_state).collect()
}

/// The order in which to sweep: successors before predecessors, along the likeliest successor of each state.
///
/// A sweep in place carries a value from a state to all of its predecessors that come later, so one sweep carries
/// it as far as the order agrees with the chain. Following from each state its likeliest successor gives a forest
/// whose roots end the episode or close a cycle. States are sorted by their depth in it: along every branch the
/// successor comes first. Where the policy is deterministic and its episodes end, one sweep is the exact solution;
/// where it is nearly so, a few sweeps do. States of one depth depend on one another but weakly, so that the
/// processor can work on several at once, and they keep the order of their numbers, so that neighbours in the model
/// stay neighbours in memory.
pub(crate) fn sweep_order(chain: &Chain) -> Vec<u32> {
    const UNSEEN: u32 = u32::MAX;
    const ON_PATH: u32 = u32::MAX - 1;
    let states = chain.states();
    let mut depth = vec![UNSEEN; states];
    let mut path = Vec::new();
    for start in 0..states {
        let mut state = Some(start);
        while let Some(here) = state.filter(|&here| depth[here] == UNSEEN) {
            depth[here] = ON_PATH;
            path.push(here);
            state = likeliest_successor(chain, here);
        }
        // A path ends at the end of the episode, on itself (a cycle, cut there), or at a state of known depth.
        let known = state.map(|here| depth[here]).filter(|&depth| depth != ON_PATH);
        let first = known.map_or(0, |depth| depth + 1);
        for (depth_of_state, here) in (first..).zip(path.drain(..).rev()) {
            depth[here] = depth_of_state;
        }
    }
    counting_sort(&depth)
}

/// The first of the most probable successors; none where the end is likelier than any.
fn likeliest_successor(chain: &Chain, state: usize) -> Option<usize> {
    let (next, probability) = chain.row(state);
    let mut likeliest = (1.0 - probability.iter().sum::<f64>(), None);
    for (&next, &probability) in next.iter().zip(probability) {
        if probability > likeliest.0 && next as usize != state {
            likeliest = (probability, Some(next as usize));
        }
    }
    likeliest.1
}

/// State numbers by ascending key, equal keys in the order of their numbers.
fn counting_sort(keys: &[u32]) -> Vec<u32> {
    let mut places = vec![0_u32; keys.iter().map(|&key| key as usize + 2).max().unwrap_or(0)];
    for &key in keys {
        places[key as usize + 1] += 1;
    }
    for key in 1..places.len() {
        places[key] += places[key - 1];
    }
    let mut sorted = vec![0; keys.len()];
    for (state, &key) in keys.iter().enumerate() {
        sorted[places[key as usize] as usize] = state as u32;
        places[key as usize] += 1;
    }
    sorted
}
