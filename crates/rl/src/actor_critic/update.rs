//! A step along the gradient of a minibatch.

use etude_kernels::{Mlp, Pass, square_norm};
use rand_chacha::ChaCha8Rng;

use super::distribution::Row;
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

impl Learner {
    pub(super) fn new(networks: ActorCritic, kind: OptimizerKind, room: usize) -> Self {
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
        let actions = actions.chunks_exact_mut(distribution.action_length());
        for (outputs, action) in outputs.chunks_exact(policy.outputs()).zip(actions) {
            let row = Row {
                outputs,
                log_deviations,
                mask: &[],
            };
            distribution.sample(row, random, action);
        }
    }

    /// pi(.|s) of each of `inputs`, of shape `[n, d]`, where it is one choice: shape `[n, actions]`.
    pub(super) fn probabilities(&mut self, inputs: &[f32]) -> Vec<Vec<f64>> {
        let width = self.networks.policy.inputs();
        let actions = self.networks.policy.outputs();
        let rows = inputs.chunks_exact(width);
        rows.map(|inputs| {
            let outputs = self.networks.policy.forward(inputs, &mut self.policy_pass);
            let row = Row {
                outputs,
                log_deviations: &[],
                mask: &[],
            };
            let distribution = &self.networks.distribution;
            let weights: Vec<f64> = (0..actions)
                .map(|action| f64::from(distribution.log_probability_and_entropy(row, &[action as f32])[0]).exp())
                .collect();
            // In 64 bits they add up to 1 only nearly.
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|weight| weight / sum).collect()
        })
        .collect()
    }

    /// v(s) of each of `inputs`, shape `[n, d]`, into `values`.
    pub(super) fn values(&mut self, inputs: &[f32], values: &mut Vec<f32>) {
        let Self {
            networks,
            value_pass,
            room,
            ..
        } = self;
        values.clear();
        for inputs in inputs.chunks(*room * networks.value.inputs()) {
            values.extend_from_slice(networks.value.forward(inputs, value_pass));
        }
    }

    /// ln pi(a|s) of each row, shapes `[n, d]` and `[n, a]`, into `log_probabilities`.
    pub(super) fn log_probabilities(&mut self, inputs: &[f32], actions: &[f32], log_probabilities: &mut Vec<f32>) {
        let Self {
            networks,
            policy_pass,
            room,
            ..
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
            .chunks(*room * policy.inputs())
            .zip(actions.chunks(*room * length));
        for (inputs, actions) in chunks {
            let outputs = policy.forward(inputs, policy_pass).chunks_exact(policy.outputs());
            log_probabilities.extend(outputs.zip(actions.chunks_exact(length)).map(|(outputs, action)| {
                let row = Row {
                    outputs,
                    log_deviations,
                    mask: &[],
                };
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
            let row = Row {
                outputs,
                log_deviations,
                mask: &[],
            };
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
        policy.backward(
            &self.inputs,
            &self.output_gradient,
            &mut self.policy_pass,
            gradient,
            None,
        );
        let gradient = &mut self.parameter_gradient_of_value;
        value.backward(&self.inputs, &self.value_gradient, &mut self.value_pass, gradient, None);

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
