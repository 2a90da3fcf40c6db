//! Which transitions are drawn more often.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::PriorityOptions;
use super::sum_tree::{LANES, SumTree};

/// The priorities of all transitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Priorities {
    options: PriorityOptions,
    /// The greatest p there has been, and 1 to begin with.
    greatest: f32,
    /// p^alpha of each.
    tree: SumTree,
}

impl Priorities {
    pub(super) fn new(options: PriorityOptions, capacity: usize) -> Self {
        Self {
            options,
            greatest: 1.0,
            tree: SumTree::new(capacity),
        }
    }

    /// A new transition lies at `index`, after the last or in the place of an old one.
    pub(super) fn begin(&mut self, index: usize) {
        let value = self.greatest.powf(self.options.alpha as f32);
        if index == self.tree.count() {
            self.tree.push(value);
        } else {
            self.tree.set(&[index as u32], std::iter::once(value));
        }
    }

    /// The last TD errors of some transitions are `errors`.
    pub(super) fn update(&mut self, indices: &[u32], errors: &[f32]) {
        let (alpha, epsilon) = (self.options.alpha as f32, self.options.epsilon as f32);
        let priorities = errors.iter().map(|error| (error.abs() + epsilon).min(f32::MAX));
        self.greatest = priorities.clone().fold(self.greatest, f32::max);
        self.tree.set(indices, priorities.map(|priority| priority.powf(alpha)));
    }

    /// Draws one transition from each of as many equal parts of the sum as there are `indices`.
    pub(super) fn sample(&self, random: &mut ChaCha8Rng, beta: f64, indices: &mut [u32], weights: &mut [f32]) {
        let part = self.tree.total() / indices.len() as f64;
        let mut first = 0.0;
        for indices in indices.chunks_mut(LANES) {
            let mut targets = [0.0; LANES];
            for target in &mut targets[..indices.len()] {
                *target = part * (first + random.random::<f64>());
                first += 1.0;
            }
            indices.copy_from_slice(&self.tree.find(targets)[..indices.len()]);
        }
        for (weight, &index) in weights.iter_mut().zip(&*indices) {
            *weight = self.tree.get(index);
        }
        // The rarest has the greatest weight, so that (N P(i))^-beta over the greatest is (P(rarest) / P(i))^beta.
        let rarest = weights.iter().copied().fold(f32::INFINITY, f32::min);
        for weight in weights {
            *weight = (rarest / *weight).powf(beta as f32);
        }
    }

    /// Computes what is not saved, and says whether what was read are priorities of `transitions`.
    pub(super) fn restore(&mut self, options: PriorityOptions, capacity: usize, transitions: usize) -> bool {
        self.options == options
            && self.greatest >= 1.0
            && self.greatest.is_finite()
            && self.tree.restore(capacity, transitions)
    }
}
