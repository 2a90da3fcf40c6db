//! Acting, remembering, and when to learn.

use std::path::Path;

use burn::tensor::Device;
use etude_train::{Observer, Seed};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::burn::{BurnLearner, QModule};
use super::learner::{Learner, Rule};
use super::loss::greedy;
use super::network::QNetwork;
use super::options::DqnOptions;
use super::update::FusedLearner;
use crate::agent::{Agent, Policy};
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::replay::{Minibatch, Replay, ReplayOptions};
use crate::saved_policy::PolicyCard;
use crate::saved_state;
use crate::space::Space;
use crate::truth::{KnownTask, Surface};
use crate::vector::{Autoreset, Batch, Transition};

/// The agent of Mnih et al. 2015.
pub struct Dqn {
    options: DqnOptions,
    /// Steps of the whole run, of all environments together, which the schedules are about.
    total: u64,
    envs: usize,
    learner: Box<dyn Learner>,
    replay: Replay,
    minibatch: Minibatch,
    errors: Vec<f32>,
    exploration: ChaCha8Rng,
    sampling: ChaCha8Rng,
    /// Steps so far.
    steps: u64,
    updates: u64,
    /// Where the model is known.
    task: Option<KnownTask>,
    /// Since the last report: updates, and the sums of what they tell.
    told: (u64, [f64; 3]),
}

impl Dqn {
    /// An agent for `envs` environments with these spaces, in a run of `total` steps.
    ///
    /// # Errors
    /// The actions are not one of so many.
    pub fn new(
        options: DqnOptions,
        (observations, actions): (&Space, &Space),
        (envs, autoreset): (usize, Autoreset),
        total: u64,
        seed: Seed,
    ) -> Result<Self, RlError> {
        let count = count_of(actions)?;
        let encoding = Encoding::new(observations);
        let mut random = seed.stream("network");
        let network = QNetwork::new(encoding.width(), &options.hidden, count, options.duelling, &mut random);
        let learner = FusedLearner::new(network, &encoding, envs, options.batch, options.adam_epsilon);
        Ok(Self::with_learner(
            options,
            Box::new(learner),
            observations,
            (envs, autoreset),
            total,
            seed,
        ))
    }

    /// The same with a Burn module in place of the perceptron, on a `device` without autodiff. The options' `hidden` and
    /// `duelling` are the module's own business.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_module<M: QModule>(
        options: DqnOptions,
        (module, device): (M, &Device),
        (observations, actions): (&Space, &Space),
        (envs, autoreset): (usize, Autoreset),
        total: u64,
        seed: Seed,
    ) -> Result<Self, RlError> {
        let encoding = Encoding::new(observations);
        let learner = BurnLearner::new(module, device, &encoding, count_of(actions)?, options.adam_epsilon);
        Ok(Self::with_learner(
            options,
            Box::new(learner),
            observations,
            (envs, autoreset),
            total,
            seed,
        ))
    }

    /// An agent whose network is `learner`'s.
    fn with_learner(
        options: DqnOptions,
        learner: Box<dyn Learner>,
        observations: &Space,
        (envs, autoreset): (usize, Autoreset),
        total: u64,
        seed: Seed,
    ) -> Self {
        let replay = Replay::new(&ReplayOptions {
            capacity: options.capacity,
            envs,
            autoreset,
            observation: observations.length(),
            pixels: matches!(observations, Space::Pixels { .. }),
            action: 1,
            steps: options.steps,
            discount: options.discount,
            priorities: options.priorities.map(|(priorities, _)| priorities),
        });
        Self {
            learner,
            replay,
            minibatch: Minibatch::default(),
            errors: Vec::new(),
            exploration: seed.stream("exploration"),
            sampling: seed.stream("replay"),
            options,
            total,
            envs,
            steps: 0,
            updates: 0,
            task: None,
            told: (0, [0.0; 3]),
        }
    }

    /// The same agent, measured against a task whose model is known.
    pub fn measured_against(self, task: Option<KnownTask>) -> Self {
        Self { task, ..self }
    }

    fn update(&mut self) -> Result<(), RlError> {
        let beta = match &self.options.priorities {
            Some((_, beta)) => beta.at(self.steps, self.total),
            None => 0.0,
        };
        self.replay
            .sample(&mut self.sampling, self.options.batch, beta, &mut self.minibatch);
        let rule = Rule {
            double: self.options.double,
            loss: self.options.loss,
            learning_rate: self.options.learning_rate.at(self.steps, self.total),
            max_gradient_norm: self.options.max_gradient_norm,
        };
        let updated = self.learner.update(&self.minibatch, rule);
        // Not a number in one place is soon none in all.
        let value = updated.loss + updated.gradient_norm;
        if !value.is_finite() {
            return Err(RlError::NotFinite {
                what: "the loss, or its gradient,",
                value,
                step: self.steps,
            });
        }
        if self.options.priorities.is_some() {
            self.learner.errors(&mut self.errors);
            self.replay.update_priorities(&self.minibatch.indices, &self.errors);
        }
        self.updates += 1;
        self.told.0 += 1;
        for (sum, value) in (self.told.1.iter_mut()).zip([updated.loss, updated.values, updated.gradient_norm]) {
            *sum += value;
        }
        Ok(())
    }
}

