//! Batch normalisation (Ioffe and Szegedy 2015).

use burn::module::{Module, Param};
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{Device, Tensor};

/// y = scale (x - mean) / sqrt(variance + epsilon) + shift, feature by feature. While learning, mean and variance are those of the
/// minibatch; else they are slow averages of these.
#[derive(Module, Debug)]
pub(super) struct BatchNormalization {
    scale: Param<Tensor<1>>,
    shift: Param<Tensor<1>>,
    mean: Param<Tensor<1>>,
    variance: Param<Tensor<1>>,
}

/// What a pass normalises by.
pub(super) enum Statistics {
    /// The slow averages.
    Slow,
    /// Mean and variance of the minibatch, which are noted here, layer by layer.
    Minibatch(Vec<[Tensor<1>; 2]>),
}

impl Statistics {
    /// Of a minibatch of which no layer has seen anything yet.
    pub(super) fn of_minibatch() -> Self {
        Self::Minibatch(Vec::new())
    }
}

/// Added to variances, and the share of a minibatch in the slow averages, as PyTorch has them.
const EPSILON: f64 = 1e-5;
const MOMENTUM: f32 = 0.1;

impl BatchNormalization {
    /// Of so many features.
    pub(super) fn new(features: usize, device: &Device) -> Self {
        let constant = |value: f32| Tensor::full([features], value, device);
        Self {
            scale: Param::from_tensor(constant(1.0)),
            shift: Param::from_tensor(constant(0.0)),
            mean: Param::from_tensor(constant(0.0)).set_require_grad(false),
            variance: Param::from_tensor(constant(1.0)).set_require_grad(false),
        }
    }

    /// Shape `[n, features, ...]`.
    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>, statistics: &mut Statistics) -> Tensor<D> {
        let (scale, shift) = (self.scale.val(), self.shift.val());
        match statistics {
            Statistics::Slow => batch_norm(x, scale, shift, self.mean.val(), self.variance.val(), EPSILON),
            Statistics::Minibatch(seen) => {
                let [features] = scale.dims();
                let count = x.shape().num_elements() / features;
                let normalised = batch_norm_train(x, scale, shift, EPSILON);
                // Of the slow average the variance is the unbiased one.
                let unbiased = count as f64 / (count.max(2) - 1) as f64;
                seen.push([normalised.mean.detach(), normalised.variance.detach() * unbiased]);
                normalised.output
            }
        }
    }

    /// Moves the slow averages towards what a minibatch was seen to have.
    pub(super) fn absorb(mut self, [mean, variance]: [Tensor<1>; 2]) -> Self {
        let towards = |seen: Tensor<1>| move |slow: Tensor<1>| slow.detach() * (1.0 - MOMENTUM) + seen * MOMENTUM;
        self.mean = self.mean.map(towards(mean));
        self.variance = self.variance.map(towards(variance));
        self
    }

    /// y = factor x + term, by the slow averages: factor and term of each feature.
    pub(super) fn line(&self) -> [Vec<f32>; 2] {
        let factor = self.scale.val() / (self.variance.val() + EPSILON).sqrt();
        let term = self.shift.val() - self.mean.val() * factor.clone();
        [factor, term].map(crate::burn_module::numbers)
    }
}
