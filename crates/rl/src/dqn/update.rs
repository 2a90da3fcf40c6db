//! One step of gradient descent on a minibatch, for the networks of [`QNetwork`]: the fast path.
//!
//! The minibatch is cut into two halves, always at the same row, and each half goes through the networks on its own: on two
//! threads where there are two, and with the same result on one.

use std::path::Path;

use etude_kernels::{Adam, polyak, square_norm};

use super::greedy_policy::GreedyPolicy;
use super::learner::{Learner, Rule, Updated};
use super::loss::{double_targets, q_learning_targets};
use super::network::{QNetwork, QPass};
use crate::agent::Policy;
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::replay::Minibatch;
use crate::saved_policy::{PolicyCard, save_network};
use crate::saved_state;

/// The networks, Adam's state, and memory for both halves.
#[derive(Debug)]
pub(super) struct FusedLearner {
    online: QNetwork,
    target: QNetwork,
    /// One for each part of the network.
    adam: Vec<Adam>,
    halves: [Half; 2],
    encoding: Encoding,
    /// For acting.
    pass: QPass,
    memory: Vec<f32>,
}

/// Some rows of a minibatch.
#[derive(Debug)]
struct Half {
    encoding: Encoding,
    /// Encoded observations, now and next.
    memory: [Vec<f32>; 2],
    online: QPass,
    target: QPass,
    targets: Vec<f32>,
    /// y - q.
    errors: Vec<f32>,
    value_gradient: Vec<f32>,
    gradient: Vec<Vec<f32>>,
    /// The sum of the losses of its rows.
    loss: f64,
    /// The sum of q(s, a).
    values: f64,
}

impl FusedLearner {
    /// For acting in `envs` environments, and minibatches of `batch` transitions.
    pub(super) fn new(online: QNetwork, encoding: &Encoding, envs: usize, batch: usize, adam_epsilon: f32) -> Self {
        let half = |rows: usize| Half {
            encoding: encoding.clone(),
            memory: [Vec::new(), Vec::new()],
            online: online.pass(rows),
            target: online.pass(rows),
            targets: vec![0.0; rows],
            errors: vec![0.0; rows],
            value_gradient: vec![0.0; rows * online.actions()],
            gradient: online.zero_gradient(),
            loss: 0.0,
            values: 0.0,
        };
        Self {
            halves: [half(batch / 2), half(batch - batch / 2)],
            adam: (online.parts().iter())
                .map(|part| Adam::new(part.parameters().len(), adam_epsilon))
                .collect(),
            encoding: encoding.clone(),
            pass: online.pass(envs),
            memory: Vec::new(),
            target: online.clone(),
            online,
        }
    }
}

impl Learner for FusedLearner {
    fn actions(&self) -> usize {
        self.online.actions()
    }

    fn values(&mut self, observations: &[f32]) -> &[f32] {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        self.online.forward(inputs, &mut self.pass)
    }

    fn update(&mut self, minibatch: &Minibatch, rule: Rule) -> Updated {
        let count = minibatch.rewards.len();
        let (online, target) = (&self.online, &self.target);
        let [first, second] = &mut self.halves;
        let middle = first.targets.len();
        rayon::join(
            || first.differentiate(minibatch, 0..middle, online, target, rule),
            || second.differentiate(minibatch, middle..count, online, target, rule),
        );
        let gradients = |part: usize| [&first.gradient[part][..], &second.gradient[part][..]];
        let square: f64 = (0..online.parts().len())
            .map(|part| square_norm(&gradients(part)))
            .sum();
        let norm = square.sqrt();
        let scale = rule.scale(norm) as f32;
        for (part, (mlp, adam)) in self.online.parts_mut().iter_mut().zip(&mut self.adam).enumerate() {
            adam.step(mlp.parameters_mut(), &gradients(part), scale, rule.learning_rate as f32);
        }
        Updated {
            loss: (first.loss + second.loss) / count as f64,
            values: (first.values + second.values) / count as f64,
            gradient_norm: norm,
        }
    }

    fn errors(&self, errors: &mut Vec<f32>) {
        errors.clear();
        errors.extend(self.halves.iter().flat_map(|half| &half.errors));
    }

    fn follow(&mut self, tau: f32) {
        for (target, online) in self.target.parts_mut().iter_mut().zip(self.online.parts()) {
            polyak(target.parameters_mut(), online.parameters(), tau);
        }
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(GreedyPolicy::new(self.online.clone(), self.encoding.clone()))
    }

    fn save_policy(&self, card: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        save_network(&self.online, card, folder)
    }

    fn save(&self, state: &mut Vec<u8>) {
        saved_state::write(&(&self.online, &self.target, &self.adam), state);
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        (self.online, self.target, self.adam) = saved_state::read(state)?;
        Ok(())
    }
}

