//! y = x W^T + b, where an [`Adapter`] may change the product.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use etude_kernels::Precision;
use etude_kernels::burn::{Input, gated_linear, linear};
use etude_kernels::gated::Gate;

use super::adapter::Adapter;
use super::parameters::Source;
use crate::LmError;

#[derive(Module, Debug)]
pub(super) struct Linear {
    /// [outputs, inputs].
    pub(super) weight: Param<Tensor<2>>,
    /// [outputs].
    bias: Option<Param<Tensor<1>>>,
    pub(super) adapter: Option<Adapter>,
}

impl Linear {
    pub(super) fn new(shape: [usize; 2], biased: bool, path: &str, source: &mut Source<'_>) -> Result<Self, LmError> {
        let [outputs, _] = shape;
        Ok(Self {
            weight: source.parameter(path, "weight", shape)?,
            bias: if biased {
                Some(source.parameter(path, "bias", [outputs])?)
            } else {
                None
            },
            adapter: None,
        })
    }

    /// [tokens, inputs] to [tokens, outputs].
    pub(super) fn forward(&self, x: impl Into<Input<2>>, precision: Precision) -> Tensor<2> {
        let x = x.into();
        if self.adapter.is_none() {
            // The product adds the bias itself.
            return linear(x, self.weight.val(), self.bias.as_ref().map(Param::val), precision);
        }
        self.apply(|weight| linear(x.clone(), weight, None, precision), precision)
    }

    /// The same of `kind(gate) * up`, both [tokens, inputs], which no backward keeps.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a tensor is a handle, and the caller has no use for it"
    )]
    pub(super) fn forward_gated(&self, gate: Tensor<2>, up: Tensor<2>, kind: Gate, precision: Precision) -> Tensor<2> {
        let product = |weight| gated_linear(gate.clone(), up.clone(), weight, kind, precision);
        self.apply(product, precision)
    }

    /// The outputs, from what multiplies the inputs by a weight.
    fn apply(&self, product: impl Fn(Tensor<2>) -> Tensor<2>, precision: Precision) -> Tensor<2> {
        let weight = self.weight.val();
        let y = product(weight.clone());
        let y = match &self.adapter {
            Some(adapter) => adapter.apply(y, &weight, product, precision),
            None => y,
        };
        match &self.bias {
            Some(bias) => y + bias.val().unsqueeze(),
            None => y,
        }
    }
}
