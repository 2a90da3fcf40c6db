//! The deterministic actor-critic (Zhao, algorithm 10.4; Silver et al. 2014, section 4.2), which learns off policy from one step
//! at a time:
//!
//! ```text
//! delta = r + gamma q(s', mu(s'); w) - q(s, a; w)
//! theta <- theta + alpha grad mu(s)  grad_a q(s, a; w) at a = mu(s)
//! w <- w + alpha_w delta grad q(s, a; w)
//! ```
//!
//! Actions are mu(s) with noise. They need no importance weights, since no expectation over actions is taken.

use std::path::Path;

use etude_kernels::perceptron::{Activation, Pass};
use etude_train::{Observer, Seed};
use rand_chacha::ChaCha8Rng;

use crate::agent::{Agent, Policy};
use crate::ddpg::{ActionScale, Actor, ActorPolicy, Noise, NoiseProcess};
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::features::{FeatureMap, Polynomial};
use crate::saved_policy::{PolicyCard, save_actor};
use crate::saved_state;
use crate::space::Space;
use crate::vector::{Autoreset, Batch, Transition};

/// The constants of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct DeterministicOptions {
    /// The widths of the actor's hidden layers, with tanh after each; without any it is linear.
    pub hidden: Vec<usize>,
    /// The critic is linear in all products of the entries of observation and action up to this degree.
    pub critic_degree: i32,
    /// gamma.
    pub discount: f64,
    /// alpha.
    pub actor_step_size: f64,
    /// alpha_w.
    pub critic_step_size: f64,
    /// What is added to actions between -1 and 1.
    pub noise: Noise,
}

impl Default for DeterministicOptions {
    fn default() -> Self {
        Self {
            hidden: Vec::new(),
            critic_degree: 2,
            discount: 0.9,
            actor_step_size: 1e-3,
            critic_step_size: 1e-2,
            noise: Noise::Gaussian { deviation: 0.1 },
        }
    }
}

/// q(s, a; w) = psi(s, a)^T w with polynomials psi.
#[derive(Debug, Clone, PartialEq)]
pub struct PolynomialCritic {
    features: Polynomial,
    /// Numbers of an observation.
    observation: usize,
    /// One a feature.
    weights: Vec<f64>,
    point: Vec<f64>,
}

impl PolynomialCritic {
    /// All weights zero.
    pub fn new(observation: usize, actions: usize, degree: i32) -> Self {
        let features = Polynomial::new(observation + actions, degree);
        Self {
            weights: vec![0.0; features.dimension()],
            features,
            observation,
            point: vec![0.0; observation + actions],
        }
    }

    /// The features.
    pub fn features(&self) -> &Polynomial {
        &self.features
    }

    /// w.
    pub fn weights_mut(&mut self) -> &mut [f64] {
        &mut self.weights
    }

    fn look(&mut self, observation: &[f32], action: &[f32]) {
        for (entry, &number) in self.point.iter_mut().zip(observation.iter().chain(action)) {
            *entry = f64::from(number);
        }
    }

    /// q(s, a).
    pub fn value(&mut self, observation: &[f32], action: &[f32]) -> f64 {
        self.look(observation, action);
        let mut value = 0.0;
        let weights = &self.weights;
        (self.features).visit(&self.point, &mut |index, feature| value += weights[index] * feature);
        value
    }

    /// grad_a q(s, a) into `slopes`.
    pub fn action_slopes(&mut self, observation: &[f32], action: &[f32], slopes: &mut [f32]) {
        self.look(observation, action);
        let weights = &self.weights;
        for (index, slope) in slopes.iter_mut().enumerate() {
            let mut sum = 0.0;
            let entry = self.observation + index;
            (self.features).visit_slopes(&self.point, entry, &mut |index, by| sum += weights[index] * by);
            *slope = sum as f32;
        }
    }

    /// w <- w + `amount` grad q(s, a).
    fn climb(&mut self, observation: &[f32], action: &[f32], amount: f64) {
        self.look(observation, action);
        let weights = &mut self.weights;
        (self.features).visit(&self.point, &mut |index, feature| weights[index] += amount * feature);
    }
}

/// The deterministic actor-critic, in one environment.
pub struct DeterministicActorCritic {
    options: DeterministicOptions,
    autoreset: Autoreset,
    encoding: Encoding,
    scale: ActionScale,
    actor: Actor,
    critic: PolynomialCritic,
    pass: Pass,
    gradient: Vec<f32>,
    /// The action taken, mu of an observation, and grad_a q.
    taken: Vec<f32>,
    action: Vec<f32>,
    slopes: Vec<f32>,
    noise: NoiseProcess,
    exploration: ChaCha8Rng,
    memory: [Vec<f32>; 2],
    steps: u64,
}

