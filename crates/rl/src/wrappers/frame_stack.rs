//! A memory of the last observations.

use crate::env::{Env, Step};
use crate::error::RlError;
use crate::saved_state;
use crate::space::Space;

/// An environment that shows its last observations side by side, the oldest first. At the beginning of an episode the
/// first one stands for those that were not.
pub struct FrameStack<E> {
    env: E,
    observation_space: Space,
    /// How many numbers make up an observation inside.
    width: usize,
    /// Shape `[frames, width]`.
    frames: Vec<f32>,
}

impl<E: Env> FrameStack<E> {
    /// `env` with observations of shape `[frames, d]`, where its own are `d` numbers.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where `frames` is 0, or observations have a mask of actions.
    pub fn new(env: E, frames: usize) -> Result<Self, RlError> {
        let observation_space = stacked(env.observation_space(), frames)?;
        let width = env.observation_space().length();
        Ok(Self {
            frames: vec![0.0; frames * width],
            env,
            observation_space,
            width,
        })
    }

    as_inside!(env);
}

/// The space of `frames` observations from `space`, side by side.
///
/// # Errors
/// [`RlError::Wrapper`] where `frames` is 0, or there is a mask of actions, of which only the last would count.
pub(crate) fn stacked(space: &Space, frames: usize) -> Result<Space, RlError> {
    if frames == 0 {
        return Err(RlError::wrapper("FrameStack", "0 frames; expected one at least"));
    }
    Ok(match space {
        Space::Discrete(count) => Space::MultiDiscrete(vec![*count; frames]),
        Space::MultiDiscrete(counts) => Space::MultiDiscrete(counts.repeat(frames)),
        Space::Box { low, high } => Space::Box {
            low: low.repeat(frames),
            high: high.repeat(frames),
        },
        Space::Pixels {
            channels,
            height,
            width,
        } => Space::Pixels {
            channels: channels * frames,
            height: *height,
            width: *width,
        },
        Space::Masked { .. } => {
            let detail = format!("observations are {space}; expected none with a mask of actions");
            return Err(RlError::wrapper("FrameStack", detail));
        }
    })
}

impl<E: Env> Env for FrameStack<E> {
    as_inside!(action_space, action_mask, render);

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
        let (first, others) = self.frames.split_at_mut(self.width);
        self.env.reset(seed, first);
        others
            .chunks_exact_mut(self.width)
            .for_each(|frame| frame.copy_from_slice(first));
        observation.copy_from_slice(&self.frames);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        self.frames.copy_within(self.width.., 0);
        let last = self.frames.len() - self.width;
        let step = self.env.step(action, &mut self.frames[last..]);
        observation.copy_from_slice(&self.frames);
        step
    }

    fn save(&self, state: &mut Vec<u8>) -> bool {
        saved_state::write_around(&self.frames, &self.env, state)
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        self.frames = saved_state::read_length(state, self.frames.len())?;
        self.env.load(state)
    }
}
