//! What an environment is.

use crate::error::RlError;
use crate::render::Scene;
use crate::space::Space;
use crate::vector::Transition;

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

    /// What became of the environment. An episode that is over in its last step is over: nothing is bootstrapped.
    pub fn transition(self) -> Transition {
        match (self.terminated, self.truncated) {
            (true, _) => Transition::Terminated,
            (false, true) => Transition::Truncated,
            (false, false) => Transition::Continues,
        }
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

    /// Writes which actions may be taken now, 1 for each that may and 0 for the others, in the order of the choices where there are
    /// several. While an episode goes on there is one at least. False, with nothing written, where the environment does not say.
    fn action_mask(&self, mask: &mut [f32]) -> bool {
        let _ = mask;
        false
    }

    /// What the environment looks like now; nothing where it cannot be drawn.
    fn render(&self) -> Option<Scene> {
        None
    }

    /// Appends all that the future depends on, random numbers included, to `state`. False, with nothing appended, where
    /// the environment cannot be saved.
    fn save(&self, state: &mut Vec<u8>) -> bool {
        let _ = state;
        false
    }

    /// Goes on from where [`save`](Self::save) was called, and takes what it reads from the front of `state`.
    ///
    /// # Errors
    /// `state` is not of such an environment, or it cannot be saved.
    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        let _ = state;
        Err(RlError::SavedState("this environment cannot be saved"))
    }
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

    fn action_mask(&self, mask: &mut [f32]) -> bool {
        (**self).action_mask(mask)
    }

    fn render(&self) -> Option<Scene> {
        (**self).render()
    }

    fn save(&self, state: &mut Vec<u8>) -> bool {
        (**self).save(state)
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        (**self).load(state)
    }
}
