//! Which transitions are drawn more often.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::PriorityOptions;
use super::sum_tree::SumTree;

/// Transitions whose targets are looked for at the same time.
const LANES: usize = 64;

/// The priorities of all transitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Priorities {
    options: PriorityOptions,
    /// The greatest p there has been, and 1 before there is any.
    greatest: f64,
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

    /// There is a new transition.
    pub(super) fn begin(&mut self, index: usize) {
        self.set(index, self.greatest);
    }

    /// The last TD error of a transition is `error`.
    pub(super) fn update(&mut self, index: usize, error: f32) {
        assert!(error.is_finite(), "TD error {error}");
        let priority = f64::from(error).abs() + self.options.epsilon;
        self.greatest = self.greatest.max(priority);
        self.set(index, priority);
    }

    fn set(&mut self, index: usize, priority: f64) {
        self.tree.set(index, priority.powf(self.options.alpha));
    }

    /// Draws one transition from each of as many equal parts of the sum as there are `indices`.
    pub(super) fn sample(&self, random: &mut ChaCha8Rng, beta: f64, indices: &mut [u32], weights: &mut [f32]) {
        let part = self.tree.total() / indices.len() as f64;
        let mut targets = [0.0; LANES];
        for (block, indices) in indices.chunks_mut(LANES).enumerate() {
            let targets = &mut targets[..indices.len()];
            for (lane, target) in targets.iter_mut().enumerate() {
                *target = part * ((block * LANES + lane) as f64 + random.random::<f64>());
            }
            self.tree.find(targets, indices);
        }
        for (weight, &index) in weights.iter_mut().zip(&*indices) {
            *weight = self.tree.get(index as usize);
        }
        // The rarest has the greatest weight, so that (N P(i))^-beta over the greatest is (P(i) / P(rarest))^-beta.
        let rarest = weights.iter().copied().fold(f32::INFINITY, f32::min);
        for weight in weights {
            *weight = (rarest / *weight).powf(beta as f32);
        }
    }

    /// Computes what is not saved, and says whether what was read are priorities of `transitions`.
    pub(super) fn restore(&mut self, capacity: usize, transitions: usize) -> bool {
        self.greatest > 0.0 && self.greatest.is_finite() && self.tree.restore(capacity, transitions)
    }
}
