//! Baselines (Zhao, section 10.2.1): what may be taken from q(s, A) without changing the mean of grad ln pi(A|s) (q(s, A) - b).

/// |grad ln pi(a|s)|^2 of a softmax over a table, whose gradient by the preference of j is [j = a] - pi(j).
fn square_norm(probabilities: &[f64], action: usize) -> f64 {
    let squares: f64 = probabilities.iter().map(|p| p * p).sum();
    1.0 - 2.0 * probabilities[action] + squares
}

/// b* = E[|grad ln pi(A|s)|^2 q(s, A)] / E[|grad ln pi(A|s)|^2], the baseline of least variance (equation 10.4), of a softmax over a table with
/// these probabilities.
pub fn optimal_baseline(probabilities: &[f64], action_values: &[f64]) -> f64 {
    let weights = (0..probabilities.len()).map(|action| probabilities[action] * square_norm(probabilities, action));
    let (sum, total) = weights
        .zip(action_values)
        .fold((0.0, 0.0), |(sum, total), (weight, q)| {
            (sum + weight * q, total + weight)
        });
    sum / total
}

/// The trace of the covariance of grad ln pi(A|s) (q(s, A) - b), for a softmax over a table.
pub fn gradient_variance(probabilities: &[f64], action_values: &[f64], baseline: f64) -> f64 {
    let actions = probabilities.len();
    let mut square = 0.0;
    let mut mean = vec![0.0; actions];
    for (action, (p, q)) in probabilities.iter().zip(action_values).enumerate() {
        square += p * square_norm(probabilities, action) * (q - baseline).powi(2);
        for (place, mean) in mean.iter_mut().enumerate() {
            let slope = f64::from(place == action) - probabilities[place];
            *mean += p * slope * (q - baseline);
        }
    }
    square - mean.iter().map(|mean| mean * mean).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_baseline_has_less_variance(
            weights in prop::collection::vec(0.05f64..1.0, 2..6), values in prop::collection::vec(-10f64..10.0, 6), other in -20f64..20.0,
        ) {
            let sum: f64 = weights.iter().sum();
            let probabilities: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
            let values = &values[..probabilities.len()];
            let best = optimal_baseline(&probabilities, values);
            let variance = |baseline| gradient_variance(&probabilities, values, baseline);
            prop_assert!(variance(best) <= variance(other) + 1e-9);
            prop_assert!(variance(best) >= -1e-9);
            // Nor near it: it is where the parabola is flat.
            prop_assert!((variance(best + 1e-3) - variance(best - 1e-3)).abs() < 1e-9);
        }
    }
}
