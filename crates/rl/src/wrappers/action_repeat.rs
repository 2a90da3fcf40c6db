//! Deciding less often.

use crate::env::{Env, Step};
use crate::error::RlError;

/// An environment that takes every action a number of times.
pub struct ActionRepeat<E> {
    env: E,
    times: usize,
}

impl<E: Env> ActionRepeat<E> {
    /// `env`, in which an action is taken `times` times, or until the episode is over. The reward is the sum of theirs.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where `times` is 0.
    pub fn new(env: E, times: usize) -> Result<Self, RlError> {
        if times == 0 {
            return Err(RlError::wrapper("ActionRepeat", "0 times; expected once at least"));
        }
        Ok(Self { env, times })
    }

    as_inside!(env);
}

impl<E: Env> Env for ActionRepeat<E> {
    as_inside!(observation_space, action_space, reset, action_mask, render, save, load);

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let mut step = self.env.step(action, observation);
        for _ in 1..self.times {
            if step.ends() {
                break;
            }
            let reward = step.reward;
            step = self.env.step(action, observation);
            step.reward += reward;
        }
        step
    }
}
