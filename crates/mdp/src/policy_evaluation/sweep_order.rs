//! Chains in the order of their flow.

use super::chain::Chain;
use crate::flow_order::flow_order;

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

/// The order of [`flow_order`] for a chain.
fn sweep_order(chain: &Chain) -> Vec<u32> {
    flow_order(chain.states(), |state| likeliest_successor(chain, state))
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
