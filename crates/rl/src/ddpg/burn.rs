//! One update of networks that are Burn modules: with batch normalisation, with convolutions over pixels, on any of Burn's devices.
//!
//! The equations are those of `update.rs`, which is faster and has neither.

use std::path::Path;

use burn::module::Module;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Device, Tensor};
use etude_kernels::perceptron::Mlp;
use rand_chacha::ChaCha8Rng;

use super::actor_policy::ActorPolicy;
use super::batch_normalization::Statistics;
use super::learner::{Learner, LearningRates, Updated};
use super::loss::{action_value_targets, critic_loss, deterministic_policy_gradient, smooth, take_lesser};
use super::module::{Convolution, Network, Shown};
use super::networks::Actor;
use super::options::{DdpgOptions, Td3Options};
use super::pixel_policy::PixelPolicy;
use super::scale::ActionScale;
use crate::agent::Policy;
use crate::burn_module::{self, numbers, rows};
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::replay::Minibatch;
use crate::saved_policy::{PolicyCard, save_actor};
use crate::saved_state;

/// A network that learns, its slow copy, and Adam's state.
struct Learning {
    /// With autodiff.
    online: Network,
    /// Without.
    target: Network,
    adam: ModuleOptimizer,
}

impl Learning {
    /// `network` lies on `plain`, which has no autodiff.
    fn new(network: &Network, plain: &Device, weight_decay: f32) -> Self {
        let decay = (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay));
        let online = network.clone().fork(&plain.clone().autodiff()).train();
        Self {
            target: online.valid(),
            online,
            adam: AdamConfig::new().with_epsilon(1e-8).with_weight_decay(decay).init(),
        }
    }

    /// A step of Adam along the gradient of the sum of `outputs` times `slopes`, of shape `[n, k]` both.
    fn step(&mut self, outputs: Tensor<2>, slopes: &[f32], statistics: Statistics, rate: f32) {
        let device = outputs.device();
        let [_, width] = outputs.dims();
        let gradients = (outputs * rows(slopes, width, &device)).sum().backward();
        let gradients = GradientsParams::from_grads(gradients, &self.online);
        let moved = self.adam.step(f64::from(rate), self.online.clone(), gradients);
        self.online = moved.absorb(statistics);
    }

    fn follow(&mut self, tau: f32) {
        self.target = burn_module::polyak(&self.target, &self.online.valid(), tau);
    }
}

/// All networks, on a device of Burn's.
pub(super) struct BurnLearner {
    actor: Learning,
    /// One, or two in TD3.
    critics: Vec<Learning>,
    updates: u64,
    /// Where the networks only look, without autodiff.
    plain: Device,
    /// Where they learn.
    learning: Device,
    td3: Option<Td3Options>,
    tau: f32,
    /// What the actor's layers after the convolutions are without normalisation, but for the numbers.
    perceptron: Mlp,
    shown: Shown,
    encoding: Encoding,
    scale: ActionScale,
    memory: Vec<f32>,
    targets: Vec<f32>,
}

impl BurnLearner {
    /// Networks for observations that are `shown` as `encoding` says.
    pub(super) fn new(
        options: &DdpgOptions,
        (shown, encoding, scale): (Shown, Encoding, ActionScale),
        random: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        let sizes = (shown, scale.length());
        let actor = Network::actor(options, sizes, random, device);
        let critics = if options.td3.is_some() { 2 } else { 1 };
        let critics = (0..critics).map(|_| Network::critic(options, sizes, random, device));
        let critics = critics.map(|critic| Learning::new(&critic, device, options.critic_weight_decay));
        Self {
            critics: critics.collect(),
            actor: Learning::new(&actor, device, 0.0),
            updates: 0,
            plain: device.clone(),
            learning: device.clone().autodiff(),
            td3: options.td3,
            tau: options.tau,
            perceptron: Mlp::new(
                &[&[shown.features()][..], &options.hidden, &[scale.length()]].concat(),
                options.activation,
                random,
            ),
            shown,
            encoding,
            scale,
            memory: Vec::new(),
            targets: vec![0.0; options.batch],
        }
    }

    /// Encoded observations on a device.
    fn tensor(&mut self, observations: &[f32], device: &Device) -> Tensor<2> {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        rows(inputs, self.encoding.width(), device)
    }

    /// mu(s), with the slow averages of a network without autodiff.
    fn actions(actor: &Network, observations: Tensor<2>) -> Tensor<2> {
        actor.forward(observations, None, &mut Statistics::Slow).tanh()
    }

    /// The convolutions and the perceptron of the actor as it is now, without normalisation.
    fn folded(&self) -> (Vec<Convolution>, Actor) {
        let (convolutions, layers) = self.actor.online.valid().folded();
        let mut mlp = self.perceptron.clone();
        let parameters = layers
            .into_iter()
            .flat_map(|layer| layer.weight.into_iter().chain(layer.bias));
        for (place, parameter) in mlp.parameters_mut().iter_mut().zip(parameters) {
            *place = parameter;
        }
        (convolutions, Actor::from_mlp(mlp))
    }
}

