//! A step along the gradient of a minibatch.

use etude_kernels::perceptron::{Mlp, Pass, square_norm};
use rand_chacha::ChaCha8Rng;

use super::loss::{clipped_surrogate, clipped_value_loss, policy_gradient, value_loss};
use super::networks::ActorCritic;
use super::optimizer::{Optimizer, OptimizerKind};

/// What the rows of a piece of experience have been found to be.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Shape `[m, d]`.
    pub(super) inputs: Vec<f32>,
    /// Shape `[m, a]`, as they were drawn.
    pub(super) actions: Vec<f32>,
    /// Shape `[m]`.
    pub(super) advantages: Vec<f32>,
    /// v(s) before the update; shape `[m]`.
    pub(super) old_values: Vec<f32>,
    /// ln pi(a|s) before the update, where the loss needs it; shape `[m]`.
    pub(super) old_log_probabilities: Vec<f32>,
}

/// How to move.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// The range of the ratio and that of values, of PPO; the policy gradient without.
    pub(super) clip: Option<(f32, Option<f32>)>,
    pub(super) normalize_advantages: bool,
    pub(super) entropy_coefficient: f32,
    pub(super) value_coefficient: f32,
    pub(super) max_gradient_norm: Option<f64>,
    pub(super) learning_rate: f32,
}

/// What a step tells: means over the minibatch.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Updated {
    pub(super) policy_loss: f64,
    pub(super) value_loss: f64,
    pub(super) entropy: f64,
    /// The mean of (rho - 1) - ln rho, which estimates the divergence from the old policy (Schulman 2020).
    pub(super) divergence: f64,
    /// The part of the rows whose ratio is out of range.
    pub(super) clipped: f64,
    /// Before it was clipped.
    pub(super) gradient_norm: f64,
}

/// The networks, the optimiser's state, and the memory of an update.
#[derive(Debug)]
pub(super) struct Learner {
    pub(super) networks: ActorCritic,
    pub(super) optimizers: [Optimizer; 3],
    policy_pass: Pass,
    value_pass: Pass,
    /// Rows that the passes have room for.
    room: usize,
    inputs: Vec<f32>,
    advantages: Vec<f32>,
    output_gradient: Vec<f32>,
    value_gradient: Vec<f32>,
    pub(super) policy_gradient: Vec<f32>,
    pub(super) deviation_gradient: Vec<f32>,
    pub(super) parameter_gradient_of_value: Vec<f32>,
}

/// Rows of which values and probabilities are computed at a time. A row that is alone in a pass is rounded otherwise, so the number must not depend on
/// what room there happens to be.
const CHUNK: usize = 256;

impl Learner {
    pub(super) fn new(networks: ActorCritic, kind: OptimizerKind, room: usize) -> Self {
        let room = room.max(CHUNK);
        let parts = [
            networks.policy.parameters().len(),
            networks.value.parameters().len(),
            networks.log_deviations.len(),
        ];
        Self {
            optimizers: parts.map(|parameters| Optimizer::new(kind, parameters)),
            policy_pass: Pass::new(&networks.policy, room),
            value_pass: Pass::new(&networks.value, room),
            room,
            inputs: Vec::new(),
            advantages: Vec::new(),
            output_gradient: Vec::new(),
            value_gradient: Vec::new(),
            policy_gradient: vec![0.0; parts[0]],
            deviation_gradient: vec![0.0; parts[2]],
            parameter_gradient_of_value: vec![0.0; parts[1]],
            networks,
        }
    }

    /// Makes room for passes of so many rows.
    fn reserve(&mut self, rows: usize) {
        if rows > self.room {
            self.room = rows.next_power_of_two();
            self.policy_pass = Pass::new(&self.networks.policy, self.room);
            self.value_pass = Pass::new(&self.networks.value, self.room);
        }
    }

