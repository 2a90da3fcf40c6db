//! Acting, remembering, and when to learn.

use std::path::Path;

use etude_kernels::polyak;
use etude_train::{Observer, Seed};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::loss::greedy;
use super::network::{QNetwork, QPass};
use super::options::DqnOptions;
use super::update::Learner;
use crate::agent::{Agent, Policy};
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::replay::{Minibatch, Replay, ReplayOptions};
use crate::saved_policy::{PolicyCard, save_network};
use crate::saved_state;
use crate::space::Space;
use crate::vector::{Autoreset, Batch, Transition};

/// The agent of Mnih et al. 2015.
pub struct Dqn {
    options: DqnOptions,
    /// Steps of the whole run, of all environments together, which the schedules are about.
    total: u64,
    envs: usize,
    encoding: Encoding,
    learner: Learner,
    replay: Replay,
    minibatch: Minibatch,
    errors: Vec<f32>,
    /// For acting in all environments.
    pass: QPass,
    memory: Vec<f32>,
    exploration: ChaCha8Rng,
    sampling: ChaCha8Rng,
    /// Steps so far.
    steps: u64,
    updates: u64,
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
        let Space::Discrete(count) = actions else {
            return Err(RlError::ActionSpace {
                algorithm: "dqn",
                expected: "one of so many actions",
                found: actions.clone(),
            });
        };
        let encoding = Encoding::new(observations);
        let mut random = seed.stream("network");
        let network = QNetwork::new(encoding.width(), &options.hidden, *count, options.duelling, &mut random);
        let replay = Replay::new(&ReplayOptions {
            capacity: options.capacity,
            envs,
            autoreset,
            observation: observations.length(),
            action: 1,
            steps: options.steps,
            discount: options.discount,
            priorities: options.priorities.as_ref().map(|(priorities, _)| priorities.clone()),
        });
        Ok(Self {
            pass: network.pass(envs),
            learner: Learner::new(
                network,
                &encoding,
                options.batch,
                options.adam_epsilon,
                options.double,
                options.loss,
            ),
            encoding,
            replay,
            minibatch: Minibatch::default(),
            errors: Vec::new(),
            memory: Vec::new(),
            exploration: seed.stream("exploration"),
            sampling: seed.stream("replay"),
            options,
            total,
            envs,
            steps: 0,
            updates: 0,
            told: (0, [0.0; 3]),
        })
    }

    /// q(s, .; w).
    pub fn network(&self) -> &QNetwork {
        &self.learner.online
    }

    fn update(&mut self) -> Result<(), RlError> {
        let beta = match &self.options.priorities {
            Some((_, beta)) => beta.at(self.steps, self.total),
            None => 0.0,
        };
        self.replay
            .sample(&mut self.sampling, self.options.batch, beta, &mut self.minibatch);
        let learning_rate = self.options.learning_rate.at(self.steps, self.total);
        let updated = self
            .learner
            .update(&self.minibatch, learning_rate, self.options.max_gradient_norm);
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
            self.errors.clear();
            self.errors.extend(self.learner.errors());
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

impl Agent for Dqn {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let count = self.learner.online.actions();
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
        let inputs = self.encoding.encode(observations, &mut self.memory);
        let values = self.learner.online.forward(inputs, &mut self.pass);
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
            let learner = &mut self.learner;
            for (target, online) in learner.target.parts_mut().iter_mut().zip(learner.online.parts()) {
                polyak(target.parameters_mut(), online.parameters(), self.options.tau);
            }
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

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(GreedyPolicy::new(self.learner.online.clone(), self.encoding.clone()))
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        save_network(&self.learner.online, card, folder)
    }

    fn save(&self, state: &mut Vec<u8>) {
        let Learner {
            online, target, adam, ..
        } = &self.learner;
        saved_state::write(&(online, target, adam), state);
        saved_state::write(&self.replay, state);
        saved_state::write(
            &(&self.exploration, &self.sampling, self.steps, self.updates, self.told),
            state,
        );
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        let learner = &mut self.learner;
        (learner.online, learner.target, learner.adam) = saved_state::read(state)?;
        self.replay = saved_state::read(state)?;
        (self.exploration, self.sampling, self.steps, self.updates, self.told) = saved_state::read(state)?;
        Ok(())
    }
}

/// Takes the action of greatest value.
pub struct GreedyPolicy {
    network: QNetwork,
    encoding: Encoding,
    pass: QPass,
    rows: usize,
    memory: Vec<f32>,
}

impl GreedyPolicy {
    /// With the values of `network`, which sees observations as `encoding` shows them.
    pub fn new(network: QNetwork, encoding: Encoding) -> Self {
        Self {
            pass: network.pass(1),
            network,
            encoding,
            rows: 1,
            memory: Vec::new(),
        }
    }

    /// The values of all actions for each row of `observations`: shape `[n, a]`.
    pub fn values(&mut self, observations: &[f32]) -> &[f32] {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        let rows = inputs.len() / self.network.inputs();
        if rows > self.rows {
            (self.pass, self.rows) = (self.network.pass(rows), rows);
        }
        self.network.forward(inputs, &mut self.pass)
    }
}

impl Policy for GreedyPolicy {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let count = self.network.actions();
        let values = self.values(observations);
        for (action, values) in actions.iter_mut().zip(values.chunks_exact(count)) {
            *action = greedy(values) as f32;
        }
    }
}
