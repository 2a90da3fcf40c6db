//! How many discounted steps an episode can take: what turns a Bellman residual into a bound on the error.

use super::blocks::largest;
use super::chain::{Chain, Residual, System};
use super::sweep_order::restore;
use super::{SMALL, bicgstab, closed_form};

/// Bounds, over all states, on the expected discounted number of steps, the sum over k of (gamma P)^k 1.
///
/// With r = T v - v, the error of v is v_pi - v = (I - gamma P)^-1 r, the sum over k of (gamma P)^k r. Where
/// low <= r <= high, it lies between low and high times a number of steps: the bounds of MacQueen (1966), which are
/// low / (1 - gamma) and high / (1 - gamma) where no episode ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Horizon {
    shortest: f64,
    longest: f64,
}

impl Horizon {
    /// With discount 1, [`longest_episode`] bounds the number of steps; below, the row sums of P do.
    pub(super) fn new(chain: &Chain, discount: f64) -> Self {
        if discount >= 1.0 {
            return Self {
                shortest: 1.0,
                longest: longest_episode(chain, discount),
            };
        }
        let (least, most) = chain.row_sums();
        // The last bits are for the rounding of these quotients.
        let longest = (1.0 + 4.0 * f64::EPSILON) / (1.0 - discount * most);
        let shortest = (1.0 - 4.0 * f64::EPSILON) / (1.0 - discount * least);
        // Where discount is within rounding of 1, row sums give no bounds.
        Self {
            shortest: if shortest > 0.0 { shortest } else { 1.0 },
            longest: if longest > 0.0 { longest } else { f64::INFINITY },
        }
    }

    /// Takes into account that episodes end, which row sums do not where they end from a few states only. It takes about
    /// as long as to evaluate the policy.
    pub(super) fn tighten(&mut self, chain: &Chain, discount: f64) {
        self.longest = self.longest.min(longest_episode(chain, discount));
    }

    /// The upper bound: the factor from ||T v - v|| to a bound on ||v_pi - v||.
    pub(crate) fn longest(&self) -> f64 {
        self.longest
    }

    /// The interval of v_pi - v, from the residual and how far rounding may have moved it.
    pub(crate) fn error(&self, residual: Residual, rounding: f64) -> (f64, f64) {
        let (low, high) = (residual.low - rounding, residual.high + rounding);
        let steps = |outwards: bool| if outwards { self.longest } else { self.shortest };
        (low * steps(low < 0.0), high * steps(high > 0.0))
    }
}

/// An upper bound on the expected discounted number of steps to the end, from any state; infinite where none was found.
///
/// The steps w solve w = 1 + gamma P w. Any w >= 0 with w >= c + gamma P w, c > 0, gives the bound max w / c: w / c is then
/// at least 1 + gamma P (w / c), and so at least every partial sum of the (gamma P)^k 1. So w is computed roughly, and c is
/// measured.
pub(crate) fn longest_episode(chain: &Chain, discount: f64) -> f64 {
    let (steps, residual) = expected_steps(chain, discount);
    let longest_row = chain.starts.windows(2).map(|bounds| bounds[1] - bounds[0]).max();
    let terms = longest_row.unwrap_or(0) as usize;
    bound_from(&steps, 1.0 - residual.high, terms)
}

/// max w / c, or infinity where w or c are not as they must be. `slack` is c as computed over rows of `terms` terms,
/// from which what rounding may have hidden is taken.
pub(crate) fn bound_from(steps: &[f64], slack: f64, terms: usize) -> f64 {
    let longest = largest(steps);
    let slack = slack - (terms + 8) as f64 * f64::EPSILON * longest;
    if slack > 0.0 && steps.iter().all(|&steps| steps >= 0.0) {
        longest / slack
    } else {
        f64::INFINITY
    }
}

