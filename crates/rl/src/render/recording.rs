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
    let mut log = Log::new(most_scenes);
    let mut batch = Batch::for_envs(envs);
    let mut actions = vec![0.0; envs.count() * envs.action_space().length()];
    for episode in 0..episodes {
        envs.reset((episode == 0).then_some(seed), &mut batch)?;
        log.reset(Some(envs.render(0).ok_or(RlError::NoPicture)?));
        let mut ended = false;
        while !ended && log.has_room() {
            policy.act(&batch.observations, &mut actions);
            envs.step(&actions, &mut batch)?;
            ended = batch.transitions[0].ends();
            log.step(batch.rewards[0], ended, envs.render(0));
        }
    }
    Ok(log.recording)
}

/// A recording that goes on, as long as there is room.
pub(super) struct Log {
    room: usize,
    pub(super) recording: Recording,
    /// Return and length of the episode so far.
    episode: (f64, usize),
}

impl Log {
    /// With room for so many scenes.
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            recording: Recording::default(),
            episode: (0.0, 0),
        }
    }

    /// Whether the next scene will be kept.
    pub(super) fn has_room(&self) -> bool {
        self.recording.scenes.len() < self.room
    }

    /// An episode begins.
    pub(super) fn reset(&mut self, scene: Option<Scene>) {
        self.episode = (0.0, 0);
        self.keep(scene);
    }

    /// A step of it.
    pub(super) fn step(&mut self, reward: f64, ends: bool, scene: Option<Scene>) {
        self.episode.0 += reward;
        self.episode.1 += 1;
        if ends && self.has_room() {
            self.recording.returns.push(self.episode.0);
            self.recording.lengths.push(self.episode.1);
        }
        self.keep(scene);
    }

    fn keep(&mut self, scene: Option<Scene>) {
        if self.has_room() {
            self.recording.scenes.extend(scene);
        }
    }
}
