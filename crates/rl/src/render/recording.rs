//! Episodes to look at.

use std::io::Write;

use super::gif::GifWriter;
use super::recorder::Recorder;
use super::scene::Scene;
use crate::env::Env;
use crate::error::RlError;

/// What was seen of some episodes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recording {
    /// A scene at the beginning of each episode and after every step.
    pub scenes: Vec<Scene>,
    /// The returns of the episodes that ended, without discount.
    pub returns: Vec<f64>,
    /// Their lengths in steps.
    pub lengths: Vec<usize>,
}

impl Recording {
    /// Writes the scenes as a GIF, `width` pixels wide.
    ///
    /// # Errors
    /// [`RlError::NoPicture`] where there is no scene, and those of [`GifWriter`].
    ///
    /// # Panics
    /// `width` is 0.
    pub fn gif<W: Write>(&self, writer: W, width: u16, frames_per_second: u32) -> Result<W, RlError> {
        let (first, rest) = self.scenes.split_first().ok_or(RlError::NoPicture)?;
        let mut frame = first.raster(width, first.height_for(width));
        let mut gif = GifWriter::new(writer, &frame, frames_per_second)?;
        for scene in rest {
            frame.draw(scene);
            gif.frame(&frame)?;
        }
        gif.finish()
    }
}

/// Records `episodes` of a policy, which reads an observation and writes an action. The recording ends early, in the midst of
/// an episode, once there are `most_scenes`.
///
/// # Errors
/// [`RlError::NoPicture`] where `env` cannot be drawn.
pub fn record(
    env: impl Env,
    seed: u64,
    episodes: usize,
    most_scenes: usize,
    mut policy: impl FnMut(&[f32], &mut [f32]),
) -> Result<Recording, RlError> {
    let mut env = Recorder::new(env, most_scenes)?;
    let mut observation = vec![0.0; env.observation_space().length()];
    let mut action = vec![0.0; env.action_space().length()];
    for episode in 0..episodes {
        env.reset((episode == 0).then_some(seed), &mut observation);
        let mut ended = false;
        while !ended && env.has_room() {
            policy(&observation, &mut action);
            ended = env.step(&action, &mut observation).ends();
        }
    }
    Ok(env.finish())
}