impl DeterministicActorCritic {
    /// An agent for these spaces, in an environment that is reset as `autoreset` says.
    ///
    /// # Errors
    /// The actions are not numbers between two bounds.
    pub fn new(
        options: DeterministicOptions,
        (observations, actions): (&Space, &Space),
        autoreset: Autoreset,
        seed: Seed,
    ) -> Result<Self, RlError> {
        let scale = ActionScale::new("dpg", actions)?;
        let encoding = Encoding::new(observations);
        let (inputs, count) = (encoding.width(), scale.length());
        let actor = Actor::new(
            (inputs, count),
            (&options.hidden, Activation::Tanh),
            Some(3e-3),
            &mut seed.stream("network"),
        );
        Ok(Self {
            critic: PolynomialCritic::new(inputs, count, options.critic_degree),
            pass: Pass::new(actor.mlp(), 1),
            gradient: vec![0.0; actor.mlp().parameters().len()],
            actor,
            taken: vec![0.0; count],
            action: vec![0.0; count],
            slopes: vec![0.0; count],
            noise: NoiseProcess::new(options.noise, count),
            exploration: seed.stream("exploration"),
            memory: [Vec::new(), Vec::new()],
            steps: 0,
            autoreset,
            options,
            encoding,
            scale,
        })
    }

    /// q(s, mu(s)) of one observation.
    pub fn state_value(&mut self, observation: &[f32]) -> f64 {
        let inputs = self.encoding.encode(observation, &mut self.memory[0]);
        self.actor.forward(inputs, &mut self.pass, &mut self.action);
        self.critic.value(inputs, &self.action)
    }

    /// The actor.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }
}

impl Agent for DeterministicActorCritic {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let inputs = self.encoding.encode(observations, &mut self.memory[0]);
        self.actor.forward(inputs, &mut self.pass, actions);
        let noise = self.noise.step(&mut self.exploration);
        for (action, noise) in actions.iter_mut().zip(noise) {
            *action += noise;
        }
        self.scale.to_bounds(actions);
    }

    fn learn(&mut self, observations: &[f32], actions: &[f32], batch: &Batch) -> Result<(), RlError> {
        let transition = batch.transitions[0];
        if transition == Transition::Ghost {
            return Ok(());
        }
        if transition.ends() {
            self.noise.restart(0..self.scale.length());
        }
        let next = if transition.ends() && self.autoreset == Autoreset::SameStep {
            &batch.final_observations
        } else {
            &batch.observations
        };
        let [now_memory, next_memory] = &mut self.memory;
        let now = self.encoding.encode(observations, now_memory);
        let next = self.encoding.encode(next, next_memory);
        self.taken.copy_from_slice(actions);
        self.scale.to_unit(&mut self.taken);
        let next_value = if transition == Transition::Terminated {
            0.0
        } else {
            self.actor.forward(next, &mut self.pass, &mut self.action);
            self.critic.value(next, &self.action)
        };
        let target = batch.rewards[0] + self.options.discount * next_value;
        let error = target - self.critic.value(now, &self.taken);

        self.actor.forward(now, &mut self.pass, &mut self.action);
        self.critic.action_slopes(now, &self.action, &mut self.slopes);
        // Against the gradient of the loss, which is -q.
        self.slopes.iter_mut().for_each(|slope| *slope = -*slope);
        let gradient = &mut self.gradient;
        (self.actor).backward(&self.action, &mut self.slopes, &mut self.pass, gradient);
        for (parameter, slope) in self.actor.mlp_mut().parameters_mut().iter_mut().zip(gradient) {
            *parameter -= self.options.actor_step_size as f32 * *slope;
        }
        self.critic
            .climb(now, &self.taken, self.options.critic_step_size * error);
        self.steps += 1;
        if error.is_finite() {
            return Ok(());
        }
        Err(RlError::NotFinite {
            what: "a TD error",
            value: error,
            step: self.steps,
        })
    }

    fn report(&mut self, step: u64, observer: &mut dyn Observer) {
        observer.scalar("train/actor_step_size", step, self.options.actor_step_size);
        observer.scalar("train/critic_step_size", step, self.options.critic_step_size);
    }

    fn policy(&self) -> Box<dyn Policy> {
        let (actor, scale) = (self.actor.clone(), self.scale.clone());
        Box::new(ActorPolicy::new(actor, scale, self.encoding.clone()))
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        save_actor(&[], &self.actor, card, folder)
    }

    fn save(&self, state: &mut Vec<u8>) {
        let learnt = (&self.actor, &self.critic.weights);
        saved_state::write(&(learnt, &self.noise, &self.exploration, self.steps), state);
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        let (weights, count) = (saved_state::read(state)?, self.critic.weights.len());
        (
            (self.actor, self.critic.weights),
            self.noise,
            self.exploration,
            self.steps,
        ) = weights;
        if self.critic.weights.len() == count {
            return Ok(());
        }
        Err(RlError::SavedState("its critic has other features"))
    }
}
