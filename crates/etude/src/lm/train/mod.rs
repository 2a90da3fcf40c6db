//! `etude lm sft`, `reward`, `dpo`, `kto`, `cpo`, `orpo`, `ppo`: a language model is trained.

mod data;
mod estimate;
mod learn;
mod page;
mod ppo;
mod recipe;
mod samples;
mod task;
mod trl;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use etude_align::AlignError;
use etude_align::ppo::{Ppo, ValueModel};
use etude_align::preference::{Cpo, Dpo, Kto, KtoLoss, Orpo};
use etude_align::reward::{RewardModeling, RuleReward};
use etude_align::training::{TrainerState, checkpoint};
use etude_lm::{LmError, Source};
use etude_train::{RunFolder, TrainError};
use serde_json::json;

use crate::cli::RunOptions;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::recipe::{self as recipes, Loaded, Override};
use crate::report::{Code, Section};
use crate::run_report::{RUNS, config_text, provenance};
use estimate::Estimate;
use recipe::{Recipe, RewardsRecipe};
use task::Task;

/// What is trained, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Sft,
    Reward,
    Dpo,
    Kto,
    Cpo,
    Orpo,
    Ppo,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::Reward => "reward",
            Self::Dpo => "dpo",
            Self::Kto => "kto",
            Self::Cpo => "cpo",
            Self::Orpo => "orpo",
            Self::Ppo => "ppo",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Sft => "Supervised fine-tuning",
            Self::Reward => "A reward model",
            Self::Dpo => "Direct preference optimisation",
            Self::Kto => "Kahneman-Tversky optimisation",
            Self::Cpo => "Contrastive preference optimisation",
            Self::Orpo => "Odds-ratio preference optimisation",
            Self::Ppo => "Proximal policy optimisation",
        }
    }

    /// TRL's.
    fn learning_rate(self) -> f64 {
        match self {
            Self::Sft => 2e-5,
            Self::Reward => 1e-4,
            Self::Dpo | Self::Kto | Self::Cpo | Self::Orpo => 1e-6,
            Self::Ppo => 3e-6,
        }
    }
}

/// What these commands take.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A recipe (.toml), or TRL's settings (.yaml); without one, all is set by `--model`, `--data` and `--set`
    #[arg(value_name = "RECIPE")]
    recipe: Option<PathBuf>,
    /// The model: a GGUF file, a folder as Hugging Face's, or the name of a model in its cache
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Files of training records, or folders of such files
    #[arg(long, value_name = "DATA")]
    data: Vec<String>,
    /// Steps in all
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Go on with the run in the folder `--out`, exactly as if it had never stopped
    #[arg(long, requires = "out")]
    resume: bool,
    #[command(flatten)]
    options: RunOptions,
}

/// What a run has come to.
struct Outcome {
    folder: RunFolder,
    stage: Stage,
    model: String,
    examples: usize,
    state: TrainerState,
    estimate: Estimate,
    peak_memory: Option<u64>,
    /// Prompt, answer before, answer after.
    samples: Vec<[String; 3]>,
}

