//! What has been learnt from pixels: mu, without noise.

use burn::tensor::Device;
use etude_kernels::Pass;

use super::module::{Convolution, convolve};
use super::networks::Actor;
use super::scale::ActionScale;
use crate::agent::Policy;
use crate::burn_module::{numbers, rows};
use crate::encoding::Encoding;

/// Takes the action mu(s), where s is a picture.
pub(crate) struct PixelPolicy {
    /// Channels, height and width.
    shape: [usize; 3],
    convolutions: Vec<Convolution>,
    /// What comes after them.
    actor: Actor,
    scale: ActionScale,
    encoding: Encoding,
    pass: Pass,
    rows: usize,
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
        Self {
            shape,
            convolutions,
            pass: Pass::new(actor.mlp(), 1),
            actor,
            scale,
            encoding,
            rows: 1,
            memory: Vec::new(),
            device: Device::flex(),
        }
    }
}

impl Policy for PixelPolicy {
    fn act(&mut self, observations: &[f32], actions: &mut [f32]) {
        let inputs = self.encoding.encode(observations, &mut self.memory);
        let pixels = rows(inputs, self.encoding.width(), &self.device);
        let features = convolve(pixels, self.shape, &self.convolutions, self.actor.mlp().activation());
        let rows = actions.len() / self.scale.length();
        if rows > self.rows {
            (self.pass, self.rows) = (Pass::new(self.actor.mlp(), rows), rows);
        }
        self.actor.forward(&numbers(features), &mut self.pass, actions);
        self.scale.to_bounds(actions);
    }
}
