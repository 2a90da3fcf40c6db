//! `etude lm sft`, `reward`, `dpo`, `kto`, `cpo`, `orpo`, `ppo`: a language model is trained, by one
//! process or by those that `mpirun` starts.

mod data;
mod estimate;
mod learn;
mod page;
mod ppo;
mod recipe;
mod references;
mod samples;
mod save;
mod task;
mod trl;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use etude_align::AlignError;
use etude_align::ppo::{Ppo, ValueModel};
use etude_align::preference::{Cpo, Dpo, Kto, KtoLoss, Orpo};
use etude_align::reward::{RewardModeling, RuleReward};
use etude_align::training::{Ranks, TrainerState, checkpoint};
use etude_lm::{LmError, Source};
use etude_train::{RunFolder, TrainError};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::cli::RunOptions;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::{self, Output};
use crate::recipe::{self as recipes, Loaded, Override};
use crate::report::{Code, Section};
use crate::run_report::{RUNS, config_text, provenance};
pub(super) use data::question;
use estimate::Estimate;
use recipe::RewardsRecipe;
pub(super) use recipe::{PrecisionRecipe, Recipe};
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
pub(super) struct Outcome {
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

/// Where a run goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The folder; none where a free one is to be found.
    pub(super) out: Option<&'a Path>,
    /// It is the folder of a run to go on with.
    pub(super) resume: bool,
}

pub(super) fn run(stage: Stage, arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let ranks = Ranks::join().bad_input(|| "cannot train in several processes".into())?;
    // The first rank speaks for all.
    let silent = Output::new(true, true);
    let output = if ranks.is_first() { output } else { &silent };
    of_rank(stage, arguments, &ranks, output).map_err(|error| end_all(&ranks, error))
}

/// What goes wrong on one rank ends all of them, for they would wait for it for ever.
fn end_all(ranks: &Ranks, error: CommandError) -> CommandError {
    /// What goes wrong on all of them alike is so told once, by the first.
    const OTHERS_WAIT: Duration = Duration::from_secs(3);
    /// `mpirun` takes that long to pass on what is printed, which it forgets where all end.
    const PASSED_ON: Duration = Duration::from_millis(200);
    if ranks.size() == 1 {
        return error;
    }
    if !ranks.is_first() {
        thread::sleep(OTHERS_WAIT);
    }
    let code = error.exit_code();
    let error = error.of(&format!("rank {} of {}", ranks.rank(), ranks.size()));
    output::report(&error);
    thread::sleep(PASSED_ON);
    ranks.abort(code);
    error
}

/// What one rank does.
fn of_rank(stage: Stage, arguments: &Arguments, ranks: &Ranks, output: &Output) -> Result<(), CommandError> {
    let loaded = arguments.load(stage, output)?;
    interrupt::install()?;
    let place = Place {
        out: arguments.options.folder.out.as_deref(),
        resume: arguments.resume,
    };
    let Some(outcome) = train(stage, loaded, place, ranks, output)? else {
        return Ok(());
    };
    page::print(output, &outcome);
    let folder = outcome.folder.path();
    let model = folder.join(MODEL);
    output.result_json(&json!({
        "stage": stage.name(),
        "steps": outcome.state.global_step,
        "tokens": outcome.state.num_input_tokens_seen,
        "seconds": outcome.state.progress.seconds,
        "expected": outcome.estimate,
        "peak_memory": outcome.peak_memory,
        "last": outcome.state.log_history.iter().rev().take(2).rev().collect::<Vec<_>>(),
        "model": model.display().to_string(),
        "run": folder.display().to_string(),
    }));
    output.note(&format!("model: {}", model.display()));
    output.note(&format!("report: {}", folder.join(REPORT).display()));
    Ok(())
}

