//! AdamW over a module: steps against Burn's own, in the parameters' own memory; clipping, decay, saving and restoring.

use std::collections::BTreeMap;

use allocation_counter::measure;
use burn::backend::Flex;
use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use etude_kernels::adam_w::{AdamW, Step};
use etude_kernels::burn::{ModuleAdamW, Moments, composed, layer_norm, linear};
use etude_kernels::{KernelError, Precision};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

#[derive(Module, Debug)]
struct Norm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
struct Network {
    layers: Vec<Param<Tensor<2>>>,
    norm: Norm,
    unused: Param<Tensor<1>>,
}

const SETTINGS: AdamW = AdamW {
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weight_decay: 0.1,
};

impl Network {
    fn new(width: usize, device: &Device) -> Self {
        // Not the device's generator: all tests of a process share it.
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let mut numbers = |count: usize| -> Vec<f32> { (0..count).map(|_| random.random_range(-0.5..0.5)).collect() };
        let mut matrix = || TensorData::new(numbers(width * width), [width, width]);
        let layers = (0..2).map(|_| Param::from_data(matrix(), device)).collect();
        let mut vector = || Param::from_data(TensorData::new(numbers(width), [width]), device);
        Self {
            layers,
            norm: Norm {
                weight: vector(),
                bias: vector(),
            },
            unused: vector(),
        }
    }

    fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        let [first, second] = [0, 1].map(|layer: usize| self.layers[layer].val());
        let x = linear(x, first, Some(self.norm.bias.val()), Precision::F32);
        let x = layer_norm(x, self.norm.weight.val(), self.norm.bias.val(), 1e-5);
        linear(x, second, None, Precision::F32).square().mean()
    }

    /// The gradients of a loss that differs from step to step.
    fn gradients(&self, step: usize) -> GradientsParams {
        let [width, _] = self.layers[0].dims();
        let x = Tensor::<2>::ones([3, width], &self.layers[0].device());
        let ramp = x.cumsum(1) / (width as f32) - 0.1 * step as f32;
        GradientsParams::from_grads(self.loss(ramp).backward(), self)
    }

    fn numbers(&self) -> Vec<f32> {
        let layers = self.layers.iter().flat_map(|layer| numbers(layer.val()));
        let vectors = [&self.norm.weight, &self.norm.bias, &self.unused];
        layers
            .chain(vectors.into_iter().flat_map(|vector| numbers(vector.val())))
            .collect()
    }

    /// Where the numbers of the trained parameters lie.
    fn addresses(&self) -> Vec<usize> {
        fn address<const D: usize>(parameter: &Param<Tensor<D>>) -> usize {
            let tensor = parameter.val().without_autodiff().try_into_primitive::<Flex>().unwrap();
            tensor.bytes().as_ptr() as usize
        }
        let norm = [&self.norm.weight, &self.norm.bias].map(address);
        self.layers.iter().map(address).chain(norm).collect()
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let differences = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| (found - expected).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn ten_steps_are_those_of_burn() {
    let mut network = Network::new(12, &device());
    let mut expected = network.clone();
    let mut adam = ModuleAdamW::new(SETTINGS).with_decay(|_, _| true);
    let mut peer = AdamWConfig::new()
        .with_beta_1(SETTINGS.beta1)
        .with_beta_2(SETTINGS.beta2)
        .with_epsilon(SETTINGS.epsilon)
        .with_weight_decay(SETTINGS.weight_decay)
        .init();
    let start = network.numbers();
    for step in 0..10 {
        // Both take the gradients of the same parameters: rounding would grow from step to step.
        let gradients = network.gradients(step);
        let learning_rate = 0.01 / (1.0 + step as f32);
        expected = peer.step(f64::from(learning_rate), expected, network.gradients(step));
        network = adam.step(network, gradients, learning_rate, None).0;
        let difference = largest_difference(&network.numbers(), &expected.numbers());
        assert!(difference < 1e-6, "step {step}: {difference}");
    }
    assert!(largest_difference(&network.numbers(), &start) > 0.01);
    assert!(network.layers[0].is_require_grad(), "it can be trained further");
}

#[test]
fn steps_are_those_composed_of_burns_operations() {
    let device = Device::flex();
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let mut random = || {
        let numbers: Vec<f32> = (0..35).map(|_| StandardNormal.sample(&mut generator)).collect();
        Tensor::<2>::from_data(TensorData::new(numbers, [7, 5]), &device)
    };
    let (start, gradients) = (random(), [random(), random(), random()]);
    let mut composed = (
        start.clone(),
        Tensor::zeros([35], &device),
        Tensor::zeros([35], &device),
    );
    let mut fused = [numbers(start), vec![0.0; 35], vec![0.0; 35]];
    for (gradient, number) in gradients.into_iter().zip(1..) {
        let step = Step {
            number,
            learning_rate: 0.02,
            gradient_scale: 0.5,
        };
        let [parameters, first, second] = &mut fused;
        SETTINGS.step(step, parameters, &numbers(gradient.clone()), first, second);
        let (parameter, first, second) = composed;
        composed = composed::adam_w(&SETTINGS, step, parameter, gradient, [first, second]);
    }
    let (parameter, first, second) = composed;
    for (found, expected) in fused.iter().zip([numbers(parameter), numbers(first), numbers(second)]) {
        assert!(largest_difference(found, &expected) < 1e-6);
    }
}

/// Parameters, moments and graph never lie in memory twice: 4 bytes for each number of the gradients are all that a step
/// takes beside the 12 of parameters and moments.
#[test]
fn steps_are_in_place() {
    let width = 256;
    let network = Network::new(width, &device());
    let mut adam = ModuleAdamW::new(SETTINGS);
    let addresses = network.addresses();
    let gradient_bytes = 4 * 2 * width * width;
    // What the products keep on this thread from call to call is no part of it.
    drop(network.gradients(0));
    let mut network = Some(network);
    for step in 0..3 {
        let x = Tensor::<2>::ones([1, width], &device()) * (step + 1) as f32;
        let used = measure(|| {
            let before = network.take().unwrap();
            let loss = before.loss(x);
            let gradients = GradientsParams::from_grads(loss.backward(), &before);
            // The loss is still there while the step is taken.
            network = Some(adam.step(before, gradients, 1e-3, Some(1.0)).0);
            drop(loss);
        });
        let after = network.as_ref().unwrap();
        assert_eq!(after.addresses(), addresses, "step {step}");
        // The first step allocates the moments too, while it frees gradients.
        let expected = gradient_bytes as u64 * if step == 0 { 5 } else { 2 } / 2;
        assert!(
            used.bytes_max < expected * 9 / 8,
            "step {step}: {} bytes of {expected}",
            used.bytes_max
        );
        assert!(
            used.bytes_max >= expected * 9 / 10,
            "step {step}: {} bytes are not all",
            used.bytes_max
        );
    }
}

/// Whoever holds a copy of the module keeps its numbers.
#[test]
fn copies_stay_as_they_are() {
    let network = Network::new(6, &device());
    let copy = network.clone();
    let before = copy.numbers();
    let gradients = network.gradients(0);
    let (network, _) = ModuleAdamW::new(SETTINGS).step(network, gradients, 0.1, None);
    assert_eq!(copy.numbers(), before);
    assert_ne!(network.numbers(), before);
}

#[test]
fn matrices_decay_and_vectors_do_not() {
    let stepped = |adam: ModuleAdamW| {
        let mut adam = adam;
        let network = Network::new(6, &device());
        let gradients = network.gradients(0);
        adam.step(network, gradients, 0.1, None).0
    };
    let without = AdamW {
        weight_decay: 0.0,
        ..SETTINGS
    };
    let (decayed, plain) = (stepped(ModuleAdamW::new(SETTINGS)), stepped(ModuleAdamW::new(without)));
    assert_ne!(numbers(decayed.layers[0].val()), numbers(plain.layers[0].val()));
    assert_ne!(numbers(decayed.layers[1].val()), numbers(plain.layers[1].val()));
    assert_eq!(numbers(decayed.norm.weight.val()), numbers(plain.norm.weight.val()));
    assert_eq!(numbers(decayed.norm.bias.val()), numbers(plain.norm.bias.val()));
    let chosen = stepped(ModuleAdamW::new(SETTINGS).with_decay(|name, _| name == "layers.1" || name == "norm.bias"));
    assert_eq!(numbers(chosen.layers[0].val()), numbers(plain.layers[0].val()));
    assert_eq!(numbers(chosen.layers[1].val()), numbers(decayed.layers[1].val()));
    assert_ne!(numbers(chosen.norm.bias.val()), numbers(plain.norm.bias.val()));
}

#[test]
fn gradients_are_clipped_by_their_global_norm() {
    let network = Network::new(6, &device());
    let gradients = network.gradients(0);
    let mut squares = 0.0;
    for layer in &network.layers {
        squares += numbers(gradients.get::<2>(layer.id).unwrap().square().sum())[0];
    }
    for vector in [&network.norm.weight, &network.norm.bias] {
        squares += numbers(gradients.get::<1>(vector.id).unwrap().square().sum())[0];
    }
    let mut adam = ModuleAdamW::new(SETTINGS);
    let (network, norm) = adam.step(network, gradients, 0.1, Some(0.25));
    assert!(
        (norm - squares.sqrt()).abs() < 1e-5 * norm,
        "{norm} instead of {}",
        squares.sqrt()
    );
    assert!(norm > 0.25);
    // After one step, the first moment is a tenth of the gradient as it was used.
    let used: f32 = adam
        .moments()
        .flat_map(|(_, moments)| moments.first)
        .map(|first| first * first)
        .sum();
    assert!((used.sqrt() * 10.0 - 0.25).abs() < 1e-5, "{used}");
    // A small gradient is left alone.
    let gradients = network.gradients(1);
    let mut adam = ModuleAdamW::new(SETTINGS);
    let (_, norm) = adam.step(network, gradients, 0.1, Some(1e6));
    let used: f32 = adam
        .moments()
        .flat_map(|(_, moments)| moments.first)
        .map(|first| first * first)
        .sum();
    assert!((used.sqrt() * 10.0 - norm).abs() < 1e-5 * norm);
}

#[test]
fn nothing_is_stepped_where_a_gradient_is_not_finite() {
    let network = Network::new(6, &device());
    let mut gradients = network.gradients(0);
    let before = network.numbers();
    let bias = network.norm.bias.id;
    let gradient = gradients.remove::<1>(bias).unwrap();
    gradients.register(bias, gradient / 0.0);
    let mut adam = ModuleAdamW::new(SETTINGS);
    let (network, norm) = adam.step(network, gradients, 0.1, Some(1.0));
    assert!(!norm.is_finite());
    assert_eq!(network.numbers(), before);
    assert_eq!(adam.moments().count(), 0);
}

#[test]
fn steps_go_on_after_restoring() {
    let run = |restored_after: usize| {
        let mut network = Network::new(6, &device());
        let mut adam = ModuleAdamW::new(SETTINGS);
        for step in 0..5 {
            if step == restored_after {
                let saved: BTreeMap<String, Moments> = adam
                    .moments()
                    .map(|(name, moments)| (name.to_owned(), moments))
                    .collect();
                let names: Vec<&String> = saved.keys().collect();
                assert_eq!(names, ["layers.0", "layers.1", "norm.bias", "norm.weight"]);
                adam = ModuleAdamW::new(SETTINGS);
                adam.restore(&network, saved).unwrap();
            }
            let gradients = network.gradients(step);
            network = adam.step(network, gradients, 0.05, Some(1.0)).0;
        }
        network.numbers()
    };
    assert_eq!(run(3), run(5));
}

#[test]
fn moments_of_another_module_are_refused() {
    let network = Network::new(6, &device());
    let moments = |length| Moments {
        steps: 1,
        first: vec![0.0; length],
        second: vec![0.0; length],
    };
    let mut adam = ModuleAdamW::new(SETTINGS);
    let found = adam.restore(&network, [("layers.7".to_owned(), moments(36))]);
    let name = "layers.7".to_owned();
    assert_eq!(found, Err(KernelError::NoParameter { name }));
    let found = adam.restore(&network, [("layers.1".to_owned(), moments(35))]);
    let expected = KernelError::MomentsOf {
        name: "layers.1".to_owned(),
        found: 35,
        expected: 36,
    };
    assert_eq!(found, Err(expected));
}
