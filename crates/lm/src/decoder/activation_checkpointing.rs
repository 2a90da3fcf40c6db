//! Activation checkpointing (Chen et al. 2016, arXiv:1604.06174, section 3): of a forward pass only what goes into each layer is kept,
//! and the backward pass computes the rest again, one layer at a time.

use burn::module::Module as _;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::Decoder;

/// A forward pass of which the inputs of the layers are kept.
#[derive(Debug)]
pub struct LayerInputs<'a> {
    tokens: &'a [u32],
    offsets: &'a [usize],
    /// Of each layer, and of the last norm, `[tokens, hidden]`, outside autodiff.
    inputs: Vec<Tensor<2>>,
}

impl Decoder {
    /// As [`hidden_with_noise`](Self::hidden_with_noise), but without a graph: the hidden states are a leaf, whose gradient by a loss goes to
    /// [`LayerInputs::backward`].
    ///
    /// # Panics
    /// As there.
    pub fn hidden_with_checkpoints<'a>(
        &self,
        tokens: &'a [u32],
        offsets: &'a [usize],
        noise: Option<&[f32]>,
    ) -> (Tensor<2>, LayerInputs<'a>) {
        let plain = self.valid();
        let inputs = plain.with_pass(tokens, offsets, |pass| {
            let mut inputs = vec![plain.embedded(tokens, noise)];
            for (index, layer) in plain.model.layers.iter().enumerate() {
                let output = layer.forward(inputs[index].clone(), &plain.config.layers[index], pass);
                inputs.push(output);
            }
            inputs
        });
        let hidden = plain.model.norm.forward(inputs[inputs.len() - 1].clone());
        let checkpoints = LayerInputs {
            tokens,
            offsets,
            inputs,
        };
        (hidden.autodiff().require_grad(), checkpoints)
    }
}

impl LayerInputs<'_> {
    /// Hands the gradients of a loss by the parameters to `add`, those of one layer at a time, from its gradient by the hidden states,
    /// `[tokens, hidden]`, and apart from what the loss itself has of them (such as by the head). Added to that, they have the bits of a
    /// backward pass that has kept everything.
    ///
    /// # Panics
    /// The gradient has another shape, or `decoder` is another model than the one of the forward pass.
    pub fn backward(mut self, decoder: &Decoder, gradient: Tensor<2>, mut add: impl FnMut(GradientsParams)) {
        // From the gradient by what a part gives to the gradient by what it takes.
        let mut through = |part: &dyn Fn(Tensor<2>) -> Tensor<2>, input: Tensor<2>, gradient: Tensor<2>| {
            let input = input.autodiff().require_grad();
            let mut gradients = (part(input.clone()) * gradient.autodiff()).sum().backward();
            let gradient = input.grad_remove(&mut gradients);
            add(GradientsParams::from_grads(gradients, decoder));
            gradient.unwrap_or_else(|| input.inner().zeros_like())
        };
        let model = &decoder.model;
        let gradient = decoder.with_pass(self.tokens, self.offsets, |pass| {
            let last = self.inputs.pop();
            let mut gradient = match last {
                Some(input) => through(&|x| model.norm.forward(x), input, gradient),
                None => gradient,
            };
            for (layer, kind) in model.layers.iter().zip(&decoder.config.layers).rev() {
                let Some(input) = self.inputs.pop() else { break };
                gradient = through(&|x| layer.forward(x, kind, pass), input, gradient);
            }
            gradient
        });
        // Noise changes nothing in the gradient of what it was added to.
        let embedded = decoder.embedded(self.tokens, None);
        if embedded.is_tracked() {
            let gradients = (embedded * gradient.autodiff()).sum().backward();
            add(GradientsParams::from_grads(gradients, decoder));
        }
    }
}
