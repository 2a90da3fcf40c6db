//! Mean and variance of numbers that come one after another.

use serde::{Deserialize, Serialize};

/// Added to variances, as Gymnasium and Stable-Baselines3 do.
const EPSILON: f64 = 1e-8;

/// The mean and the variance of each entry of the vectors seen so far (Gymnasium's `RunningMeanStd`; Chan, Golub and
/// LeVeque 1979). It begins as if a ten-thousandth of a vector had been seen, with mean 0 and variance 1.
///
/// With serde it can be kept beside a policy, which sees the world through it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningMoments {
    /// Of each entry.
    pub mean: Vec<f64>,
    /// Of each entry, as of a population.
    pub variance: Vec<f64>,
    /// How many vectors have been seen, and the ten-thousandth.
    pub count: f64,
}

impl RunningMoments {
    /// Of vectors with `length` entries, none of which has been seen yet.
    pub fn new(length: usize) -> Self {
        Self {
            mean: vec![0.0; length],
            variance: vec![1.0; length],
            count: 1e-4,
        }
    }

    /// Takes a vector in.
    pub fn update(&mut self, vector: impl IntoIterator<Item = f64>) {
        let total = self.count + 1.0;
        for ((mean, variance), value) in self.mean.iter_mut().zip(&mut self.variance).zip(vector) {
            let delta = value - *mean;
            *mean += delta / total;
            *variance = (*variance * self.count + delta * delta * self.count / total) / total;
        }
        self.count = total;
    }

    /// (x - mean) / deviation of each entry, between -`clip` and `clip`.
    pub fn normalize(&self, vector: &mut [f32], clip: f64) {
        for (index, entry) in vector.iter_mut().enumerate() {
            let normal = (f64::from(*entry) - self.mean[index]) / self.deviation(index);
            *entry = normal.clamp(-clip, clip) as f32;
        }
    }

    /// The standard deviation of an entry, a little above zero at least, so that what never changes can be divided by it.
    pub fn deviation(&self, entry: usize) -> f64 {
        (self.variance[entry] + EPSILON).sqrt()
    }

    /// What is wrong with it, where it is to be of vectors with `length` entries.
    pub(crate) fn fault(&self, length: usize) -> Option<String> {
        let lengths = (self.mean.len(), self.variance.len());
        if lengths != (length, length) {
            return Some(format!(
                "moments have {} means and {} variances; expected {length} of each",
                lengths.0, lengths.1
            ));
        }
        let means = self.mean.iter().find(|mean| !mean.is_finite());
        let variances = self
            .variance
            .iter()
            .find(|&&variance| !(variance.is_finite() && variance >= 0.0));
        match (means, variances) {
            (Some(mean), _) => Some(format!("a mean is {mean}; expected a finite number")),
            (None, Some(variance)) => Some(format!("a variance is {variance}; expected 0 or more")),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the two passes over all numbers, of which the first weighs a ten-thousandth.
        #[test]
        fn moments_are_those_of_all_numbers(numbers in prop::collection::vec(-1e3..1e3_f64, 0..50)) {
            let mut moments = RunningMoments::new(1);
            for &number in &numbers {
                moments.update([number]);
            }
            let count = numbers.len() as f64 + 1e-4;
            let mean = numbers.iter().sum::<f64>() / count;
            let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
            let variance = (squares + 1e-4 * (1.0 + mean * mean)) / count;
            prop_assert!((moments.count - count).abs() < 1e-12 * count);
            prop_assert!((moments.mean[0] - mean).abs() < 1e-10);
            prop_assert!((moments.variance[0] - variance).abs() < 1e-10 * variance);
        }
    }

    #[test]
    fn moments_that_cannot_be_are_found() {
        let fault = |mean: f64, variance: f64, length| {
            let moments = RunningMoments {
                mean: vec![mean],
                variance: vec![variance],
                count: 1.0,
            };
            moments.fault(length)
        };
        assert_eq!(fault(0.0, 0.0, 1), None);
        let cases = [
            (
                fault(0.0, 1.0, 2),
                "moments have 1 means and 1 variances; expected 2 of each",
            ),
            (fault(f64::NAN, 1.0, 1), "a mean is NaN; expected a finite number"),
            (fault(0.0, -1.0, 1), "a variance is -1; expected 0 or more"),
            (fault(0.0, f64::INFINITY, 1), "a variance is inf; expected 0 or more"),
        ];
        for (found, expected) in cases {
            assert_eq!(found.as_deref(), Some(expected));
        }
    }
}
