//! The feed-forward layer with a gate (Shazeer 2020, arXiv:2002.05202, eq. 6): down(gate(x) * up(x)).

use burn::module::Module;
use burn::tensor::Tensor;
use etude_kernels::burn::Input;

use super::Pass;
use super::linear::Linear;
use super::parameters::Source;
use crate::LmError;
use crate::config::DecoderConfig;

#[derive(Module, Debug)]
#[expect(clippy::struct_field_names, reason = "these are the names of the tensors")]
pub(super) struct FeedForward {
    pub(super) gate_proj: Linear,
    pub(super) up_proj: Linear,
    pub(super) down_proj: Linear,
}

impl FeedForward {
    pub(super) fn new(config: &DecoderConfig, path: &str, source: &mut Source<'_>) -> Result<Self, LmError> {
        let (hidden, intermediate) = (config.hidden, config.intermediate);
        let mut linear = |name: &str, shape: [usize; 2]| {
            Linear::new(shape, config.feed_forward_bias, &format!("{path}.{name}"), source)
        };
        Ok(Self {
            gate_proj: linear("gate_proj", [intermediate, hidden])?,
            up_proj: linear("up_proj", [intermediate, hidden])?,
            down_proj: linear("down_proj", [hidden, intermediate])?,
        })
    }

    /// [tokens, hidden] to [tokens, hidden].
    pub(super) fn forward(&self, x: Input<2>, pass: &Pass<'_>) -> Tensor<2> {
        let gate = self.gate_proj.forward(x.clone(), pass.precision);
        let up = self.up_proj.forward(x, pass.precision);
        self.down_proj.forward_gated(gate, up, pass.config.gate, pass.precision)
    }
}
