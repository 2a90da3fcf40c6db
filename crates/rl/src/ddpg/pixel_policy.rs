//! What has been learnt from pixels: mu, without noise.

use burn::tensor::Device;
use etude_kernels::perceptron::Activation;

use super::actor_policy::ActorPolicy;
use super::module::{Convolution, convolve};
use super::networks::Actor;
use super::scale::ActionScale;
use crate::agent::Policy;
use crate::burn_module::{numbers, rows};
use crate::encoding::Encoding;
use crate::space::Space;

/// Takes the action mu(s), where s is a picture.
pub(crate) struct PixelPolicy {
    /// Channels, height and width.
    shape: [usize; 3],
    convolutions: Vec<Convolution>,
    activation: Activation,
    /// What comes after them.
    policy: ActorPolicy,
    encoding: Encoding,
    memory: Vec<f32>,
    device: Device,
}

impl PixelPolicy {
    /// Of pictures of this shape: first the convolutions, then `actor`.
    pub(crate) fn new(
        (shape, convolutions): ([usize; 3], Vec<Convolution>),
        actor: Actor,
        scale: ActionScale,
        encoding: Encoding,
    ) -> Self {
        let features = Encoding::new(&Space::symmetric(vec![f32::INFINITY; actor.mlp().inputs()]));
        Self {
            shape,
            convolutions,
            activation: actor.mlp().activation(),
            policy: ActorPolicy::new(actor, scale, features),
            encoding,
            memory: Vec::new(),
            device: Device::flex(),
        }
    }
}

impl Policy for PixelPolicy {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        let pixels = rows(inputs, self.encoding.width(), &self.device);
        let features = convolve(pixels, self.shape, &self.convolutions, self.activation);
        self.policy.act(&numbers(features), actions);
    }
}
