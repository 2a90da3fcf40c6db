//! The control methods as agents that a training drives.

use std::path::Path;

use etude_train::Observer;

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

/// Sarsa, expected Sarsa, n-step Sarsa or Q-learning in one environment that resets itself in the same step.
pub struct LinearAgent {
    control: TdControl<LinearActionValues<AnyFeatures>>,
    /// Where the model is known.
    task: Option<KnownTask>,
}

impl LinearAgent {
    /// An agent that learns by `control`, and is measured against `task` where that is known.
    pub fn new(control: TdControl<LinearActionValues<AnyFeatures>>, task: Option<KnownTask>) -> Self {
        Self { control, task }
    }

    fn epsilon(&self) -> f64 {
        let EpsilonGreedy { epsilon } = self.control.settings().behaviour;
        epsilon
    }
}

impl Agent for LinearAgent {
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
        Ok(())
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
        Box::new(LinearPolicy::new(self.control.learnt().clone()))
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        save_linear(self.control.learnt(), card, folder)
    }

    fn save(&self, state: &mut Vec<u8>) {
        saved_state::write(&self.control, state);
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        self.control = saved_state::read(state)?;
        Ok(())
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
