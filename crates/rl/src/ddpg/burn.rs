//! One update of networks that are Burn modules: with batch normalisation, with convolutions over pixels, on any of Burn's devices.
//!
//! The equations are those of `update.rs`, which is faster and has neither.

use std::path::Path;

use burn::module::Module;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Device, Tensor};
use etude_kernels::Mlp;
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
mod tests {
    use burn::module::{ModuleMapper, Param};
    use burn::tensor::TensorData;
    use etude_train::Seed;
    use serde::Deserialize;

    use super::super::networks::ActionLayer;
    use super::super::options::Td3Options;
    use super::*;
    use crate::saved_policy::load_policy;
    use crate::space::Space;

    /// See `scripts/rl_ddpg_module_fixtures.py`.
    #[derive(Deserialize)]
    struct Case {
        shown: Vec<usize>,
        td3: bool,
        action_layer: usize,
        normalises: bool,
        observations: Vec<f32>,
        next_observations: Vec<f32>,
        actions: Vec<f32>,
        rewards: Vec<f32>,
        discounts: Vec<f32>,
        noise: Vec<f32>,
        losses: Vec<(f64, Option<f64>)>,
        actor: Vec<f32>,
        slow_actor: Vec<f32>,
        critics: Vec<Vec<f32>>,
        slow_critics: Vec<Vec<f32>>,
    }

    /// Sets all numbers of a network.
    struct Fill {
        phase: f64,
        place: usize,
        /// Vectors that are no normalisation's.
        biases: usize,
        vectors: usize,
    }

