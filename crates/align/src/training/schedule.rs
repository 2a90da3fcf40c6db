//! Learning rates, step by step.

use serde::{Deserialize, Serialize};

/// How the learning rate goes from the first step to the last, by the names of transformers' `lr_scheduler_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// The same in all steps, without warm-up.
    Constant,
    /// The same in all steps after warm-up.
    ConstantWithWarmup,
    /// Down to 0 in a straight line.
    #[default]
    Linear,
    /// Down to 0 along half a cosine (Loshchilov and Hutter 2017, equation 5, without restarts).
    Cosine,
    /// The same until the last tenth of the steps, and then down to 0 along half a cosine: warm-up, stable, decay (Hu et al. 2024,
    /// MiniCPM, section 4).
    WarmupStableDecay,
}

/// The share of the steps in which [`Schedule::WarmupStableDecay`] decays.
const DECAY: f64 = 0.1;

impl Schedule {
    /// What the learning rate is multiplied by in a step, where 0 is the first of `steps` steps, of which `warmup` rise in a straight
    /// line from 0.
    pub fn factor(self, step: u64, warmup: u64, steps: u64) -> f64 {
        if self == Self::Constant {
            return 1.0;
        }
        let [step, warmup, steps] = [step, warmup, steps].map(|count| count as f64);
        if step < warmup {
            return step / warmup.max(1.0);
        }
        // How far the part that begins after `start` has come, from 0 to 1.
        let progress = |start: f64| ((step - start) / (steps - start).max(1.0)).clamp(0.0, 1.0);
        let half_cosine = |progress: f64| f64::midpoint(1.0, (std::f64::consts::PI * progress).cos());
        match self {
            Self::Constant | Self::ConstantWithWarmup => 1.0,
            Self::Linear => 1.0 - progress(warmup),
            Self::Cosine => half_cosine(progress(warmup)),
            Self::WarmupStableDecay => half_cosine(progress(warmup.max(steps - (DECAY * steps).ceil()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Schedule; 5] = [
        Schedule::Constant,
        Schedule::ConstantWithWarmup,
        Schedule::Linear,
        Schedule::Cosine,
        Schedule::WarmupStableDecay,
    ];

    proptest! {
        #[test]
        fn a_factor_is_from_0_to_1_and_rises_in_the_warm_up_only(warmup in 0_u64..50, more in 1_u64..200) {
            let steps = warmup + more;
            for schedule in ALL {
                let factors: Vec<f64> = (0..steps).map(|step| schedule.factor(step, warmup, steps)).collect();
                prop_assert!(factors.iter().all(|factor| (0.0..=1.0).contains(factor)), "{schedule:?}: {factors:?}");
                let falls = factors[warmup as usize..].windows(2).all(|pair| pair[0] >= pair[1]);
                prop_assert!(falls, "{schedule:?}: {factors:?}");
                prop_assert!((factors[warmup as usize] - 1.0).abs() < 1e-12 || schedule == Schedule::WarmupStableDecay);
            }
        }
    }
}
