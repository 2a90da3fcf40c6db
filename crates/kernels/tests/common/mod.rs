//! What the tests of networks share.

mod close;

pub(crate) use close::assert_close;

/// The mean squared error of outputs, and its gradient.
pub(crate) fn mean_squared_error(outputs: &[f32], targets: &[f32]) -> (f32, Vec<f32>) {
    assert_eq!(outputs.len(), targets.len());
    let count = outputs.len() as f32;
    let errors = || outputs.iter().zip(targets).map(|(output, target)| output - target);
    let loss = errors().map(|error| error * error).sum::<f32>() / count;
    (loss, errors().map(|error| 2.0 * error / count).collect())
}
