//! Episodes to look at.

use std::io::Write;

use super::gif::GifWriter;
use super::scene::Scene;
use crate::agent::Policy;
use crate::error::RlError;
use crate::vector::{Batch, VectorEnv};

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

/// Records `episodes` of a policy, which reads an observation and writes an action, in the first of `envs`, which have to be told
/// when to begin the next episode ([`Autoreset::Disabled`](crate::Autoreset::Disabled)). The recording ends early, in the midst of an episode, once there are
/// `most_scenes`.
///
/// # Errors
/// [`RlError::NoPicture`] where `envs` cannot be drawn, and what they report.
pub fn record(
    envs: &mut dyn VectorEnv,
    seed: u64,
    episodes: usize,
    most_scenes: usize,
    policy: &mut dyn Policy,
) -> Result<Recording, RlError> {
    let mut recording = Recording::default();
    let mut batch = Batch::for_envs(envs);
    let mut actions = vec![0.0; envs.count() * envs.action_space().length()];
    for episode in 0..episodes {
        envs.reset((episode == 0).then_some(seed), &mut batch)?;
        recording.scenes.push(envs.render(0).ok_or(RlError::NoPicture)?);
        let (mut total, mut length) = (0.0, 0);
        while recording.scenes.len() < most_scenes {
            policy.act(&batch.observations, &mut actions);
            envs.step(&actions, &mut batch)?;
            recording.scenes.extend(envs.render(0));
            total += batch.rewards[0];
            length += 1;
            if batch.transitions[0].ends() {
                recording.returns.push(total);
                recording.lengths.push(length);
                break;
            }
        }
        if recording.scenes.len() >= most_scenes {
            break;
        }
    }
    Ok(recording)
}
