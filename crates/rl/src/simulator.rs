//! Environments that are a state and a law of motion.

use etude_train::Seed;
use rand_chacha::ChaCha8Rng;

use crate::env::{Env, Step};
use crate::space::Space;

/// A law of motion without chance but in the start: the next state depends on the state and the action alone.
pub trait Dynamics: Send + 'static {
    /// All that the future depends on, in 64 bits.
    type State: Copy + Send;

    /// What observations may be.
    fn observation_space() -> Space;

    /// What actions may be.
    fn action_space() -> Space;

    /// Draws a first state.
    fn start(random: &mut ChaCha8Rng) -> Self::State;

    /// The state after `action`, the reward, and whether the task is over.
    fn advance(state: Self::State, action: &[f32]) -> (Self::State, f64, bool);

    /// Writes what is seen of a state.
    fn observe(state: &Self::State, observation: &mut [f32]);
}

/// One system that follows the law `D`.
pub struct Simulator<D: Dynamics> {
    observation_space: Space,
    action_space: Space,
    random: ChaCha8Rng,
    state: D::State,
}

impl<D: Dynamics> Default for Simulator<D> {
    fn default() -> Self {
        let mut random = stream(0);
        Self {
            observation_space: D::observation_space(),
            action_space: D::action_space(),
            state: D::start(&mut random),
            random,
        }
    }
}

impl<D: Dynamics> Simulator<D> {
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
        self.state = D::start(&mut self.random);
        D::observe(&self.state, observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let (state, reward, terminated) = D::advance(self.state, action);
        self.state = state;
        D::observe(&state, observation);
        Step {
            reward,
            terminated,
            truncated: false,
        }
    }
}

/// The random numbers of an environment that is reset with this seed.
pub(crate) fn stream(seed: u64) -> ChaCha8Rng {
    Seed(seed).stream("environment")
}
