//! Acting, remembering, and when to learn.

use std::path::Path;

use burn::tensor::Device;
use etude_train::{Observer, Seed};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::burn::BurnLearner;
use super::learner::{Learner, LearningRates, draw_noise};
use super::module::Shown;
use super::noise::NoiseProcess;
use super::options::DdpgOptions;
use super::scale::ActionScale;
use super::update::{FusedLearner, Networks};
use crate::agent::{Agent, Policy};
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::replay::{Minibatch, Replay, ReplayOptions};
use crate::saved_policy::PolicyCard;
use crate::saved_state;
use crate::space::Space;
use crate::vector::{Autoreset, Batch, Transition};

/// The agent of Lillicrap et al. 2016, or with [`DdpgOptions::td3`] that of Fujimoto et al. 2018.
pub struct Ddpg {
    options: DdpgOptions,
    /// Steps of the whole run, of all environments together, which the schedules are about.
    total: u64,
    envs: usize,
    scale: ActionScale,
    learner: Box<dyn Learner>,
    /// On target actions, in TD3; shape `[n, a]`.
    target_noise: Vec<f32>,
    replay: Replay,
    minibatch: Minibatch,
    noise: NoiseProcess,
    exploration: ChaCha8Rng,
    sampling: ChaCha8Rng,
    /// Steps so far.
    steps: u64,
    told: Told,
}

/// Since the last report.
type Told = ((u64, [f64; 2]), (u64, f64));

impl Ddpg {
    /// An agent for `envs` environments with these spaces, in a run of `total` steps.
    ///
    /// # Errors
    /// The actions are not numbers between two bounds; or there is batch normalisation or a picture, and actor or critic has no hidden
    /// layers, or the picture has too few pixels.
    pub fn new(
        options: DdpgOptions,
        (observations, actions): (&Space, &Space),
        (envs, autoreset): (usize, Autoreset),
        total: u64,
        seed: Seed,
    ) -> Result<Self, RlError> {
        let name = if options.td3.is_some() { "td3" } else { "ddpg" };
        let scale = ActionScale::new(name, actions)?;
        let encoding = Encoding::new(observations);
        let shown = Shown::of(observations, encoding.width());
        let learner: Box<dyn Learner> = match shown {
            Some(Shown::Numbers(width)) if !options.batch_normalization => {
                let networks = Networks::new(&options, (width, scale.length()), &mut seed.stream("network"));
                let sight = (encoding.clone(), scale.clone());
                Box::new(FusedLearner::new(networks, &options, sight, envs))
            }
            Some(shown) if !options.hidden.is_empty() && !options.linear_actor && !options.quadratic_critic => {
                let sight = (shown, encoding.clone(), scale.clone());
                Box::new(BurnLearner::new(
                    &options,
                    sight,
                    &mut seed.stream("network"),
                    &Device::flex(),
                ))
            }
            Some(_) => {
                return Err(RlError::Network {
                    algorithm: name,
                    expected: "an actor and a critic with hidden layers, where it normalises or sees pixels",
                });
            }
            None => {
                return Err(RlError::Network {
                    algorithm: name,
                    expected: "pictures of at least 15 times 15 pixels",
                });
            }
        };
        let replay = Replay::new(&ReplayOptions {
            capacity: options.capacity,
            envs,
            autoreset,
            observation: observations.length(),
            pixels: matches!(observations, Space::Pixels { .. }),
            action: scale.length(),
            steps: options.steps,
            discount: options.discount,
            priorities: None,
        });
        Ok(Self {
            learner,
            target_noise: vec![0.0; options.batch * scale.length()],
            replay,
            minibatch: Minibatch::default(),
            noise: NoiseProcess::new(options.noise, envs * scale.length()),
            scale,
            exploration: seed.stream("exploration"),
            sampling: seed.stream("replay"),
            options,
            total,
            envs,
            steps: 0,
            told: Told::default(),
        })
    }

    /// q(s, mu(s)) of one observation, by the first critic.
    pub fn state_value(&mut self, observation: &[f32]) -> f32 {
        self.learner.state_value(observation)
    }

