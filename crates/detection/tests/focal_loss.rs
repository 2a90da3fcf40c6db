//! The focal loss of class scores.

use burn::tensor::{DType, Device, Tensor, TensorData};
use etude_detection::focal_loss::FocalLoss;
use proptest::prelude::*;

fn tensor(numbers: &[f64], classes: usize, device: &Device) -> Tensor<2> {
    let shape = [numbers.len() / classes, classes];
    Tensor::from_data(TensorData::new(numbers.to_vec(), shape), (device, DType::F64))
}

/// The sum over all logits, and its gradient.
fn loss(logits: &[f64], targets: &[f64], classes: usize) -> (f64, Vec<f64>) {
    let device = Device::flex().autodiff();
    let logits = tensor(logits, classes, &device).require_grad();
    let sum = FocalLoss::default()
        .of(logits.clone(), tensor(targets, classes, &device))
        .sum();
    let gradient = logits.grad(&sum.backward()).unwrap();
    let value = sum.into_data().iter::<f64>().next().unwrap();
    (value, gradient.into_data().iter::<f64>().collect())
}

/// Means over rows, from mmcv's tests, which have them in 32 bits.
#[test]
fn the_values_of_mmcvs_tests() {
    let (first, _) = loss(&[1.0, 0.0, 0.0, 1.0], &[1.0, 0.0, 0.0, 1.0], 2);
    assert!((first / 2.0 - 0.135_629_61).abs() < 5e-7, "{first}");
    let (second, _) = loss(&[1.0, 0.0, -1.0, 0.0, 1.0, 2.0], &[0.0, 0.0, 1.0, 0.0, 1.0, 0.0], 3);
    assert!((second / 2.0 - 1.102_510_57).abs() < 5e-7, "{second}");
}

#[test]
fn sure_scores_have_losses_and_gradients_too() {
    for logit in [-1e3, -100.0, 100.0, 1e3] {
        for target in [0.0, 1.0] {
            let (value, gradient) = loss(&[logit], &[target], 1);
            assert!(
                value.is_finite() && gradient[0].is_finite(),
                "{logit} {target}: {value} {gradient:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn gradients_are_central_differences(logit in -20.0..20.0, target in 0.0..1.0) {
        let at = |logit: f64| loss(&[logit], &[target], 1);
        let difference = (at(logit + 1e-5).0 - at(logit - 1e-5).0) / 2e-5;
        prop_assert!((at(logit).1[0] - difference).abs() < 1e-6 * (1.0 + difference.abs()));
    }
}
