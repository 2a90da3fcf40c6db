//! One update of all networks.

use etude_kernels::{Adam, Pass, polyak};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::loss::{action_value_targets, critic_loss, deterministic_policy_gradient, smooth, take_lesser};
use super::networks::{Actor, Critic};
use super::options::{DdpgOptions, Td3Options};
use super::scale::ActionScale;
use crate::encoding::Encoding;
use crate::replay::Minibatch;

/// The step sizes of one update.
#[derive(Debug, Clone, Copy)]
pub(super) struct LearningRates {
    pub(super) actor: f32,
    pub(super) critic: f32,
}

/// What an update tells.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Updated {
    /// The critics' loss, of both together where there are two.
    pub(super) critic_loss: f64,
    /// The mean of y.
    pub(super) targets: f64,
    /// The actor's loss, where it has moved.
    pub(super) actor_loss: Option<f64>,
}

/// A network that learns, its slow copy, and Adam's state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Learning<N> {
    pub(super) online: N,
    pub(super) target: N,
    pub(super) adam: Adam,
}

/// All networks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Networks {
    pub(super) actor: Learning<Actor>,
    /// One, or two in TD3.
    pub(super) critics: Vec<Learning<Critic>>,
    /// Updates of the critics so far.
    pub(super) updates: u64,
}

impl Networks {
    pub(super) fn new(options: &DdpgOptions, (inputs, actions): (usize, usize), random: &mut ChaCha8Rng) -> Self {
        let (hidden, bound) = (&options.hidden, options.last_layer_bound);
        let actor = Actor::new((inputs, actions), hidden, bound, random);
        let critics = if options.td3.is_some() { 2 } else { 1 };
        let critics = (0..critics).map(|_| Critic::new((inputs, actions), hidden, options.action_layer, bound, random));
        let critics: Vec<Critic> = critics.collect();
        Self::of(actor, critics, options.critic_weight_decay)
    }

    pub(super) fn of(actor: Actor, critics: Vec<Critic>, critic_weight_decay: f32) -> Self {
        let critics = critics.into_iter().map(|critic| {
            let mut adam = Adam::new(critic.mlp().parameters().len(), ADAM_EPSILON);
            adam.weight_decay = critic_weight_decay;
            Learning {
                target: critic.clone(),
                adam,
                online: critic,
            }
        });
        Self {
            critics: critics.collect(),
            actor: Learning {
                target: actor.clone(),
                adam: Adam::new(actor.mlp().parameters().len(), ADAM_EPSILON),
                online: actor,
            },
            updates: 0,
        }
    }
}

/// Adam's epsilon, as Kingma and Ba give it.
const ADAM_EPSILON: f32 = 1e-8;

/// The networks with the memory of their updates.
#[derive(Debug)]
pub(super) struct Learner {
    pub(super) networks: Networks,
    td3: Option<Td3Options>,
    tau: f32,
    encoding: Encoding,
    scale: ActionScale,
    actor_pass: Pass,
    critic_pass: Pass,
    /// Encoded observations, now and next.
    memory: [Vec<f32>; 2],
    /// The minibatch's actions, between -1 and 1.
    taken: Vec<f32>,
    /// mu(s') and then mu(s), and the gradient by the latter.
    actions: Vec<f32>,
    pub(super) action_gradient: Vec<f32>,
    noise: Vec<f32>,
    /// Observations and actions side by side.
    rows: Vec<f32>,
    /// The least of the critics' values of s'.
    next_values: Vec<f32>,
    pub(super) targets: Vec<f32>,
    value_gradient: Vec<f32>,
    pub(super) actor_gradient: Vec<f32>,
    pub(super) critic_gradient: Vec<f32>,
}

impl Learner {
    /// For acting in `envs` environments, and minibatches of `options.batch` transitions.
    pub(super) fn new(
        networks: Networks,
        options: &DdpgOptions,
        (encoding, scale): (Encoding, ActionScale),
        envs: usize,
    ) -> Self {
        let (batch, actions) = (options.batch, scale.length());
        let (actor, critic) = (networks.actor.online.mlp(), networks.critics[0].online.mlp());
        Self {
            actor_pass: Pass::new(actor, batch.max(envs)),
            critic_pass: Pass::new(critic, batch),
            td3: options.td3,
            tau: options.tau,
            memory: [Vec::new(), Vec::new()],
            taken: vec![0.0; batch * actions],
            actions: vec![0.0; batch * actions],
            action_gradient: vec![0.0; batch * actions],
            noise: vec![0.0; batch * actions],
            rows: Vec::with_capacity(batch * critic.inputs()),
            next_values: vec![0.0; batch],
            targets: vec![0.0; batch],
            value_gradient: vec![0.0; batch],
            actor_gradient: vec![0.0; actor.parameters().len()],
            critic_gradient: vec![0.0; critic.parameters().len()],
            encoding,
            scale,
            networks,
        }
    }

