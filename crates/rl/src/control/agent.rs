//! The control methods as agents that a training drives.

use std::path::Path;

use etude_train::Observer;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::action_values::{ActionValues, LinearActionValues};
use super::epsilon_greedy::{EpsilonGreedy, greedy_action};
use super::td::TdControl;
use crate::agent::{Agent, Policy};
use crate::any_features::AnyFeatures;
use crate::error::RlError;
use crate::saved_policy::{PolicyCard, save_linear};
use crate::saved_state;
use crate::truth::{KnownTask, Surface};
use crate::vector::Batch;

/// Action values that a training can save, and whose policy can be saved.
pub trait SavedValues: ActionValues + Serialize + DeserializeOwned + Send {
    /// Takes the action of greatest value.
    fn policy(&self) -> Box<dyn Policy>;

    /// Writes them into `folder`, for [`load_policy`](crate::load_policy).
    ///
    /// # Errors
    /// The files cannot be written.
    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError>;
}

/// Sarsa, expected Sarsa, n-step Sarsa or Q-learning in one environment that resets itself in the same step.
pub struct ControlAgent<Q> {
    control: TdControl<Q>,
    /// Where the model is known.
    task: Option<KnownTask>,
    steps: u64,
}

impl<Q: SavedValues> ControlAgent<Q> {
    /// An agent that learns by `control`, and is measured against `task` where that is known.
    pub fn new(control: TdControl<Q>, task: Option<KnownTask>) -> Self {
        Self {
            control,
            task,
            steps: 0,
        }
    }

    fn epsilon(&self) -> f64 {
        let EpsilonGreedy { epsilon } = self.control.settings().behaviour;
        epsilon
    }
}

impl<Q: SavedValues> Agent for ControlAgent<Q> {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        self.control.act(observations, actions);
    }

    fn learn(&mut self, observations: &[f32], actions: &[f32], batch: &Batch) -> Result<(), RlError> {
        let transition = batch.transitions[0];
        let next = if transition.ends() {
            &batch.final_observations
        } else {
            &batch.observations
        };
        self.control
            .learn(observations, actions, batch.rewards[0], next, transition);
        self.steps += 1;
        match self.control.last_values().iter().find(|value| !value.is_finite()) {
            Some(&value) => Err(RlError::NotFinite {
                what: "an action value",
                value,
                step: self.steps,
            }),
            None => Ok(()),
        }
    }

    fn report(&mut self, step: u64, observer: &mut dyn Observer) {
        observer.scalar("rollout/exploration_rate", step, self.epsilon());
        observer.scalar("train/learning_rate", step, self.control.settings().step_size);
    }

    fn surface(&mut self) -> Option<Surface> {
        let epsilon = self.epsilon();
        let values = self.control.values();
        let task = self.task.as_ref()?;
        Some(task.surface(epsilon, |state, row| values.values(&[state as f32], row)))
    }

    fn policy(&self) -> Box<dyn Policy> {
        self.control.learnt().policy()
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        self.control.learnt().save_policy(card, folder)
    }

    fn save(&self, state: &mut Vec<u8>) {
        saved_state::write(&(&self.control, self.steps), state);
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        (self.control, self.steps) = saved_state::read(state)?;
        Ok(())
    }
}

impl SavedValues for LinearActionValues<AnyFeatures> {
    fn policy(&self) -> Box<dyn Policy> {
        Box::new(LinearPolicy::new(self.clone()))
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        save_linear(self, card, folder)
    }
}

/// Takes the action of greatest value, by a linear function.
pub struct LinearPolicy {
    values: LinearActionValues<AnyFeatures>,
    row: Vec<f64>,
}

impl LinearPolicy {
    /// With these values.
    pub fn new(values: LinearActionValues<AnyFeatures>) -> Self {
        Self {
            row: vec![0.0; values.actions()],
            values,
        }
    }
}

impl Policy for LinearPolicy {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let rows = observations.chunks_exact(observations.len() / actions.len());
        for (observation, action) in rows.zip(actions) {
            self.values.values(observation, &mut self.row);
            *action = greedy_action(&self.row) as f32;
        }
    }
}
