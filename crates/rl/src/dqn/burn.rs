//! DQN with any Burn module, on any of Burn's devices: convolutions over pixels, networks on a GPU.
//!
//! Slower than the fast path of `update.rs` on small networks, and equal to it in result.

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Device, Tensor, TensorData};

use super::learner::{Learner, Rule, Updated};
use super::loss::{double_targets, greedy, q_learning_targets};
use crate::agent::Policy;
use crate::burn_module::{self, numbers};
use crate::encoding::Encoding;
use crate::error::RlError;
use crate::replay::Minibatch;
use crate::saved_policy::PolicyCard;
use crate::saved_state;

/// A Burn module that values actions.
pub trait QModule: Module + Sync + 'static {
    /// The values of all actions, shape `[n, a]`, for observations of shape `[n, d]`.
    fn values(&self, observations: Tensor<2>) -> Tensor<2>;
}

/// A module, its target, and Adam.
pub(super) struct BurnLearner<M: QModule> {
    online: M,
    target: M,
    optimizer: ModuleOptimizer,
    /// Where it learns, with autodiff, and where it only looks, without.
    device: Device,
    plain: Device,
    encoding: Encoding,
    actions: usize,
    memory: Vec<f32>,
    seen: Vec<f32>,
    errors: Vec<f32>,
}

