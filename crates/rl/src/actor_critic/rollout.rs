//! A piece of experience.

use serde::{Deserialize, Serialize};

use crate::vector::{Autoreset, Batch, Transition};

/// What some environments have done since the last update: `t` steps of `n` environments.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Rollout {
    /// Shape `[t, n, d]`: what the networks saw.
    pub(super) inputs: Vec<f32>,
    /// Shape `[t, n, a]`: actions as they were drawn.
    pub(super) actions: Vec<f32>,
    /// Shape `[t, n]`.
    pub(super) rewards: Vec<f32>,
    /// Shape `[t, n]`.
    pub(super) transitions: Vec<Transition>,
    /// The last observations of the truncated episodes, in their order, as the environments gave them.
    pub(super) last_observations: Vec<f32>,
}

impl Rollout {
    /// Takes in one step of all environments.
    pub(super) fn push(&mut self, inputs: &[f32], actions: &[f32], batch: &Batch, autoreset: Autoreset) {
        self.inputs.extend_from_slice(inputs);
        self.actions.extend_from_slice(actions);
        self.rewards.extend(batch.rewards.iter().map(|&reward| reward as f32));
        self.transitions.extend_from_slice(&batch.transitions);
        let last = match autoreset {
            Autoreset::SameStep => &batch.final_observations,
            Autoreset::NextStep | Autoreset::Disabled => &batch.observations,
        };
        let width = last.len() / batch.transitions.len();
        for (transition, observation) in batch.transitions.iter().zip(last.chunks_exact(width)) {
            if *transition == Transition::Truncated {
                self.last_observations.extend_from_slice(observation);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.inputs.clear();
        self.actions.clear();
        self.rewards.clear();
        self.transitions.clear();
        self.last_observations.clear();
    }
}