impl Half {
    /// The gradient of the loss of these rows, as their share of the mean over the minibatch.
    fn differentiate(
        &mut self,
        minibatch: &Minibatch,
        rows: std::ops::Range<usize>,
        online: &QNetwork,
        target: &QNetwork,
        rule: Rule,
    ) {
        if rows.is_empty() {
            return;
        }
        let count = minibatch.rewards.len();
        let width = minibatch.observations.len() / count;
        let entries = rows.start * width..rows.end * width;
        let [now, next] = &mut self.memory;
        let now = self.encoding.encode(&minibatch.observations[entries.clone()], now);
        let next = self.encoding.encode(&minibatch.next_observations[entries], next);
        let (rewards, discounts) = (&minibatch.rewards[rows.clone()], &minibatch.discounts[rows.clone()]);
        let next_values = target.forward(next, &mut self.target);
        if rule.double {
            let choosing = online.forward(next, &mut self.online);
            double_targets(rewards, discounts, next_values, choosing, &mut self.targets);
        } else {
            q_learning_targets(rewards, discounts, next_values, &mut self.targets);
        }
        let values = online.forward(now, &mut self.online);
        let actions = online.actions();
        self.value_gradient.fill(0.0);
        (self.loss, self.values) = (0.0, 0.0);
        let results = self
            .errors
            .iter_mut()
            .zip(self.value_gradient.chunks_exact_mut(actions));
        let chosen = minibatch.actions[rows.clone()].iter().zip(&minibatch.weights[rows]);
        let rows = values.chunks_exact(actions).zip(&self.targets);
        for (((error, gradient), (row, target)), (&action, weight)) in results.zip(rows).zip(chosen) {
            let value = row[action as usize];
            *error = target - value;
            let (height, slope) = rule.loss.of(*error);
            self.loss += f64::from(weight * height);
            self.values += f64::from(value);
            gradient[action as usize] = -weight * slope / count as f32;
        }
        online.backward(now, &self.value_gradient, &mut self.online, &mut self.gradient);
    }
}

#[cfg(test)]
mod tests {
    use etude_kernels::{Activation, Mlp};
    use serde::Deserialize;

    use super::super::loss::Loss;
    use super::*;
    use crate::space::Space;

    /// See `scripts/rl_dqn_fixtures.py`.
    #[derive(Deserialize)]
    struct Case {
        duelling: bool,
        double: bool,
        loss: String,
        max_norm: f64,
        online: Vec<Vec<f32>>,
        target: Vec<Vec<f32>>,
        observations: Vec<f32>,
        next_observations: Vec<f32>,
        actions: Vec<f32>,
        rewards: Vec<f32>,
        discounts: Vec<f32>,
        weights: Vec<f32>,
        updates: Vec<Expected>,
    }

    #[derive(Deserialize)]
    struct Expected {
        errors: Vec<f32>,
        loss: f64,
        norm: f64,
        gradients: Option<Vec<Vec<f32>>>,
        parameters: Option<Vec<Vec<f32>>>,
    }

    fn network(duelling: bool, parts: &[Vec<f32>]) -> QNetwork {
        let sizes: &[&[usize]] = if duelling {
            &[&[3, 8, 6], &[6, 6, 1], &[6, 6, 4]]
        } else {
            &[&[3, 8, 6, 4]]
        };
        let parts = (sizes.iter().zip(parts))
            .map(|(sizes, parameters)| Mlp::from_parameters(sizes, Activation::Relu, parameters.clone()).unwrap());
        QNetwork::from_parts(parts.collect()).unwrap()
    }

    fn near(what: &str, ours: &[f32], theirs: &[f32]) {
        assert_eq!(ours.len(), theirs.len(), "{what}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!(
                (ours - theirs).abs() <= 2e-5 * (1.0 + theirs.abs()),
                "{what}: {ours} {theirs}"
            );
        }
    }

    #[test]
    fn ten_updates_are_pytorchs() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/fixtures/dqn.json")).unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let loss = if case.loss == "huber" {
                Loss::Huber
            } else {
                Loss::Squared
            };
            let encoding = Encoding::new(&Space::symmetric(vec![9.0; 3]));
            let online = network(case.duelling, &case.online);
            let mut learner = FusedLearner::new(online, &encoding, 1, case.rewards.len(), 1e-8);
            let rule = Rule {
                double: case.double,
                loss,
                learning_rate: 1e-2,
                max_gradient_norm: Some(case.max_norm),
            };
            learner.target = network(case.duelling, &case.target);
            let minibatch = Minibatch {
                observations: case.observations,
                next_observations: case.next_observations,
                actions: case.actions,
                rewards: case.rewards,
                discounts: case.discounts,
                weights: case.weights,
                ..Minibatch::default()
            };
            assert_eq!(case.updates.len(), 10);
            let mut errors = Vec::new();
            for (step, expected) in case.updates.iter().enumerate() {
                let what = format!("{} {} {}, update {step}", case.duelling, case.double, case.loss);
                let updated = learner.update(&minibatch, rule);
                learner.errors(&mut errors);
                near(&what, &errors, &expected.errors);
                near(
                    &what,
                    &[updated.loss as f32, updated.gradient_norm as f32],
                    &[expected.loss as f32, expected.norm as f32],
                );
                let [first, second] = &learner.halves;
                for (part, theirs) in expected.gradients.iter().flatten().enumerate() {
                    let sum = first.gradient[part].iter().zip(&second.gradient[part]);
                    near(&what, &sum.map(|(a, b)| a + b).collect::<Vec<_>>(), theirs);
                }
                for (part, theirs) in expected.parameters.iter().flatten().enumerate() {
                    near(&what, learner.online.parts()[part].parameters(), theirs);
                }
            }
        }
    }
}