impl<M: QModule> BurnLearner<M> {
    /// `module` lies on `device`, which has no autodiff.
    pub(super) fn new(module: M, device: &Device, encoding: &Encoding, actions: usize, adam_epsilon: f32) -> Self {
        let learning = device.clone().autodiff();
        let online = module.fork(&learning).train();
        Self {
            target: online.clone().valid(),
            online,
            optimizer: AdamConfig::new().with_epsilon(adam_epsilon).init(),
            device: learning,
            plain: device.clone(),
            encoding: encoding.clone(),
            actions,
            memory: Vec::new(),
            seen: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Rows of observations as a tensor on `device`.
    fn tensor(&mut self, observations: &[f32], device: &Device) -> Tensor<2> {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        burn_module::rows(inputs, self.encoding.width(), device)
    }
}

impl<M: QModule> Learner for BurnLearner<M> {
    fn shares_work(&self) -> bool {
        // How Burn shares its work is its own business.
        false
    }

    fn actions(&self) -> usize {
        self.actions
    }

    fn values(&mut self, observations: &[f32]) -> &[f32] {
        let inputs = self.tensor(observations, &self.plain.clone());
        self.seen = numbers(self.online.valid().values(inputs));
        &self.seen
    }

    fn update(&mut self, minibatch: &Minibatch, rule: Rule) -> Updated {
        let (count, actions) = (minibatch.rewards.len(), self.actions);
        let next = self.tensor(&minibatch.next_observations, &self.plain.clone());
        let mut targets = vec![0.0; count];
        let (rewards, discounts) = (&minibatch.rewards, &minibatch.discounts);
        let next_values = numbers(self.target.values(next.clone()));
        if rule.double {
            let choosing = numbers(self.online.valid().values(next));
            double_targets(rewards, discounts, &next_values, &choosing, &mut targets);
        } else {
            q_learning_targets(rewards, discounts, &next_values, &mut targets);
        }
        let now = self.tensor(&minibatch.observations, &self.device.clone());
        let values = self.online.values(now);
        let seen = numbers(values.clone().inner());
        let mut value_gradient = vec![0.0; count * actions];
        let (mut loss, mut sum) = (0.0, 0.0);
        self.errors.clear();
        let rows = seen.chunks_exact(actions).zip(value_gradient.chunks_exact_mut(actions));
        let chosen = minibatch.actions.iter().zip(&minibatch.weights);
        for (((row, gradient), target), (&action, weight)) in rows.zip(&targets).zip(chosen) {
            let value = row[action as usize];
            let error = target - value;
            let (height, slope) = rule.loss.of(error);
            loss += f64::from(weight * height);
            sum += f64::from(value);
            gradient[action as usize] = -weight * slope / count as f32;
            self.errors.push(error);
        }
        // The gradient of the loss by the values is known; the sum of the values times it has the same gradient by w.
        let by_values = Tensor::from_data(TensorData::new(value_gradient, [count, actions]), &self.device);
        let gradients = (values * by_values).sum().backward();
        let mut gradients = GradientsParams::from_grads(gradients, &self.online);
        let mut norm = SquareNorm {
            gradients: &gradients,
            sum: 0.0,
        };
        self.online.visit(&mut norm);
        let norm = norm.sum.sqrt();
        let mut scaled = Scale {
            gradients: &mut gradients,
            by: rule.scale(norm),
        };
        self.online.visit(&mut scaled);
        self.online = self.optimizer.step(rule.learning_rate, self.online.clone(), gradients);
        Updated {
            loss: loss / count as f64,
            values: sum / count as f64,
            gradient_norm: norm,
        }
    }

    fn errors(&self, errors: &mut Vec<f32>) {
        errors.clone_from(&self.errors);
    }

    fn follow(&mut self, tau: f32) {
        self.target = burn_module::polyak(&self.target, &self.online.valid(), tau);
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(BurnPolicy {
            module: self.online.valid(),
            device: self.plain.clone(),
            encoding: self.encoding.clone(),
            memory: Vec::new(),
        })
    }

    fn save_policy(&self, _: &PolicyCard, folder: &Path) -> Result<(), RlError> {
        Err(RlError::policy(
            folder,
            &"a Burn module is saved by its own program, with `Module::save_file`",
        ))
    }

    fn save(&self, state: &mut Vec<u8>) {
        burn_module::save(self.online.valid(), state);
        burn_module::save(self.target.clone(), state);
        let bytes = self.optimizer.into_bytes().map(|bytes| bytes.to_vec());
        saved_state::write(&bytes.unwrap_or_default(), state);
    }

    fn load(&mut self, state: &mut &[u8]) -> Result<(), RlError> {
        let online = burn_module::load(self.online.valid(), state)?;
        self.online = online.fork(&self.device).train();
        self.target = burn_module::load(self.target.clone(), state)?;
        let bytes: Vec<u8> = saved_state::read(state)?;
        self.optimizer = (self.optimizer.clone())
            .from_bytes(Bytes::from_bytes_vec(bytes))
            .map_err(|_| burn_module::wrong())?;
        Ok(())
    }
}

/// The sum of squares of all gradients.
struct SquareNorm<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for SquareNorm<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
            self.sum += f64::from(gradient.square().sum().into_scalar::<f32>());
        }
    }
}

/// Multiplies all gradients by the same number.
struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    by: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(parameter.id) {
            self.gradients.register(parameter.id, gradient * self.by);
        }
    }
}

/// Takes the action that a module values most.
struct BurnPolicy<M> {
    module: M,
    device: Device,
    encoding: Encoding,
    memory: Vec<f32>,
}

