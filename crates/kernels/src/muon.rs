//! Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"), as `torch.optim.Muon` computes it, for weights
//! that are matrices.

use serde::{Deserialize, Serialize};

use crate::Precision;
use crate::matrix::{Matrix, add_product, new_product};
use crate::perceptron::square_norm;

/// a, b and c of the polynomial a x + b x^3 + c x^5 through which singular values go in each step of Newton-Schulz.
pub(crate) const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];

/// Steps of Newton-Schulz.
pub(crate) const STEPS: usize = 5;

/// The smallest norm that a matrix is divided by.
pub(crate) const SMALLEST_NORM: f32 = 1e-7;

/// With g the gradient times its scale and alpha the learning rate:
///
/// ```text
/// m <- momentum m + (1 - momentum) g          u = momentum m + (1 - momentum) g
/// parameter <- parameter (1 - alpha weight_decay) - alpha ratio newton_schulz(u)
/// ```
///
/// u looks one step ahead, as Nesterov's momentum does. [`newton_schulz`] makes all its singular values about 1, so that a step is as
/// long in directions that gradients seldom have as in the others. Embeddings and heads, of which each row is a token's, and what is
/// not a matrix are better stepped by [`AdamW`](crate::adam_w::AdamW).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Muon {
    /// Decay of the running mean of gradients; 0.95 by default.
    pub momentum: f32,
    /// How fast parameters shrink beside the gradient's step; 0.1 by default.
    pub weight_decay: f32,
    /// How the length of a step depends on the matrix's shape.
    pub adjust_lr_fn: AdjustLr,
}

/// PyTorch's.
impl Default for Muon {
    fn default() -> Self {
        Self {
            momentum: 0.95,
            weight_decay: 0.1,
            adjust_lr_fn: AdjustLr::Original,
        }
    }
}

/// What the learning rate of a matrix is multiplied by, under the names of `torch.optim.Muon`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustLr {
    /// sqrt(max(1, rows / columns)).
    #[default]
    Original,
    /// 0.2 sqrt(max(rows, columns)), with which entries move as far as AdamW's and its learning rates can be used (Liu et al. 2025,
    /// arXiv:2502.16982, section 2.2).
    MatchRmsAdamw,
}

impl AdjustLr {
    /// The factor of a matrix of this shape.
    pub fn ratio(self, rows: usize, columns: usize) -> f32 {
        let (rows, columns) = (rows as f32, columns as f32);
        match self {
            Self::Original => (rows / columns).max(1.0).sqrt(),
            Self::MatchRmsAdamw => 0.2 * rows.max(columns).sqrt(),
        }
    }
}

/// What differs from step to step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Its learning rate.
    pub learning_rate: f32,
    /// What the gradient is multiplied by: 1, or less where it is clipped.
    pub gradient_scale: f32,
}

impl Muon {
    /// One step of a matrix with so many columns, row by row, and of its momentum, which starts as zeros.
    ///
    /// # Panics
    /// The lengths differ, or are no multiple of `columns`.
    pub fn step(&self, step: Step, columns: usize, parameters: &mut [f32], gradient: &[f32], momentum: &mut [f32]) {
        let lengths = [gradient.len(), momentum.len()];
        assert_eq!(lengths, [parameters.len(); 2], "gradient and momentum");
        let towards = |from: f32, to: f32| self.momentum * from + (1.0 - self.momentum) * to;
        let ahead = gradient.iter().zip(momentum).map(|(g, m)| {
            let g = step.gradient_scale * g;
            *m = towards(*m, g);
            towards(*m, g)
        });
        let update = newton_schulz(ahead.collect(), columns);
        let keep = 1.0 - step.learning_rate * self.weight_decay;
        let rows = parameters.len() / columns.max(1);
        let rate = step.learning_rate * self.adjust_lr_fn.ratio(rows, columns);
        for (parameter, update) in parameters.iter_mut().zip(update) {
            *parameter = keep * *parameter - rate * update;
        }
    }
}

/// The matrix with so many columns, row by row, with its singular vectors and with singular values that are all about 1: five steps of
/// X <- a X + (b X X^T + c (X X^T)^2) X, from X over its Frobenius norm. They end between 0.68 and 1.21, but for those below 0.002 of that
/// norm, which end lower. Products are in f32, where PyTorch takes bf16.
///
/// # Panics
/// The length is no multiple of `columns`.
pub fn newton_schulz(mut x: Vec<f32>, columns: usize) -> Vec<f32> {
    let [a, b, c] = COEFFICIENTS;
    let rows = x.len() / columns.max(1);
    let norm = square_norm(&x).sqrt() as f32;
    scale(&mut x, norm.max(SMALLEST_NORM).recip());
    for _ in 0..STEPS {
        let matrix = Matrix::new(&x, rows, columns);
        // Of X X^T and X^T X the smaller does the same: the polynomial stands on its side of X.
        let (wide, size) = (rows <= columns, rows.min(columns));
        let mut gram = if wide {
            new_product(matrix, matrix.transposed(), Precision::F32)
        } else {
            new_product(matrix.transposed(), matrix, Precision::F32)
        };
        let square = Matrix::new(&gram, size, size);
        let square = new_product(square, square, Precision::F32);
        for (entry, square) in gram.iter_mut().zip(square) {
            *entry = b * *entry + c * square;
        }
        let polynomial = Matrix::new(&gram, size, size);
        let mut next = x.clone();
        scale(&mut next, a);
        let [left, right] = if wide {
            [polynomial, matrix]
        } else {
            [matrix, polynomial]
        };
        add_product(left, right, Precision::F32, &mut next);
        x = next;
    }
    x
}

fn scale(numbers: &mut [f32], factor: f32) {
    for number in numbers {
        *number *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectorized::testing::numbers;

    const STEP: Step = Step {
        learning_rate: 0.5,
        gradient_scale: 1.0,
    };

    #[test]
    fn singular_values_become_about_one() {
        for [rows, columns] in [[5, 40], [40, 5], [12, 12]] {
            let x = newton_schulz(numbers(rows * columns, 3), columns);
            // The mean of the squares of all singular values.
            let mean = square_norm(&x) / rows.min(columns) as f64;
            assert!((0.5..1.5).contains(&mean), "{rows} x {columns}: {mean}");
        }
        // Those of a diagonal matrix stand on its diagonal.
        let mut diagonal = vec![0.0; 9];
        (diagonal[0], diagonal[4], diagonal[8]) = (1e-6, 3e-6, -4e-7);
        let x = newton_schulz(diagonal, 3);
        for (index, entry) in x.into_iter().enumerate() {
            let close = match index {
                0 | 4 => (0.65..1.25).contains(&entry),
                8 => (-1.25..-0.65).contains(&entry),
                _ => entry.abs() < 1e-6,
            };
            assert!(close, "{index}: {entry}");
        }
    }

    #[test]
    fn a_gradient_of_zeros_leaves_decay_alone() {
        let (mut parameters, mut momentum) = ([1.0, -2.0], [0.0; 2]);
        Muon::default().step(STEP, 2, &mut parameters, &[0.0; 2], &mut momentum);
        assert_eq!((parameters, momentum), ([0.95, -1.9], [0.0; 2]));
    }

    #[test]
    fn nothing_at_all() {
        Muon::default().step(STEP, 3, &mut [], &[], &mut []);
        Muon::default().step(STEP, 0, &mut [], &[], &mut []);
    }
}
