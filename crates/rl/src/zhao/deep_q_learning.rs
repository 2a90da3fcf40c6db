//! Deep Q-learning from one episode of samples (Zhao, section 8.4, figures 8.11 and 8.12).
//!
//! The network takes a state and an action, (row, column, action) each scaled to [0, 1], and gives one number, q(s, a; w). All
//! samples are there from the start: one episode of the policy that takes all actions alike. In each iteration a few
//! minibatches are drawn from them, and w moves along the gradient of the mean of (r + gamma max_a q(s', a; w-) - q(s, a; w))^2;
//! then w- becomes w.

use etude_kernels::perceptron::{Activation, Adam, Mlp, Pass};
use etude_train::Seed;
use rand::RngExt;

use crate::env::Env;
use crate::simulator::Simulator;
use crate::tabular::TabularModel;

/// The set-up of a demonstration.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledDeepQLearning {
    /// Steps of the episode.
    pub samples: usize,
    /// Samples in a minibatch.
    pub batch: usize,
    /// Times that the target network is renewed.
    pub iterations: usize,
    /// Minibatches between two of them.
    pub updates: usize,
    /// Units of the hidden layer.
    pub hidden: usize,
    /// Adam's step size at the start; it goes down to a hundredth of it, evenly.
    pub learning_rate: f64,
    /// gamma.
    pub discount: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeepQLearning {
    /// The mean loss of each iteration.
    pub losses: Vec<f64>,
    /// After each iteration, the root mean square of max_a q(s, a; w) - v*(s) over all states.
    pub errors: Vec<f64>,
    /// max_a q(s, a; w) at the end.
    pub values: Vec<f64>,
    /// The greedy action of each state at the end.
    pub actions: Vec<usize>,
}

/// Learns from one episode in `model`, whose states have two coordinates, and compares with the `optimal` values.
pub fn sampled_deep_q_learning(
    model: &TabularModel,
    optimal: &[f64],
    set_up: &SampledDeepQLearning,
    seed: Seed,
) -> DeepQLearning {
    let (states, actions) = (model.states(), model.actions());
    let points: Vec<[f32; 2]> = (model.points().iter())
        .map(|point| [point[0], point[1]].map(|entry| entry as f32))
        .collect();
    let input = |state: usize, action: usize| {
        let [row, column] = points[state];
        [row, column, action as f32 / (actions - 1) as f32]
    };
    let episode = episode(model, set_up.samples, seed);
    let every: Vec<f32> = (0..states * actions)
        .flat_map(|pair| input(pair / actions, pair % actions))
        .collect();

    let mut random = seed.stream("minibatches");
    let mut network = Mlp::new(&[3, set_up.hidden, 1], Activation::Tanh, &mut seed.stream("network"));
    let mut adam = Adam::new(network.parameters().len(), 1e-8);
    let mut pass = Pass::new(&network, set_up.batch);
    let mut all = Pass::new(&network, states * actions);
    let mut gradient = vec![0.0; network.parameters().len()];
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    let mut learnt = DeepQLearning {
        losses: Vec::new(),
        errors: Vec::new(),
        values: Vec::new(),
        actions: Vec::new(),
    };
    for iteration in 0..set_up.iterations {
        // q(s, a; w-) of all pairs: the target network is asked once an iteration.
        let target: Vec<f32> = network.forward(&every, &mut all).to_vec();
        let best = |state: usize| {
            target[state * actions..][..actions]
                .iter()
                .copied()
                .fold(f32::MIN, f32::max)
        };
        let done = iteration as f64 / set_up.iterations as f64;
        let learning_rate = set_up.learning_rate * (1.0 - 0.99 * done);
        let mut loss = 0.0;
        for _ in 0..set_up.updates {
            inputs.clear();
            targets.clear();
            for _ in 0..set_up.batch {
                let step = &episode[random.random_range(0..episode.len())];
                inputs.extend(input(step.state, step.action));
                targets.push(step.reward + set_up.discount as f32 * best(step.next));
            }
            let outputs = network.forward(&inputs, &mut pass);
            let scale = 2.0 / set_up.batch as f32;
            let errors: Vec<f32> = outputs.iter().zip(&targets).map(|(q, target)| q - target).collect();
            loss += errors.iter().map(|error| f64::from(error * error)).sum::<f64>() / set_up.batch as f64;
            let by_outputs: Vec<f32> = errors.iter().map(|error| scale * error).collect();
            network.backward(&by_outputs, &mut pass, &mut gradient, None);
            adam.step(network.parameters_mut(), &gradient, 1.0, learning_rate as f32);
        }
        let q = network.forward(&every, &mut all);
        let rows = q.chunks_exact(actions);
        learnt.values = rows
            .clone()
            .map(|row| f64::from(row.iter().copied().fold(f32::MIN, f32::max)))
            .collect();
        learnt.actions = rows.map(greatest).collect();
        let square: f64 = learnt.values.iter().zip(optimal).map(|(q, v)| (q - v) * (q - v)).sum();
        learnt.errors.push((square / states as f64).sqrt());
        learnt.losses.push(loss / set_up.updates as f64);
    }
    learnt
}