    impl ModuleMapper for Fill {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let dims = parameter.dims();
            let (scale, middle) = match D {
                4 => (1.5 / ((dims[1] * dims[2] * dims[3]) as f64).sqrt(), 0.0),
                2 => (1.5 / (dims[0] as f64).sqrt(), 0.0),
                _ => {
                    self.vectors += 1;
                    match self.vectors.checked_sub(self.biases + 1) {
                        None => (0.1, 0.0),
                        Some(norm) => (0.2, [1.0, 0.0, 0.0, 1.0][norm % 4]),
                    }
                }
            };
            let phase = self.phase + self.place as f64;
            self.place += 1;
            let numbers = (0..dims.iter().product::<usize>()).map(|index| {
                let place = index as f64;
                let wave = (place * place * 0.37 + place * 1.7 + phase).sin() as f32;
                (middle + scale * f64::from(wave)) as f32
            });
            let data = TensorData::new(numbers.collect::<Vec<f32>>(), dims);
            parameter.map(|before| Tensor::from_data(data, &before.device()))
        }
    }

    fn filled(network: Network, phase: f64, biases: usize) -> Network {
        network.map(&mut Fill {
            phase,
            place: 0,
            biases,
            vectors: 0,
        })
    }

    fn space(case: &Case) -> Space {
        match case.shown[..] {
            [channels, height, width] => Space::Pixels {
                channels,
                height,
                width,
            },
            _ => Space::symmetric(vec![9.0; case.shown[0]]),
        }
    }

    fn learner(case: &Case) -> BurnLearner {
        let (encoding, device) = (Encoding::new(&space(case)), Device::flex());
        let shown = Shown::of(&space(case), encoding.width()).unwrap();
        let scale = ActionScale::new("ddpg", &Space::symmetric(vec![1.0; 2])).unwrap();
        let action_layer = [ActionLayer::First, ActionLayer::Second][case.action_layer];
        let options = DdpgOptions {
            hidden: vec![8, 6],
            action_layer,
            batch_normalization: case.normalises,
            critic_weight_decay: 1e-2,
            batch: case.rewards.len(),
            tau: 0.05,
            td3: case.td3.then(Td3Options::default),
            ..DdpgOptions::default()
        };
        let mut random = Seed(1).stream("network");
        let mut learner = BurnLearner::new(&options, (shown, encoding, scale), &mut random, &device);
        let sizes = (shown, 2);
        // Of the layers without a normalisation after them.
        let convolved = if case.normalises || case.shown.len() == 1 { 0 } else { 3 };
        let (of_actor, of_critic) = if case.normalises {
            (1, 3 - case.action_layer)
        } else {
            (3 + convolved, 3 + convolved)
        };
        let mut learning = |phase: f64, critic: bool, decay: f32| {
            let mut network = |phase: f64| {
                if critic {
                    filled(Network::critic(&options, sizes, &mut random, &device), phase, of_critic)
                } else {
                    filled(Network::actor(&options, sizes, &mut random, &device), phase, of_actor)
                }
            };
            let mut learning = Learning::new(&network(phase), &device, decay);
            learning.target = network(phase + 3.0);
            learning
        };
        learner.actor = learning(0.1, false, 0.0);
        for (index, critic) in learner.critics.iter_mut().enumerate() {
            *critic = learning(0.2 + index as f64, true, 1e-2);
        }
        learner
    }

    fn near(what: &str, ours: &[f32], theirs: &[f32], tolerance: f32) {
        assert_eq!(ours.len(), theirs.len(), "{what}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!(
                (ours - theirs).abs() <= tolerance * (1.0 + theirs.abs()),
                "{what}: {ours} {theirs}"
            );
        }
    }

    #[test]
    fn ten_updates_are_pytorchs() {
        let text = include_str!("../../tests/fixtures/ddpg_module.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let what = format!("{:?}, td3: {}, normalised: {}", case.shown, case.td3, case.normalises);
            let mut learner = learner(&case);
            let minibatch = Minibatch {
                observations: case.observations.clone(),
                next_observations: case.next_observations.clone(),
                actions: case.actions.clone(),
                rewards: case.rewards.clone(),
                discounts: case.discounts.clone(),
                ..Minibatch::default()
            };
            let rates = LearningRates {
                actor: 1e-3,
                critic: 1e-3,
            };
            assert_eq!(case.losses.len(), 10);
            for (&(critic_loss, actor_loss), noise) in
                case.losses.iter().zip(case.noise.chunks_exact(case.actions.len()))
            {
                let updated = learner.update(&minibatch, noise, rates);
                near(&what, &[updated.critic_loss as f32], &[critic_loss as f32], 1e-5);
                assert_eq!(updated.actor_loss.is_some(), actor_loss.is_some(), "{what}");
                for (ours, theirs) in updated.actor_loss.iter().zip(&actor_loss) {
                    near(&what, &[*ours as f32], &[*theirs as f32], 1e-5);
                }
            }
            // A normalisation takes away what the shift of the one before has added: that shift has no gradient but the error of rounding,
            // of which Adam makes whole steps, and slow averages lag behind.
            let tolerance = if case.normalises { 2e-3 } else { 1e-5 };
            let now = learner.tensor(&case.observations, &learner.plain.clone());
            let actions = BurnLearner::actions(&learner.actor.online.valid(), now.clone());
            near(&what, &numbers(actions.clone()), &case.actor, tolerance);
            near(
                &what,
                &numbers(BurnLearner::actions(&learner.actor.target, now.clone())),
                &case.slow_actor,
                tolerance,
            );
            for (index, critic) in learner.critics.iter().enumerate() {
                let values =
                    |network: &Network| numbers(network.forward(now.clone(), Some(&actions), &mut Statistics::Slow));
                near(&what, &values(&critic.online.valid()), &case.critics[index], tolerance);
                near(&what, &values(&critic.target), &case.slow_critics[index], tolerance);
            }

            // Without normalisation the policy is the same, and so it is when it has been on disk.
            let mut acted = vec![0.0; case.actions.len()];
            learner.policy().act(&case.observations, &mut acted);
            near(&what, &acted, &case.actor, tolerance);
            let folder = tempfile::tempdir().unwrap();
            let card = PolicyCard::new("ddpg", "Test-v0", 10, &space(&case), &Space::symmetric(vec![1.0; 2]));
            learner.save_policy(&card, folder.path()).unwrap();
            let mut again = vec![0.0; case.actions.len()];
            load_policy(folder.path())
                .unwrap()
                .1
                .act(&case.observations, &mut again);
            assert_eq!(again, acted, "{what}");

            // A file for other pictures is refused, whatever sizes it names.
            if let [channels, height, width] = case.shown[..] {
                let others = [
                    [channels, height, 8],
                    [channels + 1, height, width],
                    [channels, 31, width],
                ];
                let any = [usize::MAX, 15].map(|side| [usize::MAX, usize::MAX, side]);
                for [channels, height, width] in others.into_iter().chain(any) {
                    let observations = Space::Pixels {
                        channels,
                        height,
                        width,
                    };
                    let card = PolicyCard {
                        observations,
                        ..card.clone()
                    };
                    learner.save_policy(&card, folder.path()).unwrap();
                    let refused = load_policy(folder.path()).err().unwrap();
                    assert!(matches!(refused, RlError::Policy { .. }), "{refused}");
                }
            }

            // A state brings everything back.
            let mut state = Vec::new();
            learner.save(&mut state);
            let mut other = self::learner(&case);
            other.load(&mut state.as_slice()).unwrap();
            let noise = &case.noise[..case.actions.len()];
            let updated =
                [&mut learner, &mut other].map(|learner| learner.update(&minibatch, noise, rates).critic_loss);
            assert_eq!(updated[0].to_bits(), updated[1].to_bits(), "{what}");
        }
    }
}
