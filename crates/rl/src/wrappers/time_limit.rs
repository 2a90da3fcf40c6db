//! Cutting episodes off.

use crate::env::{Env, Step};
use crate::error::RlError;
use crate::render::Scene;
use crate::saved_state;

/// An environment whose episodes are truncated after so many steps.
pub struct TimeLimit<E> {
    env: E,
    limit: usize,
    steps: usize,
}

impl<E: Env> TimeLimit<E> {
    /// `env` with episodes of at most `limit` steps.
    pub fn new(env: E, limit: usize) -> Self {
        Self { env, limit, steps: 0 }
    }

    as_inside!(env);
}

impl<E: Env> Env for TimeLimit<E> {
    as_inside!(observation_space, action_space, action_mask);

    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
        self.steps = 0;
        self.env.reset(seed, observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let mut step = self.env.step(action, observation);
        self.steps += 1;
        // Both may be true, as in Gymnasium: an episode that is over in its last step is over.
        step.truncated |= self.steps >= self.limit;
        step
    }

    fn render(&self) -> Option<Scene> {
        self.env.render()
    }

    fn save(&self, state: &mut Vec<u8>) -> bool {
        saved_state::write_around(&self.steps, &self.env, state)
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        self.steps = saved_state::read(state)?;
        self.env.load(state)
    }
}
