//! An environment that keeps what is seen of it.

use super::recording::{Log, Recording};
use super::scene::Scene;
use crate::env::{Env, Step};
use crate::error::RlError;
use crate::space::Space;

/// An environment whose episodes are recorded: a scene after every reset and after every step.
pub struct Recorder<E> {
    env: E,
    log: Log,
}

impl<E: Env> Recorder<E> {
    /// Records up to `most_scenes` scenes of `env`; what comes later is not kept.
    ///
    /// # Errors
    /// [`RlError::NoPicture`] where `env` cannot be drawn.
    pub fn new(env: E, most_scenes: usize) -> Result<Self, RlError> {
        env.render().ok_or(RlError::NoPicture)?;
        Ok(Self {
            env,
            log: Log::new(most_scenes),
        })
    }

    /// Whether the next scene will be kept.
    pub fn has_room(&self) -> bool {
        self.log.has_room()
    }

    /// Ends the recording.
    pub fn finish(self) -> Recording {
        self.log.recording
    }
}

impl<E: Env> Env for Recorder<E> {
    fn observation_space(&self) -> &Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> &Space {
        self.env.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
        self.env.reset(seed, observation);
        self.log.reset(self.env.render());
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let step = self.env.step(action, observation);
        self.log.step(step.reward, step.ends(), self.env.render());
        step
    }

    fn action_mask(&self, mask: &mut [f32]) -> bool {
        self.env.action_mask(mask)
    }

    fn render(&self) -> Option<Scene> {
        self.env.render()
    }

    fn save(&self, state: &mut Vec<u8>) -> bool {
        self.env.save(state)
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        self.env.load(state)
    }
}
