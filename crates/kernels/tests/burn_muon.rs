//! Muon over a module: its matrices, and AdamW beside it; clipping, saving and restoring.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use etude_kernels::adam_w::AdamW;
use etude_kernels::burn::{LearningRates, ModuleAdamW, ModuleMuon, composed};
use etude_kernels::muon::{AdjustLr, Muon, Step};
use etude_kernels::{KernelError, Precision};

#[derive(Module, Debug)]
struct Network {
    embed_tokens: Param<Tensor<2>>,
    hidden: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    lm_head: Param<Tensor<2>>,
}

const SETTINGS: Muon = Muon {
    momentum: 0.9,
    weight_decay: 0.1,
    adjust_lr_fn: AdjustLr::MatchRmsAdamw,
};

const STEP: Step = Step {
    learning_rate: 0.1,
    gradient_scale: 0.5,
};

const RATES: LearningRates = LearningRates {
    muon: 0.05,
    adam_w: 0.01,
};

fn wave(shape: [usize; 2], frequency: f32) -> TensorData {
    let numbers = (0..shape[0] * shape[1]).map(|index| (index as f32 * frequency).sin());
    TensorData::new(numbers.collect(), shape)
}

fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter().collect()
}

fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let differences = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| (found - expected).abs());
    differences.fold(0.0, f32::max)
}

impl Network {
    fn new() -> Self {
        let device = Device::flex().autodiff();
        let matrix = |shape, frequency| Param::from_data(wave(shape, frequency), &device);
        Self {
            embed_tokens: matrix([6, 4], 1.7),
            hidden: matrix([5, 4], 0.9),
            bias: Param::from_data([0.1, 0.2, 0.3, 0.4, 0.5], &device),
            lm_head: matrix([6, 5], 2.3),
        }
    }

    /// The gradients of a loss that differs from step to step.
    fn gradients(&self, step: usize) -> GradientsParams {
        let linear =
            |x, weight: &Param<Tensor<2>>, bias| etude_kernels::burn::linear(x, weight.val(), bias, Precision::F32);
        let x = linear(self.embed_tokens.val(), &self.hidden, Some(self.bias.val()));
        let y = linear(x, &self.lm_head, None) - 0.3 * step as f32;
        GradientsParams::from_grads(y.square().mean().backward(), self)
    }

    fn numbers(&self) -> Vec<Vec<f32>> {
        let matrices = [&self.embed_tokens, &self.hidden, &self.lm_head];
        let mut all: Vec<_> = matrices.map(|matrix| numbers(&matrix.val())).into();
        all.push(numbers(&self.bias.val()));
        all
    }
}

fn muon() -> ModuleMuon {
    ModuleMuon::new(SETTINGS, ModuleAdamW::new(AdamW::default()))
}

#[test]
fn matrices_of_hidden_layers_are_muons_and_the_rest_is_adam_ws() {
    let network = Network::new();
    let (before, max_norm) = (network.numbers(), 0.25);
    let mut optimizer = muon();
    let (stepped, found) = optimizer.step(network.clone(), network.gradients(0), RATES, Some(max_norm));
    assert_eq!(network.numbers(), before, "copies stay as they are");
    assert!(optimizer.momenta().map(|(name, _)| name).eq(["hidden"]));
    let adam_w: Vec<String> = optimizer.adam_w.moments().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(adam_w, ["bias", "embed_tokens", "lm_head"]);

    // Both clip by the norm of all gradients.
    let (expected, of_all) =
        ModuleAdamW::new(AdamW::default()).step(network.clone(), network.gradients(0), RATES.adam_w, Some(max_norm));
    assert_eq!(found.to_bits(), of_all.to_bits());
    assert!(found > max_norm);
    let (found_numbers, mut expected) = (stepped.numbers(), expected.numbers());
    let mut hidden = numbers(&network.hidden.val());
    let gradient = numbers(&network.gradients(0).get::<2>(network.hidden.id).unwrap());
    let step = Step {
        learning_rate: RATES.muon,
        gradient_scale: max_norm / (found + 1e-6),
    };
    SETTINGS.step(step, 4, &mut hidden, &gradient, &mut [0.0; 20]);
    expected[1] = hidden;
    assert_eq!(found_numbers, expected);
    assert!(stepped.hidden.is_require_grad(), "it can be trained further");
}

