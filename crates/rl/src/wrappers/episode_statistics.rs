//! What the last episodes gave.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::env::{Env, Step};
use crate::error::RlError;
use crate::saved_state;

/// Episodes that are remembered, as many as Gymnasium does unless told otherwise.
const KEPT: usize = 100;

/// An episode that is over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// The sum of rewards, without discount.
    pub reward: f64,
    /// The number of steps.
    pub length: u32,
}

/// An environment that remembers its last 100 episodes that came to their end.
pub struct EpisodeStatistics<E> {
    env: E,
    /// The one that is going on.
    running: Episode,
    finished: VecDeque<Episode>,
}

impl<E: Env> EpisodeStatistics<E> {
    /// `env` with a memory of its episodes.
    pub fn new(env: E) -> Self {
        Self {
            env,
            running: Episode { reward: 0.0, length: 0 },
            finished: VecDeque::with_capacity(KEPT),
        }
    }

    /// The last episodes, the latest at the end. Those that were left by a reset before their end are not among them.
    pub fn episodes(&self) -> &VecDeque<Episode> {
        &self.finished
    }

    as_inside!(env);
}

impl<E: Env> Env for EpisodeStatistics<E> {
    as_inside!(observation_space, action_space, action_mask, render);

    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
        self.running = Episode { reward: 0.0, length: 0 };
        self.env.reset(seed, observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let step = self.env.step(action, observation);
        self.running.reward += step.reward;
        self.running.length += 1;
        if step.ends() {
            if self.finished.len() >= KEPT {
                self.finished.pop_front();
            }
            self.finished.push_back(self.running);
        }
        step
    }

    fn save(&self, state: &mut Vec<u8>) -> bool {
        saved_state::write_around(&(&self.running, &self.finished), &self.env, state)
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        (self.running, self.finished) = saved_state::read(state)?;
        self.env.load(state)
    }
}
