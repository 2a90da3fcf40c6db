//! Environments that are a state and a law of motion.

use etude_train::Seed;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::env::{Env, Step};
use crate::error::RlError;
use crate::render::Scene;
use crate::saved_state;
use crate::space::Space;

/// A law of motion: what follows depends on the state, the action and chance alone.
pub trait Dynamics: Send + 'static {
    /// All that the future depends on.
    type State: Copy + Send + Serialize + DeserializeOwned;

    /// What observations may be.
    fn observation_space(&self) -> Space;

    /// What actions may be.
    fn action_space(&self) -> Space;

    /// Draws a first state.
    fn start(&self, random: &mut ChaCha8Rng) -> Self::State;

    /// The state after `action`, the reward, and whether the task is over.
    fn advance(&self, state: Self::State, action: &[f32], random: &mut ChaCha8Rng) -> (Self::State, f64, bool);

    /// Writes what is seen of a state.
    fn observe(&self, state: &Self::State, observation: &mut [f32]);

    /// Writes which actions may be taken in a state, as [`Env::action_mask`] does.
    fn action_mask(&self, state: &Self::State, mask: &mut [f32]) -> bool {
        let _ = (state, mask);
        false
    }

    /// What a state looks like; nothing where it cannot be drawn.
    fn draw(&self, state: &Self::State) -> Option<Scene> {
        let _ = state;
        None
    }
}

/// One system that follows the law `D`.
pub struct Simulator<D: Dynamics> {
    law: D,
    observation_space: Space,
    action_space: Space,
    random: ChaCha8Rng,
    state: D::State,
}

impl<D: Dynamics> Simulator<D> {
    /// A system that follows `law`.
    pub fn new(law: D) -> Self {
        let mut random = stream(0);
        Self {
            observation_space: law.observation_space(),
            action_space: law.action_space(),
            state: law.start(&mut random),
            random,
            law,
        }
    }

    /// The law that it follows.
    pub fn law(&self) -> &D {
        &self.law
    }

    /// The present state.
    pub fn state(&self) -> D::State {
        self.state
    }

    /// Puts the system into a state.
    pub fn set_state(&mut self, state: D::State) {
        self.state = state;
    }
}

impl<D: Dynamics> Env for Simulator<D> {
    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
        if let Some(seed) = seed {
            self.random = stream(seed);
        }
        self.state = self.law.start(&mut self.random);
        self.law.observe(&self.state, observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let (state, reward, terminated) = self.law.advance(self.state, action, &mut self.random);
        self.state = state;
        self.law.observe(&state, observation);
        Step {
            reward,
            terminated,
            truncated: false,
        }
    }

    fn action_mask(&self, mask: &mut [f32]) -> bool {
        self.law.action_mask(&self.state, mask)
    }

    fn render(&self) -> Option<Scene> {
        self.law.draw(&self.state)
    }

    fn save(&self, state: &mut Vec<u8>) -> bool {
        saved_state::write(&(&self.random, &self.state), state);
        true
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        (self.random, self.state) = saved_state::read(state)?;
        Ok(())
    }
}

/// The random numbers of an environment that is reset with this seed.
pub(crate) fn stream(seed: u64) -> ChaCha8Rng {
    Seed(seed).stream("environment")
}
