//! Steps that are not yet a transition.

use serde::{Deserialize, Serialize};

/// The last steps of one environment, at most n, in a ring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    /// Shape `[n, width]`: observation and action of each step.
    starts: Vec<f32>,
    /// Shape `[n]`.
    rewards: Vec<f64>,
    /// Where the oldest step is.
    oldest: usize,
    /// How many there are.
    length: usize,
}

impl Window {
    /// Of at most `steps` steps, with `width` numbers to observation and action together.
    pub(super) fn new(steps: usize, width: usize) -> Self {
        Self {
            starts: vec![0.0; steps * width],
            rewards: vec![0.0; steps],
            oldest: 0,
            length: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.length == self.rewards.len()
    }

    fn width(&self) -> usize {
        self.starts.len() / self.rewards.len()
    }

    /// Where the step is that came `later` steps after the oldest.
    fn slot(&self, later: usize) -> usize {
        (self.oldest + later) % self.rewards.len()
    }

    pub(super) fn push(&mut self, observation: &[f32], action: &[f32], reward: f64) {
        let (slot, width) = (self.slot(self.length), self.width());
        let start = &mut self.starts[slot * width..(slot + 1) * width];
        start[..observation.len()].copy_from_slice(observation);
        start[observation.len()..].copy_from_slice(action);
        self.rewards[slot] = reward;
        self.length += 1;
    }

    /// Observation and action of the oldest step.
    pub(super) fn oldest(&self) -> &[f32] {
        let width = self.width();
        &self.starts[self.oldest * width..(self.oldest + 1) * width]
    }

    /// r_1 + gamma r_2 + ... + gamma^(k-1) r_k over the k steps there are, and gamma^k.
    pub(super) fn reward_and_discount(&self, gamma: f64) -> (f32, f32) {
        let newest_first = (0..self.length).rev().map(|later| self.rewards[self.slot(later)]);
        let sum = newest_first.fold(0.0, |sum, reward| reward + gamma * sum);
        (sum as f32, gamma.powi(self.length as i32) as f32)
    }

    /// Takes the oldest step out.
    pub(super) fn pop(&mut self) {
        self.oldest = self.slot(1);
        self.length -= 1;
    }

    /// Whether what was read is a window between two calls of [`Replay::push`](super::Replay::push).
    pub(super) fn fits(&self, steps: usize, width: usize) -> bool {
        self.rewards.len() == steps
            && Some(self.starts.len()) == steps.checked_mul(width)
            && self.oldest < steps
            && self.length < steps
    }
}
