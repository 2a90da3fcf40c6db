//! Keeping numbers between bounds.

use crate::env::{Env, Step};
use crate::error::RlError;
use crate::space::Space;

/// An environment that takes any numbers for an action, and brings them into the bounds of its action space. A NaN
/// remains one.
///
/// Its own action space has no bounds, as in Gymnasium.
pub struct ClipAction<E> {
    env: E,
    action_space: Space,
    low: Vec<f32>,
    high: Vec<f32>,
    clipped: Vec<f32>,
}

impl<E: Env> ClipAction<E> {
    /// Clips the actions of `env`.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where they are not a box.
    pub fn new(env: E) -> Result<Self, RlError> {
        let (low, high) = match env.action_space() {
            Space::Box { low, high } if low.iter().zip(high).all(|(low, high)| low <= high) => {
                (low.clone(), high.clone())
            }
            other => {
                let detail = format!("actions are {other:?}; expected a box");
                return Err(RlError::wrapper("ClipAction", detail));
            }
        };
        Ok(Self {
            env,
            action_space: Space::symmetric(vec![f32::INFINITY; low.len()]),
            clipped: vec![0.0; low.len()],
            low,
            high,
        })
    }

    as_inside!(env);
}

impl<E: Env> Env for ClipAction<E> {
    as_inside!(observation_space, reset, action_mask, render, save, load);

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let bounds = self.low.iter().zip(&self.high);
        for ((clipped, entry), (low, high)) in self.clipped.iter_mut().zip(action).zip(bounds) {
            *clipped = entry.clamp(*low, *high);
        }
        self.env.step(&self.clipped, observation)
    }
}

/// An environment whose observations are brought between two bounds, entry by entry. A NaN remains one.
pub struct ClipObservation<E> {
    env: E,
    observation_space: Space,
    low: f32,
    high: f32,
}

impl<E: Env> ClipObservation<E> {
    /// Clips the observations of `env` to at least `low` and at most `high`, one of which may be infinite.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where they are not a box, or the bounds are not in their order.
    pub fn new(env: E, low: f32, high: f32) -> Result<Self, RlError> {
        ordered("ClipObservation", low.into(), high.into())?;
        let Space::Box { low: lows, high: highs } = env.observation_space() else {
            return Err(RlError::wrapper(
                "ClipObservation",
                format!("observations are {:?}; expected a box", env.observation_space()),
            ));
        };
        let clip = |bounds: &[f32]| bounds.iter().map(|bound| bound.clamp(low, high)).collect();
        Ok(Self {
            observation_space: Space::Box {
                low: clip(lows),
                high: clip(highs),
            },
            env,
            low,
            high,
        })
    }

    as_inside!(env);

    fn clip(&self, observation: &mut [f32]) {
        for entry in observation {
            *entry = entry.clamp(self.low, self.high);
        }
    }
}

impl<E: Env> Env for ClipObservation<E> {
    as_inside!(action_space, action_mask, render, save, load);

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
        self.env.reset(seed, observation);
        self.clip(observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let step = self.env.step(action, observation);
        self.clip(observation);
        step
    }
}

/// An environment whose rewards are brought between two bounds. A NaN remains one.
pub struct ClipReward<E> {
    env: E,
    low: f64,
    high: f64,
}

impl<E: Env> ClipReward<E> {
    /// Clips the rewards of `env` to at least `low` and at most `high`, one of which may be infinite.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where the bounds are not in their order.
    pub fn new(env: E, low: f64, high: f64) -> Result<Self, RlError> {
        ordered("ClipReward", low, high)?;
        Ok(Self { env, low, high })
    }

    as_inside!(env);
}

impl<E: Env> Env for ClipReward<E> {
    as_inside!(observation_space, action_space, reset, action_mask, render, save, load);

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let step = self.env.step(action, observation);
        Step {
            reward: step.reward.clamp(self.low, self.high),
            ..step
        }
    }
}

/// Refuses bounds of which the first is greater than the second, or one is NaN.
fn ordered(wrapper: &'static str, low: f64, high: f64) -> Result<(), RlError> {
    if low <= high {
        Ok(())
    } else {
        let detail = format!("bounds are {low} and {high}; expected the lower one first");
        Err(RlError::wrapper(wrapper, detail))
    }
}
