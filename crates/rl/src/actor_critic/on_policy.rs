//! Acting, and learning from each piece of experience.

use std::path::Path;

use etude_train::{Observer, Seed};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::advantage::{Ending, generalized_advantages};
use super::distribution::Distribution;
use super::network_policy::NetworkPolicy;
use super::networks::ActorCritic;
use super::options::{Horizon, OnPolicyOptions, Surrogate};
use super::rollout::Rollout;
use super::update::{Learner, Rows, Rule, Updated};
use crate::agent::{Agent, Policy};
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::saved_policy::{PolicyCard, save_stochastic};
use crate::saved_state;
use crate::truth::{KnownTask, Surface};
use crate::vector::{Autoreset, Batch, Transition};

/// REINFORCE, A2C or PPO.
pub struct OnPolicy {
    options: OnPolicyOptions,
    /// Steps of the whole run, of all environments together, which the schedules are about.
    total: u64,
    envs: usize,
    autoreset: Autoreset,
    encoding: Encoding,
    learner: Learner,
    rollout: Rollout,
    rows: Rows,
    /// The last actions, as they were drawn.
    drawn: Vec<f32>,
    endings: Vec<Ending>,
    values: Vec<f32>,
    /// The rows of an epoch.
    order: Vec<u32>,
    memory: Vec<f32>,
    acting: ChaCha8Rng,
    shuffling: ChaCha8Rng,
    /// Steps so far.
    steps: u64,
    updates: u64,
    /// Where the model is known.
    task: Option<KnownTask>,
    /// Since the last report: updates, and the sums of what they tell.
    told: (u64, [f64; 6]),
}

impl OnPolicy {
    /// An agent for `envs` environments whose observations `encoding` shows to the networks and whose actions come from
    /// `distribution`, in a run of `total` steps.
    ///
    /// # Panics
    /// `encoding` shows a mask of actions that `distribution` does not heed: see [`Distribution::masked_by`].
    pub fn new(
        options: OnPolicyOptions,
        (encoding, distribution): (Encoding, Distribution),
        (envs, autoreset): (usize, Autoreset),
        total: u64,
        seed: Seed,
    ) -> Self {
        assert_eq!(distribution.mask_length(), encoding.mask_length(), "masked actions");
        let mut random = seed.stream("network");
        let networks = ActorCritic::new(
            distribution,
            encoding.width(),
            &options.hidden,
            options.activation,
            &mut random,
        );
        let steps = match options.horizon {
            Horizon::Steps(steps) => steps,
            Horizon::Episode => 1,
        };
        let room = options.batch.unwrap_or(steps * envs).max(envs);
        Self {
            drawn: vec![0.0; envs * networks.distribution.action_length()],
            learner: Learner::new(networks, options.optimizer, room),
            options,
            total,
            envs,
            autoreset,
            encoding,
            rollout: Rollout::default(),
            rows: Rows::default(),
            endings: Vec::new(),
            values: Vec::new(),
            order: Vec::new(),
            memory: Vec::new(),
            acting: seed.stream("actions"),
            shuffling: seed.stream("minibatches"),
            steps: 0,
            updates: 0,
            task: None,
            told: (0, [0.0; 6]),
        }
    }

    /// The same agent, measured against a task whose model is known.
    pub fn measured_against(self, task: Option<KnownTask>) -> Self {
        Self { task, ..self }
    }

    /// v(s) for each row of `observations`.
    pub fn state_values(&mut self, observations: &[f32]) -> Vec<f32> {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        let mut values = Vec::new();
        self.learner.values(inputs, &mut values);
        values
    }

    /// Whether enough has been seen for an update.
    fn is_over(&self, batch: &Batch) -> bool {
        match self.options.horizon {
            Horizon::Steps(steps) => self.rollout.rewards.len() == steps * self.envs,
            Horizon::Episode => batch.transitions.iter().any(|transition| transition.ends()),
        }
    }

    /// Learns from the piece of experience, after which `batch` was seen, and forgets it.
    fn update(&mut self, batch: &Batch) -> Result<(), RlError> {
        self.judge(batch);
        let range = match self.options.surrogate {
            Surrogate::PolicyGradient => None,
            Surrogate::Clipped { range, value_range } => {
                let Rows {
                    inputs,
                    actions,
                    old_log_probabilities,
                    ..
                } = &mut self.rows;
                (self.learner).log_probabilities(inputs, actions, old_log_probabilities);
                let range = range.at(self.steps, self.total) as f32;
                Some((range, value_range.map(|range| range as f32)))
            }
        };
        let rule = Rule {
            clip: range,
            normalize_advantages: self.options.normalize_advantages,
            entropy_coefficient: self.options.entropy_coefficient as f32,
            value_coefficient: self.options.value_coefficient as f32,
            max_gradient_norm: self.options.max_gradient_norm,
            learning_rate: self.options.learning_rate.at(self.steps, self.total) as f32,
        };
        self.order.clear();
        let steps = self.rollout.transitions.iter().zip(0..);
        (self.order).extend(steps.filter_map(|(transition, row)| (*transition != Transition::Ghost).then_some(row)));
        let batch = self.options.batch.unwrap_or(self.order.len()).max(1);
        for _ in 0..self.options.epochs {
            if self.options.batch.is_some() {
                self.order.shuffle(&mut self.shuffling);
            }
            for chosen in self.order.chunks(batch) {
                let updated = self.learner.update(&self.rows, chosen, rule);
                // Not a number in one place is soon none in all.
                let value = updated.policy_loss + updated.value_loss + updated.gradient_norm;
                if !value.is_finite() {
                    return Err(RlError::NotFinite {
                        what: "the loss, or its gradient,",
                        value,
                        step: self.steps,
                    });
                }
                self.updates += 1;
                tell(&mut self.told, updated);
            }
        }
        self.rollout.clear();
        Ok(())
    }

