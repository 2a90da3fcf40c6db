//! One update of all networks.

use std::path::Path;

use etude_kernels::perceptron::{Adam, Mlp, Pass, polyak};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::actor_policy::ActorPolicy;
use super::learner::{Learner, LearningRates, Updated};
use super::loss::{action_value_targets, critic_loss, deterministic_policy_gradient, smooth, take_lesser};
use super::networks::{Actor, Critic};
use super::options::{DdpgOptions, Td3Options};
use super::scale::ActionScale;
use crate::agent::Policy;
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::replay::Minibatch;
use crate::saved_policy::{PolicyCard, save_actor};
use crate::saved_state;

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
        let (hidden, bound) = ((&*options.hidden, options.activation), options.last_layer_bound);
        let actors = if options.linear_actor {
            (&[][..], options.activation)
        } else {
            hidden
        };
        let actor = Actor::new((inputs, actions), actors, bound, random);
        let critics = if options.td3.is_some() { 2 } else { 1 };
        let critics = (0..critics).map(|_| {
            if options.quadratic_critic {
                Critic::quadratic((inputs, actions), random)
            } else {
                Critic::new((inputs, actions), hidden, options.action_layer, bound, random)
            }
        });
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
pub(super) struct FusedLearner {
    pub(super) networks: Networks,
    td3: Option<Td3Options>,
    tau: f32,
    encoding: Encoding,
    scale: ActionScale,
    actor_pass: Pass,
    critic_memory: Vec<CriticMemory>,
    /// Encoded observations, now and next.
    memory: [Vec<f32>; 2],
    /// The minibatch's actions, between -1 and 1.
    taken: Vec<f32>,
    /// mu(s') and then mu(s), and the gradient by the latter.
    actions: Vec<f32>,
    pub(super) action_gradient: Vec<f32>,
    /// Observations and actions side by side.
    rows: Vec<f32>,
    /// The least of the critics' values of s'.
    next_values: Vec<f32>,
    pub(super) targets: Vec<f32>,
    pub(super) actor_gradient: Vec<f32>,
}

/// What one critic's update needs for itself, so that two of them can learn at the same time.
#[derive(Debug)]
pub(super) struct CriticMemory {
    pass: Pass,
    /// Of s', by the slow copy.
    next_values: Vec<f32>,
    loss: f64,
    value_gradient: Vec<f32>,
    pub(super) gradient: Vec<f32>,
}

impl CriticMemory {
    fn new(critic: &Mlp, batch: usize) -> Self {
        Self {
            pass: Pass::new(critic, batch),
            next_values: vec![0.0; batch],
            loss: 0.0,
            value_gradient: vec![0.0; batch],
            gradient: vec![0.0; critic.parameters().len()],
        }
    }
}

impl FusedLearner {
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
            critic_memory: networks
                .critics
                .iter()
                .map(|_| CriticMemory::new(critic, batch))
                .collect(),
            td3: options.td3,
            tau: options.tau,
            memory: [Vec::new(), Vec::new()],
            taken: vec![0.0; batch * actions],
            actions: vec![0.0; batch * actions],
            action_gradient: vec![0.0; batch * actions],
            rows: Vec::with_capacity(batch * critic.inputs()),
            next_values: vec![0.0; batch],
            targets: vec![0.0; batch],
            actor_gradient: vec![0.0; actor.parameters().len()],
            encoding,
            scale,
            networks,
        }
    }
}

/// Does something with each critic, with two of them at the same time if that is worth it.
fn for_each(
    critics: &mut [Learning<Critic>],
    memory: &mut [CriticMemory],
    work: impl Fn(&mut Learning<Critic>, &mut CriticMemory) + Sync,
) {
    match (critics, memory) {
        ([first, second], [first_memory, second_memory])
            if first.online.mlp().shares_work(first_memory.next_values.len()) =>
        {
            first_memory.pass.set_alone(true);
            second_memory.pass.set_alone(true);
            rayon::join(|| work(first, first_memory), || work(second, second_memory));
            // The first critic alone teaches the actor.
            first_memory.pass.set_alone(false);
        }
        (critics, memory) => critics
            .iter_mut()
            .zip(memory)
            .for_each(|(critic, memory)| work(critic, memory)),
    }
}