/// Trains as a recipe says, and writes the folder of the run, its report last; the outcome is what the first rank has.
pub(super) fn train(
    stage: Stage,
    mut loaded: Loaded<Recipe>,
    place: Place<'_>,
    ranks: &Ranks,
    output: &Output,
) -> Result<Option<Outcome>, CommandError> {
    let started = Instant::now();
    loaded.value.training.learning_rate.get_or_insert(stage.learning_rate());
    check(stage, &loaded)?;
    if stage == Stage::Ppo && ranks.size() > 1 {
        let reason = format!(
            "PPO draws its answers in one process, and `mpirun` has started {}",
            ranks.size()
        );
        return Err(CommandError::bad_input("cannot train so").because(reason));
    }
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
    let held_out = !recipe.data.eval.is_empty() || recipe.data.eval_examples() > 0;
    if recipe.training.early_stopping_patience.is_some() && (recipe.training.eval_steps.is_none() || !held_out) {
        let reason = "it takes held-out data and evaluations on the way: `data.eval_examples` or `data.eval`, and `training.eval_steps`";
        return Err(loaded.reject("training.early_stopping_patience", reason));
    }
    let from = if let (true, Some(path)) = (place.resume, place.out) {
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
        ranks,
        folder: &|| ranks.is_first().then(|| place.folder(stage, &loaded)).transpose(),
        from,
        output,
    };
    let outcome = match stage {
        Stage::Sft => task.sft(),
        Stage::Reward => task.reward(),
        Stage::Dpo => task.dpo(),
        Stage::Kto => task.kto(),
        Stage::Cpo => task.cpo(),
        Stage::Orpo => task.orpo(),
        Stage::Ppo => task.ppo(),
    }?;
    let Some(outcome) = outcome else { return Ok(None) };
    let report = page::report(&outcome)
        .section(Section::new("Recipe").item(&Code::toml(&loaded.resolved)))
        .provenance(provenance(Some(recipe.training.seed), started));
    outcome
        .folder
        .write_report(&report.render())
        .failed_run(|| "cannot write the report".into())?;
    Ok(Some(outcome))
}

/// Where the trained model goes, in the folder of the run.
pub(super) const MODEL: &str = "model";
/// What is written when a run has come to its end.
pub(super) const REPORT: &str = "report.html";

/// The error for a constant in a table of a recipe that is out of its range, with the line that it comes from.
pub(super) fn rejected<T>(loaded: &Loaded<T>, table: &'static str) -> impl Fn(AlignError) -> CommandError {
    move |error| match &error {
        AlignError::Setting { name, found, expected } => loaded.reject(
            &format!("{table}.{name}"),
            format!("it is {found}, expected {expected}"),
        ),
        _ => CommandError::bad_input("cannot train so").caused_by(&error),
    }
}

/// The recipe of the run in a folder, to go on with it, beside which nothing may be `given`.
pub(super) fn recipe_of_run<T: DeserializeOwned>(folder: &Path, given: bool) -> Result<Loaded<T>, CommandError> {
    if given {
        let error = CommandError::bad_input("a run goes on with the recipe that it began with");
        return Err(error.hint("leave out everything but `--out` and `--resume`, or begin another run"));
    }
    recipes::load(Some(&folder.join("config.toml")), &[])
}

/// Constants that are out of their ranges are told with the line that they come from.
fn check(stage: Stage, loaded: &Loaded<Recipe>) -> Result<(), CommandError> {
    let recipe = &loaded.value;
    let rejected = |table| rejected(loaded, table);
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
            let given = self.recipe.is_some() || self.model.is_some() || !self.data.is_empty() || self.steps.is_some();
            return recipe_of_run(folder, given || flags.are_given());
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
}

impl Place<'_> {
    /// The run's folder, with the recipe in it.
    pub(super) fn folder(&self, stage: Stage, loaded: &Loaded<Recipe>) -> Result<RunFolder, CommandError> {
        let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = loaded.path.as_deref().and_then(stem);
        let name = name
            .or_else(|| stem(Path::new(&loaded.value.model.path)))
            .unwrap_or_default();
        self.folder_of(&format!("lm {}", stage.name()), &name, &loaded.resolved)
    }

    /// The folder of a command's run, with the resolved recipe in it.
    pub(super) fn folder_of(&self, command: &str, name: &str, resolved: &str) -> Result<RunFolder, CommandError> {
        let refused = |error: TrainError| CommandError::bad_input("cannot write the run").caused_by(&error);
        if let (true, Some(path)) = (self.resume, self.out) {
            return RunFolder::open(path).map_err(refused);
        }
        let folder = match self.out {
            Some(path) => RunFolder::create(path),
            None => RunFolder::next_free(Path::new(RUNS), &format!("{}-{name}", command.replace(' ', "-"))),
        }
        .map_err(refused)?;
        folder
            .write_config(&config_text(command, name, resolved))
            .map_err(refused)?;
        Ok(folder)
    }
}