    /// Values of what was seen, and the advantages of what was done.
    fn judge(&mut self, batch: &Batch) {
        let rollout = &self.rollout;
        let width = self.encoding.width();
        let steps = rollout.rewards.len();
        // All states, those after the last step, and those at which episodes were truncated, in one pass.
        self.rows.inputs.clone_from(&rollout.inputs);
        for observations in [&batch.observations, &rollout.last_observations] {
            if !observations.is_empty() {
                let inputs = self.encoding.encode(observations, &mut self.memory);
                self.rows.inputs.extend_from_slice(inputs);
            }
        }
        self.learner.values(&self.rows.inputs, &mut self.values);
        self.rows.inputs.truncate(steps * width);
        self.rows.actions.clone_from(&rollout.actions);
        let (values, last_values) = self.values.split_at(steps + self.envs);
        let mut last_values = last_values.iter();
        self.endings.clear();
        self.endings.extend(rollout.transitions.iter().map(|&transition| {
            let truncated = transition == Transition::Truncated;
            let last_value = if truncated { last_values.next() } else { None };
            Ending::new(transition, last_value.copied().unwrap_or(0.0))
        }));
        self.rows.advantages.resize(steps, 0.0);
        generalized_advantages(
            &rollout.rewards,
            &self.endings,
            values,
            [self.options.discount, self.options.gae_lambda],
            &mut self.rows.advantages,
        );
        self.rows.old_values.clear();
        self.rows.old_values.extend_from_slice(&values[..steps]);
    }
}

fn tell((count, sums): &mut (u64, [f64; 6]), updated: Updated) {
    *count += 1;
    let Updated {
        policy_loss,
        value_loss,
        entropy,
        divergence,
        clipped,
        gradient_norm,
    } = updated;
    for (sum, value) in sums
        .iter_mut()
        .zip([policy_loss, value_loss, -entropy, gradient_norm, divergence, clipped])
    {
        *sum += value;
    }
}

/// The names of what updates tell, as in Stable-Baselines3's logs; the last two of PPO alone.
const TOLD: [&str; 6] = [
    "train/policy_gradient_loss",
    "train/value_loss",
    "train/entropy_loss",
    "train/gradient_norm",
    "train/approx_kl",
    "train/clip_fraction",
];

impl Agent for OnPolicy {
    fn shares_work(&self) -> bool {
        let rows = match (self.options.batch, self.options.horizon) {
            (Some(batch), _) => batch,
            (None, Horizon::Steps(steps)) => steps * self.envs,
            (None, Horizon::Episode) => 1,
        };
        self.learner.shares_work(rows)
    }

    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        self.learner.draw(inputs, &mut self.acting, &mut self.drawn);
        actions.copy_from_slice(&self.drawn);
        self.learner.networks.distribution.to_environment(actions);
    }

    fn learn(&mut self, observations: &[f32], _: &[f32], batch: &Batch) -> Result<(), RlError> {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        self.rollout.push(inputs, &self.drawn, batch, self.autoreset);
        let steps = batch
            .transitions
            .iter()
            .filter(|&&transition| transition != Transition::Ghost);
        self.steps += steps.count() as u64;
        if self.is_over(batch) {
            self.update(batch)
        } else {
            Ok(())
        }
    }

    fn report(&mut self, step: u64, observer: &mut dyn Observer) {
        let learning_rate = self.options.learning_rate.at(self.steps, self.total);
        observer.scalar("train/learning_rate", step, learning_rate);
        observer.scalar("train/n_updates", step, self.updates as f64);
        let deviations = &self.learner.networks.log_deviations;
        if !deviations.is_empty() {
            let sum: f64 = deviations.iter().map(|&deviation| f64::from(deviation).exp()).sum();
            observer.scalar("train/std", step, sum / deviations.len() as f64);
        }
        let told = match self.options.surrogate {
            Surrogate::PolicyGradient => 4,
            Surrogate::Clipped { .. } => 6,
        };
        let (count, sums) = std::mem::take(&mut self.told);
        if count > 0 {
            for (name, sum) in TOLD.into_iter().zip(sums).take(told) {
                observer.scalar(name, step, sum / count as f64);
            }
        }
    }

    fn surface(&mut self) -> Option<Surface> {
        let task = self.task.as_ref()?;
        let states: Vec<f32> = (0..task.model().states()).map(|state| state as f32).collect();
        let inputs = self.encoding.encode(&states, &mut self.memory);
        let probabilities = self.learner.probabilities(inputs);
        self.learner.values(inputs, &mut self.values);
        task.policy_surface(&probabilities, self.values.iter().copied().map(f64::from).collect())
    }

    fn policy(&self) -> Box<dyn Policy> {
        let ActorCritic {
            distribution, policy, ..
        } = &self.learner.networks;
        Box::new(NetworkPolicy::new(
            distribution.clone(),
            policy.clone(),
            self.encoding.clone(),
        ))
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        let ActorCritic {
            distribution, policy, ..
        } = &self.learner.networks;
        save_stochastic((distribution, policy), &self.encoding, card, folder)
    }

    fn save(&self, state: &mut Vec<u8>) {
        saved_state::write(&(&self.learner.networks, &self.learner.optimizers), state);
        saved_state::write(&(&self.rollout, &self.acting, &self.shuffling), state);
        saved_state::write(&(self.steps, self.updates, self.told), state);
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        (self.learner.networks, self.learner.optimizers) = saved_state::read(state)?;
        (self.rollout, self.acting, self.shuffling) = saved_state::read(state)?;
        (self.steps, self.updates, self.told) = saved_state::read(state)?;
        Ok(())
    }
}