    /// Whether an update shares work between the threads of the current Rayon pool, in tasks of some microseconds.
    pub(super) fn shares_work(&self) -> bool {
        let rows = self.targets.len();
        self.networks.actor.online.mlp().shares_work(rows)
    }

    /// mu(s), between -1 and 1, into `actions`: shapes `[n, d]` and `[n, a]`.
    pub(super) fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let inputs = self.encoding.encode(observations, &mut self.memory[0]);
        (self.networks.actor.online).forward(inputs, &mut self.actor_pass, actions);
    }

    /// One step of Adam for the critics and, where it is due, for the actor.
    pub(super) fn update(&mut self, minibatch: &Minibatch, rates: LearningRates, random: &mut ChaCha8Rng) -> Updated {
        if self.td3.is_some_and(|td3| td3.target_noise > 0.0) {
            let deviation = self.td3.map_or(0.0, |td3| td3.target_noise);
            for noise in &mut self.noise {
                let normal: f32 = StandardNormal.sample(random);
                *noise = deviation * normal;
            }
        }
        self.update_with_noise(minibatch, rates)
    }

    /// The same, with the noise on target actions that is there already.
    fn update_with_noise(&mut self, minibatch: &Minibatch, rates: LearningRates) -> Updated {
        let [now, next] = &mut self.memory;
        let now = self.encoding.encode(&minibatch.observations, now);
        let next = self.encoding.encode(&minibatch.next_observations, next);
        let Networks {
            actor,
            critics,
            updates,
        } = &mut self.networks;

        // Targets.
        actor.target.forward(next, &mut self.actor_pass, &mut self.actions);
        if let Some(td3) = self.td3 {
            smooth(&mut self.actions, &self.noise, td3.target_noise_clip);
        }
        critics[0].target.join(next, &self.actions, &mut self.rows);
        for (index, critic) in critics.iter().enumerate() {
            let values = critic.target.forward(&self.rows, &mut self.critic_pass);
            if index == 0 {
                self.next_values.copy_from_slice(values);
            } else {
                take_lesser(&mut self.next_values, values);
            }
        }
        let (rewards, discounts) = (&minibatch.rewards, &minibatch.discounts);
        action_value_targets(rewards, discounts, &self.next_values, &mut self.targets);

        // The critics.
        self.taken.copy_from_slice(&minibatch.actions);
        self.scale.to_unit(&mut self.taken);
        critics[0].online.join(now, &self.taken, &mut self.rows);
        let mut loss = 0.0;
        for Learning { online, adam, .. } in critics.iter_mut() {
            let values = online.forward(&self.rows, &mut self.critic_pass);
            loss += critic_loss(values, &self.targets, &mut self.value_gradient);
            let gradient = &mut self.critic_gradient;
            online.backward(&self.rows, &self.value_gradient, &mut self.critic_pass, gradient);
            adam.step(online.mlp_mut().parameters_mut(), gradient, 1.0, rates.critic);
        }
        *updates += 1;

        // The actor, by the first critic, and the slow copies.
        let delay = self.td3.map_or(1, |td3| td3.policy_delay);
        let actor_loss = updates.is_multiple_of(delay).then(|| {
            let critic = &critics[0].online;
            actor.online.forward(now, &mut self.actor_pass, &mut self.actions);
            critic.join(now, &self.actions, &mut self.rows);
            let values = critic.forward(&self.rows, &mut self.critic_pass);
            let loss = deterministic_policy_gradient(values, &mut self.value_gradient);
            critic.backward_to_actions(&self.value_gradient, &mut self.critic_pass, &mut self.action_gradient);
            let gradient = &mut self.actor_gradient;
            (actor.online).backward(
                now,
                &self.actions,
                &mut self.action_gradient,
                &mut self.actor_pass,
                gradient,
            );
            (actor.adam).step(actor.online.mlp_mut().parameters_mut(), gradient, 1.0, rates.actor);
            polyak(
                actor.target.mlp_mut().parameters_mut(),
                actor.online.mlp().parameters(),
                self.tau,
            );
            for critic in critics.iter_mut() {
                let parameters = critic.target.mlp_mut().parameters_mut();
                polyak(parameters, critic.online.mlp().parameters(), self.tau);
            }
            loss
        });
        Updated {
            critic_loss: loss,
            targets: self.targets.iter().copied().map(f64::from).sum::<f64>() / self.targets.len() as f64,
            actor_loss,
        }
    }
}
