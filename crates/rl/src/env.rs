//! What an environment is.

use crate::space::Space;

/// What one step gave, apart from the observation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The reward.
    pub reward: f64,
    /// The task is over: whatever followed would be worth nothing, so nothing is bootstrapped from the next observation.
    pub terminated: bool,
    /// A limit has cut the episode off: the next observation has a value, and it is bootstrapped from.
    pub truncated: bool,
}

impl Step {
    /// Whether the episode is over, one way or the other.
    pub fn ends(self) -> bool {
        self.terminated || self.truncated
    }
}

/// An environment, with Gymnasium's meaning.
///
/// Observations and actions are vectors of as many numbers as their [`Space`] says; a discrete one is a single whole
/// number. After a step that [`ends`](Step::ends) the episode, `reset` comes before the next.
pub trait Env: Send {
    /// What observations may be.
    fn observation_space(&self) -> &Space;

    /// What actions may be.
    fn action_space(&self) -> &Space;

    /// Begins an episode and writes its first observation. A seed starts the environment's random numbers anew: the same
    /// seed gives the same episodes from then on. Without one they go on.
    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]);

    /// Takes an action and writes the observation that follows.
    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step;
}

impl<E: Env + ?Sized> Env for Box<E> {
    fn observation_space(&self) -> &Space {
        (**self).observation_space()
    }

    fn action_space(&self) -> &Space {
        (**self).action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
        (**self).reset(seed, observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        (**self).step(action, observation)
    }
}
