//! Numbers of mean 0 and variance 1.

use serde::{Deserialize, Serialize};

/// Which variance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// Squared deviations over their number n: OpenAI's code.
    Biased,
    /// Squared deviations over n - 1: TRL.
    #[default]
    Unbiased,
}

/// Divides what counts by its standard deviation, once its mean is taken off; without `shift_mean` the mean is put back afterwards, so
/// that rewards keep their sign. What does not count becomes 0.
///
/// # Panics
/// The mask has another length.
pub fn whiten(values: &mut [f32], mask: &[bool], shift_mean: bool, variance: Variance) {
    assert_eq!(values.len(), mask.len(), "a mask of values");
    let counted = || values.iter().zip(mask).filter(|(_, counts)| **counts);
    let count = counted().count() as f64;
    let mean = counted().map(|(value, _)| f64::from(*value)).sum::<f64>() / count.max(1.0);
    let squares: f64 = counted().map(|(value, _)| (f64::from(*value) - mean).powi(2)).sum();
    let degrees = match variance {
        Variance::Biased => count,
        Variance::Unbiased => count - 1.0,
    };
    // As in both codes; one number alone has no deviation.
    let scale = 1.0 / (squares / degrees.max(1.0) + 1e-8).sqrt();
    let offset = if shift_mean { 0.0 } else { mean };
    for (value, counts) in values.iter_mut().zip(mask) {
        *value = if *counts {
            ((f64::from(*value) - mean) * scale + offset) as f32
        } else {
            0.0
        };
    }
}
