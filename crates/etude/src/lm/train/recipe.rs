//! The recipe of a training run.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use etude_align::data::{DataOptions, Format, LossOptions, PackingStrategy, Truncation, TruncationMode};
use etude_align::ppo::PpoOptions;
use etude_align::preference::{CpoOptions, KtoOptions, OrpoOptions, PreferenceOptions};
use etude_align::reward::{RewardOptions, Rule};
use etude_align::training::TrainingArguments;
use etude_kernels::Precision;
use etude_lm::decoder::LoraOptions;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::recipe::range::Whole;

/// A model, data, and the constants of training; what belongs to another stage is left alone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::lm) struct Recipe {
    pub(super) model: ModelRecipe,
    pub(super) data: DataRecipe,
    #[serde(default)]
    pub(super) training: TrainingArguments,
    /// Adapters are trained, and the model stays as it is, but for the score of a reward model; without, all of the model is trained.
    pub(super) lora: Option<LoraOptions>,
    #[serde(default)]
    pub(super) sft: SftRecipe,
    #[serde(default)]
    pub(super) dpo: PreferenceOptions,
    #[serde(default)]
    pub(super) kto: KtoOptions,
    #[serde(default)]
    pub(super) cpo: CpoOptions,
    #[serde(default)]
    pub(super) orpo: OrpoOptions,
    #[serde(default)]
    pub(super) reward: RewardOptions,
    #[serde(default)]
    pub(super) ppo: PpoOptions,
    #[serde(default)]
    pub(super) rewards: RewardsRecipe,
    #[serde(default)]
    pub(super) samples: SamplesRecipe,
}

/// What is trained.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelRecipe {
    /// A GGUF file, a folder as Hugging Face's, or the name of a model in its cache.
    pub(super) path: String,
    /// In what products with weights are computed.
    #[serde(default)]
    pub(super) precision: PrecisionRecipe,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::lm) enum PrecisionRecipe {
    #[default]
    F32,
    Bf16,
}

impl From<PrecisionRecipe> for Precision {
    fn from(precision: PrecisionRecipe) -> Self {
        match precision {
            PrecisionRecipe::F32 => Self::F32,
            PrecisionRecipe::Bf16 => Self::Bf16,
        }
    }
}

/// What it is trained on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DataRecipe {
    /// Files of records, or folders of such files.
    pub(super) train: Vec<PathBuf>,
    /// The same, held out.
    #[serde(default)]
    pub(super) eval: Vec<PathBuf>,
    /// So many of the last training records are held out.
    #[serde(default = "none")]
    eval_examples: Whole<0>,
    /// The most training records that are read, without those that are held out.
    pub(super) train_examples: Option<Whole<1>>,
    #[serde(default, deserialize_with = "parsed")]
    format: Option<Format>,
    /// Names of columns that the format knows, with the names that the data have.
    #[serde(default)]
    columns: BTreeMap<String, String>,
    /// Tokens of the longest sequence; 0 stands for the model's context, and more than that means the same.
    #[serde(default = "max_length")]
    max_length: Whole<0>,
    #[serde(default, deserialize_with = "parsed")]
    truncation_mode: Option<TruncationMode>,
}

fn none() -> Whole<0> {
    Whole::constant(0)
}

fn max_length() -> Whole<0> {
    Whole::constant(1024)
}

impl DataRecipe {
    pub(super) fn options(&self) -> DataOptions {
        DataOptions {
            format: self.format,
            columns: self.columns.clone().into_iter().collect(),
        }
    }

    /// Nothing is longer than the model's `context`.
    pub(super) fn truncation(&self, context: usize) -> Truncation {
        Truncation {
            max_length: Some(self.longest(context)),
            mode: self.truncation_mode.unwrap_or_default(),
        }
    }

    /// Tokens of the longest sequence.
    pub(super) fn longest(&self, context: usize) -> usize {
        let length = Some(self.max_length.get()).filter(|length| *length > 0);
        length.map_or(context, |length| length.min(context))
    }

    pub(super) fn eval_examples(&self) -> usize {
        self.eval_examples.get()
    }
}

/// What counts in the loss of supervised fine-tuning, by TRL's names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SftRecipe {
    completion_only_loss: bool,
    assistant_only_loss: bool,
    /// Short sequences are laid beside each other.
    #[serde(deserialize_with = "parsed")]
    pub(super) packing: Option<PackingStrategy>,
}

impl Default for SftRecipe {
    fn default() -> Self {
        let LossOptions {
            completion_only_loss,
            assistant_only_loss,
        } = LossOptions::default();
        Self {
            completion_only_loss,
            assistant_only_loss,
            packing: None,
        }
    }
}

impl SftRecipe {
    pub(super) fn loss(&self) -> LossOptions {
        LossOptions {
            completion_only_loss: self.completion_only_loss,
            assistant_only_loss: self.assistant_only_loss,
        }
    }
}

/// What gives the answers of PPO their scores; where there are several, their sum does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RewardsRecipe {
    /// A reward model, as `etude lm reward` writes it; or its adapters, which share the policy's base where the policy is adapters too.
    pub(super) model: Option<String>,
    pub(super) rules: Vec<Rule>,
    /// A program and its arguments, which is asked over JSON lines.
    pub(super) command: Option<Vec<String>>,
    /// Seconds in which the command has to answer.
    pub(super) timeout: f64,
}

impl Default for RewardsRecipe {
    fn default() -> Self {
        Self {
            model: None,
            rules: Vec::new(),
            command: None,
            timeout: 60.0,
        }
    }
}

/// What the model is asked before and after.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SamplesRecipe {
    /// So many prompts of the data, held-out ones where there are any.
    pub(super) count: Whole<0, 100>,
    pub(super) max_tokens: Whole<1, 4096>,
}

impl Default for SamplesRecipe {
    fn default() -> Self {
        Self {
            count: Whole::constant(3),
            max_tokens: Whole::constant(64),
        }
    }
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(D::Error::custom)
}
