//! One cycle of GMRES (Saad and Schultz, 1986), preconditioned from the right by an incomplete factorisation.

use super::blocks::{combine, dot, norm};
use super::chain::System;
use super::incomplete_lu::IncompleteLu;

/// Vectors of a cycle, at most: more are seldom needed, and each step takes as many passes as there are vectors.
const MOST_VECTORS: usize = 200;

/// Entries of all vectors together, at most: 128 MiB.
const MOST_ENTRIES: usize = 1 << 24;

/// A cycle ends where its residual has shrunk so much: past it, rounding in the basis shows.
const SMALLEST_RATIO: f64 = 1e-10;

/// Adds to `x` the step of the Krylov space that leaves the smallest residual in the Euclidean norm. `residual` holds
/// b - A x of the start. Returns the number of steps taken, each of them a pass over the model.
///
/// It cannot break down and never makes the residual larger, for the price of storing the whole basis.
pub(super) fn cycle(system: &System<'_>, factors: &IncompleteLu<'_>, x: &mut [f64], residual: &[f64]) -> usize {
    let states = x.len();
    let most = MOST_VECTORS.min(states).min(MOST_ENTRIES / states).max(8);
    let start = norm(residual);
    if !(start > 0.0 && start.is_finite()) {
        return 0;
    }
    let mut basis = vec![residual.iter().map(|entry| entry / start).collect::<Vec<_>>()];
    let mut least_squares = LeastSquares::new(start);
    let mut preconditioned = vec![0.0; states];
    while basis.len() <= most && least_squares.residual() > SMALLEST_RATIO * start {
        factors.solve(&basis[basis.len() - 1], &mut preconditioned);
        let mut next = vec![0.0; states];
        system.apply(&preconditioned, &mut next);
        let mut column = Vec::with_capacity(basis.len() + 1);
        for vector in &basis {
            let along = dot(&next, vector);
            combine(&mut next, vector, vector, |next, vector, _| next - along * vector);
            column.push(along);
        }
        let length = norm(&next);
        column.push(length);
        if !length.is_finite() {
            break;
        }
        least_squares.push(column);
        if length == 0.0 {
            break;
        }
        for entry in &mut next {
            *entry /= length;
        }
        basis.push(next);
    }
    let weights = least_squares.solve();
    let mut step = vec![0.0; states];
    for (weight, vector) in weights.iter().zip(&basis) {
        combine(&mut step, vector, vector, |step, vector, _| step + weight * vector);
    }
    factors.solve(&step, &mut preconditioned);
    combine(x, &preconditioned, &preconditioned, |x, step, _| x + step);
    weights.len()
}

/// min over y of || start e_1 - H y ||, H upper Hessenberg, by Givens rotations as its columns come.
struct LeastSquares {
    /// Columns of the triangle that H has become.
    columns: Vec<Vec<f64>>,
    /// Cosine and sine of each rotation.
    rotations: Vec<(f64, f64)>,
    right: Vec<f64>,
}

impl LeastSquares {
    fn new(start: f64) -> Self {
        Self {
            columns: Vec::new(),
            rotations: Vec::new(),
            right: vec![start],
        }
    }

    /// The norm of what is left.
    fn residual(&self) -> f64 {
        self.right[self.columns.len()].abs()
    }

    /// Takes in the next column of H, whose last entry lies below the diagonal.
    fn push(&mut self, mut column: Vec<f64>) {
        for (row, &(cosine, sine)) in self.rotations.iter().enumerate() {
            let (above, below) = (column[row], column[row + 1]);
            column[row] = cosine * above + sine * below;
            column[row + 1] = cosine * below - sine * above;
        }
        let last = self.columns.len();
        let below = column.pop().unwrap_or(0.0);
        let length = column[last].hypot(below);
        let (cosine, sine) = if length > 0.0 {
            (column[last] / length, below / length)
        } else {
            (1.0, 0.0)
        };
        column[last] = length;
        let right = self.right[last];
        self.right[last] = cosine * right;
        self.right.push(-sine * right);
        self.rotations.push((cosine, sine));
        self.columns.push(column);
    }

    /// y, by back substitution; zero along columns that vanished.
    fn solve(&self) -> Vec<f64> {
        let mut y = vec![0.0; self.columns.len()];
        for row in (0..y.len()).rev() {
            let known: f64 = (row + 1..y.len())
                .map(|place| self.columns[place][row] * y[place])
                .sum();
            let diagonal = self.columns[row][row];
            if diagonal != 0.0 {
                y[row] = (self.right[row] - known) / diagonal;
            }
        }
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_evaluation::chain::Chain;
    use crate::{MdpBuilder, Next, Policy};

    #[test]
    fn a_cycle_as_long_as_the_matrix_is_exact() {
        // Blocks of two states that are hardly ever left, without discount: nearly singular in as many ways.
        let states = 12;
        let mut builder = MdpBuilder::new(states);
        for state in 0..states {
            let twin = state ^ 1;
            builder.transition(state, 0, Next::State(twin), 0.6, 1.0);
            builder.transition(state, 0, Next::State(state), 0.4 - 1e-6, 1.0);
            builder.transition(state, 0, Next::State((state * 7 + 5) % states), 0.5e-6, 1.0);
            builder.transition(state, 0, Next::End, 0.5e-6, 1.0);
        }
        let model = builder.build().unwrap();
        let chain = Chain::new(&model, &Policy::uniform(&model)).unwrap();
        let system = System {
            chain: &chain,
            discount: 1.0,
            right: &chain.reward,
        };
        let factors = IncompleteLu::new(&system);
        let (mut x, mut residual) = (vec![0.0; states], vec![0.0; states]);
        for _ in 0..3 {
            system.residual(&x, &mut residual);
            let steps = cycle(&system, &factors, &mut x, &residual);
            assert!(steps <= states + 1);
        }
        // Every state waits two million steps for the end.
        assert!(x.iter().all(|x| (x / 2e6 - 1.0).abs() < 1e-9), "{x:?}");
    }
}
