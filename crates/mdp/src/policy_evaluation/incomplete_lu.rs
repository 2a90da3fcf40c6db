//! An incomplete factorisation of I - gamma P that keeps to the places of P, ILU(0).

use std::ops::Range;

use super::chain::System;

/// L U = I - gamma P but for entries where P has none. L is unit lower triangular and U upper triangular; both lie in
/// the rows of P.
///
/// I - gamma P is an M-matrix: off its diagonal nothing is positive, and its inverse is nonnegative. For M-matrices
/// the factorisation exists with positive pivots, and `x += (L U)^-1 (b - A x)` converges from anywhere (Meijerink
/// and van der Vorst, 1977).
pub(crate) struct IncompleteLu<'a> {
    system: &'a System<'a>,
    /// Of L left of the diagonal and of U right of it, in the places of P; zero on the diagonal.
    entries: Vec<f64>,
    /// Where in its row each state's part of U begins.
    upper_starts: Vec<u32>,
    /// 1 / U_ss of each state.
    inverse_pivots: Vec<f64>,
}

impl<'a> IncompleteLu<'a> {
    /// Eliminates row by row, in the order of the states.
    pub(crate) fn new(system: &'a System<'a>) -> Self {
        const NOWHERE: u32 = u32::MAX;
        let chain = system.chain;
        let states = chain.states();
        let mut factors = Self {
            system,
            entries: chain.probability.iter().map(|p| -system.discount * p).collect(),
            upper_starts: Vec::with_capacity(states),
            inverse_pivots: Vec::with_capacity(states),
        };
        // Where each column stands in the row at hand.
        let mut places = vec![NOWHERE; states];
        for row in 0..states {
            let (begin, end) = (chain.starts[row] as usize, chain.starts[row + 1] as usize);
            for place in begin..end {
                places[chain.next[place] as usize] = place as u32;
            }
            let mut pivot = 1.0;
            let mut place = begin;
            while place < end && (chain.next[place] as usize) < row {
                let above = chain.next[place] as usize;
                let multiplier = factors.entries[place] * factors.inverse_pivots[above];
                factors.entries[place] = multiplier;
                for upper in factors.upper(above) {
                    let column = chain.next[upper] as usize;
                    let change = multiplier * factors.entries[upper];
                    if column == row {
                        pivot -= change;
                    } else if places[column] != NOWHERE {
                        factors.entries[places[column] as usize] -= change;
                    }
                }
                place += 1;
            }
            if place < end && chain.next[place] as usize == row {
                pivot += factors.entries[place];
                factors.entries[place] = 0.0;
                place += 1;
            }
            factors.upper_starts.push(place as u32);
            factors.inverse_pivots.push(1.0 / pivot);
            for place in begin..end {
                places[chain.next[place] as usize] = NOWHERE;
            }
        }
        factors
    }

    /// x = (L U)^-1 y.
    pub(crate) fn solve(&self, y: &[f64], x: &mut [f64]) {
        x.copy_from_slice(y);
        for state in 0..x.len() {
            x[state] -= self.product(self.lower(state), x);
        }
        for state in (0..x.len()).rev() {
            x[state] = (x[state] - self.product(self.upper(state), x)) * self.inverse_pivots[state];
        }
    }

    /// The places of a row of L, and that of the diagonal.
    fn lower(&self, state: usize) -> Range<usize> {
        self.system.chain.starts[state] as usize..self.upper_starts[state] as usize
    }

    fn upper(&self, state: usize) -> Range<usize> {
        self.upper_starts[state] as usize..self.system.chain.starts[state + 1] as usize
    }

    #[inline]
    fn product(&self, places: Range<usize>, x: &[f64]) -> f64 {
        let columns = &self.system.chain.next[places.clone()];
        columns
            .iter()
            .zip(&self.entries[places])
            .fold(0.0, |sum, (&column, entry)| sum + entry * x[column as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_evaluation::chain::Chain;
    use crate::{MdpBuilder, Next, Policy};

    #[test]
    fn where_nothing_fills_in_the_factors_are_exact() {
        // A walk on a line: the matrix is tridiagonal.
        let states = 50;
        let mut builder = MdpBuilder::new(states);
        for state in 0..states {
            builder.transition(state, 0, Next::State(state.saturating_sub(1)), 0.5, 1.0);
            builder.transition(state, 0, Next::State(state), 0.2, 1.0);
            let right = if state + 1 < states {
                Next::State(state + 1)
            } else {
                Next::End
            };
            builder.transition(state, 0, right, 0.3, 1.0);
        }
        let model = builder.build().unwrap();
        let chain = Chain::new(&model, &Policy::uniform(&model)).unwrap();
        let right: Vec<f64> = (0..states).map(|state| (state % 5) as f64).collect();
        let system = System {
            chain: &chain,
            discount: 1.0,
            right: &right,
        };
        let mut x = vec![f64::NAN; states];
        IncompleteLu::new(&system).solve(&right, &mut x);
        let residual = system.residual(&x, &mut vec![0.0; states]);
        assert!(residual.norm() <= 1e-13 * residual.scale, "{residual:?}");
    }
}