impl<M: QModule> Policy for BurnPolicy<M> {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        let inputs = burn_module::rows(inputs, self.encoding.width(), &self.device);
        let values = numbers(self.module.values(inputs));
        let count = values.len() / actions.len();
        for (action, values) in actions.iter_mut().zip(values.chunks_exact(count)) {
            *action = greedy(values) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::activation::relu;
    use etude_train::Seed;
    use rand::RngExt;

    use super::super::loss::Loss;
    use super::super::network::QNetwork;
    use super::super::update::FusedLearner;
    use super::*;
    use crate::space::Space;

    /// A perceptron as Burn has it.
    #[derive(Module, Debug)]
    struct Perceptron {
        layers: Vec<Linear>,
    }

    impl Perceptron {
        fn of(network: &QNetwork, device: &Device) -> Self {
            let layers = network.parts()[0].layers().map(|layer| {
                let weight = TensorData::new(layer.weight.to_vec(), [layer.outputs, layer.inputs]);
                let bias = TensorData::new(layer.bias.to_vec(), [layer.outputs]);
                let mut linear = LinearConfig::new(layer.inputs, layer.outputs).init(device);
                linear.weight = Param::from_tensor(Tensor::<2>::from_data(weight, device).transpose());
                linear.bias = Some(Param::from_tensor(Tensor::from_data(bias, device)));
                linear
            });
            Self {
                layers: layers.collect(),
            }
        }
    }

    impl QModule for Perceptron {
        fn values(&self, observations: Tensor<2>) -> Tensor<2> {
            let last = self.layers.len() - 1;
            (self.layers.iter().enumerate()).fold(observations, |x, (index, layer)| {
                let y = layer.forward(x);
                if index == last { y } else { relu(y) }
            })
        }
    }

    #[test]
    fn a_burn_module_learns_what_the_fast_path_learns() {
        let device = Device::flex();
        let encoding = Encoding::new(&Space::symmetric(vec![9.0; 3]));
        let mut random = Seed(3).stream("test");
        let network = QNetwork::new(3, &[16, 8], 4, false, &mut random);
        let module = Perceptron::of(&network, &device);
        let rows = 10;
        // A larger epsilon, since a step makes much of how a gradient near zero was rounded.
        let mut learners: [Box<dyn Learner>; 2] = [
            Box::new(FusedLearner::new(network, &encoding, 2, rows, 1e-4)),
            Box::new(BurnLearner::new(module, &device, &encoding, 4, 1e-4)),
        ];
        for step in 0..20 {
            let mut draw = |count: usize| (0..count).map(|_| random.random_range(-1.0..1.0)).collect::<Vec<f32>>();
            let minibatch = Minibatch {
                observations: draw(3 * rows),
                next_observations: draw(3 * rows),
                rewards: draw(rows),
                weights: vec![1.0; rows],
                discounts: (0..rows).map(|row| if row == 4 { 0.0 } else { 0.9 }).collect(),
                actions: (0..rows).map(|row| (row % 4) as f32).collect(),
                ..Minibatch::default()
            };
            let rule = Rule {
                double: step % 2 == 0,
                loss: Loss::Huber,
                learning_rate: 1e-2,
                max_gradient_norm: Some(0.5),
            };
            let mut errors = [Vec::new(), Vec::new()];
            let updated = [0, 1].map(|which| {
                let updated = learners[which].update(&minibatch, rule);
                learners[which].errors(&mut errors[which]);
                if step % 3 == 0 {
                    learners[which].follow(0.1);
                }
                updated
            });
            assert!((updated[0].loss - updated[1].loss).abs() < 1e-5, "{updated:?}");
            assert!(
                (updated[0].gradient_norm - updated[1].gradient_norm).abs() < 1e-4,
                "{updated:?}"
            );
            for (fused, burn) in errors[0].iter().zip(&errors[1]) {
                assert!((fused - burn).abs() < 1e-4, "step {step}: {fused} {burn}");
            }
        }
        let seen = [0.3, -0.2, 0.9, -0.4, 0.0, 0.1];
        let values = learners[0].values(&seen).to_vec();
        for (fused, burn) in values.iter().zip(learners[1].values(&seen)) {
            assert!((fused - burn).abs() < 1e-4, "{fused} {burn}");
        }
        // A saved state brings both networks back.
        let mut state = Vec::new();
        learners[1].save(&mut state);
        let other = Perceptron::of(&QNetwork::new(3, &[16, 8], 4, false, &mut random), &device);
        let mut other = BurnLearner::new(other, &device, &encoding, 4, 1e-4);
        other.load(&mut state.as_slice()).unwrap();
        assert_eq!(other.values(&seen), learners[1].values(&seen));
    }
}
