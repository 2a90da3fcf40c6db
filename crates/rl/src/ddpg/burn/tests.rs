//! Networks that are Burn modules against PyTorch's, and what is kept of them.

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
    let text = include_str!("../../../tests/fixtures/ddpg_module.json");
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
        for (&(critic_loss, actor_loss), noise) in case.losses.iter().zip(case.noise.chunks_exact(case.actions.len())) {
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
        let updated = [&mut learner, &mut other].map(|learner| learner.update(&minibatch, noise, rates).critic_loss);
        assert_eq!(updated[0].to_bits(), updated[1].to_bits(), "{what}");
    }
}