pub(super) fn run(stage: Stage, arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let started = Instant::now();
    let mut loaded = arguments.load(stage, output)?;
    loaded.value.training.learning_rate.get_or_insert(stage.learning_rate());
    check(stage, &loaded)?;
    let recipe = &loaded.value;
    let name = &recipe.model.path;
    let source = Source::open(name).bad_input(|| format!("cannot open {name}"))?;
    if let Some(lora) = &recipe.lora {
        lora.check(source.config.hidden).map_err(|error| match &error {
            LmError::Setting { name, found, expected } => {
                loaded.reject(&format!("lora.{name}"), format!("it is {found}, expected {expected}"))
            }
            _ => CommandError::bad_input("cannot train so").caused_by(&error),
        })?;
    }
    source
        .tokenizer
        .check_model(source.config.vocabulary)
        .bad_input(|| format!("cannot open {name}"))?;
    interrupt::install()?;
    let records = data::read(recipe, output)?;
    if recipe.training.early_stopping_patience.is_some()
        && (recipe.training.eval_steps.is_none() || records.held_out.is_empty())
    {
        let reason = "it takes held-out data and evaluations on the way: `data.eval_examples` or `data.eval`, and `training.eval_steps`";
        return Err(loaded.reject("training.early_stopping_patience", reason));
    }
    let from = if let (true, Some(path)) = (arguments.resume, &arguments.options.folder.out) {
        let latest = checkpoint::latest(path).bad_input(|| "cannot go on with the run".into())?;
        let none = || CommandError::bad_input("cannot go on with the run").because("it has no checkpoint yet");
        Some(latest.ok_or_else(none)?)
    } else {
        None
    };
    let task = Task {
        stage,
        recipe,
        source,
        folder: &|| arguments.folder(stage, &loaded),
        from,
        output,
    };
    let outcome = match stage {
        Stage::Sft => task.sft(&records),
        Stage::Reward => task.reward(&records),
        Stage::Dpo => task.dpo(&records),
        Stage::Kto => task.kto(&records),
        Stage::Cpo => task.cpo(&records),
        Stage::Orpo => task.orpo(&records),
        Stage::Ppo => task.ppo(&records),
    }?;
    let folder = &outcome.folder;
    page::print(output, &outcome);
    let report = page::report(&outcome)
        .section(Section::new("Recipe").item(&Code::toml(&loaded.resolved)))
        .provenance(provenance(Some(recipe.training.seed), started));
    folder
        .write_report(&report.render())
        .failed_run(|| "cannot write the report".into())?;
    let model = folder.path().join(MODEL);
    output.result_json(&json!({
        "stage": stage.name(),
        "steps": outcome.state.global_step,
        "tokens": outcome.state.num_input_tokens_seen,
        "seconds": outcome.state.progress.seconds,
        "expected": outcome.estimate,
        "peak_memory": outcome.peak_memory,
        "last": outcome.state.log_history.iter().rev().take(2).rev().collect::<Vec<_>>(),
        "model": model.display().to_string(),
        "run": folder.path().display().to_string(),
    }));
    output.note(&format!("model: {}", model.display()));
    output.note(&format!("report: {}", folder.path().join("report.html").display()));
    Ok(())
}

/// Where the trained model goes, in the folder of the run.
const MODEL: &str = "model";

/// Constants that are out of their ranges are told with the line that they come from.
fn check(stage: Stage, loaded: &Loaded<Recipe>) -> Result<(), CommandError> {
    let recipe = &loaded.value;
    let rejected = |table: &'static str| {
        move |error: AlignError| match &error {
            AlignError::Setting { name, found, expected } => loaded.reject(
                &format!("{table}.{name}"),
                format!("it is {found}, expected {expected}"),
            ),
            _ => CommandError::bad_input("cannot train so").caused_by(&error),
        }
    };
    recipe.training.clone().checked().map_err(rejected("training"))?;
    match stage {
        Stage::Dpo if recipe.dpo.sync_ref_model && recipe.lora.is_some() => Err(loaded.reject(
            "dpo.sync_ref_model",
            "a reference follows a model that is trained as a whole, without adapters",
        )),
        Stage::Dpo => Dpo::new(recipe.dpo.clone()).map(drop).map_err(rejected("dpo")),
        Stage::Kto if recipe.kto.loss_type == KtoLoss::Kto && recipe.training.per_device_train_batch_size < 2 => {
            let reason = "the reference point of KTO is estimated from the answers to the other prompts of a batch: take at least 2";
            Err(loaded.reject("training.per_device_train_batch_size", reason))
        }
        Stage::Kto => Kto::new(recipe.kto.clone()).map(drop).map_err(rejected("kto")),
        Stage::Cpo => Cpo::new(recipe.cpo.clone()).map(drop).map_err(rejected("cpo")),
        Stage::Orpo => Orpo::new(recipe.orpo).map(drop).map_err(rejected("orpo")),
        Stage::Reward => RewardModeling::new(recipe.reward).map(drop).map_err(rejected("reward")),
        Stage::Ppo => {
            Ppo::new(recipe.ppo.clone()).map_err(rejected("ppo"))?;
            if recipe.training.neftune_noise_alpha.is_some() {
                let reason = "with PPO tokens are to be as probable in training as they were when they were drawn, without noise";
                return Err(loaded.reject("training.neftune_noise_alpha", reason));
            }
            let RewardsRecipe {
                model,
                rules,
                command,
                timeout,
            } = &recipe.rewards;
            if model.is_none() && rules.is_empty() && command.is_none() {
                let reason = "it takes `rewards.model`, `rewards.rules` or `rewards.command` to score answers";
                return Err(CommandError::bad_input("cannot train so").because(reason));
            }
            if model.is_none() && recipe.ppo.value_model == ValueModel::RewardModel {
                return Err(loaded.reject("ppo.value_model", "there is no `rewards.model`"));
            }
            if !(*timeout > 0.0 && timeout.is_finite() && *timeout < 1e9) {
                return Err(loaded.reject("rewards.timeout", format!("it is {timeout}, expected seconds above 0")));
            }
            rules
                .iter()
                .try_for_each(|rule| RuleReward::new(rule).map(drop).map_err(rejected("rewards")))
        }
        Stage::Sft => Ok(()),
    }
}

