//! Frequencies of rotary position embeddings (RoFormer, Su et al. 2021, arXiv:2104.09864, eq. 15), and their scalings.
//!
//! Angles are position times frequency, so that an error of one unit in the last place of a frequency grows with the
//! position. Every step is therefore taken in the f32 operations, in the order, that transformers takes them in.

use std::f64::consts::PI;

/// How the frequencies of a model are changed for contexts longer than those it was first trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RotaryScaling {
    /// Not at all.
    Default,
    /// All divided by the factor (position interpolation, Chen et al. 2023, arXiv:2306.15595).
    Linear {
        /// How many times longer the context becomes.
        factor: f64,
    },
    /// Llama 3.1: long waves divided by the factor, short ones kept, and a ramp between them.
    Llama3 {
        /// What long waves are divided by.
        factor: f64,
        /// The context divided by this is the wavelength above which waves are long.
        low_frequency_factor: f64,
        /// The context divided by this is the wavelength below which waves are short.
        high_frequency_factor: f64,
        /// The context of the first training.
        original_context: usize,
    },
    /// YaRN (Peng et al. 2023, arXiv:2309.00071, eqs. 17 to 23): a ramp over the index of the frequency.
    Yarn {
        /// How many times longer the context becomes.
        factor: f64,
        /// Waves that turn more often than this in the original context are kept.
        beta_fast: f64,
        /// Waves that turn less often than this are divided by the factor.
        beta_slow: f64,
        /// Whether the ends of the ramp are rounded outwards to whole indices.
        truncate: bool,
        /// The context of the first training.
        original_context: usize,
        /// What cosines and sines are multiplied with.
        attention_factor: f64,
    },
}

/// The rotary embedding of some layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// The base of the frequencies.
    pub theta: f64,
    /// How they are scaled.
    pub scaling: RotaryScaling,
    /// [head size / 2], in radians per position, with the scaling applied.
    pub frequencies: Vec<f32>,
    /// What cosines and sines are multiplied with.
    pub attention_factor: f32,
}

impl Rotary {
    /// Frequencies for heads of `head_size` entries.
    pub fn new(theta: f64, scaling: RotaryScaling, head_size: usize) -> Self {
        let waves = powers(theta, head_size);
        let (frequencies, attention_factor) = match scaling {
            RotaryScaling::Default => (waves.iter().map(|wave| 1.0 / wave).collect(), 1.0),
            RotaryScaling::Linear { factor } => (waves.iter().map(|wave| 1.0 / wave / factor as f32).collect(), 1.0),
            RotaryScaling::Llama3 {
                factor,
                low_frequency_factor,
                high_frequency_factor,
                original_context,
            } => {
                let context = original_context as f64;
                let scale =
                    |wave: &f32| llama3(1.0 / wave, factor, low_frequency_factor, high_frequency_factor, context);
                (waves.iter().map(scale).collect(), 1.0)
            }
            RotaryScaling::Yarn {
                factor,
                beta_fast,
                beta_slow,
                truncate,
                original_context,
                attention_factor,
            } => {
                // The index of the frequency that turns `turns` times in the original context.
                let index = |turns: f64| {
                    head_size as f64 * (original_context as f64 / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln())
                };
                let (mut low, mut high) = (index(beta_fast), index(beta_slow));
                if truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                let ramp = (low.max(0.0), high.min(head_size as f64 - 1.0));
                let scaled = waves
                    .iter()
                    .enumerate()
                    .map(|(i, wave)| yarn(*wave, i, ramp, factor as f32));
                (scaled.collect(), attention_factor as f32)
            }
        };
        Self {
            theta,
            scaling,
            frequencies,
            attention_factor,
        }
    }

    pub(super) fn is_finite(&self) -> bool {
        self.frequencies.iter().all(|frequency| frequency.is_finite())
    }
}

/// theta^(2i / head size), each rounded once.
fn powers(theta: f64, head_size: usize) -> Vec<f32> {
    let base = f64::from(theta as f32);
    (0..head_size / 2)
        .map(|i| {
            let exponent = (2 * i) as f32 / head_size as f32;
            base.powf(f64::from(exponent)) as f32
        })
        .collect()
}

fn llama3(frequency: f32, factor: f64, low: f64, high: f64, context: f64) -> f32 {
    let wavelength = 1.0 / frequency * (2.0 * PI) as f32;
    if wavelength > (context / low) as f32 {
        frequency / factor as f32
    } else if wavelength < (context / high) as f32 {
        frequency
    } else {
        let smooth = (1.0 / wavelength * context as f32 - low as f32) / (high - low) as f32;
        (1.0 - smooth) * frequency / factor as f32 + smooth * frequency
    }
}

fn yarn(wave: f32, index: usize, (low, high): (f64, f64), factor: f32) -> f32 {
    // Without a width the ramp would be a division by zero.
    let width = if high - low == 0.0 { 0.001 } else { high - low };
    let ramp = ((index as f32 - low as f32) / width as f32).clamp(0.0, 1.0);
    let kept = 1.0 - ramp;
    1.0 / (factor * wave) * (1.0 - kept) + 1.0 / wave * kept
}

/// YaRN's factor of cosines and sines where a configuration gives none (section 3.4): 0.1 ln s + 1, or the quotient of
/// two such, with weights `mscale` and `mscale_all_dim` of the logarithm.
pub(super) fn yarn_attention_factor(factor: f64, mscale: Option<f64>, mscale_all_dim: Option<f64>) -> f64 {
    let scale = |weight: f64| {
        if factor <= 1.0 {
            1.0
        } else {
            0.1 * weight * factor.ln() + 1.0
        }
    };
    match (mscale, mscale_all_dim) {
        (Some(numerator), Some(denominator)) if numerator != 0.0 && denominator != 0.0 => {
            scale(numerator) / scale(denominator)
        }
        _ => scale(1.0),
    }
}
