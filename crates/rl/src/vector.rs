//! Many environments, a step of all at a time.

use serde::{Deserialize, Serialize};

use crate::env::Env;
use crate::error::RlError;
use crate::render::Scene;
use crate::saved_state;
use crate::space::Space;

/// When an environment whose episode is over begins the next (Gymnasium's `AutoresetMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Autoreset {
    /// In the step after: the action of that step is not taken, and it is no transition ([`Transition::Ghost`]).
    #[default]
    NextStep,
    /// In the same step: the observation is the first of the next episode, and the last of the old one is kept beside it.
    SameStep,
    /// When it is told to, by [`VectorEnv::reset_where`].
    Disabled,
}

/// What became of one environment in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Transition {
    /// The episode goes on.
    #[default]
    Continues,
    /// The task is over: nothing is bootstrapped from what follows.
    Terminated,
    /// A limit has cut the episode off: what follows is bootstrapped from.
    Truncated,
    /// None: the environment was only reset, and nothing may be learnt from this step.
    Ghost,
}

impl Transition {
    /// Whether the episode is over, one way or the other.
    pub fn ends(self) -> bool {
        matches!(self, Self::Terminated | Self::Truncated)
    }
}

/// What a step of `n` environments gave; `d` numbers make up an observation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Shape `[n, d]`: what the next actions are chosen from.
    pub observations: Vec<f32>,
    /// Shape `[n, d]`: the last observations of the episodes that this step has ended, where others stand in their place in
    /// `observations` ([`Autoreset::SameStep`]). The other rows mean nothing.
    pub final_observations: Vec<f32>,
    /// Shape `[n]`.
    pub rewards: Vec<f64>,
    /// Shape `[n]`.
    pub transitions: Vec<Transition>,
}

impl Batch {
    /// Room for what `envs` give.
    pub fn for_envs(envs: &(impl VectorEnv + ?Sized)) -> Self {
        let (count, width) = (envs.count(), envs.observation_space().length());
        Self {
            observations: vec![0.0; count * width],
            final_observations: vec![0.0; count * width],
            rewards: vec![0.0; count],
            transitions: vec![Transition::Continues; count],
        }
    }
}

/// Environments of one kind.
pub trait VectorEnv: Send {
    /// How many there are.
    fn count(&self) -> usize;

    /// What observations of one of them may be.
    fn observation_space(&self) -> &Space;

    /// What actions of one of them may be.
    fn action_space(&self) -> &Space;

    /// When they begin the next episode.
    fn autoreset(&self) -> Autoreset;

    /// Begins an episode in each. With a seed, the i-th environment begins as it would alone with `seed + i`.
    ///
    /// # Errors
    /// The environments run in another program, which has failed. None of ours does.
    fn reset(&mut self, seed: Option<u64>, batch: &mut Batch) -> Result<(), RlError>;

    /// Begins an episode in those for which `which` says so.
    ///
    /// # Errors
    /// As [`reset`](Self::reset).
    fn reset_where(&mut self, which: &[bool], batch: &mut Batch) -> Result<(), RlError>;

    /// Takes an action in each: `actions` has the shape `[n, a]`, `a` numbers to an action.
    ///
    /// # Errors
    /// As [`reset`](Self::reset).
    fn step(&mut self, actions: &[f32], batch: &mut Batch) -> Result<(), RlError>;

    /// What one of them looks like now; nothing where they cannot be drawn.
    ///
    /// # Panics
    /// There is no such environment.
    fn render(&self, index: usize) -> Option<Scene> {
        let _ = index;
        None
    }

    /// Appends all that the future depends on to `state`, as [`Env::save`] does.
    fn save(&self, state: &mut Vec<u8>) -> bool {
        let _ = state;
        false
    }

    /// Goes on from where [`save`](Self::save) was called, as [`Env::load`] does.
    ///
    /// # Errors
    /// `state` is not of such environments, or they cannot be saved.
    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        let _ = state;
        Err(RlError::SavedState("these environments cannot be saved"))
    }
}

/// Environments that are stepped one after another.
pub struct Vector<E> {
    envs: Vec<E>,
    autoreset: Autoreset,
    /// Those that the next step has to reset.
    waiting: Vec<bool>,
}

impl<E: Env> Vector<E> {
    /// Joins `envs`, at least one, which must have the same spaces.
    pub fn new(envs: Vec<E>, autoreset: Autoreset) -> Self {
        let waiting = vec![false; envs.len()];
        Self {
            envs,
            autoreset,
            waiting,
        }
    }
}

impl<E: Env> VectorEnv for Vector<E> {
    fn count(&self) -> usize {
        self.envs.len()
    }

    fn observation_space(&self) -> &Space {
        self.envs[0].observation_space()
    }

    fn action_space(&self) -> &Space {
        self.envs[0].action_space()
    }

    fn autoreset(&self) -> Autoreset {
        self.autoreset
    }

    fn reset(&mut self, seed: Option<u64>, batch: &mut Batch) -> Result<(), RlError> {
        let width = self.observation_space().length();
        let rows = batch.observations.chunks_exact_mut(width);
        for (index, (env, observation)) in self.envs.iter_mut().zip(rows).enumerate() {
            env.reset(seed.map(|seed| seed.wrapping_add(index as u64)), observation);
        }
        self.waiting.fill(false);
        Ok(())
    }

    fn reset_where(&mut self, which: &[bool], batch: &mut Batch) -> Result<(), RlError> {
        let width = self.observation_space().length();
        let rows = batch.observations.chunks_exact_mut(width);
        for (index, (env, observation)) in self.envs.iter_mut().zip(rows).enumerate() {
            if which[index] {
                env.reset(None, observation);
                self.waiting[index] = false;
            }
        }
        Ok(())
    }

    fn step(&mut self, actions: &[f32], batch: &mut Batch) -> Result<(), RlError> {
        let width = self.observation_space().length();
        let actions = actions.chunks_exact(self.action_space().length());
        let rows = batch
            .observations
            .chunks_exact_mut(width)
            .zip(batch.final_observations.chunks_exact_mut(width));
        let results = batch.rewards.iter_mut().zip(&mut batch.transitions);
        let places = rows.zip(results).zip(&mut self.waiting);
        for ((env, action), (((observation, last), (reward, transition)), waiting)) in
            self.envs.iter_mut().zip(actions).zip(places)
        {
            if std::mem::take(waiting) {
                env.reset(None, observation);
                (*reward, *transition) = (0.0, Transition::Ghost);
                continue;
            }
            let step = env.step(action, observation);
            *reward = step.reward;
            *transition = step.transition();
            if transition.ends() {
                match self.autoreset {
                    Autoreset::NextStep => *waiting = true,
                    Autoreset::SameStep => {
                        last.copy_from_slice(observation);
                        env.reset(None, observation);
                    }
                    Autoreset::Disabled => {}
                }
            }
        }
        Ok(())
    }

    fn render(&self, index: usize) -> Option<Scene> {
        self.envs[index].render()
    }

    fn save(&self, state: &mut Vec<u8>) -> bool {
        let start = state.len();
        saved_state::write(&self.waiting, state);
        let saved = self.envs.iter().all(|env| env.save(state));
        if !saved {
            state.truncate(start);
        }
        saved
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        self.waiting = saved_state::read_length(state, self.envs.len())?;
        self.envs.iter_mut().try_for_each(|env| env.load(state))
    }
}