/// How many actions there are.
fn count_of(actions: &Space) -> Result<usize, RlError> {
    match actions {
        Space::Discrete(count) => Ok(*count),
        _ => Err(RlError::ActionSpace {
            algorithm: "dqn",
            expected: "one of so many actions",
            found: actions.clone(),
        }),
    }
}

impl Agent for Dqn {
    fn shares_work(&self) -> bool {
        self.learner.shares_work()
    }

    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let count = self.learner.actions();
        let epsilon = if self.steps < self.options.learning_starts {
            1.0
        } else {
            self.options.exploration.at(self.steps, self.total)
        };
        let random = &mut self.exploration;
        let mut all_random = true;
        for action in actions.iter_mut() {
            let explores = random.random::<f64>() < epsilon;
            // A number that no action has stands for the greedy one.
            *action = if explores {
                random.random_range(0..count) as f32
            } else {
                -1.0
            };
            all_random &= explores;
        }
        if all_random {
            return;
        }
        let values = self.learner.values(observations);
        for (action, values) in actions.iter_mut().zip(values.chunks_exact(count)) {
            if *action < 0.0 {
                *action = greedy(values) as f32;
            }
        }
    }

    fn learn(&mut self, observations: &[f32], actions: &[f32], batch: &Batch) -> Result<(), RlError> {
        self.replay.push(observations, actions, batch);
        let before = self.steps;
        let ghosts = batch
            .transitions
            .iter()
            .filter(|&&transition| transition == Transition::Ghost)
            .count();
        self.steps += (self.envs - ghosts) as u64;
        let passes = |interval: u64| self.steps / interval > before / interval;
        let (follows, trains) = (
            passes(self.options.target_update_interval),
            passes(self.options.train_frequency * self.envs as u64),
        );
        if follows {
            self.learner.follow(self.options.tau);
        }
        if trains && self.steps > self.options.learning_starts && !self.replay.is_empty() {
            let came_in = self.options.train_frequency * self.envs as u64;
            for _ in 0..self.options.gradient_steps.unwrap_or(came_in) {
                self.update()?;
            }
        }
        Ok(())
    }

    fn report(&mut self, step: u64, observer: &mut dyn Observer) {
        let epsilon = self.options.exploration.at(self.steps, self.total);
        observer.scalar("rollout/exploration_rate", step, epsilon);
        let learning_rate = self.options.learning_rate.at(self.steps, self.total);
        observer.scalar("train/learning_rate", step, learning_rate);
        observer.scalar("train/n_updates", step, self.updates as f64);
        let (count, sums) = std::mem::take(&mut self.told);
        if count > 0 {
            for (name, sum) in ["train/loss", "train/q_values", "train/gradient_norm"]
                .into_iter()
                .zip(sums)
            {
                observer.scalar(name, step, sum / count as f64);
            }
        }
    }

    fn surface(&mut self) -> Option<Surface> {
        let epsilon = self.options.exploration.at(self.steps, self.total);
        let learner = &mut self.learner;
        let q = |state: usize, row: &mut [f64]| {
            for (value, &seen) in row.iter_mut().zip(learner.values(&[state as f32])) {
                *value = f64::from(seen);
            }
        };
        Some(self.task.as_ref()?.surface(epsilon, q))
    }

    fn policy(&self) -> Box<dyn Policy> {
        self.learner.policy()
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        self.learner.save_policy(card, folder)
    }

    fn save(&self, state: &mut Vec<u8>) {
        self.learner.save(state);
        saved_state::write(&self.replay, state);
        saved_state::write(
            &(&self.exploration, &self.sampling, self.steps, self.updates, self.told),
            state,
        );
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        self.learner.load(state)?;
        self.replay = saved_state::read(state)?;
        (self.exploration, self.sampling, self.steps, self.updates, self.told) = saved_state::read(state)?;
        Ok(())
    }
}
