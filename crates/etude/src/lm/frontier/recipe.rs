//! The recipe of the experiment, and the recipes of its stages.

use std::path::{Path, PathBuf};

use etude_align::ppo::{Ppo, PpoOptions};
use etude_align::preference::{Dpo, PreferenceOptions};
use etude_align::reward::{RewardModeling, RewardOptions};
use etude_align::training::TrainingArguments;
use etude_lm::config::DecoderConfig;
use serde::{Deserialize, Serialize};

use super::super::train::{PrecisionRecipe, Recipe, rejected};
use crate::error::{CommandError, Context as _};
use crate::recipe::range::{Positive, Whole};
use crate::recipe::{self as recipes, Loaded};

/// Reviews, a small model, and what is swept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FrontierRecipe {
    /// Where the random numbers of all stages start.
    #[serde(default)]
    pub(super) seed: u64,
    pub(super) data: ReviewsRecipe,
    pub(super) model: ModelRecipe,
    pub(super) sft: SftRecipe,
    pub(super) reward: RewardRecipe,
    pub(super) preferences: PreferencesRecipe,
    pub(super) dpo: DpoRecipe,
    pub(super) ppo: PpoRecipe,
    pub(super) evaluation: EvaluationRecipe,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReviewsRecipe {
    /// A JSON array of reviews, each with its text `t` and its sentiment `s`, 0 or 1.
    pub(super) reviews: PathBuf,
    /// A review is cut to its first sentences that have at most so many words together.
    pub(super) words: Whole<2>,
    /// The least and the most words of a prompt, the first ones of a review.
    pub(super) prompt_words: [Whole<1>; 2],
    /// So many reviews are held out, the last ones in a random order: for prompts, and to judge the reward model.
    pub(super) held_out: Whole<2>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelRecipe {
    /// A folder with config.json. The tokenizer is made from the reviews.
    pub(super) config: PathBuf,
    #[serde(default)]
    pub(super) precision: PrecisionRecipe,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SftRecipe {
    pub(super) training: TrainingArguments,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RewardRecipe {
    pub(super) training: TrainingArguments,
    #[serde(default)]
    pub(super) options: RewardOptions,
}

/// Answers of the fine-tuned model, of which the reward model prefers one to another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PreferencesRecipe {
    /// Prompts, which PPO is asked as well.
    pub(super) prompts: Whole<1>,
    /// Answers to each, of which every two are a pair.
    pub(super) answers: Whole<2, 64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DpoRecipe {
    pub(super) betas: Vec<Positive>,
    pub(super) training: TrainingArguments,
    #[serde(default)]
    pub(super) options: PreferenceOptions,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PpoRecipe {
    /// KL divergences per answer that the coefficient is adapted to.
    pub(super) target_kls: Vec<Positive>,
    pub(super) training: TrainingArguments,
    /// `response_length` and `temperature` are those of all answers.
    #[serde(default)]
    pub(super) options: PpoOptions,
}

/// Every checkpoint of the runs of DPO and PPO is judged on the same prompts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EvaluationRecipe {
    /// Prompts that no stage has seen.
    pub(super) prompts: Whole<2>,
    /// Answers that the report shows.
    #[serde(default = "shown")]
    pub(super) shown: Whole<0, 100>,
}

fn shown() -> Whole<0, 100> {
    Whole::constant(4)
}

/// What is swept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Method {
    Dpo,
    Ppo,
}

impl Method {
    pub(super) const ALL: [Self; 2] = [Self::Dpo, Self::Ppo];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dpo => "DPO",
            Self::Ppo => "PPO",
        }
    }

    /// What its setting is called.
    fn setting(self) -> &'static str {
        match self {
            Self::Dpo => "beta",
            Self::Ppo => "target KL",
        }
    }
}

/// One run of the sweep.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Run {
    pub(super) method: Method,
    /// DPO's beta, PPO's target.
    pub(super) setting: f64,
}

impl Run {
    /// Of its folder.
    pub(super) fn name(self) -> String {
        format!("{}-{}", self.method.name().to_lowercase(), self.setting)
    }

    /// As people read it.
    pub(super) fn title(self) -> String {
        format!("{}, {} {}", self.method.name(), self.method.setting(), self.setting)
    }
}

impl FrontierRecipe {
    pub(super) fn runs(&self) -> Vec<Run> {
        let of = |method, settings: &[Positive]| {
            let runs = settings.iter().map(move |setting| Run {
                method,
                setting: setting.get(),
            });
            runs.collect::<Vec<_>>()
        };
        [of(Method::Dpo, &self.dpo.betas), of(Method::Ppo, &self.ppo.target_kls)].concat()
    }
}