#[test]
fn steps_are_those_composed_of_burns_operations() {
    for [rows, columns] in [[7, 5], [5, 7], [6, 6]] {
        let device = Device::flex();
        let start = Tensor::<2>::from_data(wave([rows, columns], 0.7), &device);
        let mut expected = (start.clone(), Tensor::zeros([rows * columns], &device));
        let (mut parameters, mut momentum) = (numbers(&start), vec![0.0; rows * columns]);
        for step in 0..4 {
            let gradient = Tensor::<2>::from_data(wave([rows, columns], 1.1 + step as f32), &device);
            SETTINGS.step(STEP, columns, &mut parameters, &numbers(&gradient), &mut momentum);
            expected = composed::muon(&SETTINGS, STEP, expected.0, gradient, expected.1);
        }
        let difference = largest_difference(&parameters, &numbers(&expected.0));
        assert!(difference < 1e-5, "{rows} x {columns}: {difference}");
        assert!(largest_difference(&momentum, &numbers(&expected.1)) < 1e-6);
    }
}

#[test]
fn what_muon_takes_can_be_chosen() {
    let network = Network::new();
    let gradients = network.gradients(0);
    let mut chosen = muon().with_matrices(|name, shape| name != "hidden" && shape == [6, 5]);
    chosen.step(network, gradients, RATES, None);
    assert!(chosen.momenta().map(|(name, _)| name).eq(["lm_head"]));
}

#[test]
fn nothing_is_stepped_where_a_gradient_is_not_finite() {
    let network = Network::new();
    let mut gradients = network.gradients(0);
    let gradient = gradients.remove::<1>(network.bias.id).unwrap();
    gradients.register(network.bias.id, gradient / 0.0);
    let (before, mut optimizer) = (network.numbers(), muon());
    let (network, norm) = optimizer.step(network, gradients, RATES, Some(1.0));
    assert!(!norm.is_finite());
    assert_eq!(network.numbers(), before);
    assert_eq!(optimizer.momenta().count() + optimizer.adam_w.moments().count(), 0);
}

#[test]
fn steps_go_on_after_restoring() {
    let run = |restored_after: usize| {
        let (mut network, mut optimizer) = (Network::new(), muon());
        for step in 0..5 {
            if step == restored_after {
                let named = |(name, momentum): (&str, _)| (name.to_owned(), momentum);
                let momenta: Vec<_> = optimizer.momenta().map(named).collect();
                let moments: Vec<_> = optimizer
                    .adam_w
                    .moments()
                    .map(|(name, m)| (name.to_owned(), m))
                    .collect();
                optimizer = muon();
                optimizer.restore(&network, momenta).unwrap();
                optimizer.adam_w.restore(&network, moments).unwrap();
            }
            let gradients = network.gradients(step);
            network = optimizer.step(network, gradients, RATES, Some(1.0)).0;
        }
        network.numbers()
    };
    assert_eq!(run(3), run(5));
}

#[test]
fn momenta_of_another_module_are_refused() {
    let network = Network::new();
    let name = "other".to_owned();
    let found = muon().restore(&network, [(name.clone(), vec![0.0; 20])]);
    assert_eq!(found, Err(KernelError::NoParameter { name }));
    let name = "hidden".to_owned();
    let found = muon().restore(&network, [(name.clone(), vec![0.0; 19])]);
    let expected = KernelError::MomentsOf {
        name,
        found: 19,
        expected: 20,
    };
    assert_eq!(found, Err(expected));
}
