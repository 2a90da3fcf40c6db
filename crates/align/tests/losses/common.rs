//! Tensors from numbers and back.

use burn::tensor::{Device, Tensor, TensorData};
use etude_align::preference::PreferenceLoss;

/// All of them.
pub(crate) const LOSSES: [PreferenceLoss; 17] = [
    PreferenceLoss::Sigmoid,
    PreferenceLoss::Conservative,
    PreferenceLoss::Hinge,
    PreferenceLoss::Ipo,
    PreferenceLoss::IpoSum,
    PreferenceLoss::ExoPair,
    PreferenceLoss::NcaPair,
    PreferenceLoss::Robust,
    PreferenceLoss::BcoPair,
    PreferenceLoss::SppoHard,
    PreferenceLoss::Aot,
    PreferenceLoss::AotUnpaired,
    PreferenceLoss::ApoZero,
    PreferenceLoss::ApoDown,
    PreferenceLoss::Discopop,
    PreferenceLoss::Sft,
    PreferenceLoss::SigmoidNorm,
];

/// A device that computes gradients.
pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

/// Some numbers, `[numbers]`.
pub(crate) fn tensor(numbers: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), [numbers.len()]), &device())
}

pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// What `loss` makes of some numbers, and the gradient of its sum with respect to each of them.
pub(crate) fn with_gradient(inputs: &[f32], loss: impl FnOnce(Tensor<1>) -> Tensor<1>) -> (Vec<f32>, Vec<f32>) {
    let inputs = tensor(inputs).require_grad();
    let losses = loss(inputs.clone());
    let gradients = losses.clone().sum().backward();
    let slopes = inputs.grad(&gradients).unwrap_or_else(|| inputs.zeros_like());
    (numbers(losses), numbers(slopes))
}

/// The same to 1e-5 of the number, or of 1 or of the largest one where these are greater.
pub(crate) fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected
        .iter()
        .fold(1.0_f32, |largest, number| largest.max(number.abs()));
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs() / largest;
        assert!(error < 1e-5, "{what}: found {found}, expected {expected}");
    }
}

/// The same of one number.
pub(crate) fn assert_near(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() < 1e-5 * expected.abs().max(1.0),
        "{what}: found {found}, expected {expected}"
    );
}