impl Arguments {
    /// Reads the recipe: the file, or that of the run to go on with; with the flags on top.
    fn load(&self, stage: Stage, output: &Output) -> Result<Loaded<Recipe>, CommandError> {
        let flags = &self.options;
        if let (true, Some(folder)) = (self.resume, &flags.folder.out) {
            let given = self.recipe.is_some() || self.model.is_some() || !self.data.is_empty();
            if given || self.steps.is_some() || flags.seed.is_some() || !flags.overrides.is_empty() {
                return Err(
                    CommandError::bad_input("a run goes on with the recipe that it began with")
                        .hint("leave out everything but `--out` and `--resume`, or begin another run"),
                );
            }
            return recipes::load(Some(&folder.join("config.toml")), &[]);
        }
        let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
        let files: Vec<String> = self.data.iter().map(|path| text(path)).collect();
        let flags = [
            ("--model", "model.path", self.model.as_deref().map(text)),
            (
                "--data",
                "data.train",
                (!files.is_empty()).then(|| format!("[{}]", files.join(", "))),
            ),
            (
                "--steps",
                "training.max_steps",
                self.steps.map(|steps| steps.to_string()),
            ),
            ("--seed", "training.seed", flags.seed.map(|seed| seed.to_string())),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(flag, key, value)| Some(Override::from_flag(flag, key, value?)));
        let overrides: Vec<Override> = flags.chain(self.options.overrides.iter().cloned()).collect();
        match &self.recipe {
            Some(path) if trl::is_trl(path) => {
                let text =
                    std::fs::read_to_string(path).bad_input(|| format!("cannot read the recipe {}", path.display()))?;
                let translated = trl::translate(path, &text, stage)?;
                for setting in &translated.left_out {
                    output.note(&format!(
                        "{}: left out, for want of a counterpart: {setting}",
                        path.display()
                    ));
                }
                recipes::load_text(path, &translated.recipe, &overrides)
            }
            path => recipes::load(path.as_deref(), &overrides),
        }
    }

    /// The run's folder, with the recipe in it.
    fn folder(&self, stage: Stage, loaded: &Loaded<Recipe>) -> Result<RunFolder, CommandError> {
        let refused = |error: TrainError| CommandError::bad_input("cannot write the run").caused_by(&error);
        if let (true, Some(path)) = (self.resume, &self.options.folder.out) {
            return RunFolder::open(path).map_err(refused);
        }
        let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = loaded.path.as_deref().and_then(stem);
        let name = name
            .or_else(|| stem(Path::new(&loaded.value.model.path)))
            .unwrap_or_default();
        let command = format!("lm {}", stage.name());
        let folder = match &self.options.folder.out {
            Some(path) => RunFolder::create(path),
            None => RunFolder::next_free(Path::new(RUNS), &format!("lm-{}-{name}", stage.name())),
        }
        .map_err(refused)?;
        let config = config_text(&command, &name, &loaded.resolved);
        folder.write_config(&config).map_err(refused)?;
        Ok(folder)
    }
}
