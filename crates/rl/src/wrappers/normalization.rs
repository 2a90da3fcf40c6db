//! Observations and rewards on a scale that networks learn well from.

use super::moments::RunningMoments;
use crate::env::{Env, Step};
use crate::error::RlError;
use crate::saved_state;
use crate::space::Space;

/// An environment whose observations have mean 0 and variance 1, by what has been seen of them so far.
///
/// The moments are kept in 64 bits. Gymnasium keeps those of 32-bit observations in 32, and so drifts away: by a few
/// thousandths after a hundred thousand steps, where an entry moves by a tenth about 100.
pub struct ObservationNormalization<E> {
    env: E,
    observation_space: Space,
    moments: RunningMoments,
    learns: bool,
}

impl<E: Env> ObservationNormalization<E> {
    /// `env`, whose moments are learnt from every observation.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where observations have a mask of actions.
    pub fn new(env: E) -> Result<Self, RlError> {
        let moments = RunningMoments::new(env.observation_space().length());
        Self::with(env, moments, true)
    }

    /// `env` with moments that stay as they are: for evaluation.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where they are not of its observations, or these have a mask of actions.
    pub fn frozen(env: E, moments: RunningMoments) -> Result<Self, RlError> {
        match moments.fault(env.observation_space().length()) {
            Some(fault) => Err(RlError::wrapper("ObservationNormalization", fault)),
            None => Self::with(env, moments, false),
        }
    }

    fn with(env: E, moments: RunningMoments, learns: bool) -> Result<Self, RlError> {
        let seen = env.observation_space();
        if seen.mask_length() > 0 {
            let detail = format!("observations are {seen}; expected none with a mask of actions");
            return Err(RlError::wrapper("ObservationNormalization", detail));
        }
        Ok(Self {
            observation_space: Space::symmetric(vec![f32::INFINITY; moments.mean.len()]),
            env,
            moments,
            learns,
        })
    }

    /// The moments of the observations so far.
    pub fn moments(&self) -> &RunningMoments {
        &self.moments
    }

    as_inside!(env);

    fn normalize(&mut self, observation: &mut [f32]) {
        if self.learns {
            self.moments.update(observation.iter().copied().map(f64::from));
        }
        self.moments.normalize(observation, f64::INFINITY);
    }
}

impl<E: Env> Env for ObservationNormalization<E> {
    as_inside!(action_space, action_mask, render);

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
        self.env.reset(seed, observation);
        self.normalize(observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let step = self.env.step(action, observation);
        self.normalize(observation);
        step
    }

    fn save(&self, state: &mut Vec<u8>) -> bool {
        saved_state::write_around(&self.moments, &self.env, state)
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        self.moments = read_moments(state, self.moments.mean.len())?;
        self.env.load(state)
    }
}

/// An environment whose rewards are divided by the standard deviation of the discounted return so far.
///
/// As in Gymnasium the return is that of the past: R <- gamma R + r in every step, which forgets in the step that
/// terminates an episode what came before, but neither when an episode is truncated nor when the next one begins.
pub struct RewardNormalization<E> {
    env: E,
    discount: f64,
    discounted_return: f64,
    /// Of the discounted return.
    moments: RunningMoments,
    learns: bool,
}

impl<E: Env> RewardNormalization<E> {
    /// `env`, whose returns with this discount are learnt from every reward.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where the discount does not lie between 0 and 1.
    pub fn new(env: E, discount: f64) -> Result<Self, RlError> {
        if !(0.0..=1.0).contains(&discount) {
            let detail = format!("the discount is {discount}; expected a number from 0 to 1");
            return Err(RlError::wrapper("RewardNormalization", detail));
        }
        Ok(Self {
            env,
            discount,
            discounted_return: 0.0,
            moments: RunningMoments::new(1),
            learns: true,
        })
    }

    /// `env` with moments of the return that stay as they are: for evaluation.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where they are not of a return.
    pub fn frozen(env: E, moments: RunningMoments) -> Result<Self, RlError> {
        match moments.fault(1) {
            Some(fault) => Err(RlError::wrapper("RewardNormalization", fault)),
            None => Ok(Self {
                env,
                discount: 0.0,
                discounted_return: 0.0,
                moments,
                learns: false,
            }),
        }
    }

    /// The moments of the discounted return so far, a vector of one entry.
    pub fn moments(&self) -> &RunningMoments {
        &self.moments
    }

    as_inside!(env);
}

impl<E: Env> Env for RewardNormalization<E> {
    as_inside!(observation_space, action_space, reset, action_mask, render);

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let step = self.env.step(action, observation);
        if self.learns {
            let past = if step.terminated { 0.0 } else { self.discounted_return };
            self.discounted_return = past * self.discount + step.reward;
            self.moments.update([self.discounted_return]);
        }
        Step {
            reward: step.reward / self.moments.deviation(0),
            ..step
        }
    }

    fn save(&self, state: &mut Vec<u8>) -> bool {
        saved_state::write_around(&(&self.moments, self.discounted_return), &self.env, state)
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        self.moments = read_moments(state, 1)?;
        self.discounted_return = saved_state::read(state)?;
        self.env.load(state)
    }
}

/// Takes moments of vectors with `length` entries from the front of `state`.
fn read_moments(state: &mut &[u8], length: usize) -> Result<RunningMoments, RlError> {
    let moments: RunningMoments = saved_state::read(state)?;
    match moments.fault(length) {
        Some(_) => Err(RlError::SavedState(
            "its moments are not of such observations or rewards",
        )),
        None => Ok(moments),
    }
}
