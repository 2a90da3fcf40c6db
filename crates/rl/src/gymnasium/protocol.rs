//! What is said to the worker and what it answers; its own text, `worker.py`, has the layout of the numbers.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::env::Step;
use crate::space::Space;
use crate::vector::Autoreset;

/// The first line to the worker.
#[derive(Serialize)]
pub(super) struct Settings<'a> {
    pub(super) id: &'a str,
    pub(super) count: usize,
    /// The value of Gymnasium's `AutoresetMode`.
    #[serde(serialize_with = "mode")]
    pub(super) autoreset: Autoreset,
    /// Whether replies are to hold a picture.
    pub(super) drawn: bool,
    /// Whether observations are to have a mask of actions.
    pub(super) masked: bool,
    /// The environment's own keyword arguments.
    pub(super) arguments: &'a Map<String, Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn mode<S: Serializer>(autoreset: &Autoreset, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match autoreset {
        Autoreset::NextStep => "NextStep",
        Autoreset::SameStep => "SameStep",
        Autoreset::Disabled => "Disabled",
    })
}

/// The worker's first line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    Greeting(Greeting),
    Failure(Failure),
}

/// What environments there are.
#[derive(Debug, Deserialize)]
pub(super) struct Greeting {
    /// Gymnasium's.
    pub(super) version: String,
    pub(super) observation_space: Description,
    pub(super) action_space: Description,
    pub(super) max_episode_steps: Option<usize>,
    /// Height and width of a picture, where there is one.
    pub(super) frame: Option<[u16; 2]>,
}

/// Why there are none.
#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    pub(super) message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FailureKind {
    /// With the error of the import.
    NoGymnasium,
    /// With its version.
    OldGymnasium,
    /// With Gymnasium's own message.
    NotMade,
    /// With what is wrong with it.
    Space,
    /// With the reason.
    NoPicture,
    /// With what is in its place.
    NoMask,
}

/// A space.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Description {
    Discrete(usize),
    MultiDiscrete(Vec<usize>),
    Box {
        /// `None`: negative infinity.
        low: Vec<Option<f32>>,
        /// `None`: infinity.
        high: Vec<Option<f32>>,
    },
}

impl From<Description> for Space {
    fn from(description: Description) -> Self {
        let bounds = |bounds: Vec<Option<f32>>, missing: f32| {
            let given = bounds.into_iter().map(|bound| bound.unwrap_or(missing));
            given.collect()
        };
        match description {
            Description::Discrete(count) => Self::Discrete(count),
            Description::MultiDiscrete(counts) => Self::MultiDiscrete(counts),
            Description::Box { low, high } => Self::Box {
                low: bounds(low, f32::NEG_INFINITY),
                high: bounds(high, f32::INFINITY),
            },
        }
    }
}

/// Writes the request to begin an episode in each.
pub(super) fn reset(seed: Option<u64>, request: &mut Vec<u8>) {
    request.clear();
    request.extend([b'R', u8::from(seed.is_some())]);
    request.extend(seed.unwrap_or(0).to_le_bytes());
}

/// Writes the request to begin an episode in some.
pub(super) fn reset_where(which: &[bool], request: &mut Vec<u8>) {
    request.clear();
    request.push(b'M');
    request.extend(which.iter().map(|&reset| u8::from(reset)));
}

/// Writes the request to take an action in each.
pub(super) fn step(actions: &[f32], request: &mut Vec<u8>) {
    request.clear();
    request.push(b'S');
    request.extend(actions.iter().flat_map(|number| number.to_le_bytes()));
}

/// How the numbers of a reply lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// How many environments there are.
    pub(super) count: usize,
    /// How many numbers make up an observation, its mask included.
    pub(super) width: usize,
    pub(super) autoreset: Autoreset,
    /// Height and width of a picture, where there is one.
    pub(super) frame: Option<[u16; 2]>,
}

impl Layout {
    /// The bytes of a reply.
    pub(super) fn length(self) -> usize {
        let frame = self
            .frame
            .map_or(0, |[height, width]| 3 * usize::from(height) * usize::from(width));
        self.count * (8 + 4 * self.width * self.rows() + 2) + frame
    }

    /// Takes apart a reply, which has that length.
    pub(super) fn split(self, reply: &[u8]) -> Reply<'_> {
        let (rewards, rest) = reply.split_at(8 * self.count);
        let (observations, rest) = rest.split_at(4 * self.count * self.width);
        let (final_observations, rest) = rest.split_at(4 * self.count * self.width * (self.rows() - 1));
        let (terminated, rest) = rest.split_at(self.count);
        let (truncated, frame) = rest.split_at(self.count);
        Reply {
            width: self.width,
            rewards,
            observations,
            final_observations,
            terminated,
            truncated,
            frame,
        }
    }

    /// How many observations of each environment there are.
    fn rows(self) -> usize {
        if self.autoreset == Autoreset::SameStep { 2 } else { 1 }
    }
}

/// A reply, taken apart.
pub(super) struct Reply<'a> {
    width: usize,
    rewards: &'a [u8],
    observations: &'a [u8],
    /// Empty but with [`Autoreset::SameStep`].
    final_observations: &'a [u8],
    terminated: &'a [u8],
    truncated: &'a [u8],
    /// The colours of the picture, row by row; empty where there is none.
    pub(super) frame: &'a [u8],
}

impl Reply<'_> {
    /// Writes the observations.
    pub(super) fn observations(&self, observations: &mut [f32]) {
        numbers(self.observations, observations);
    }

    /// Writes the observations of those environments for which `which` says so.
    pub(super) fn observations_where(&self, which: &[bool], observations: &mut [f32]) {
        let rows = observations.chunks_exact_mut(self.width);
        let rows = rows.zip(self.observations.chunks_exact(4 * self.width));
        for ((row, bytes), _) in rows.zip(which).filter(|&(_, &reset)| reset) {
            numbers(bytes, row);
        }
    }

    /// Writes the last observations of the episodes that are over, where there are any.
    pub(super) fn final_observations(&self, observations: &mut [f32]) {
        numbers(self.final_observations, observations);
    }

    /// What the step gave in each environment.
    pub(super) fn steps(&self) -> impl Iterator<Item = Step> {
        let rewards = self.rewards.as_chunks().0.iter();
        let endings = self.terminated.iter().zip(self.truncated);
        rewards.zip(endings).map(|(&reward, (&terminated, &truncated))| Step {
            reward: f64::from_le_bytes(reward),
            terminated: terminated != 0,
            truncated: truncated != 0,
        })
    }
}

fn numbers(bytes: &[u8], values: &mut [f32]) {
    for (value, &bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
        *value = f32::from_le_bytes(bytes);
    }
}
