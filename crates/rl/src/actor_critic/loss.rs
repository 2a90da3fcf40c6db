//! The losses of one row, each with its derivative.

/// -A ln pi(a|s), and its derivative by ln pi(a|s): the policy gradient (Zhao, equation 10.5; Sutton and Barto, equation 13.11).
pub fn policy_gradient(log_probability: f32, advantage: f32) -> [f32; 2] {
    [-advantage * log_probability, -advantage]
}

/// -min(A rho, A clip(rho, 1 - range, 1 + range)), and its derivative by ln pi(a|s), of which rho = exp(`log_ratio`) is the ratio to the
/// old one (Schulman et al. 2017, equation 7).
pub fn clipped_surrogate(log_ratio: f32, advantage: f32, range: f32) -> [f32; 2] {
    let ratio = log_ratio.exp();
    let clipped = ratio.clamp(1.0 - range, 1.0 + range);
    if advantage * ratio <= advantage * clipped {
        [-advantage * ratio, -advantage * ratio]
    } else {
        [-advantage * clipped, 0.0]
    }
}

/// (target - v)^2, and its derivative by v.
pub fn value_loss(value: f32, target: f32) -> [f32; 2] {
    let error = value - target;
    [error * error, 2.0 * error]
}

/// The same of a value that is not further than `range` from the old one.
pub fn clipped_value_loss(value: f32, old_value: f32, target: f32, range: f32) -> [f32; 2] {
    let change = value - old_value;
    let [loss, slope] = value_loss(old_value + change.clamp(-range, range), target);
    [loss, if change.abs() <= range { slope } else { 0.0 }]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn derivatives_are_slopes(
            x in -0.8f32..0.8, advantage in -3f32..3.0, old in -1f32..1.0, range in 0.05f32..0.4,
        ) {
            let step = 1e-3;
            let functions: [&dyn Fn(f32) -> [f32; 2]; 4] = [
                &|x| policy_gradient(x, advantage),
                &|x| clipped_surrogate(x, advantage, range),
                &|x| value_loss(x, advantage),
                &|x| clipped_value_loss(x, old, advantage, range),
            ];
            for function in functions {
                let [[before, slope_before], [after, slope_after]] = [function(x - step), function(x + step)];
                // Not where it is bent.
                if (slope_before - slope_after).abs() < 0.05 {
                    let slope = (after - before) / (2.0 * step);
                    prop_assert!((slope - function(x)[1]).abs() < 0.01 * (1.0 + slope.abs()), "{slope}");
                }
            }
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "exact numbers")]
    fn nothing_is_gained_beyond_the_clip() {
        let log_ratio = 1.5_f32.ln();
        assert_eq!(clipped_surrogate(log_ratio, 2.0, 0.25), [-2.5, 0.0]);
        assert_eq!(clipped_surrogate(log_ratio, -2.0, 0.25)[1], 2.0 * log_ratio.exp());
    }
}