    /// Draws an action for each of `inputs`: shapes `[n, d]` and `[n, a]`.
    pub(super) fn draw(&mut self, inputs: &[f32], random: &mut ChaCha8Rng, actions: &mut [f32]) {
        self.reserve(inputs.len() / self.networks.policy.inputs());
        let ActorCritic {
            distribution,
            policy,
            log_deviations,
            ..
        } = &self.networks;
        let outputs = policy.forward(inputs, &mut self.policy_pass);
        let rows = inputs.chunks_exact(policy.inputs());
        let actions = actions.chunks_exact_mut(distribution.action_length());
        for ((inputs, outputs), action) in rows.zip(outputs.chunks_exact(policy.outputs())).zip(actions) {
            let row = distribution.row(inputs, outputs, log_deviations);
            distribution.sample(row, random, action);
        }
    }

    /// pi(.|s) of each of `inputs`, of shape `[n, d]`, where it is one choice: shape `[n, actions]`.
    pub(super) fn probabilities(&mut self, inputs: &[f32]) -> Vec<Vec<f64>> {
        let ActorCritic {
            distribution, policy, ..
        } = &self.networks;
        let rows = inputs.chunks_exact(policy.inputs());
        rows.map(|inputs| {
            let outputs = policy.forward(inputs, &mut self.policy_pass);
            distribution.probabilities(distribution.row(inputs, outputs, &[]))
        })
        .collect()
    }

    /// v(s) of each of `inputs`, shape `[n, d]`, into `values`.
    pub(super) fn values(&mut self, inputs: &[f32], values: &mut Vec<f32>) {
        let Self {
            networks, value_pass, ..
        } = self;
        values.clear();
        for inputs in inputs.chunks(CHUNK * networks.value.inputs()) {
            values.extend_from_slice(networks.value.forward(inputs, value_pass));
        }
    }

    /// ln pi(a|s) of each row, shapes `[n, d]` and `[n, a]`, into `log_probabilities`.
    pub(super) fn log_probabilities(&mut self, inputs: &[f32], actions: &[f32], log_probabilities: &mut Vec<f32>) {
        let Self {
            networks, policy_pass, ..
        } = self;
        let ActorCritic {
            distribution,
            policy,
            log_deviations,
            ..
        } = networks;
        let length = distribution.action_length();
        log_probabilities.clear();
        let chunks = inputs
            .chunks(CHUNK * policy.inputs())
            .zip(actions.chunks(CHUNK * length));
        for (inputs, actions) in chunks {
            let outputs = policy.forward(inputs, policy_pass).chunks_exact(policy.outputs());
            let seen = inputs.chunks_exact(policy.inputs()).zip(outputs);
            let rows = seen.zip(actions.chunks_exact(length));
            log_probabilities.extend(rows.map(|((inputs, outputs), action)| {
                let row = distribution.row(inputs, outputs, log_deviations);
                distribution.log_probability_and_entropy(row, action)[0]
            }));
        }
    }