impl Learner for FusedLearner {
    fn shares_work(&self) -> bool {
        let rows = self.targets.len();
        self.networks.critics[0].online.mlp().shares_work(rows)
    }

    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let inputs = self.encoding.encode(observations, &mut self.memory[0]);
        (self.networks.actor.online).forward(inputs, &mut self.actor_pass, actions);
    }

    fn state_value(&mut self, observation: &[f32]) -> f32 {
        let inputs = self.encoding.encode(observation, &mut self.memory[0]);
        let actions = &mut self.actions[..self.scale.length()];
        (self.networks.actor.online).forward(inputs, &mut self.actor_pass, actions);
        let critic = &self.networks.critics[0].online;
        critic.join(inputs, actions, &mut self.rows);
        critic.forward(&self.rows, &mut self.critic_memory[0].pass)[0]
    }

    fn update(&mut self, minibatch: &Minibatch, noise: &[f32], rates: LearningRates) -> Updated {
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
            smooth(&mut self.actions, noise, td3.target_noise_clip);
        }
        critics[0].target.join(next, &self.actions, &mut self.rows);
        for_each(critics, &mut self.critic_memory, |critic, memory| {
            let values = critic.target.forward(&self.rows, &mut memory.pass);
            memory.next_values.copy_from_slice(values);
        });
        self.next_values.copy_from_slice(&self.critic_memory[0].next_values);
        for other in &self.critic_memory[1..] {
            take_lesser(&mut self.next_values, &other.next_values);
        }
        let (rewards, discounts) = (&minibatch.rewards, &minibatch.discounts);
        action_value_targets(rewards, discounts, &self.next_values, &mut self.targets);

        // The critics.
        self.taken.copy_from_slice(&minibatch.actions);
        self.scale.to_unit(&mut self.taken);
        critics[0].online.join(now, &self.taken, &mut self.rows);
        for_each(
            critics,
            &mut self.critic_memory,
            |Learning { online, adam, .. }, memory| {
                let values = online.forward(&self.rows, &mut memory.pass);
                memory.loss = critic_loss(values, &self.targets, &mut memory.value_gradient);
                let gradient = &mut memory.gradient;
                online.backward(&memory.value_gradient, &mut memory.pass, gradient);
                adam.step(online.mlp_mut().parameters_mut(), gradient, 1.0, rates.critic);
            },
        );
        let loss = self.critic_memory.iter().map(|memory| memory.loss).sum();
        *updates += 1;

        // The actor, by the first critic, and the slow copies.
        let delay = self.td3.map_or(1, |td3| td3.policy_delay);
        let actor_loss = updates.is_multiple_of(delay).then(|| {
            let (critic, memory) = (&critics[0].online, &mut self.critic_memory[0]);
            actor.online.forward(now, &mut self.actor_pass, &mut self.actions);
            critic.join(now, &self.actions, &mut self.rows);
            let values = critic.forward(&self.rows, &mut memory.pass);
            let loss = deterministic_policy_gradient(values, &mut memory.value_gradient);
            critic.backward_to_actions(
                &self.rows,
                &memory.value_gradient,
                &mut memory.pass,
                &mut self.action_gradient,
            );
            let gradient = &mut self.actor_gradient;
            (actor.online).backward(&self.actions, &mut self.action_gradient, &mut self.actor_pass, gradient);
            (actor.adam).step(actor.online.mlp_mut().parameters_mut(), gradient, 1.0, rates.actor);
            polyak(
                actor.target.mlp_mut().parameters_mut(),
                actor.online.mlp().parameters(),
                self.tau,
            );
            for_each(critics, &mut self.critic_memory, |critic, _| {
                let parameters = critic.target.mlp_mut().parameters_mut();
                polyak(parameters, critic.online.mlp().parameters(), self.tau);
            });
            loss
        });
        Updated {
            actor_loss,
            ..Updated::of_critics(loss, &self.targets)
        }
    }

    fn updates(&self) -> u64 {
        self.networks.updates
    }

    fn policy(&self) -> Box<dyn Policy> {
        let actor = self.networks.actor.online.clone();
        Box::new(ActorPolicy::new(actor, self.scale.clone(), self.encoding.clone()))
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        save_actor(&[], &self.networks.actor.online, card, folder)
    }

    fn save(&self, state: &mut Vec<u8>) {
        saved_state::write(&self.networks, state);
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        self.networks = saved_state::read(state)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use etude_kernels::perceptron::{Activation, Mlp};
    use serde::Deserialize;

    use super::*;
    use crate::space::Space;

    /// See `scripts/rl_ddpg_fixtures.py`.
    #[derive(Deserialize)]
    struct Case {
        action_layer: String,
        td3: bool,
        action_scale: Vec<f32>,
        tau: f32,
        actor_learning_rate: f32,
        critic_learning_rate: f32,
        critic_weight_decay: f32,
        policy_delay: u64,
        noise_clip: Option<f32>,
        noise: Option<Vec<Vec<Vec<f32>>>>,
        observations: Vec<Vec<f32>>,
        next_observations: Vec<Vec<f32>>,
        actions: Vec<Vec<f32>>,
        rewards: Vec<f32>,
        discounts: Vec<f32>,
        updates: Vec<Expected>,
        initial: Parameters,
        r#final: Parameters,
    }

    #[derive(Deserialize)]
    struct Expected {
        critic_loss: f64,
        actor_loss: Option<f64>,
        targets: Option<Vec<f32>>,
        critic_gradients: Option<Vec<Vec<f32>>>,
        actor_gradient: Option<Vec<f32>>,
    }

    #[derive(Deserialize)]
    struct Parameters {
        actor: Vec<f32>,
        actor_target: Vec<f32>,
        critics: Vec<Vec<f32>>,
        critic_targets: Vec<Vec<f32>>,
    }

    fn near(what: &str, ours: &[f32], theirs: &[f32]) {
        assert_eq!(ours.len(), theirs.len(), "{what}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!(
                (ours - theirs).abs() <= 1e-5 * (1.0 + theirs.abs()),
                "{what}: {ours} {theirs}"
            );
        }
    }

    fn learner(case: &Case) -> FusedLearner {
        let space = Space::symmetric(case.action_scale.clone());
        let mlp = |sizes: &[usize], late: usize, parameters: &[f32]| {
            Mlp::from_parameters_with_late_inputs(sizes, late, Activation::Relu, parameters.to_vec()).unwrap()
        };
        let actor = |parameters: &[f32]| Actor::from_mlp(mlp(&[3, 8, 6, 2], 0, parameters));
        let critic = |parameters: &Vec<f32>| {
            let (early, late) = if case.action_layer == "second" { (3, 2) } else { (5, 0) };
            Critic::from_mlp(mlp(&[early, 8, 6, 1], late, parameters), 2)
        };
        let critics = case.initial.critics.iter().map(critic).collect();
        let mut networks = Networks::of(actor(&case.initial.actor), critics, case.critic_weight_decay);
        networks.actor.target = actor(&case.initial.actor_target);
        for (critic_of, parameters) in networks.critics.iter_mut().zip(&case.initial.critic_targets) {
            critic_of.target = critic(parameters);
        }
        let options = DdpgOptions {
            batch: case.observations.len(),
            tau: case.tau,
            td3: case.td3.then(|| Td3Options {
                policy_delay: case.policy_delay,
                target_noise: 0.2,
                target_noise_clip: case.noise_clip.unwrap(),
            }),
            ..DdpgOptions::default()
        };
        let encoding = Encoding::new(&Space::symmetric(vec![9.0; 3]));
        FusedLearner::new(
            networks,
            &options,
            (encoding, ActionScale::new("ddpg", &space).unwrap()),
            1,
        )
    }

    #[test]
    fn ten_updates_are_pytorchs() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/fixtures/ddpg.json")).unwrap();
        assert_eq!(cases.iter().filter(|case| case.td3).count(), cases.len() - 2);
        for case in cases {
            let mut learner = learner(&case);
            let minibatch = Minibatch {
                observations: case.observations.concat(),
                next_observations: case.next_observations.concat(),
                actions: case.actions.concat(),
                rewards: case.rewards,
                discounts: case.discounts,
                ..Minibatch::default()
            };
            let rates = LearningRates {
                actor: case.actor_learning_rate,
                critic: case.critic_learning_rate,
            };
            assert_eq!(case.updates.len(), 10);
            for (step, expected) in case.updates.iter().enumerate() {
                let what = format!("td3: {}, action layer: {}, update {step}", case.td3, case.action_layer);
                let noise = case.noise.as_ref().map_or_else(Vec::new, |noise| noise[step].concat());
                let updated = learner.update(&minibatch, &noise, rates);
                near(&what, &[updated.critic_loss as f32], &[expected.critic_loss as f32]);
                assert_eq!(updated.actor_loss.is_some(), expected.actor_loss.is_some(), "{what}");
                for (ours, theirs) in updated.actor_loss.iter().zip(&expected.actor_loss) {
                    near(&what, &[*ours as f32], &[*theirs as f32]);
                }
                if let Some(targets) = &expected.targets {
                    near(&what, &learner.targets, targets);
                }
                for (theirs, memory) in expected.critic_gradients.iter().flatten().zip(&learner.critic_memory) {
                    near(&what, &memory.gradient, theirs);
                }
                if let Some(theirs) = &expected.actor_gradient {
                    near(&what, &learner.actor_gradient, theirs);
                }
            }
            let what = format!("td3: {}, action layer: {}", case.td3, case.action_layer);
            let Networks { actor, critics, .. } = &learner.networks;
            near(&what, actor.online.mlp().parameters(), &case.r#final.actor);
            near(&what, actor.target.mlp().parameters(), &case.r#final.actor_target);
            for (index, critic) in critics.iter().enumerate() {
                near(&what, critic.online.mlp().parameters(), &case.r#final.critics[index]);
                near(
                    &what,
                    critic.target.mlp().parameters(),
                    &case.r#final.critic_targets[index],
                );
            }
        }
    }
}
