//! Parameters drawn anew, as transformers draws them (`_init_weights`): matrices from a normal distribution, no biases, norms that
//! change nothing.

use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::Decoder;
use super::parameters::Source;
use crate::LmError;
use crate::config::DecoderConfig;

impl Decoder {
    /// A decoder to be trained from scratch: the same seed gives the same parameters. Matrices are normal with the
    /// configuration's standard deviation, the row of the token that pads is zero.
    ///
    /// # Errors
    /// The configuration was put together by hand, and its sizes do not fit together.
    pub fn random(config: DecoderConfig, seed: u64, device: &Device) -> Result<Self, LmError> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (deviation, ones, pad) = (config.initializer_range, 1.0 - config.norm_offset, config.pad_token);
        let mut numbers = |name: &str, shape: &[usize]| -> Result<Vec<f32>, LmError> {
            let [rows, columns] = *shape else {
                let start = if name.ends_with("bias") { 0.0 } else { ones };
                return Ok(vec![start; shape.iter().product()]);
            };
            let normal = || -> f32 { deviation * Distribution::<f32>::sample(&StandardNormal, &mut random) };
            let mut numbers: Vec<f32> = std::iter::repeat_with(normal).take(rows * columns).collect();
            if let (Some(pad), true) = (pad, name == "model.embed_tokens.weight") {
                numbers[pad as usize * columns..][..columns].fill(0.0);
            }
            Ok(numbers)
        };
        let mut source = Source {
            numbers: &mut numbers,
            device,
        };
        Self::build(config, &mut source)
    }
}
