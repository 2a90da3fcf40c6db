//! Adam (Kingma and Ba, 2015, algorithm 1), as `torch.optim.Adam` computes it.

#![expect(
    clippy::inline_always,
    reason = "the loops must take on the vector instructions of `with_simd`"
)]

use pulp::{Arch, Simd, WithSimd};
use serde::{Deserialize, Serialize};

use super::vector::{PART, cut};
use crate::error::KernelError;

/// With g the gradient plus `weight_decay` times the parameter, t the number of the step and alpha its learning rate:
///
/// ```text
/// m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
/// parameter <- parameter - alpha m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Adam {
    /// Decay of the first moment; 0.9 in [`new`](Self::new).
    pub beta1: f32,
    /// Decay of the second moment; 0.999 in [`new`](Self::new).
    pub beta2: f32,
    /// What keeps the quotient finite where gradients are small.
    pub epsilon: f32,
    /// L2 regularisation, by way of the gradient; 0 in [`new`](Self::new).
    pub weight_decay: f32,
    steps: u64,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Adam {
    /// Before the first step, for as many parameters.
    pub fn new(parameters: usize, epsilon: f32) -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon,
            weight_decay: 0.0,
            steps: 0,
            first: vec![0.0; parameters],
            second: vec![0.0; parameters],
        }
    }

    /// How many parameters it is for.
    pub fn parameters(&self) -> usize {
        self.first.len()
    }

    /// How many steps have been taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One step down `scale` times `gradient`. Long vectors are shared between the threads of the current Rayon pool.
    ///
    /// # Panics
    /// The lengths are not both [`parameters`](Self::parameters).
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], scale: f32, learning_rate: f32) {
        let length = self.parameters();
        assert_eq!(parameters.len(), length, "parameters");
        assert_eq!(gradient.len(), length, "gradient");
        self.steps += 1;
        // 1 - beta^t cancels while t is small, so it is computed in 64 bits.
        let correction = |beta: f32| 1.0 - f64::from(beta).powf(self.steps as f64);
        let rule = Rule {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            scale,
            step_size: (f64::from(learning_rate) / correction(self.beta1)) as f32,
            second_scale: correction(self.beta2).sqrt().recip() as f32,
        };
        let part = Part {
            parameters,
            first: &mut self.first,
            second: &mut self.second,
            gradient,
        };
        rule.step(part);
    }
}

/// The numbers of one step.
struct Rule {
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight_decay: f32,
    scale: f32,
    /// alpha / (1 - beta1^t).
    step_size: f32,
    /// 1 / sqrt(1 - beta2^t).
    second_scale: f32,
}

/// Parameters that lie side by side, their moments and their gradient.
struct Part<'a> {
    parameters: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    gradient: &'a [f32],
}

impl Part<'_> {
    fn split_at(self, middle: usize) -> [Self; 2] {
        let (parameters, right_parameters) = self.parameters.split_at_mut(middle);
        let (first, right_first) = self.first.split_at_mut(middle);
        let (second, right_second) = self.second.split_at_mut(middle);
        let (gradient, right_gradient) = self.gradient.split_at(middle);
        [
            Self {
                parameters,
                first,
                second,
                gradient,
            },
            Self {
                parameters: right_parameters,
                first: right_first,
                second: right_second,
                gradient: right_gradient,
            },
        ]
    }
}

impl Rule {
    fn step(&self, part: Part<'_>) {
        if part.parameters.len() > PART {
            let middle = cut(part.parameters.len());
            let [left, right] = part.split_at(middle);
            rayon::join(|| self.step(left), || self.step(right));
        } else {
            Arch::new().dispatch(Update { rule: self, part });
        }
    }
}

struct Update<'a> {
    rule: &'a Rule,
    part: Part<'a>,
}

impl WithSimd for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self { rule, part } = self;
        let moments = part.first.iter_mut().zip(part.second);
        let steps = part.parameters.iter_mut().zip(part.gradient);
        for ((parameter, g), (m, v)) in steps.zip(moments) {
            let g = rule.scale * g + rule.weight_decay * *parameter;
            *m = normal(rule.beta1 * *m + (1.0 - rule.beta1) * g);
            *v = normal(rule.beta2 * *v + (1.0 - rule.beta2) * (g * g));
            *parameter -= rule.step_size * *m / (v.sqrt() * rule.second_scale + rule.epsilon);
        }
    }
}

/// Zero in place of a number below the smallest that has all its digits. The moments of units that have gone silent would
/// stay there for ever, and arithmetic with such numbers is slow.
#[inline(always)]
fn normal(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x }
}

/// Adam as it is stored. What comes from a file may not fit together.
#[derive(Deserialize)]
#[serde(rename = "Adam")]
struct Stored {
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight_decay: f32,
    steps: u64,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl TryFrom<Stored> for Adam {
    type Error = KernelError;

    fn try_from(stored: Stored) -> Result<Self, KernelError> {
        let Stored {
            beta1,
            beta2,
            epsilon,
            weight_decay,
            steps,
            first,
            second,
        } = stored;
        if first.len() != second.len() {
            return Err(KernelError::Moments {
                first: first.len(),
                second: second.len(),
            });
        }
        Ok(Self {
            beta1,
            beta2,
            epsilon,
            weight_decay,
            steps,
            first,
            second,
        })
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the same additions of numbers that are exact")]
mod tests {
    use super::*;

    fn adam() -> Adam {
        let mut adam = Adam::new(3, 1e-8);
        adam.step(&mut [1.0, 2.0, 3.0], &[0.1, -0.2, 0.3], 1.0, 0.1);
        adam
    }

    #[test]
    fn the_first_step_is_as_long_as_the_learning_rate() {
        let mut parameters = [1.0, 2.0, 3.0];
        Adam::new(3, 1e-8).step(&mut parameters, &[0.1, -0.2, 0.0], 1.0, 0.5);
        for (found, expected) in parameters.into_iter().zip([0.5, 2.5, 3.0]) {
            assert!((found - expected).abs() < 1e-6_f32, "{parameters:?}");
        }
    }

    #[test]
    fn a_scaled_gradient_counts_as_such() {
        let mut whole = [1.0, 2.0, 3.0];
        let mut scaled = whole;
        let mut other = adam();
        adam().step(&mut whole, &[1.0, 2.0, -3.0], 1.0, 0.1);
        other.step(&mut scaled, &[2.0, 4.0, -6.0], 0.5, 0.1);
        assert_eq!(whole, scaled);
        assert_eq!(other.steps(), 2);
    }

    #[test]
    fn moments_without_a_gradient_fade_to_zero() {
        let mut adam = adam();
        let mut parameters = [1.0; 3];
        for _ in 0..2000 {
            adam.step(&mut parameters, &[0.0; 3], 1.0, 0.1);
        }
        assert_eq!(adam.first, [0.0; 3]);
        assert!(adam.second.iter().all(|&v| v.is_normal()));
    }

    #[test]
    fn what_is_stored_comes_back_and_what_does_not_fit_is_refused() {
        let adam = adam();
        let text = serde_json::to_string(&adam).unwrap();
        assert_eq!(serde_json::from_str::<Adam>(&text).unwrap(), adam);
        let error = serde_json::from_str::<Adam>(&text.replace("\"first\":[", "\"first\":[0,"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("found 4 first and 3 second ones"), "{error}");
    }
}
