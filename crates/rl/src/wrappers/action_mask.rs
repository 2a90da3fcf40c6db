//! Showing which actions may be taken.

use crate::env::{Env, Step};
use crate::error::RlError;
use crate::space::Space;

/// An environment that shows after each observation which actions may be taken then: see [`Space::Masked`].
pub struct ActionMask<E> {
    env: E,
    observation_space: Space,
    /// How many numbers make up an observation inside.
    width: usize,
}

impl<E: Env> ActionMask<E> {
    /// `env` with its masks.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where its actions are numbers, it shows masks already or pictures, or it does not say which actions may be
    /// taken.
    pub fn new(env: E) -> Result<Self, RlError> {
        let refuse = |detail: String| Err(RlError::wrapper("ActionMask", detail));
        let actions = match env.action_space() {
            Space::Discrete(count) => *count,
            Space::MultiDiscrete(counts) => counts.iter().sum(),
            other => return refuse(format!("an action is {other}; expected one of so many")),
        };
        let observation = env.observation_space();
        if let Space::Pixels { .. } = observation {
            return refuse(format!("observations are {observation}; expected no picture"));
        }
        if observation.mask_length() > 0 {
            return refuse(format!(
                "observations are {observation}; expected none with a mask of actions"
            ));
        }
        if !env.action_mask(&mut vec![0.0; actions]) {
            return refuse("the environment does not say which actions may be taken".into());
        }
        Ok(Self {
            width: observation.length(),
            observation_space: Space::Masked {
                observation: Box::new(observation.clone()),
                actions,
            },
            env,
        })
    }

    as_inside!(env);
}

impl<E: Env> Env for ActionMask<E> {
    as_inside!(action_space, action_mask, render, save, load);

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
        let (seen, mask) = observation.split_at_mut(self.width);
        self.env.reset(seed, seen);
        self.env.action_mask(mask);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let (seen, mask) = observation.split_at_mut(self.width);
        let step = self.env.step(action, seen);
        self.env.action_mask(mask);
        step
    }
}
