//! Observations and rewards of many environments on a scale that networks learn well from.
//!
//! All environments share one set of moments, as in `VecNormalize` of Stable-Baselines3. While an agent learns, a
//! [`Normalizer`] stands between it and the environments; what it has seen of the observations then travels with the policy as
//! a [`Normalization`], which changes no more.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::agent::Policy;
use crate::error::RlError;
use crate::space::Space;
use crate::vector::{Batch, Transition};
use crate::wrappers::RunningMoments;

/// What is done to observations: (o - mean) / deviation, between -`clip` and `clip`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// Of the observations seen while learning.
    pub moments: RunningMoments,
    /// The greatest entry of a normalised observation.
    pub clip: f64,
}

impl Normalization {
    /// Normalises observations of shape `[n, d]`.
    pub fn apply(&self, observations: &mut [f32]) {
        for observation in observations.chunks_exact_mut(self.moments.mean.len()) {
            self.moments.normalize(observation, self.clip);
        }
    }

    /// What is wrong with it, where observations have `length` entries.
    pub(crate) fn fault(&self, length: usize) -> Option<String> {
        if self.clip.is_nan() || self.clip <= 0.0 {
            return Some(format!(
                "observations are clipped at {}; expected more than 0",
                self.clip
            ));
        }
        self.moments.fault(length)
    }
}

/// A policy that sees normalised observations.
pub struct NormalizedPolicy {
    normalization: Normalization,
    policy: Box<dyn Policy>,
    normalized: Vec<f32>,
}

impl NormalizedPolicy {
    /// `policy`, shown what `normalization` makes of observations.
    pub fn new(normalization: Normalization, policy: Box<dyn Policy>) -> Self {
        Self {
            normalization,
            policy,
            normalized: Vec::new(),
        }
    }
}

impl Policy for NormalizedPolicy {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        self.normalized.clear();
        self.normalized.extend_from_slice(observations);
        self.normalization.apply(&mut self.normalized);
        self.policy.act(&self.normalized, actions);
    }
}

/// What a [`Normalizer`] is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalizerOptions {
    /// Normalise observations.
    pub observations: bool,
    /// Divide rewards by the deviation of the discounted return.
    pub rewards: bool,
    /// gamma of that return.
    pub discount: f64,
    /// The greatest entry of a normalised observation, and the greatest normalised reward.
    pub clip: f64,
    /// The least and the greatest reward that the agent is shown, after that.
    pub reward_range: Option<[f64; 2]>,
}

/// Normalises what environments show an agent that learns, by the moments of all that it has been shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Normalizer {
    observations: Option<Normalization>,
    rewards: Option<RewardScale>,
    reward_range: Option<[f64; 2]>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct RewardScale {
    /// Of the discounted return so far.
    moments: RunningMoments,
    discount: f64,
    clip: f64,
    /// R <- gamma R + r, one of each environment.
    returns: Vec<f64>,
}

impl Normalizer {
    /// For `envs` environments whose observations are in `space`.
    ///
    /// # Errors
    /// [`RlError::Wrapper`] where observations are to be normalised and are no vectors, or the range of rewards is none.
    pub fn new(options: NormalizerOptions, space: &Space, envs: usize) -> Result<Self, RlError> {
        if options.observations && !matches!(space, Space::Box { .. }) {
            let detail = format!("observations are {space}; expected a box");
            return Err(RlError::wrapper("Normalizer", detail));
        }
        if let Some([low, high]) = options
            .reward_range
            .filter(|[low, high]| low.partial_cmp(high).is_none_or(Ordering::is_gt))
        {
            let detail = format!("rewards are to lie between {low} and {high}; expected the lesser number first");
            return Err(RlError::wrapper("Normalizer", detail));
        }
        Ok(Self {
            observations: options.observations.then(|| Normalization {
                moments: RunningMoments::new(space.length()),
                clip: options.clip,
            }),
            rewards: options.rewards.then(|| RewardScale {
                moments: RunningMoments::new(1),
                discount: options.discount,
                clip: options.clip,
                returns: vec![0.0; envs],
            }),
            reward_range: options.reward_range,
        })
    }

    /// What is done to observations now.
    pub fn normalization(&self) -> Option<&Normalization> {
        self.observations.as_ref()
    }

    /// What an agent sees of observations in `space`.
    pub fn observation_space(&self, space: &Space) -> Space {
        match &self.observations {
            Some(normalization) => Space::symmetric(vec![normalization.clip as f32; space.length()]),
            None => space.clone(),
        }
    }

    /// The first observations of episodes, shape `[n, d]`.
    pub fn reset(&mut self, observations: &mut [f32]) {
        if let Some(normalization) = &mut self.observations {
            learn(&mut normalization.moments, observations);
            normalization.apply(observations);
        }
    }

    /// A step of all environments.
    pub fn step(&mut self, batch: &mut Batch) {
        self.reset(&mut batch.observations);
        if let Some(normalization) = &self.observations {
            let width = normalization.moments.mean.len();
            let last = batch.final_observations.chunks_exact_mut(width);
            for (observation, transition) in last.zip(&batch.transitions) {
                if transition.ends() {
                    normalization.apply(observation);
                }
            }
        }
        if let Some(scale) = &mut self.rewards {
            scale.step(batch);
        }
        if let Some([low, high]) = self.reward_range {
            for reward in &mut batch.rewards {
                *reward = reward.clamp(low, high);
            }
        }
    }

    /// Whether what was read does the same, by other moments.
    pub(crate) fn fits(&self, other: &Self) -> bool {
        let observations = match (&self.observations, &other.observations) {
            (Some(ours), Some(theirs)) => {
                theirs.fault(ours.moments.mean.len()).is_none() && theirs.clip.to_bits() == ours.clip.to_bits()
            }
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        let rewards = match (&self.rewards, &other.rewards) {
            (Some(ours), Some(theirs)) => {
                let settings =
                    |scale: &RewardScale| (scale.discount.to_bits(), scale.clip.to_bits(), scale.returns.len());
                theirs.moments.fault(1).is_none() && settings(ours) == settings(theirs)
            }
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        let bounds = |normalizer: &Self| normalizer.reward_range.map(|range| range.map(f64::to_bits));
        observations && rewards && bounds(self) == bounds(other)
    }
}

impl RewardScale {
    fn step(&mut self, batch: &mut Batch) {
        let rows = self.returns.iter_mut().zip(&batch.rewards).zip(&batch.transitions);
        for ((total, reward), transition) in rows {
            if *transition != Transition::Ghost {
                *total = *total * self.discount + reward;
                self.moments.update([*total]);
                if transition.ends() {
                    *total = 0.0;
                }
            }
        }
        let deviation = self.moments.deviation(0);
        for reward in &mut batch.rewards {
            *reward = (*reward / deviation).clamp(-self.clip, self.clip);
        }
    }
}

/// Takes observations, of shape `[n, d]`, in.
fn learn(moments: &mut RunningMoments, observations: &[f32]) {
    for observation in observations.chunks_exact(moments.mean.len()) {
        moments.update(observation.iter().copied().map(f64::from));
    }
}
