//! The order of the states in which sweeps and factorisations go fastest.

use super::chain::Chain;

impl Chain {
    /// The chain with its states renamed to their sweep order, and that order: state `order[i]` has become state i.
    pub(crate) fn in_sweep_order(&self) -> (Self, Vec<u32>) {
        let order = sweep_order(self);
        (self.reordered(&order), order)
    }
}

/// Values by the names that the states had before.
pub(crate) fn restore(order: &[u32], in_order: &[f64]) -> Vec<f64> {
    let mut values = vec![0.0; order.len()];
    for (&state, &value) in order.iter().zip(in_order) {
        values[state as usize] = value;
    }
    values
}

/// Successors before predecessors, along the likeliest successor of each state: `order[i]` is the i-th state.
///
/// A sweep in place carries a value from a state to all of its predecessors that come later, so one sweep carries
/// it as far as the order agrees with the chain. Following from each state its likeliest successor gives a forest
/// whose roots end the episode or close a cycle. States are sorted by their depth in it: along every branch the
/// successor comes first. Where the policy is deterministic and its episodes end, one sweep is the exact solution;
/// where it is nearly so, a few sweeps do. States of one depth depend on one another but weakly, so that the
/// processor can work on several at once, and they keep the order of their numbers, so that neighbours in the model
/// stay neighbours in memory.
fn sweep_order(chain: &Chain) -> Vec<u32> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MdpBuilder, Next, Policy};

    fn order(states: usize, transitions: &[(usize, Next, f64)]) -> Vec<u32> {
        let mut builder = MdpBuilder::new(states);
        for &(state, next, probability) in transitions {
            builder.transition(state, 0, next, probability, 1.0);
        }
        let model = builder.build().unwrap();
        sweep_order(&Chain::new(&model, &Policy::uniform(&model)).unwrap())
    }

    #[test]
    fn successors_come_first_on_the_way_to_the_end() {
        let corridor = [(0, Next::State(1), 1.0), (1, Next::State(2), 1.0), (2, Next::End, 1.0)];
        assert_eq!(order(3, &corridor), [2, 1, 0]);
    }

    #[test]
    fn the_likeliest_successor_counts_and_staying_does_not() {
        let transitions = [
            (0, Next::State(0), 0.6),
            (0, Next::State(2), 0.3),
            (0, Next::State(1), 0.1),
            (1, Next::State(0), 1.0),
            (2, Next::State(1), 0.4),
            (2, Next::End, 0.6),
        ];
        assert_eq!(order(3, &transitions), [2, 0, 1]);
    }

    #[test]
    fn a_cycle_is_cut_once_and_followed_backwards() {
        let cycle = [
            (0, Next::State(2), 1.0),
            (2, Next::State(1), 1.0),
            (1, Next::State(0), 1.0),
            (3, Next::State(2), 1.0),
        ];
        assert_eq!(order(4, &cycle), [1, 2, 0, 3]);
    }
}
