//! First weights other than PyTorch's usual ones.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::mlp::{Mlp, shapes};

impl Mlp {
    /// Weights that are parts of random orthogonal matrices (Saxe et al. 2014), times `gain` in the hidden layers and `last_gain` in
    /// the last; all biases are zero. Actor-critic methods begin so: with a small last gain all actions are about alike.
    pub fn orthogonal(mut self, gain: f32, last_gain: f32, random: &mut ChaCha8Rng) -> Self {
        let shapes: Vec<_> = shapes(self.sizes(), self.late_inputs()).collect();
        let mut rest = self.parameters_mut();
        for (index, &[inputs, outputs]) in shapes.iter().enumerate() {
            let gain = if index + 1 == shapes.len() { last_gain } else { gain };
            let (weight, after) = rest.split_at_mut(inputs * outputs);
            let (bias, after) = after.split_at_mut(outputs);
            rest = after;
            bias.fill(0.0);
            // As many orthonormal vectors as the shorter side has entries, each as long as the longer one.
            let (count, length) = (inputs.min(outputs), inputs.max(outputs));
            let vectors = orthonormal(count, length, random);
            for (row, entries) in weight.chunks_exact_mut(inputs).enumerate() {
                for (column, entry) in entries.iter_mut().enumerate() {
                    let (vector, place) = if outputs <= inputs {
                        (row, column)
                    } else {
                        (column, row)
                    };
                    *entry = gain * vectors[vector * length + place] as f32;
                }
            }
        }
        self
    }

    /// Weights and biases of the last layer are drawn again, uniformly between `-bound` and `bound`, so that the first outputs are near
    /// zero (Lillicrap et al. 2016, section 7).
    pub fn with_last_layer_within(mut self, bound: f32, random: &mut ChaCha8Rng) -> Self {
        let last = shapes(self.sizes(), self.late_inputs()).next_back();
        let count = last.map_or(0, |[inputs, outputs]| outputs * (inputs + 1));
        let start = self.parameters().len() - count;
        for parameter in &mut self.parameters_mut()[start..] {
            *parameter = random.random_range(-bound..=bound);
        }
        self
    }
}

/// `count` orthonormal vectors of `length` numbers, at least as many, one after another: by Gram and Schmidt, twice over each vector, since
/// once leaves rounding behind.
fn orthonormal(count: usize, length: usize, random: &mut ChaCha8Rng) -> Vec<f64> {
    let mut vectors: Vec<f64> = StandardNormal.sample_iter(random).take(count * length).collect();
    for index in 0..count {
        let (before, vector) = vectors.split_at_mut(index * length);
        let vector = &mut vector[..length];
        for _ in 0..2 {
            for other in before.chunks_exact(length) {
                let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                for (entry, other) in vector.iter_mut().zip(other) {
                    *entry -= along * other;
                }
            }
        }
        let norm = vector.iter().map(|entry| entry * entry).sum::<f64>().sqrt();
        for entry in vector {
            *entry /= norm;
        }
    }
    vectors
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::perceptron::Activation;

    #[test]
    fn orthogonal_weights_keep_lengths() {
        let random = &mut ChaCha8Rng::seed_from_u64(1);
        let mlp = Mlp::new(&[3, 40, 20, 2], Activation::Tanh, random).orthogonal(2.0, 0.01, random);
        for (layer, gain) in mlp.layers().zip([2.0_f32, 2.0, 0.01]) {
            assert!(layer.bias.iter().all(|&bias| bias == 0.0));
            let entry = |row: usize, column: usize| layer.weight[row * layer.inputs + column];
            let (count, length) = (layer.inputs.min(layer.outputs), layer.inputs.max(layer.outputs));
            let along = |vector: usize, place: usize| {
                if layer.outputs <= layer.inputs {
                    entry(vector, place)
                } else {
                    entry(place, vector)
                }
            };
            for first in 0..count {
                for second in 0..count {
                    let product: f32 = (0..length)
                        .map(|place| along(first, place) * along(second, place))
                        .sum();
                    let expected = if first == second { gain * gain } else { 0.0 };
                    assert!(
                        (product - expected).abs() < 1e-5 * (gain * gain),
                        "{first} {second}: {product}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_last_layer_can_begin_near_zero() {
        let random = &mut ChaCha8Rng::seed_from_u64(1);
        let before = Mlp::new(&[3, 40, 2], Activation::Relu, random);
        let after = before.clone().with_last_layer_within(3e-3, random);
        let (first, last) = after.parameters().split_at(160);
        assert_eq!(first, &before.parameters()[..160]);
        assert!(last.iter().all(|entry| entry.abs() <= 3e-3) && last.iter().any(|entry| entry.abs() > 2.5e-3));
    }
}
