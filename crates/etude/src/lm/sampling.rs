//! How tokens are drawn, as flags.

use std::str::FromStr;

use clap::Args;
use etude_lm::engine::Sampling;

/// The flags; what is not given is the model's own, and then greedy.
#[derive(Debug, Clone, Args)]
pub(super) struct SamplingOptions {
    /// Divide logits by this before tokens are drawn; 0 takes the likeliest token
    #[arg(long, value_name = "T", help_heading = "Sampling options")]
    pub(super) temperature: Option<f32>,
    /// Draw from this many of the likeliest tokens only; 0 stands for all
    #[arg(long, value_name = "K", help_heading = "Sampling options")]
    pub(super) top_k: Option<usize>,
    /// Draw from the fewest likeliest tokens whose chances add up to this
    #[arg(long, value_name = "P", help_heading = "Sampling options")]
    pub(super) top_p: Option<f32>,
    /// Draw from tokens with at least this part of the likeliest one's chance
    #[arg(long, value_name = "P", help_heading = "Sampling options")]
    pub(super) min_p: Option<f32>,
    /// Make tokens less likely that are in the prompt or the answer; 1 is off
    #[arg(long, value_name = "X", help_heading = "Sampling options")]
    pub(super) repetition_penalty: Option<f32>,
    /// Take this off the logits of tokens that are in the answer
    #[arg(
        long,
        value_name = "X",
        help_heading = "Sampling options",
        allow_negative_numbers = true
    )]
    pub(super) presence_penalty: Option<f32>,
    /// Take this off a token's logit for each time that it is in the answer
    #[arg(
        long,
        value_name = "X",
        help_heading = "Sampling options",
        allow_negative_numbers = true
    )]
    pub(super) frequency_penalty: Option<f32>,
    /// Add to a token's logit, such as `1234=-5`; may be given again
    #[arg(long, value_name = "TOKEN=X", help_heading = "Sampling options")]
    pub(super) logit_bias: Vec<Bias>,
    /// Start the random numbers from this seed; the same seed gives the same tokens
    #[arg(long, value_name = "N", help_heading = "Sampling options", default_value_t = 0)]
    pub(super) seed: u64,
}

/// What is added to the logit of a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bias(u32, f32);

impl FromStr for Bias {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=');
        let bias = parts.and_then(|(token, bias)| Some(Self(token.trim().parse().ok()?, bias.trim().parse().ok()?)));
        bias.ok_or_else(|| "expected a token's number, `=`, and what is added, such as `1234=-5`".into())
    }
}

impl SamplingOptions {
    /// With the values of `default` for what is not given.
    pub(super) fn sampling(&self, default: &Sampling) -> Sampling {
        Sampling {
            temperature: self.temperature.unwrap_or(default.temperature),
            top_k: self.top_k.unwrap_or(default.top_k),
            top_p: self.top_p.unwrap_or(default.top_p),
            min_p: self.min_p.unwrap_or(default.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(default.repetition_penalty),
            presence_penalty: self.presence_penalty.unwrap_or(default.presence_penalty),
            frequency_penalty: self.frequency_penalty.unwrap_or(default.frequency_penalty),
            logit_bias: self.logit_bias.iter().map(|&Bias(token, bias)| (token, bias)).collect(),
            seed: self.seed,
        }
    }
}
