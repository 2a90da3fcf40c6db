//! The last steps of an episode, kept until the rewards after them are known.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Up to n steps that wait for their target r_1 + gamma r_2 + ... + gamma^(n-1) r_n + gamma^n tail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Window<T> {
    length: usize,
    /// What is remembered of each step and the reward that followed, the oldest first.
    steps: VecDeque<(T, f64)>,
    /// What has left the window, to be written over.
    #[serde(skip)]
    spare: Vec<T>,
}

impl<T: Default> Window<T> {
    /// Of `length` steps, at least one.
    pub(crate) fn new(length: usize) -> Self {
        Self {
            length,
            steps: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    /// Adds a step; `remember` writes over what an older one has left behind.
    pub(crate) fn push(&mut self, reward: f64, remember: impl FnOnce(&mut T)) {
        let mut step = self.spare.pop().unwrap_or_default();
        remember(&mut step);
        self.steps.push_back((step, reward));
    }

    /// Whether a step has waited for long enough: the window is full, or the episode ends.
    pub(crate) fn is_due(&self, ends: bool) -> bool {
        ends || self.steps.len() >= self.length
    }

    /// Calls `learn` with every step that is due and its target, where what follows the last step is worth `tail`: the
    /// oldest one of a full window, and at the end of an episode all of them, which then see fewer rewards.
    pub(crate) fn settle(&mut self, tail: f64, discount: f64, ends: bool, mut learn: impl FnMut(&T, f64)) {
        if ends {
            let mut target = tail;
            for (_, reward) in self.steps.iter_mut().rev() {
                target = *reward + discount * target;
                *reward = target;
            }
            for (step, target) in self.steps.drain(..) {
                learn(&step, target);
                self.spare.push(step);
            }
        } else if self.is_due(false) {
            let rewards = self.steps.iter().rev().map(|(_, reward)| reward);
            let target = rewards.fold(tail, |value, reward| reward + discount * value);
            if let Some((step, _)) = self.steps.pop_front() {
                learn(&step, target);
                self.spare.push(step);
            }
        }
    }
}