/// A step of the episode.
struct Sample {
    state: usize,
    action: usize,
    reward: f32,
    next: usize,
}

/// An episode of the policy that takes all actions alike.
fn episode(model: &TabularModel, steps: usize, seed: Seed) -> Vec<Sample> {
    let mut env = Simulator::new(model.clone());
    let mut random = seed.stream("behaviour");
    let mut observation = [0.0];
    env.reset(Some(seed.0), &mut observation);
    (0..steps)
        .map(|_| {
            let state = observation[0] as usize;
            let action = random.random_range(0..model.actions());
            let step = env.step(&[action as f32], &mut observation);
            Sample {
                state,
                action,
                reward: step.reward as f32,
                next: observation[0] as usize,
            }
        })
        .collect()
}

/// The first of the greatest.
fn greatest(values: &[f32]) -> usize {
    let best = values.iter().copied().fold(f32::MIN, f32::max);
    values.iter().position(|&value| value >= best).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use etude_mdp::{GridRewards, GridWorld, GridWorldSpec};

    use super::*;
    use crate::control::KnownControl;
    use crate::grid_world::grid_world;

    fn learn(samples: usize, batch: usize) -> (DeepQLearning, KnownControl) {
        let spec = GridWorldSpec {
            rows: 5,
            columns: 5,
            forbidden: vec![[2, 2], [2, 3], [3, 3], [4, 2], [4, 4], [5, 2]],
            targets: vec![[4, 3]],
            rewards: GridRewards {
                boundary: -10.0,
                forbidden: -10.0,
                target: 1.0,
                step: 0.0,
            },
            ..GridWorldSpec::default()
        };
        let model = grid_world(&GridWorld::new(&spec).unwrap());
        let optimum = KnownControl::new(&model.to_mdp().unwrap(), 0.9).unwrap();
        let set_up = SampledDeepQLearning {
            samples,
            batch,
            iterations: 500,
            updates: 200,
            hidden: 100,
            learning_rate: 1e-2,
            discount: 0.9,
        };
        let learnt = sampled_deep_q_learning(&model, optimum.values(), &set_up, Seed(1));
        (learnt, optimum)
    }

    #[test]
    fn a_thousand_samples_are_enough_and_a_hundred_are_not() {
        let (learnt, optimum) = learn(1000, 100);
        assert!(
            learnt.losses[499] < 1e-3 && learnt.errors[499] < 0.05,
            "{:?}",
            learnt.errors[499]
        );
        for (state, &action) in learnt.actions.iter().enumerate() {
            let q = optimum.action_values().of(state);
            let best = q.iter().copied().fold(f64::MIN, f64::max);
            assert!(q[action] > best - 1e-6, "state {state}: {q:?}, action {action}");
        }
        let (learnt, _) = learn(100, 50);
        assert!(learnt.losses[499] < 0.05, "{}", learnt.losses[499]);
        assert!(learnt.errors[499] > 4.0, "{}", learnt.errors[499]);
    }
}