    /// One step of the optimiser on the rows that `chosen` says.
    pub(super) fn update(&mut self, rows: &Rows, chosen: &[u32], rule: Rule) -> Updated {
        self.reserve(chosen.len());
        let count = chosen.len() as f32;
        let ActorCritic {
            distribution,
            policy,
            log_deviations,
            value,
        } = &mut self.networks;
        let (width, length, outputs) = (policy.inputs(), distribution.action_length(), policy.outputs());
        self.inputs.clear();
        for &row in chosen {
            self.inputs
                .extend_from_slice(&rows.inputs[row as usize * width..][..width]);
        }
        self.advantages.clear();
        self.advantages
            .extend(chosen.iter().map(|&row| rows.advantages[row as usize]));
        if rule.normalize_advantages {
            normalize(&mut self.advantages);
        }
        self.output_gradient.resize(chosen.len() * outputs, 0.0);
        self.value_gradient.resize(chosen.len(), 0.0);
        self.deviation_gradient.fill(0.0);

        let all_outputs = policy.forward(&self.inputs, &mut self.policy_pass);
        let values = value.forward(&self.inputs, &mut self.value_pass);
        let mut updated = Updated::default();
        let places = (self.output_gradient.chunks_exact_mut(outputs)).zip(&mut self.value_gradient);
        let seen = all_outputs.chunks_exact(outputs).zip(values);
        for (((&row, advantage), (outputs, &value)), (gradient, value_gradient)) in
            chosen.iter().zip(&self.advantages).zip(seen).zip(places)
        {
            let index = row as usize;
            let action = &rows.actions[index * length..][..length];
            let inputs = &rows.inputs[index * width..][..width];
            let row = distribution.row(inputs, outputs, log_deviations);
            let [log_probability, entropy] = distribution.log_probability_and_entropy(row, action);
            let target = rows.advantages[index] + rows.old_values[index];
            let [policy_loss, slope] = match rule.clip {
                None => policy_gradient(log_probability, *advantage),
                Some((range, _)) => {
                    let log_ratio = log_probability - rows.old_log_probabilities[index];
                    let ratio = log_ratio.exp();
                    updated.divergence += f64::from(ratio - 1.0 - log_ratio);
                    updated.clipped += f64::from((ratio - 1.0).abs() > range);
                    clipped_surrogate(log_ratio, *advantage, range)
                }
            };
            let [value_loss, value_slope] = match rule.clip {
                Some((_, Some(range))) => clipped_value_loss(value, rows.old_values[index], target, range),
                _ => value_loss(value, target),
            };
            updated.policy_loss += f64::from(policy_loss);
            updated.value_loss += f64::from(value_loss);
            updated.entropy += f64::from(entropy);
            let by = [slope / count, -rule.entropy_coefficient / count];
            distribution.gradient(row, action, by, gradient, &mut self.deviation_gradient);
            *value_gradient = rule.value_coefficient * value_slope / count;
        }
        let gradient = &mut self.policy_gradient;
        policy.backward(&self.output_gradient, &mut self.policy_pass, gradient, None);
        let gradient = &mut self.parameter_gradient_of_value;
        value.backward(&self.value_gradient, &mut self.value_pass, gradient, None);

        let gradients = [
            &self.policy_gradient,
            &self.parameter_gradient_of_value,
            &self.deviation_gradient,
        ];
        let square: f64 = gradients.iter().map(|part| square_norm(part)).sum();
        let norm = square.sqrt();
        // As PyTorch's `clip_grad_norm_` does it.
        let scale = rule
            .max_gradient_norm
            .map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0)) as f32;
        let parts = [policy.parameters_mut(), value.parameters_mut(), log_deviations];
        for ((optimizer, parameters), gradient) in self.optimizers.iter_mut().zip(parts).zip(gradients) {
            optimizer.step(parameters, gradient, scale, rule.learning_rate);
        }
        for sum in [
            &mut updated.policy_loss,
            &mut updated.value_loss,
            &mut updated.entropy,
            &mut updated.divergence,
            &mut updated.clipped,
        ] {
            *sum /= f64::from(count);
        }
        updated.gradient_norm = norm;
        updated
    }

    /// Whether an update of so many rows shares work between the threads of the current Rayon pool.
    pub(super) fn shares_work(&self, rows: usize) -> bool {
        let networks: [&Mlp; 2] = [&self.networks.policy, &self.networks.value];
        networks.iter().any(|network| network.shares_work(rows))
    }
}

/// To mean 0 and deviation 1, with n - 1 in the latter's place for n.
fn normalize(numbers: &mut [f32]) {
    let count = numbers.len() as f64;
    if numbers.len() < 2 {
        return;
    }
    let mean = numbers.iter().copied().map(f64::from).sum::<f64>() / count;
    let square: f64 = numbers.iter().map(|&number| (f64::from(number) - mean).powi(2)).sum();
    let deviation = (square / (count - 1.0)).sqrt();
    for number in numbers {
        *number = ((f64::from(*number) - mean) / (deviation + 1e-8)) as f32;
    }
}

#[cfg(test)]
mod tests {
    use etude_kernels::perceptron::{Activation, Mlp};
    use serde::Deserialize;

    use super::super::distribution::{Distribution, GaussianOptions};
    use super::*;
    use crate::space::Space;

    /// See `scripts/rl_actor_critic_fixtures.py`.
    #[derive(Deserialize)]
    struct Fixtures {
        a2c: Vec<Case>,
        ppo: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        continuous: bool,
        hidden: Vec<usize>,
        learning_rate: f32,
        epsilon: f32,
        entropy_coefficient: f32,
        value_coefficient: f32,
        max_gradient_norm: f64,
        clip_range: Option<f32>,
        value_clip_range: Option<f32>,
        observations: Vec<Vec<f32>>,
        actions: Vec<Vec<f32>>,
        advantages: Vec<f32>,
        old_values: Vec<f32>,
        old_log_probs: Option<Vec<f32>>,
        updates: Vec<Expected>,
        initial: Parameters,
        gradients: Parameters,
        r#final: Parameters,
    }