/// The solution of w = 1 + gamma P w to a residual of a thousandth where that is possible, and the residual it has.
pub(crate) fn expected_steps(chain: &Chain, discount: f64) -> (Vec<f64>, Residual) {
    const RESIDUAL: f64 = 1e-3;
    const MAX_ITERATIONS: usize = 10_000;
    let (chain, order) = chain.in_sweep_order();
    let ones = vec![1.0; chain.states()];
    let system = System {
        chain: &chain,
        discount,
        right: &ones,
    };
    let mut steps = vec![0.0; chain.states()];
    let mut reached = Residual::UNBOUNDED;
    let mut monitor = |iteration, residual: Residual| {
        reached = residual;
        Ok(residual.norm() <= RESIDUAL || iteration >= MAX_ITERATIONS)
    };
    let solved = if chain.states() <= SMALL {
        closed_form::solve(&system, &mut steps, &mut monitor)
    } else {
        bicgstab::solve(&system, &mut steps, &mut monitor)
    };
    (
        restore(&order, &steps),
        solved.map_or(Residual::UNBOUNDED, |()| reached),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MdpBuilder, Next, Policy};

    /// A corridor in which every step succeeds with probability 1/2: 2 expected steps a state.
    fn corridor(states: usize) -> Chain {
        let mut builder = MdpBuilder::new(states);
        for state in 0..states {
            let ahead = if state == 0 { Next::End } else { Next::State(state - 1) };
            builder.transition(state, 0, ahead, 0.5, 1.0);
            builder.transition(state, 0, Next::State(state), 0.5, 1.0);
        }
        let model = builder.build().unwrap();
        Chain::new(&model, &Policy::uniform(&model)).unwrap()
    }

    #[test]
    fn the_longest_episode_is_bounded_closely_from_above() {
        for states in [1, 10, 2 * SMALL] {
            let bound = longest_episode(&corridor(states), 1.0);
            let exact = 2.0 * states as f64;
            assert!(bound >= exact && bound <= 1.01 * exact, "{bound} for {exact}");
        }
    }

    #[test]
    fn with_hardly_a_discount_the_end_bounds_the_steps() {
        for states in [10, 2 * SMALL] {
            for discount in [0.999_999, 1.0 - f64::EPSILON / 2.0] {
                let corridor = corridor(states);
                let mut horizon = Horizon::new(&corridor, discount);
                assert!(horizon.longest() > 0.9e6);
                horizon.tighten(&corridor, discount);
                let without_discount = 2.0 * states as f64;
                assert!((0.99 * without_discount..=1.01 * without_discount).contains(&horizon.longest()));
            }
        }
    }

    #[test]
    fn an_endless_episode_has_no_bound() {
        let mut builder = MdpBuilder::new(2);
        builder.transition(0, 0, Next::State(1), 1.0, 1.0);
        builder.transition(1, 0, Next::State(0), 1.0, 1.0);
        let model = builder.build().unwrap();
        let chain = Chain::new(&model, &Policy::uniform(&model)).unwrap();
        assert!(longest_episode(&chain, 1.0).is_infinite());
    }

    #[test]
    fn the_error_is_that_of_macqueen_where_no_episode_ends() {
        let horizon = Horizon {
            shortest: 10.0,
            longest: 10.0,
        };
        let residual = Residual {
            low: 0.5,
            high: 1.0,
            scale: 0.0,
        };
        assert_eq!(horizon.error(residual, 0.0), (5.0, 10.0));
        assert_eq!(horizon.error(residual, 1.0), (-5.0, 20.0));
    }

    #[test]
    fn where_an_episode_ends_the_shortest_counts_for_errors_of_one_sign() {
        let horizon = Horizon::new(&corridor(3), 0.9);
        let residual = Residual {
            low: 0.5,
            high: 1.0,
            scale: 0.0,
        };
        let (low, high) = horizon.error(residual, 0.0);
        // From the last state: the end comes with probability 1/2, so the sum of (0.45)^k is the shortest.
        assert!((low - 0.5 / (1.0 - 0.45)).abs() < 1e-12 && (high - 10.0).abs() < 1e-12);
    }
}
