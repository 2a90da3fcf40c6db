//! A decoder from a checkpoint.

use burn::tensor::Device;
use etude_hub::Checkpoint;

use super::Decoder;
use super::parameters::Source;
use crate::LmError;
use crate::checkpoint::ModelCheckpoint;
use crate::config::DecoderConfig;

impl Decoder {
    /// The decoder whose parameters `checkpoint` has, of whatever type they are there, as f32.
    ///
    /// # Errors
    /// Parameters are missing, or the checkpoint has tensors that this model has not; a tensor has another shape; a number is
    /// not finite. The error names the tensor.
    pub fn load(config: DecoderConfig, checkpoint: &dyn Checkpoint, device: &Device) -> Result<Self, LmError> {
        let parameters = ModelCheckpoint::new(&config, checkpoint)?;
        let mut numbers = |name: &str, shape: &[usize]| parameters.read(name, shape);
        let mut source = Source {
            numbers: &mut numbers,
            device,
        };
        Self::build(config, &mut source)
    }
}