    #[derive(Deserialize)]
    struct Expected {
        policy_loss: f64,
        value_loss: f64,
        entropy_loss: f64,
        gradient_norm: f64,
        clip_fraction: Option<f64>,
        approx_kl: Option<f64>,
    }

    #[derive(Deserialize)]
    struct Parameters {
        policy: Vec<f32>,
        value: Vec<f32>,
        log_std: Vec<f32>,
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

    fn check(case: &Case, what: &str, kind: OptimizerKind) {
        let (inputs, outputs) = (case.observations[0].len(), if case.continuous { 2 } else { 4 });
        let space = if case.continuous {
            Space::symmetric(vec![f32::INFINITY; outputs])
        } else {
            Space::Discrete(outputs)
        };
        let mlp = |outputs: usize, parameters: &[f32]| {
            let sizes = [&[inputs], &case.hidden[..], &[outputs]].concat();
            Mlp::from_parameters(&sizes, Activation::Tanh, parameters.to_vec()).unwrap()
        };
        let networks = ActorCritic {
            distribution: Distribution::new("a2c", &space, GaussianOptions::default()).unwrap(),
            policy: mlp(outputs, &case.initial.policy),
            value: mlp(1, &case.initial.value),
            log_deviations: case.initial.log_std.clone(),
        };
        let mut learner = Learner::new(networks, kind, 4);
        let rows = Rows {
            inputs: case.observations.concat(),
            actions: case.actions.concat(),
            advantages: case.advantages.clone(),
            old_values: case.old_values.clone(),
            old_log_probabilities: case.old_log_probs.clone().unwrap_or_default(),
        };
        let rule = Rule {
            clip: case.clip_range.map(|range| (range, case.value_clip_range)),
            normalize_advantages: case.clip_range.is_some(),
            entropy_coefficient: case.entropy_coefficient,
            value_coefficient: case.value_coefficient,
            max_gradient_norm: Some(case.max_gradient_norm),
            learning_rate: case.learning_rate,
        };
        let chosen: Vec<u32> = (0..case.observations.len() as u32).collect();
        assert_eq!(case.updates.len(), 10);
        for (step, expected) in case.updates.iter().enumerate() {
            let what = format!("{what}, update {step}");
            let updated = learner.update(&rows, &chosen, rule);
            let ours = [
                updated.policy_loss,
                updated.value_loss,
                -updated.entropy,
                updated.gradient_norm,
                updated.clipped,
                updated.divergence,
            ];
            let theirs = [
                expected.policy_loss,
                expected.value_loss,
                expected.entropy_loss,
                expected.gradient_norm,
                expected.clip_fraction.unwrap_or(0.0),
                expected.approx_kl.unwrap_or(0.0),
            ];
            near(
                &what,
                &ours.map(|number| number as f32),
                &theirs.map(|number| number as f32),
            );
            if step == 0 {
                near(&what, &learner.policy_gradient, &case.gradients.policy);
                near(&what, &learner.parameter_gradient_of_value, &case.gradients.value);
                near(&what, &learner.deviation_gradient, &case.gradients.log_std);
            }
        }
        near(what, learner.networks.policy.parameters(), &case.r#final.policy);
        near(what, learner.networks.value.parameters(), &case.r#final.value);
        near(what, &learner.networks.log_deviations, &case.r#final.log_std);
    }

    #[test]
    fn ten_updates_are_pytorchs() {
        let fixtures: Fixtures = serde_json::from_str(include_str!("../../tests/fixtures/actor_critic.json")).unwrap();
        assert_eq!((fixtures.a2c.len(), fixtures.ppo.len()), (2, 2));
        for case in &fixtures.a2c {
            let kind = OptimizerKind::RmsProp { epsilon: case.epsilon };
            check(case, &format!("a2c, continuous: {}", case.continuous), kind);
        }
        for case in &fixtures.ppo {
            let kind = OptimizerKind::Adam { epsilon: case.epsilon };
            check(case, &format!("ppo, continuous: {}", case.continuous), kind);
        }
    }
}