/// Constants that no stage could be run with are told before the first one is, with the line that they come from.
pub(super) fn check(loaded: &Loaded<FrontierRecipe>, config: &DecoderConfig) -> Result<(), CommandError> {
    let recipe = &loaded.value;
    let (length, context) = (recipe.ppo.options.response_length, config.context);
    if length >= context {
        let reason = format!("it is {length}, expected less than the model's context, {context} tokens");
        return Err(loaded.reject("ppo.options.response_length", reason));
    }
    for (table, training) in [
        ("sft.training", &recipe.sft.training),
        ("reward.training", &recipe.reward.training),
        ("dpo.training", &recipe.dpo.training),
        ("ppo.training", &recipe.ppo.training),
    ] {
        training.clone().checked().map_err(rejected(loaded, table))?;
        if training.seed != TrainingArguments::default().seed {
            let reason = "the stages have one seed, the recipe's `seed`";
            return Err(loaded.reject(&format!("{table}.seed"), reason));
        }
    }
    let reward = RewardModeling::new(recipe.reward.options);
    reward.map_err(rejected(loaded, "reward.options"))?;
    Dpo::new(recipe.dpo.options.clone()).map_err(rejected(loaded, "dpo.options"))?;
    Ppo::new(recipe.ppo.options.clone()).map_err(rejected(loaded, "ppo.options"))?;
    for (field, settings) in [
        ("dpo.betas", &recipe.dpo.betas),
        ("ppo.target_kls", &recipe.ppo.target_kls),
    ] {
        if settings.is_empty() {
            return Err(loaded.reject(field, "it is empty, expected at least one"));
        }
        if (1..settings.len()).any(|place| settings[..place].contains(&settings[place])) {
            return Err(loaded.reject(field, "one of them is there twice"));
        }
    }
    let [least, most] = recipe.data.prompt_words.map(Whole::get);
    if least > most || most >= recipe.data.words.get() {
        let reason = format!("it is [{least}, {most}], expected the least and the most, below `data.words`");
        return Err(loaded.reject("data.prompt_words", reason));
    }
    let (held_out, prompts) = (recipe.data.held_out.get(), recipe.preferences.prompts.get());
    let needed = prompts.saturating_add(recipe.evaluation.prompts.get());
    if held_out < needed {
        let reason = format!(
            "it is {held_out}, expected at least {needed}: prompts for preferences and for evaluation are held-out ones"
        );
        return Err(loaded.reject("data.held_out", reason));
    }
    Ok(())
}

/// The recipe of a stage, as `etude lm sft`, `reward`, `dpo` and `ppo` read it.
#[derive(Debug, Serialize)]
pub(super) struct StageRecipe {
    pub(super) model: StageModel,
    pub(super) data: StageData,
    pub(super) training: TrainingArguments,
    pub(super) reward: Option<RewardOptions>,
    pub(super) dpo: Option<PreferenceOptions>,
    pub(super) ppo: Option<PpoOptions>,
    pub(super) rewards: Option<StageRewards>,
}

#[derive(Debug, Serialize)]
pub(super) struct StageModel {
    pub(super) path: PathBuf,
    pub(super) precision: PrecisionRecipe,
}

#[derive(Debug, Serialize)]
pub(super) struct StageData {
    pub(super) train: [PathBuf; 1],
    pub(super) eval: Vec<PathBuf>,
    /// 0: no sequence is cut.
    pub(super) max_length: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct StageRewards {
    pub(super) model: PathBuf,
}

impl StageRecipe {
    /// As if it had been read from `path`.
    pub(super) fn loaded(&self, path: &Path) -> Result<Loaded<Recipe>, CommandError> {
        let text = toml::to_string(self).failed_run(|| format!("cannot write the recipe {}", path.display()))?;
        recipes::load_text(path, &text, &[])
    }
}

impl FrontierRecipe {
    /// A stage that trains `model` on a file; the rest is still to be said.
    fn stage(&self, model: &Path, train: PathBuf, training: &TrainingArguments) -> StageRecipe {
        StageRecipe {
            model: StageModel {
                path: model.to_owned(),
                precision: self.model.precision,
            },
            data: StageData {
                train: [train],
                eval: Vec::new(),
                max_length: 0,
            },
            training: TrainingArguments {
                seed: self.seed,
                ..training.clone()
            },
            reward: None,
            dpo: None,
            ppo: None,
            rewards: None,
        }
    }

    /// Language modelling.
    pub(super) fn sft_stage(&self, model: &Path, [train, held_out]: [PathBuf; 2]) -> StageRecipe {
        let mut stage = self.stage(model, train, &self.sft.training);
        stage.data.eval.push(held_out);
        stage
    }

    /// The reward model.
    pub(super) fn reward_stage(&self, model: &Path, [train, held_out]: [PathBuf; 2]) -> StageRecipe {
        let mut stage = self.stage(model, train, &self.reward.training);
        stage.data.eval.push(held_out);
        stage.reward = Some(self.reward.options);
        stage
    }

    /// One run of the sweep, which keeps all of its checkpoints.
    pub(super) fn run_stage(&self, run: Run, model: &Path, data: PathBuf, reward_model: PathBuf) -> StageRecipe {
        const ALL: usize = 1_000_000;
        let training = match run.method {
            Method::Dpo => &self.dpo.training,
            Method::Ppo => &self.ppo.training,
        };
        let mut stage = self.stage(model, data, training);
        stage.training.save_total_limit = ALL;
        match run.method {
            Method::Dpo => {
                stage.dpo = Some(PreferenceOptions {
                    beta: run.setting,
                    ..self.dpo.options.clone()
                });
            }
            Method::Ppo => {
                stage.ppo = Some(PpoOptions {
                    target_kl: Some(run.setting),
                    ..self.ppo.options.clone()
                });
                stage.rewards = Some(StageRewards { model: reward_model });
            }
        }
        stage
    }
}
