//! Environments by name, changed in what an observation is and how long an action lasts.

use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::env::Env;
use crate::error::RlError;
use crate::gymnasium::{Extras, GymnasiumEnvs, Interpreter};
use crate::registry::{make_drawn, make_envs, registered};
use crate::render::Scene;
use crate::saved_state;
use crate::space::Space;
use crate::vector::{Autoreset, Batch, Transition, Vector, VectorEnv};
use crate::wrappers::{ActionMask, ActionRepeat, FrameStack, Pixels, stacked};

/// What stands between a policy and its environment, while it learns and ever after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapping {
    /// How many times each action is taken.
    pub action_repeat: usize,
    /// How many observations are seen at a time, the last one and those before it.
    pub frame_stack: usize,
    /// What is seen are pictures of so many pixels in height and width. They are stacked before actions are repeated, so that with three
    /// frames and three repetitions an observation shows all steps of an action (Lillicrap et al. 2016, section 7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<u16>,
    /// Whether an observation also says which actions may be taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub action_mask: bool,
}

impl Default for Wrapping {
    /// Nothing.
    fn default() -> Self {
        Self {
            action_repeat: 1,
            frame_stack: 1,
            pixels: None,
            action_mask: false,
        }
    }
}

impl Wrapping {
    /// The greatest of its numbers.
    pub const MOST: usize = 1000;

    /// What is wrong with it.
    pub(crate) fn fault(self) -> Option<String> {
        let side = self.pixels.map_or(1, usize::from);
        [
            ("action_repeat", self.action_repeat),
            ("frame_stack", self.frame_stack),
            ("pixels", side),
        ]
        .into_iter()
        .find(|(_, number)| !(1..=Self::MOST).contains(number))
        .map(|(name, number)| format!("`{name}` is {number}; expected 1 to {}", Self::MOST))
    }

    /// Whether there is nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// [`make_envs`](crate::make_envs), wrapped.
    ///
    /// # Errors
    /// Those of `make_envs`; a number is 0; there is no picture; actions are to be repeated or pictures seen in an environment of
    /// Gymnasium's, which runs elsewhere; or actions are to be masked and the environment does not say which may be taken, or frames
    /// are stacked or pictures seen as well.
    pub fn make_envs(self, id: &str, count: usize, autoreset: Autoreset) -> Result<Box<dyn VectorEnv>, RlError> {
        if let Some(side) = self.pixels {
            return self.of_pixels(id, side, count, autoreset);
        }
        match self.changed(id, count, autoreset, false)? {
            Some(envs) => self.stacking(envs),
            None => self.stacking(make_envs(id, count, autoreset)?),
        }
    }

    /// [`make_drawn`](crate::make_drawn), wrapped.
    ///
    /// # Errors
    /// Those of `make_drawn`, and those of [`make_envs`](Self::make_envs).
    pub fn make_drawn(self, id: &str) -> Result<Box<dyn VectorEnv>, RlError> {
        if let Some(side) = self.pixels {
            return self.of_pixels(id, side, 1, Autoreset::Disabled);
        }
        match self.changed(id, 1, Autoreset::Disabled, true)? {
            Some(envs) => self.stacking(envs),
            None => self.stacking(make_drawn(id)?),
        }
    }

    /// Environments whose actions are repeated or masked, where they are to be. Ours can always be drawn, Gymnasium's where `drawn`.
    fn changed(
        self,
        id: &str,
        count: usize,
        autoreset: Autoreset,
        drawn: bool,
    ) -> Result<Option<Box<dyn VectorEnv>>, RlError> {
        if self.action_repeat == 1 && !self.action_mask {
            return Ok(None);
        }
        let Some(elsewhere) = id.strip_prefix("gym:") else {
            let known = registered(id)?;
            let envs = (0..count).map(|_| self.changed_one(known.make()?));
            return Ok(Some(Box::new(Vector::new(envs.collect::<Result<_, _>>()?, autoreset))));
        };
        if self.action_repeat != 1 {
            let detail = format!("{id} runs in another program; register it there with its actions repeated");
            return Err(RlError::wrapper("ActionRepeat", detail));
        }
        let (python, extras) = (Interpreter::find(), Extras { drawn, masked: true });
        let envs = GymnasiumEnvs::start_with(&python, elsewhere, (count, autoreset), extras, &Map::new())?;
        Ok(Some(Box::new(envs)))
    }

    /// One of ours, whose actions are repeated or masked.
    fn changed_one(self, env: Box<dyn Env>) -> Result<Box<dyn Env>, RlError> {
        let env = ActionRepeat::new(env, self.action_repeat)?;
        Ok(if self.action_mask {
            Box::new(ActionMask::new(env)?)
        } else {
            Box::new(env)
        })
    }

