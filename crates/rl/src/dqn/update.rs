//! One step of gradient descent on a minibatch, for the networks of [`QNetwork`]: the fast path.

use std::path::Path;

use etude_kernels::perceptron::{Adam, polyak, square_norm};

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

/// The networks, Adam's state, and the memory of an update.
#[derive(Debug)]
pub(super) struct FusedLearner {
    online: QNetwork,
    target: QNetwork,
    /// One for each part of the network.
    adam: Vec<Adam>,
    /// Whether the online network has moved since the target network became equal to it.
    apart: bool,
    encoding: Encoding,
    /// Encoded observations, now and next.
    memory: [Vec<f32>; 2],
    /// For acting too, and for both networks, which never need it at the same time.
    pass: QPass,
    /// The online network's values of the next observations, where it chooses among them.
    choosing: Vec<f32>,
    targets: Vec<f32>,
    /// y - q.
    errors: Vec<f32>,
    value_gradient: Vec<f32>,
    gradient: Vec<Vec<f32>>,
}

impl FusedLearner {
    /// For acting in `envs` environments, and minibatches of `batch` transitions.
    pub(super) fn new(online: QNetwork, encoding: &Encoding, envs: usize, batch: usize, adam_epsilon: f32) -> Self {
        Self {
            adam: (online.parts().iter())
                .map(|part| Adam::new(part.parameters().len(), adam_epsilon))
                .collect(),
            apart: false,
            encoding: encoding.clone(),
            memory: [Vec::new(), Vec::new()],
            pass: online.pass(batch.max(envs)),
            choosing: Vec::new(),
            targets: vec![0.0; batch],
            errors: vec![0.0; batch],
            value_gradient: vec![0.0; batch * online.actions()],
            gradient: online.zero_gradient(),
            target: online.clone(),
            online,
        }
    }
}

impl Learner for FusedLearner {
    fn shares_work(&self) -> bool {
        let rows = self.targets.len();
        self.online.parts().iter().any(|part| part.shares_work(rows))
    }

    fn actions(&self) -> usize {
        self.online.actions()
    }

    fn values(&mut self, observations: &[f32]) -> &[f32] {
        let inputs = self.encoding.encode(observations, &mut self.memory[0]);
        self.online.forward(inputs, &mut self.pass)
    }

    fn update(&mut self, minibatch: &Minibatch, rule: Rule) -> Updated {
        let (count, actions) = (minibatch.rewards.len(), self.online.actions());
        let [now, next] = &mut self.memory;
        let now = self.encoding.encode(&minibatch.observations, now);
        let next = self.encoding.encode(&minibatch.next_observations, next);

        let (rewards, discounts) = (&minibatch.rewards, &minibatch.discounts);
        if rule.double {
            let choosing = self.online.forward(next, &mut self.pass);
            self.choosing.clear();
            self.choosing.extend_from_slice(choosing);
        }
        let next_values = self.target.forward(next, &mut self.pass);
        if rule.double {
            double_targets(rewards, discounts, next_values, &self.choosing, &mut self.targets);
        } else {
            q_learning_targets(rewards, discounts, next_values, &mut self.targets);
        }

        let values = self.online.forward(now, &mut self.pass);
        self.value_gradient.fill(0.0);
        let (mut loss, mut taken) = (0.0, 0.0);
        let gradients = self.value_gradient.chunks_exact_mut(actions);
        let results = self.errors.iter_mut().zip(gradients);
        let chosen = minibatch.actions.iter().zip(&minibatch.weights);
        let rows = values.chunks_exact(actions).zip(&self.targets);
        for (((error, gradient), (row, target)), (&action, weight)) in results.zip(rows).zip(chosen) {
            let value = row[action as usize];
            *error = target - value;
            let (height, slope) = rule.loss.of(*error);
            loss += f64::from(weight * height);
            taken += f64::from(value);
            gradient[action as usize] = -weight * slope / count as f32;
        }
        self.online
            .backward(&self.value_gradient, &mut self.pass, &mut self.gradient);

        let square: f64 = self.gradient.iter().map(|part| square_norm(part)).sum();
        let norm = square.sqrt();
        let scale = rule.scale(norm) as f32;
        let parts = self.online.parts_mut().iter_mut().zip(&mut self.adam);
        for ((mlp, adam), gradient) in parts.zip(&self.gradient) {
            adam.step(mlp.parameters_mut(), gradient, scale, rule.learning_rate as f32);
        }
        self.apart = true;
        Updated {
            loss: loss / count as f64,
            values: taken / count as f64,
            gradient_norm: norm,
        }
    }

    fn errors(&self, errors: &mut Vec<f32>) {
        errors.clone_from(&self.errors);
    }

    fn follow(&mut self, tau: f32) {
        if !self.apart {
            return;
        }
        for (target, online) in self.target.parts_mut().iter_mut().zip(self.online.parts()) {
            polyak(target.parameters_mut(), online.parameters(), tau);
        }
        self.apart = tau < 1.0;
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
        self.apart = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use etude_kernels::perceptron::{Activation, Mlp};
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
                for (part, theirs) in expected.gradients.iter().flatten().enumerate() {
                    near(&what, &learner.gradient[part], theirs);
                }
                for (part, theirs) in expected.parameters.iter().flatten().enumerate() {
                    near(&what, learner.online.parts()[part].parameters(), theirs);
                }
            }
        }
    }
}
