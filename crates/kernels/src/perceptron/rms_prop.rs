//! RMSProp (Tieleman and Hinton, 2012), as `torch.optim.RMSprop` computes it without momentum.

use pulp::{Arch, Simd, WithSimd};
use serde::{Deserialize, Serialize};

/// With g the gradient:
///
/// ```text
/// v <- decay v + (1 - decay) g^2          parameter <- parameter - alpha g / (sqrt(v) + epsilon)
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RmsProp {
    /// Decay of the mean square; 0.99 in [`new`](Self::new).
    pub decay: f32,
    /// What keeps the quotient finite where gradients are small.
    pub epsilon: f32,
    second: Vec<f32>,
}

impl RmsProp {
    /// Before the first step, for as many parameters.
    pub fn new(parameters: usize, epsilon: f32) -> Self {
        Self {
            decay: 0.99,
            epsilon,
            second: vec![0.0; parameters],
        }
    }

    /// How many parameters it is for.
    pub fn parameters(&self) -> usize {
        self.second.len()
    }

    /// One step down `scale` times `gradient`.
    ///
    /// # Panics
    /// The lengths are not both [`parameters`](Self::parameters).
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], scale: f32, learning_rate: f32) {
        assert_eq!(parameters.len(), self.parameters(), "parameters");
        assert_eq!(gradient.len(), self.parameters(), "gradient");
        Arch::new().dispatch(Update {
            optimizer: self,
            parameters,
            gradient,
            scale,
            learning_rate,
        });
    }
}

struct Update<'a> {
    optimizer: &'a mut RmsProp,
    parameters: &'a mut [f32],
    gradient: &'a [f32],
    scale: f32,
    learning_rate: f32,
}

impl WithSimd for Update<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "the loop must take on the vector instructions of `with_simd`"
    )]
    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let RmsProp { decay, epsilon, second } = self.optimizer;
        let (decay, epsilon) = (*decay, *epsilon);
        for ((parameter, g), v) in self.parameters.iter_mut().zip(self.gradient).zip(second) {
            let g = self.scale * g;
            *v = decay * *v + (1.0 - decay) * (g * g);
            *parameter -= self.learning_rate * g / (v.sqrt() + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_ten_times_the_learning_rate() {
        // v is a hundredth of g^2 then.
        let mut parameters = [1.0, 2.0, 3.0];
        RmsProp::new(3, 1e-9).step(&mut parameters, &[0.1, -0.2, 0.0], 0.5, 0.02);
        for (found, expected) in parameters.into_iter().zip([0.8, 2.2, 3.0]) {
            assert!((found - expected).abs() < 1e-5_f32, "{parameters:?}");
        }
    }
}