impl Learner for BurnLearner {
    fn shares_work(&self) -> bool {
        // How Burn shares its work is its own business.
        false
    }

    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let inputs = self.tensor(observations, &self.plain.clone());
        actions.copy_from_slice(&numbers(Self::actions(&self.actor.online.valid(), inputs)));
    }

    fn state_value(&mut self, observation: &[f32]) -> f32 {
        let inputs = self.tensor(observation, &self.plain.clone());
        let actions = Self::actions(&self.actor.online.valid(), inputs.clone());
        let critic = self.critics[0].online.valid();
        numbers(critic.forward(inputs, Some(&actions), &mut Statistics::Slow))[0]
    }

    fn update(&mut self, minibatch: &Minibatch, noise: &[f32], rates: LearningRates) -> Updated {
        let actions = self.scale.length();

        // Targets, by the slow averages.
        let next = self.tensor(&minibatch.next_observations, &self.plain.clone());
        let mut next_actions = numbers(Self::actions(&self.actor.target, next.clone()));
        if let Some(td3) = self.td3 {
            smooth(&mut next_actions, noise, td3.target_noise_clip);
        }
        let next_actions = rows(&next_actions, actions, &self.plain);
        let values = self
            .critics
            .iter()
            .map(|critic| numbers((critic.target).forward(next.clone(), Some(&next_actions), &mut Statistics::Slow)));
        let next_values = values.reduce(|mut least, values| {
            take_lesser(&mut least, &values);
            least
        });
        let (rewards, discounts) = (&minibatch.rewards, &minibatch.discounts);
        action_value_targets(rewards, discounts, &next_values.unwrap_or_default(), &mut self.targets);

        // The critics.
        let now = self.tensor(&minibatch.observations, &self.learning.clone());
        let mut taken = minibatch.actions.clone();
        self.scale.to_unit(&mut taken);
        let taken = rows(&taken, actions, &self.learning);
        let (mut loss, mut slopes) = (0.0, vec![0.0; self.targets.len()]);
        for critic in &mut self.critics {
            let mut statistics = Statistics::of_minibatch();
            let values = (critic.online).forward(now.clone(), Some(&taken), &mut statistics);
            loss += critic_loss(&numbers(values.clone().inner()), &self.targets, &mut slopes);
            critic.step(values, &slopes, statistics, rates.critic);
        }
        self.updates += 1;
        let mut updated = Updated::of_critics(loss, &self.targets);

        // The actor, by the first critic, and the slow copies.
        if self.updates.is_multiple_of(self.td3.map_or(1, |td3| td3.policy_delay)) {
            let mut statistics = Statistics::of_minibatch();
            let actions = (self.actor.online).forward(now.clone(), None, &mut statistics).tanh();
            let critic = self.critics[0].online.clone().no_grad();
            let values = critic.forward(now, Some(&actions), &mut Statistics::of_minibatch());
            let seen = numbers(values.clone().inner());
            updated.actor_loss = Some(deterministic_policy_gradient(&seen, &mut slopes));
            self.actor.step(values, &slopes, statistics, rates.actor);
            self.actor.follow(self.tau);
            for critic in &mut self.critics {
                critic.follow(self.tau);
            }
        }
        updated
    }

    fn updates(&self) -> u64 {
        self.updates
    }

    fn policy(&self) -> Box<dyn Policy> {
        let (scale, encoding) = (self.scale.clone(), self.encoding.clone());
        let (convolutions, actor) = self.folded();
        match self.shown {
            Shown::Pixels(shape) => Box::new(PixelPolicy::new((shape, convolutions), actor, scale, encoding)),
            Shown::Numbers(_) => Box::new(ActorPolicy::new(actor, scale, encoding)),
        }
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        let (convolutions, actor) = self.folded();
        save_actor(&convolutions, &actor, card, folder)
    }

    fn save(&self, state: &mut Vec<u8>) {
        saved_state::write(&self.updates, state);
        for network in [&self.actor].into_iter().chain(&self.critics) {
            burn_module::save(network.online.valid(), state);
            burn_module::save(network.target.clone(), state);
            let bytes = network.adam.into_bytes().map(|bytes| bytes.to_vec());
            saved_state::write(&bytes.unwrap_or_default(), state);
        }
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        self.updates = saved_state::read(state)?;
        for network in [&mut self.actor].into_iter().chain(&mut self.critics) {
            let online = burn_module::load(network.online.valid(), state)?;
            network.online = online.fork(&self.learning).train();
            network.target = burn_module::load(network.target.clone(), state)?;
            let bytes: Vec<u8> = saved_state::read(state)?;
            let adam = network.adam.clone().from_bytes(Bytes::from_bytes_vec(bytes));
            network.adam = adam.map_err(|_| burn_module::wrong())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
