//! The values of a policy to more digits than 64 bits hold: what guaranteed bounds are held against.

use std::ops::{Add, Mul, Neg};

use etude_mdp::{Model, Policy};

/// An unevaluated sum of two numbers, about 32 digits (Dekker, 1971).
#[derive(Clone, Copy)]
struct Double {
    high: f64,
    low: f64,
}

impl From<f64> for Double {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

impl Add for Double {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let sum = self.high + other.high;
        let part = sum - self.high;
        let error = (self.high - (sum - part)) + (other.high - part) + self.low + other.low;
        let high = sum + error;
        Self {
            high,
            low: error - (high - sum),
        }
    }
}

impl Mul for Double {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let product = self.high * other.high;
        let error = self.high.mul_add(other.high, -product) + self.high * other.low + self.low * other.high;
        let high = product + error;
        Self {
            high,
            low: error - (high - product),
        }
    }
}

impl Neg for Double {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
            high: -self.high,
            low: -self.low,
        }
    }
}

/// v_pi, rounded to 64 bits: Gaussian elimination on the dense matrix, refined by residuals in twice the precision.
/// None where the matrix is too near to a singular one for that.
pub(crate) fn values(model: &impl Model, policy: &Policy, discount: f64) -> Option<Vec<f64>> {
    let factors = Factors::new(matrix(model, policy, discount));
    let mut values = vec![Double::from(0.0); model.states()];
    for _ in 0..60 {
        let mut correction = residual(model, policy, discount, &values);
        factors.solve(&mut correction);
        for (value, correction) in values.iter_mut().zip(&correction) {
            *value = *value + Double::from(*correction);
        }
        if correction
            .iter()
            .zip(&values)
            .all(|(correction, value)| correction.abs() <= 1e-20 * value.high.abs())
        {
            return Some(values.iter().map(|value| value.high).collect());
        }
    }
    None
}

/// I - gamma P_pi, row by row.
fn matrix(model: &impl Model, policy: &Policy, discount: f64) -> Vec<Vec<f64>> {
    let states = model.states();
    let row = |state: usize| {
        let mut row = vec![0.0; states];
        row[state] = 1.0;
        policy.for_each(state, |action, chance| {
            model.successors(state, action, |next, probability| {
                if let Some(entry) = row.get_mut(next as usize) {
                    *entry -= discount * chance * probability;
                }
            });
        });
        row
    };
    (0..states).map(row).collect()
}

/// T_pi v - v.
fn residual(model: &impl Model, policy: &Policy, discount: f64, values: &[Double]) -> Vec<f64> {
    let of_state = |state: usize| {
        let mut sum = -values[state];
        policy.for_each(state, |action, chance| {
            let mut expected = Double::from(0.0);
            model.successors(state, action, |next, probability| {
                if let Some(&value) = values.get(next as usize) {
                    expected = expected + Double::from(probability) * value;
                }
            });
            let action_value = Double::from(model.reward(state, action)) + Double::from(discount) * expected;
            sum = sum + Double::from(chance) * action_value;
        });
        sum.high
    };
    (0..values.len()).map(of_state).collect()
}

/// The factors of a dense matrix, rows exchanged for the largest pivots.
struct Factors {
    rows: Vec<Vec<f64>>,
    order: Vec<usize>,
}

impl Factors {
    fn new(mut rows: Vec<Vec<f64>>) -> Self {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        for pivot in 0..rows.len() {
            let largest = (pivot..rows.len())
                .max_by(|&a, &b| rows[a][pivot].abs().total_cmp(&rows[b][pivot].abs()))
                .unwrap();
            rows.swap(pivot, largest);
            order.swap(pivot, largest);
            let (above, below) = rows.split_at_mut(pivot + 1);
            let above = &above[pivot];
            for row in below.iter_mut().filter(|row| row[pivot] != 0.0) {
                let factor = row[pivot] / above[pivot];
                row[pivot] = factor;
                for (entry, above) in row[pivot + 1..].iter_mut().zip(&above[pivot + 1..]) {
                    *entry -= factor * above;
                }
            }
        }
        Self { rows, order }
    }

    fn solve(&self, right: &mut [f64]) {
        let product = |row: &[f64], x: &[f64]| row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>();
        let mut x: Vec<f64> = self.order.iter().map(|&row| right[row]).collect();
        for row in 0..x.len() {
            x[row] -= product(&self.rows[row][..row], &x[..row]);
        }
        for row in (0..x.len()).rev() {
            x[row] = (x[row] - product(&self.rows[row][row + 1..], &x[row + 1..])) / self.rows[row][row];
        }
        right.copy_from_slice(&x);
    }
}