    fn update(&mut self) -> Result<(), RlError> {
        (self.replay).sample(&mut self.sampling, self.options.batch, 0.0, &mut self.minibatch);
        let rates = LearningRates {
            actor: self.options.actor_learning_rate.at(self.steps, self.total) as f32,
            critic: self.options.critic_learning_rate.at(self.steps, self.total) as f32,
        };
        if let Some(td3) = self.options.td3 {
            draw_noise(td3.target_noise, &mut self.sampling, &mut self.target_noise);
        }
        let updated = self.learner.update(&self.minibatch, &self.target_noise, rates);
        // Not a number in one place is soon none in all.
        let value = updated.critic_loss + updated.actor_loss.unwrap_or(0.0);
        if !value.is_finite() {
            return Err(RlError::NotFinite {
                what: "the loss of critic or actor",
                value,
                step: self.steps,
            });
        }
        let (critic, actor) = &mut self.told;
        critic.0 += 1;
        critic.1[0] += updated.critic_loss;
        critic.1[1] += updated.targets;
        if let Some(loss) = updated.actor_loss {
            actor.0 += 1;
            actor.1 += loss;
        }
        Ok(())
    }
}

impl Agent for Ddpg {
    fn shares_work(&self) -> bool {
        self.learner.shares_work()
    }

    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        if self.steps < self.options.learning_starts {
            actions.fill_with(|| self.exploration.random_range(-1.0..=1.0));
        } else {
            self.learner.act(observations, actions);
            let noise = self.noise.step(&mut self.exploration);
            for (action, noise) in actions.iter_mut().zip(noise) {
                *action = (*action + noise).clamp(-1.0, 1.0);
            }
        }
        self.scale.to_bounds(actions);
    }

    fn learn(&mut self, observations: &[f32], actions: &[f32], batch: &Batch) -> Result<(), RlError> {
        self.replay.push(observations, actions, batch);
        let (before, numbers) = (self.steps, self.scale.length());
        for (env, transition) in batch.transitions.iter().enumerate() {
            self.steps += u64::from(*transition != Transition::Ghost);
            if transition.ends() {
                self.noise.restart(env * numbers..(env + 1) * numbers);
            }
        }
        let interval = self.options.train_frequency * self.envs as u64;
        let trains = self.steps / interval > before / interval;
        if trains && self.steps > self.options.learning_starts && !self.replay.is_empty() {
            for _ in 0..self.options.gradient_steps.unwrap_or(interval) {
                self.update()?;
            }
        }
        Ok(())
    }

    fn report(&mut self, step: u64, observer: &mut dyn Observer) {
        for (name, rate) in [
            ("train/actor_learning_rate", self.options.actor_learning_rate),
            ("train/critic_learning_rate", self.options.critic_learning_rate),
        ] {
            observer.scalar(name, step, rate.at(self.steps, self.total));
        }
        observer.scalar("train/n_updates", step, self.learner.updates() as f64);
        let ((updates, sums), (actor_updates, actor_loss)) = std::mem::take(&mut self.told);
        if updates > 0 {
            for (name, sum) in ["train/critic_loss", "train/target_q_values"].into_iter().zip(sums) {
                observer.scalar(name, step, sum / updates as f64);
            }
        }
        if actor_updates > 0 {
            observer.scalar("train/actor_loss", step, actor_loss / actor_updates as f64);
        }
    }

    fn policy(&self) -> Box<dyn Policy> {
        self.learner.policy()
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        self.learner.save_policy(card, folder)
    }

    fn save(&self, state: &mut Vec<u8>) {
        self.learner.save(state);
        saved_state::write(&(&self.replay, &self.noise), state);
        saved_state::write(&(&self.exploration, &self.sampling, self.steps, self.told), state);
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        self.learner.load(state)?;
        (self.replay, self.noise) = saved_state::read(state)?;
        (self.exploration, self.sampling, self.steps, self.told) = saved_state::read(state)?;
        Ok(())
    }
}
