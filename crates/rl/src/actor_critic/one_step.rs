//! The actor-critic methods that learn from one step at a time: QAC, and the off-policy one.

use std::path::Path;

use etude_kernels::perceptron::Mlp;
use etude_train::{Observer, Seed};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::distribution::Distribution;
use super::network_policy::NetworkPolicy;
use super::online::{OnlineNetwork, OnlineOptions, OnlinePolicy};
use crate::agent::{Agent, Policy};
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::saved_policy::{PolicyCard, save_stochastic};
use crate::saved_state;
use crate::space::Space;
use crate::truth::{KnownTask, Surface};
use crate::vector::{Autoreset, Batch, Transition};

/// What is learnt, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneStepMethod {
    /// QAC (Zhao, algorithm 10.1): the critic learns q by Sarsa, with the action a' that is taken next,
    ///
    /// ```text
    /// theta <- theta + alpha q(s, a; w) grad ln pi(a|s)
    /// w <- w + alpha_w (r + gamma q(s', a'; w) - q(s, a; w)) grad q(s, a; w)
    /// ```
    Qac,
    /// Off-policy actor-critic (Zhao, algorithm 10.3; Degris et al. 2012): actions are beta's, and what is learnt from each is weighed by
    /// how much more often pi would have taken it,
    ///
    /// ```text
    /// delta = r + gamma v(s'; w) - v(s; w)
    /// theta <- theta + alpha pi(a|s) / beta(a|s) delta grad ln pi(a|s)
    /// w <- w + alpha_w pi(a|s) / beta(a|s) delta grad v(s; w)
    /// ```
    ///
    /// where beta is pi with a share of random actions, of those that may be taken.
    OffPolicy,
}

/// QAC or the off-policy actor-critic, in one environment.
pub struct OneStepActorCritic {
    method: OneStepMethod,
    options: OnlineOptions,
    autoreset: Autoreset,
    encoding: Encoding,
    policy: OnlinePolicy,
    /// v, or q of each action.
    critic: OnlineNetwork,
    /// The action that has been drawn already for the observation that is acted on next.
    next_action: Option<f32>,
    random: ChaCha8Rng,
    amounts: Vec<f32>,
    memory: [Vec<f32>; 2],
    steps: u64,
    /// Where the model is known.
    task: Option<KnownTask>,
}

impl OneStepActorCritic {
    /// An agent whose networks see observations as `encoding` shows them, in an environment that is reset as `autoreset` says.
    ///
    /// # Errors
    /// The actions are not one of so many, or are not those of the mask that `encoding` shows.
    pub fn new(
        (name, method): (&'static str, OneStepMethod),
        options: OnlineOptions,
        encoding: Encoding,
        (actions, autoreset): (&Space, Autoreset),
        seed: Seed,
    ) -> Result<Self, RlError> {
        let Space::Discrete(count) = *actions else {
            return Err(RlError::ActionSpace {
                algorithm: name,
                expected: "one of so many actions",
                found: actions.clone(),
            });
        };
        let distribution =
            Distribution::new(name, actions, super::GaussianOptions::default())?.masked_by(name, &encoding)?;
        let mut random = seed.stream("network");
        let mut network = |outputs: usize| {
            OnlineNetwork::new(
                encoding.width(),
                &options.hidden,
                outputs,
                options.activation,
                &mut random,
            )
        };
        let values = match method {
            OneStepMethod::Qac => count,
            OneStepMethod::OffPolicy => 1,
        };
        Ok(Self {
            method,
            autoreset,
            policy: OnlinePolicy::new(distribution, network(count)),
            critic: network(values),
            next_action: None,
            random: seed.stream("actions"),
            amounts: vec![0.0; values],
            memory: [Vec::new(), Vec::new()],
            steps: 0,
            task: None,
            options,
            encoding,
        })
    }

    /// The same agent, measured against a task whose model is known.
    pub fn measured_against(self, task: Option<KnownTask>) -> Self {
        Self { task, ..self }
    }

    /// v(s) for each row of `observations`: of QAC the mean of q(s, .) under pi.
    pub fn state_values(&mut self, observations: &[f32]) -> Vec<f64> {
        let inputs = self.encoding.encode(observations, &mut self.memory[0]);
        let rows = inputs.chunks_exact(self.critic.mlp.inputs());
        rows.map(|inputs| {
            let values: Vec<f64> = self.critic.outputs(inputs).iter().copied().map(f64::from).collect();
            match self.method {
                OneStepMethod::OffPolicy => values[0],
                OneStepMethod::Qac => {
                    let probabilities = self.policy.probabilities(inputs);
                    values.iter().zip(&probabilities[0]).map(|(q, p)| q * p).sum()
                }
            }
        })
        .collect()
    }

    /// One update of [`OneStepMethod::Qac`]; the value of s', a' is `next`.
    fn learn_qac(&mut self, observation: &[f32], action: f32, reward: f64, next: f64) -> f64 {
        let inputs = self.encoding.encode(observation, &mut self.memory[0]);
        let value = f64::from(self.critic.outputs(inputs)[action as usize]);
        let error = reward + self.options.discount * next - value;
        self.amounts.fill(0.0);
        self.amounts[action as usize] = (self.options.critic_step_size * error) as f32;
        self.critic.climb(&self.amounts);
        self.policy
            .climb(inputs, &[action], self.options.actor_step_size * value);
        error
    }

    /// One update of [`OneStepMethod::OffPolicy`]; the value of s' is `next`.
    fn learn_off_policy(&mut self, observation: &[f32], action: f32, reward: f64, next: f64) -> f64 {
        let inputs = self.encoding.encode(observation, &mut self.memory[0]);
        let value = f64::from(self.critic.outputs(inputs)[0]);
        let probability = self.policy.probability(inputs, &[action]);
        let epsilon = self.options.behaviour_epsilon;
        let allowed = self.policy.distribution.allowed(inputs).count();
        let behaviour = (1.0 - epsilon) * probability + epsilon / allowed as f64;
        let error = reward + self.options.discount * next - value;
        let weighted = probability / behaviour * error;
        self.amounts[0] = (self.options.critic_step_size * weighted) as f32;
        self.critic.climb(&self.amounts);
        self.policy
            .climb(inputs, &[action], self.options.actor_step_size * weighted);
        error
    }
}

impl Agent for OneStepActorCritic {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        if let Some(action) = self.next_action.take() {
            actions[0] = action;
            return;
        }
        let inputs = self.encoding.encode(observations, &mut self.memory[0]);
        if self.method == OneStepMethod::OffPolicy && self.random.random::<f64>() < self.options.behaviour_epsilon {
            let mut allowed = self.policy.distribution.allowed(inputs);
            // Where nothing may be done the episode is over, and the action is not taken.
            let drawn = self.random.random_range(0..allowed.clone().count().max(1));
            actions[0] = allowed.nth(drawn).unwrap_or(0) as f32;
            return;
        }
        self.policy.draw(inputs, &mut self.random, actions);
    }

