//! AdamW (Loshchilov and Hutter 2019, algorithm 2), as `torch.optim.AdamW` computes it, in one sweep over the parameters.

use rayon::prelude::*;

use crate::Instructions;
use crate::vectorized::{PART, vectorized};

/// With g the gradient times its scale, t the number of the step and alpha its learning rate:
///
/// ```text
/// parameter <- parameter (1 - alpha weight_decay)
/// m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
/// parameter <- parameter - alpha m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
/// ```
///
/// A gradient that is clipped to a norm is scaled by the norm over the square root of
/// [`square_norm`](crate::perceptron::square_norm).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Decay of the first moment; 0.9 by default.
    pub beta1: f32,
    /// Decay of the second moment; 0.999 by default.
    pub beta2: f32,
    /// What keeps the quotient finite where gradients are small; 1e-8 by default.
    pub epsilon: f32,
    /// How fast parameters shrink beside the gradient's step; 0.01 by default.
    pub weight_decay: f32,
}

/// PyTorch's.
impl Default for AdamW {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
        }
    }
}

/// What differs from step to step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Its number; the first one is 1.
    pub number: u64,
    /// Its learning rate.
    pub learning_rate: f32,
    /// What the gradient is multiplied by: 1, or less where it is clipped.
    pub gradient_scale: f32,
}

impl AdamW {
    /// One step of the parameters and of their moments, which start as zeros. All slices have the same length. Long ones are shared
    /// between the threads of the current Rayon pool; the bits depend neither on that nor on where parameters are cut into slices.
    ///
    /// # Panics
    /// The lengths differ, or the step has the number 0.
    pub fn step(&self, step: Step, parameters: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        self.sweep(Instructions::best(), step, parameters, gradient, [first, second]);
    }

    fn sweep(
        &self,
        instructions: Instructions,
        step: Step,
        parameters: &mut [f32],
        gradient: &[f32],
        [first, second]: [&mut [f32]; 2],
    ) {
        let lengths = [gradient.len(), first.len(), second.len()];
        assert_eq!(lengths, [parameters.len(); 3], "gradient, first and second moment");
        assert!(step.number > 0, "the first step has the number 1");
        // 1 - beta^t cancels while t is small, so it is computed in 64 bits.
        let correction = |beta: f32| 1.0 - f64::from(beta).powf(step.number as f64);
        let rate = f64::from(step.learning_rate);
        let rule = Rule {
            adam: *self,
            scale: step.gradient_scale,
            keep: (1.0 - rate * f64::from(self.weight_decay)) as f32,
            step_size: (rate / correction(self.beta1)) as f32,
            second_scale: correction(self.beta2).sqrt().recip() as f32,
        };
        let parameters = parameters.par_chunks_mut(PART).zip(gradient.par_chunks(PART));
        let moments = first.par_chunks_mut(PART).zip(second.par_chunks_mut(PART));
        parameters
            .zip(moments)
            .for_each(|((parameters, gradient), (first, second))| {
                update(instructions, &rule, parameters, gradient, first, second);
            });
    }
}

/// The numbers of one step.
struct Rule {
    adam: AdamW,
    scale: f32,
    /// 1 - alpha weight_decay.
    keep: f32,
    /// alpha / (1 - beta1^t).
    step_size: f32,
    /// 1 / sqrt(1 - beta2^t).
    second_scale: f32,
}

vectorized! {
    fn update(rule: &Rule, parameters: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        let AdamW { beta1, beta2, epsilon, .. } = rule.adam;
        let moments = first.iter_mut().zip(second);
        for ((parameter, g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
            let g = rule.scale * g;
            *m = normal(beta1 * *m + (1.0 - beta1) * g);
            *v = normal(beta2 * *v + (1.0 - beta2) * (g * g));
            *parameter = rule.keep * *parameter - rule.step_size * *m / (v.sqrt() * rule.second_scale + epsilon);
        }
    }
}

/// Zero in place of a number below the smallest that has all its digits. The moments of tokens that have become rare would stay there
/// for long, and arithmetic with such numbers is slow.
#[expect(
    clippy::inline_always,
    reason = "for the vector instructions of the function around it"
)]
#[inline(always)]
fn normal(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectorized::testing::{assert_same_at_every_level, numbers};

    const FIRST: Step = Step {
        number: 1,
        learning_rate: 0.5,
        gradient_scale: 1.0,
    };

    #[test]
    fn every_level_gives_the_same_bits() {
        for count in [1, 100, PART + 77] {
            let [parameters, gradient, first, second] = [1, 2, 3, 4].map(|seed| numbers(count, seed));
            let second: Vec<f32> = second.iter().map(|v| v.abs()).collect();
            assert_same_at_every_level(|instructions| {
                let (mut parameters, mut first, mut second) = (parameters.clone(), first.clone(), second.clone());
                let moments = [&mut first[..], &mut second];
                AdamW::default().sweep(instructions, FIRST, &mut parameters, &gradient, moments);
                [parameters, first, second].concat()
            });
        }
    }

    #[test]
    fn the_first_step_is_as_long_as_the_learning_rate_and_decay_is_apart_from_it() {
        let (mut parameters, mut first, mut second) = ([1.0, 2.0, 3.0], [0.0; 3], [0.0; 3]);
        let adam = AdamW {
            weight_decay: 0.2,
            ..AdamW::default()
        };
        adam.step(FIRST, &mut parameters, &[0.1, -0.2, 0.0], &mut first, &mut second);
        for (found, expected) in parameters.into_iter().zip([0.4, 2.3, 2.7]) {
            assert!((found - expected).abs() < 1e-6_f32, "{parameters:?}");
        }
    }

    #[test]
    fn a_scaled_gradient_counts_as_such_and_what_is_not_a_number_stays_so() {
        let run = |gradient: [f32; 2], gradient_scale| {
            let (mut parameters, mut first, mut second) = ([1.0, 2.0], [0.0; 2], [0.0; 2]);
            let step = Step {
                gradient_scale,
                ..FIRST
            };
            AdamW::default().step(step, &mut parameters, &gradient, &mut first, &mut second);
            [parameters, first, second].map(|pair| pair.map(f32::to_bits))
        };
        assert_eq!(run([1.0, -4.0], 1.0), run([2.0, -8.0], 0.5));
        let [parameters, ..] = run([f32::NAN, f32::INFINITY], 1.0);
        assert!(parameters.iter().all(|&bits| f32::from_bits(bits).is_nan()));
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "zero is exact")]
    fn moments_without_a_gradient_fade_to_zero() {
        let (mut parameters, mut first, mut second) = ([1.0], [1e-3], [1e-6]);
        for number in 1..2000 {
            AdamW::default().step(
                Step { number, ..FIRST },
                &mut parameters,
                &[0.0],
                &mut first,
                &mut second,
            );
        }
        assert_eq!(first, [0.0]);
        assert!(second[0].is_normal());
    }
}
