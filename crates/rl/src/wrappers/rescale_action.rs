//! Actions on another scale.

use crate::env::{Env, Step};
use crate::error::RlError;
use crate::space::Space;

/// An environment whose actions lie between two numbers, the same for each entry, and are stretched to the bounds that it
/// has. An action beyond these numbers ends up beyond the bounds, as in Gymnasium.
pub struct RescaleAction<E> {
    env: E,
    action_space: Space,
    low: f32,
    high: f32,
    /// The bounds of each entry inside.
    inside: Vec<(f32, f32)>,
    rescaled: Vec<f32>,
}

impl<E: Env> RescaleAction<E> {
    /// `env` with actions between `low` and `high`.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where its actions are not a box with finite bounds, or `low` and `high` are not finite and in
    /// their order.
    pub fn new(env: E, low: f32, high: f32) -> Result<Self, RlError> {
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(RlError::wrapper(
                "RescaleAction",
                format!("from {low} to {high}; expected two finite numbers, the lower one first"),
            ));
        }
        let inside: Vec<(f32, f32)> = match env.action_space() {
            Space::Box { low, high } if low.iter().chain(high).all(|bound| bound.is_finite()) => {
                low.iter().copied().zip(high.iter().copied()).collect()
            }
            other => {
                return Err(RlError::wrapper(
                    "RescaleAction",
                    format!("actions are {other:?}; expected a box with finite bounds"),
                ));
            }
        };
        Ok(Self {
            env,
            action_space: Space::Box {
                low: vec![low; inside.len()],
                high: vec![high; inside.len()],
            },
            low,
            high,
            rescaled: vec![0.0; inside.len()],
            inside,
        })
    }

    as_inside!(env);
}

impl<E: Env> Env for RescaleAction<E> {
    as_inside!(observation_space, reset, action_mask, render, save, load);

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let [from, to] = [self.low, self.high].map(f64::from);
        for ((rescaled, &entry), &(low, high)) in self.rescaled.iter_mut().zip(action).zip(&self.inside) {
            // In 64 bits and in this form, so that the ends meet the bounds exactly.
            let share = (f64::from(entry) - from) / (to - from);
            *rescaled = (f64::from(low) * (1.0 - share) + f64::from(high) * share) as f32;
        }
        self.env.step(&self.rescaled, observation)
    }
}
