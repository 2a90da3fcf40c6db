//! Seeing what an environment looks like.

use crate::env::{Env, Step};
use crate::error::RlError;
use crate::render::Frame;
use crate::space::Space;

/// An environment whose observation is a picture of it: red, green and blue, each from 0 to 255, shape `[3, side, side]`.
pub struct Pixels<E> {
    env: E,
    observation_space: Space,
    /// An observation inside.
    inside: Vec<f32>,
    frame: Frame,
}

impl<E: Env> Pixels<E> {
    /// `env`, drawn on `side` times `side` pixels.
    ///
    /// # Errors
    /// [`RlError::NoPicture`] where `env` cannot be drawn, and [`RlError::Wrapper`] where `side` is 0.
    pub fn new(env: E, side: u16) -> Result<Self, RlError> {
        if side == 0 {
            return Err(RlError::wrapper(
                "Pixels",
                "pictures of 0 pixels; expected one at least",
            ));
        }
        env.render().ok_or(RlError::NoPicture)?;
        Ok(Self {
            observation_space: Space::Pixels {
                channels: 3,
                height: side.into(),
                width: side.into(),
            },
            inside: vec![0.0; env.observation_space().length()],
            frame: Frame::new(side, side),
            env,
        })
    }

    as_inside!(env);

    /// Draws what the environment looks like now into `observation`.
    fn see(&mut self, observation: &mut [f32]) {
        let Some(scene) = self.env.render() else { return };
        self.frame.draw(&scene);
        let pixels = self.frame.pixels().as_chunks::<4>().0;
        for (channel, plane) in observation.chunks_exact_mut(pixels.len()).enumerate() {
            for (number, pixel) in plane.iter_mut().zip(pixels) {
                *number = pixel[channel].into();
            }
        }
    }
}

impl<E: Env> Env for Pixels<E> {
    as_inside!(action_space, action_mask, render, save, load);

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut [f32]) {
        self.env.reset(seed, &mut self.inside);
        self.see(observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let step = self.env.step(action, &mut self.inside);
        self.see(observation);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::make;

    #[test]
    fn what_is_seen_is_the_picture() {
        let mut env = Pixels::new(make("Pendulum-v1").unwrap(), 16).unwrap();
        let mut observation = vec![0.0; 3 * 16 * 16];
        env.reset(Some(1), &mut observation);
        let first = observation.clone();
        env.step(&[2.0], &mut observation);
        assert_ne!(observation, first, "the pendulum has moved");
        assert!(env.observation_space().contains(&observation));
        let frame = env.render().unwrap().raster(16, 16);
        for (place, pixel) in frame.pixels().as_chunks::<4>().0.iter().enumerate() {
            for (channel, &level) in pixel.iter().take(3).enumerate() {
                assert_eq!(observation[channel * 256 + place] as u8, level);
            }
        }
    }

    #[test]
    fn without_a_picture_there_is_nothing_to_see() {
        assert!(matches!(
            Pixels::new(make("Pendulum-v1").unwrap(), 0),
            Err(RlError::Wrapper { .. })
        ));
    }
}