    fn learn(&mut self, observations: &[f32], actions: &[f32], batch: &Batch) -> Result<(), RlError> {
        let transition = batch.transitions[0];
        if transition == Transition::Ghost {
            return Ok(());
        }
        let next = if transition.ends() && self.autoreset == Autoreset::SameStep {
            &batch.final_observations
        } else {
            &batch.observations
        };
        let next = self.encoding.encode(next, &mut self.memory[1]);
        let mut drawn = None;
        let value = match (transition, self.method) {
            (Transition::Terminated, _) => 0.0,
            (_, OneStepMethod::OffPolicy) => f64::from(self.critic.outputs(next)[0]),
            (_, OneStepMethod::Qac) => {
                let mut action = [0.0];
                self.policy.draw(next, &mut self.random, &mut action);
                drawn = Some(action[0]);
                f64::from(self.critic.outputs(next)[action[0] as usize])
            }
        };
        // Where the episode is over, another action follows from another observation.
        self.next_action = drawn.filter(|_| !transition.ends());
        let reward = batch.rewards[0];
        let error = match self.method {
            OneStepMethod::Qac => self.learn_qac(observations, actions[0], reward, value),
            OneStepMethod::OffPolicy => self.learn_off_policy(observations, actions[0], reward, value),
        };
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

    fn surface(&mut self) -> Option<Surface> {
        let states: Vec<f32> = (0..self.task.as_ref()?.model().states())
            .map(|state| state as f32)
            .collect();
        let values = self.state_values(&states);
        let inputs = self.encoding.encode(&states, &mut self.memory[0]);
        let probabilities = self.policy.probabilities(inputs);
        self.task.as_ref()?.policy_surface(&probabilities, values)
    }

    fn policy(&self) -> Box<dyn Policy> {
        let (distribution, mlp) = (self.policy.distribution.clone(), self.policy.mlp().clone());
        Box::new(NetworkPolicy::new(distribution, mlp, self.encoding.clone()))
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        let OnlinePolicy { distribution, .. } = &self.policy;
        save_stochastic((distribution, self.policy.mlp()), &self.encoding, card, folder)
    }

    fn save(&self, state: &mut Vec<u8>) {
        let networks = (self.policy.mlp(), &self.critic.mlp);
        saved_state::write(&(networks, self.next_action, &self.random, self.steps), state);
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        let networks: (Mlp, Mlp);
        (networks, self.next_action, self.random, self.steps) = saved_state::read(state)?;
        self.policy.replace(networks.0);
        self.critic.replace(networks.1);
        Ok(())
    }
}