    /// Environments of which pictures are seen.
    fn of_pixels(self, id: &str, side: u16, count: usize, autoreset: Autoreset) -> Result<Box<dyn VectorEnv>, RlError> {
        if id.starts_with("gym:") {
            let detail = format!("{id} runs in another program; register it there with its pictures for observations");
            return Err(RlError::wrapper("Pixels", detail));
        }
        let known = registered(id)?;
        let envs = (0..count).map(|_| {
            let frames = FrameStack::new(Pixels::new(known.make()?, side)?, self.frame_stack)?;
            self.changed_one(Box::new(frames))
        });
        Ok(Box::new(Vector::new(envs.collect::<Result<_, _>>()?, autoreset)))
    }

    fn stacking(self, envs: Box<dyn VectorEnv>) -> Result<Box<dyn VectorEnv>, RlError> {
        match self.frame_stack {
            1 => Ok(envs),
            frames => Ok(Box::new(FrameStacks::new(envs, frames)?)),
        }
    }
}

/// [`FrameStack`](crate::wrappers::FrameStack) of many environments at a time, wherever they run.
pub struct FrameStacks {
    envs: Box<dyn VectorEnv>,
    observation_space: Space,
    /// Numbers of an observation inside.
    width: usize,
    /// Numbers of a stack.
    stack: usize,
    /// What the environments inside gave.
    inside: Batch,
    /// Shape `[n, frames, width]`.
    frames: Vec<f32>,
}

impl FrameStacks {
    /// `envs` with observations of shape `[frames, d]`, where their own are `d` numbers.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where `frames` is 0, or observations have a mask of actions.
    pub fn new(envs: Box<dyn VectorEnv>, frames: usize) -> Result<Self, RlError> {
        let observation_space = stacked(envs.observation_space(), frames)?;
        let width = envs.observation_space().length();
        Ok(Self {
            observation_space,
            width,
            stack: width * frames,
            inside: Batch::for_envs(&*envs),
            frames: vec![0.0; envs.count() * frames * width],
            envs,
        })
    }

    /// All frames of environment `index` become its present observation.
    fn begin(&mut self, index: usize) {
        let first = &self.inside.observations[index * self.width..][..self.width];
        let frames = &mut self.frames[index * self.stack..][..self.stack];
        for frame in frames.chunks_exact_mut(self.width) {
            frame.copy_from_slice(first);
        }
    }
}

/// Drops the oldest frame of a stack and adds a new one.
fn push(frames: &mut [f32], frame: &[f32]) {
    frames.copy_within(frame.len().., 0);
    let last = frames.len() - frame.len();
    frames[last..].copy_from_slice(frame);
}

impl VectorEnv for FrameStacks {
    fn count(&self) -> usize {
        self.envs.count()
    }

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        self.envs.action_space()
    }

    fn autoreset(&self) -> Autoreset {
        self.envs.autoreset()
    }

    fn reset(&mut self, seed: Option<u64>, batch: &mut Batch) -> Result<(), RlError> {
        self.envs.reset(seed, &mut self.inside)?;
        (0..self.count()).for_each(|index| self.begin(index));
        batch.observations.copy_from_slice(&self.frames);
        Ok(())
    }

    fn reset_where(&mut self, which: &[bool], batch: &mut Batch) -> Result<(), RlError> {
        self.envs.reset_where(which, &mut self.inside)?;
        for index in (0..self.count()).filter(|&index| which[index]) {
            self.begin(index);
        }
        batch.observations.copy_from_slice(&self.frames);
        Ok(())
    }

    fn step(&mut self, actions: &[f32], batch: &mut Batch) -> Result<(), RlError> {
        self.envs.step(actions, &mut self.inside)?;
        let same_step = self.autoreset() == Autoreset::SameStep;
        for index in 0..self.count() {
            let transition = self.inside.transitions[index];
            if transition == Transition::Ghost {
                self.begin(index);
                continue;
            }
            let row = index * self.width..(index + 1) * self.width;
            let frames = &mut self.frames[index * self.stack..][..self.stack];
            if transition.ends() && same_step {
                push(frames, &self.inside.final_observations[row]);
                batch.final_observations[index * self.stack..][..self.stack].copy_from_slice(frames);
                self.begin(index);
            } else {
                push(frames, &self.inside.observations[row]);
            }
        }
        batch.observations.copy_from_slice(&self.frames);
        batch.rewards.copy_from_slice(&self.inside.rewards);
        batch.transitions.copy_from_slice(&self.inside.transitions);
        Ok(())
    }

    fn render(&self, index: usize) -> Option<Scene> {
        self.envs.render(index)
    }

    fn save(&self, state: &mut Vec<u8>) -> bool {
        let start = state.len();
        saved_state::write(&self.frames, state);
        let saved = self.envs.save(state);
        if !saved {
            state.truncate(start);
        }
        saved
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        self.frames = saved_state::read_length(state, self.frames.len())?;
        self.envs.load(state)
    }
}
