//! Numbers drawn from normal distributions.

use std::f32::consts::{LN_2, PI};

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};
use serde::{Deserialize, Serialize};

use super::Row;

/// Where the deviations come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deviation {
    /// They are parameters of their own, the same in all states.
    Free,
    /// The network gives their logarithms, after the means.
    OfState,
}

/// Choices of a Gaussian policy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GaussianOptions {
    /// Where the deviations come from.
    pub deviation: Deviation,
    /// Actions are tanh of what is drawn, between the bounds; without, what is drawn is cut at the bounds.
    pub squashed: bool,
    /// The logarithm of free deviations at first.
    pub first_log_deviation: f32,
}

impl Default for GaussianOptions {
    fn default() -> Self {
        Self {
            deviation: Deviation::Free,
            squashed: false,
            first_log_deviation: 0.0,
        }
    }
}

/// Independent normal distributions, one for each number of an action. Squashed, the density is that of tanh of what is drawn
/// (Haarnoja et al. 2018, appendix C), between -1 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gaussian {
    #[serde(with = "crate::space::bounds")]
    low: Vec<f32>,
    #[serde(with = "crate::space::bounds")]
    high: Vec<f32>,
    options: GaussianOptions,
}

/// Logarithms of deviations that a network gives are kept between these: exp of them stays in range.
const LOG_DEVIATIONS: [f32; 2] = [-20.0, 2.0];

impl Gaussian {
    pub(super) fn new(low: Vec<f32>, high: Vec<f32>, options: GaussianOptions) -> Self {
        Self { low, high, options }
    }

    pub(super) fn bounds(&self) -> [&[f32]; 2] {
        [&self.low, &self.high]
    }

    pub(super) fn action_length(&self) -> usize {
        self.low.len()
    }

    pub(super) fn outputs(&self) -> usize {
        match self.options.deviation {
            Deviation::Free => self.action_length(),
            Deviation::OfState => 2 * self.action_length(),
        }
    }

    pub(super) fn log_deviations(&self) -> Vec<f32> {
        match self.options.deviation {
            Deviation::Free => vec![self.options.first_log_deviation; self.action_length()],
            Deviation::OfState => Vec::new(),
        }
    }

    /// Mean and ln deviation of each number.
    fn numbers<'a>(&self, row: Row<'a>) -> impl Iterator<Item = (f32, f32)> + use<'a> {
        let (means, given) = row.outputs.split_at(self.action_length());
        let [low, high] = LOG_DEVIATIONS;
        let free = self.options.deviation == Deviation::Free;
        let logarithms = if free { row.log_deviations } else { given };
        let logarithms = logarithms
            .iter()
            .map(move |&it| if free { it } else { it.clamp(low, high) });
        means.iter().copied().zip(logarithms)
    }

    pub(super) fn sample(&self, row: Row<'_>, random: &mut ChaCha8Rng, action: &mut [f32]) {
        for (action, (mean, log_deviation)) in action.iter_mut().zip(self.numbers(row)) {
            let normal: f32 = StandardNormal.sample(random);
            *action = mean + log_deviation.exp() * normal;
        }
    }

    pub(super) fn mode(&self, row: Row<'_>, action: &mut [f32]) {
        for (action, (mean, _)) in action.iter_mut().zip(self.numbers(row)) {
            *action = mean;
        }
    }

    pub(super) fn log_probability_and_entropy(&self, row: Row<'_>, action: &[f32]) -> [f32; 2] {
        let half_log = 0.5 * (2.0 * PI).ln();
        let [mut log_probability, mut entropy] = [0.0; 2];
        for (&drawn, (mean, log_deviation)) in action.iter().zip(self.numbers(row)) {
            let z = (drawn - mean) * (-log_deviation).exp();
            log_probability -= 0.5 * z * z + log_deviation + half_log;
            entropy += log_deviation + half_log + 0.5;
            if self.options.squashed {
                // ln (1 - tanh^2 u), which does not cancel.
                log_probability -= 2.0 * (LN_2 - drawn - softplus(-2.0 * drawn));
            }
        }
        if self.options.squashed {
            entropy = -log_probability;
        }
        [log_probability, entropy]
    }

    /// d ln pi / d mean = z / deviation, d ln pi / d ln deviation = z^2 - 1, d entropy / d ln deviation = 1.
    pub(super) fn gradient(
        &self,
        row: Row<'_>,
        action: &[f32],
        [mut by_log_probability, mut by_entropy]: [f32; 2],
        gradient: &mut [f32],
        of_deviations: &mut [f32],
    ) {
        if self.options.squashed {
            (by_log_probability, by_entropy) = (by_log_probability - by_entropy, 0.0);
        }
        let (of_means, of_given) = gradient.split_at_mut(self.action_length());
        let given = &row.outputs[self.action_length()..];
        let [low, high] = LOG_DEVIATIONS;
        let numbers = action.iter().zip(self.numbers(row)).zip(of_means).enumerate();
        for (index, ((&drawn, (mean, log_deviation)), of_mean)) in numbers {
            let inverse = (-log_deviation).exp();
            let z = (drawn - mean) * inverse;
            *of_mean = by_log_probability * z * inverse;
            let slope = by_log_probability * (z * z - 1.0) + by_entropy;
            match self.options.deviation {
                Deviation::Free => of_deviations[index] += slope,
                Deviation::OfState => {
                    let inside = (low..=high).contains(&given[index]);
                    of_given[index] = if inside { slope } else { 0.0 };
                }
            }
        }
    }

    pub(super) fn to_environment(&self, actions: &mut [f32]) {
        for row in actions.chunks_exact_mut(self.action_length()) {
            for (action, (&low, &high)) in row.iter_mut().zip(self.low.iter().zip(&self.high)) {
                if self.options.squashed {
                    *action = low + 0.5 * (action.tanh() + 1.0) * (high - low);
                }
                // Bounds from a file may be in the wrong order, at which `clamp` would panic.
                *action = action.max(low).min(high);
            }
        }
    }
}

/// ln (1 + exp x), without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use etude_train::Seed;

    use super::*;

    #[test]
    fn what_is_drawn_has_the_mean_and_the_deviation_and_keeps_to_the_bounds() {
        for squashed in [false, true] {
            let options = GaussianOptions {
                squashed,
                ..GaussianOptions::default()
            };
            let gaussian = Gaussian::new(vec![-2.0], vec![4.0], options);
            let row = Row {
                outputs: &[0.5],
                log_deviations: &[2.0_f32.ln()],
                mask: &[],
            };
            let mut random = Seed(1).stream("actions");
            let mut drawn = vec![0.0; 20_000];
            for action in drawn.chunks_mut(1) {
                gaussian.sample(row, &mut random, action);
            }
            let mean = drawn.iter().sum::<f32>() / 2e4;
            let square = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 2e4;
            assert!(
                (mean - 0.5).abs() < 0.07 && (square.sqrt() - 2.0).abs() < 0.05,
                "{mean} {square}"
            );
            gaussian.to_environment(&mut drawn);
            assert!(drawn.iter().all(|action| (-2.0..=4.0).contains(action)));
            let mut odd = [0.0];
            Gaussian::new(vec![1.0], vec![-1.0], options).to_environment(&mut odd);
            let mut middle = [0.0];
            gaussian.to_environment(&mut middle);
            assert!((middle[0] - if squashed { 1.0 } else { 0.0 }).abs() < 1e-6);
        }
    }
}
