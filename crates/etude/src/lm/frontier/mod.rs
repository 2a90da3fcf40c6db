//! `etude lm frontier`: the frontier of reward and KL divergence of DPO and PPO (Rafailov et al. 2023, section 6.1 and figure 2, left).
//!
//! A small language model learns to write film reviews, and a reward model to tell good ones from bad ones. The first is the reference
//! of all policies and the second the reward that both methods are to raise, as the sentiment classifier is in the paper: PPO asks it
//! itself, and DPO learns from pairs of the reference's answers of which it prefers one.
//!
//! Every stage is a run of an ordinary command in a folder of its own, whose config.toml repeats it:
//!
//! ```text
//! runs/frontier/
//!   data/                          what the stages read
//!   untrained/                     etude lm init
//!   sft/                           etude lm sft
//!   reward/                        etude lm reward
//!   preferences.jsonl              answers of sft/model in pairs
//!   dpo-0.1/, ..., ppo-3/, ...     etude lm dpo, etude lm ppo; points.json has their checkpoints judged
//!   frontier.json, report.html     what came out
//! ```
//!
//! What is there is not made again, so a run that was stopped goes on where it was.

mod judge;
mod page;
mod recipe;
mod reviews;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use etude_align::training::{Ranks, TrainerState, checkpoint};
use etude_train::RunFolder;
use serde_json::json;

use self::judge::{Judge, JudgedRun};
use self::recipe::{FrontierRecipe, Method, Run, StageRecipe, check};
use self::reviews::{Files, Reviews, write_lines};
use super::init::{config, init};
use super::train::{MODEL, Place, REPORT, Stage, recipe_of_run, train};
use crate::cli::RunOptions;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::recipe::{self as recipes, Loaded, Override};
use crate::report::{Code, Section};
use crate::run_report::provenance;

/// What `etude lm frontier` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A recipe (.toml)
    #[arg(value_name = "RECIPE", required_unless_present = "resume")]
    recipe: Option<PathBuf>,
    /// Go on with the run in the folder `--out`; what is finished there is not done again
    #[arg(long, requires = "out")]
    resume: bool,
    #[command(flatten)]
    options: RunOptions,
}

/// What is known at the end.
struct Outcome<'a> {
    recipe: &'a FrontierRecipe,
    parameters: u64,
    /// Of fine-tuning, of the reward model.
    sft: TrainerState,
    reward: TrainerState,
    pairs: usize,
    reference: JudgedRun,
    runs: Vec<FinishedRun>,
}

/// A run of the sweep.
struct FinishedRun {
    run: Run,
    state: TrainerState,
    judged: JudgedRun,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let started = Instant::now();
    let loaded = arguments.load()?;
    check(&loaded, &config(&loaded.value.model.config)?)?;
    let reviews = Reviews::read(&loaded)?;
    interrupt::install()?;
    let folder = arguments.folder(&loaded)?;
    let experiment = Experiment {
        recipe: &loaded.value,
        folder: &folder,
        output,
    };
    let outcome = experiment.run(&reviews)?;
    let failed = || "cannot write the run".to_owned();
    let result = page::json(&outcome);
    let text = format!("{result:#}\n");
    etude_train::write_atomically(&folder.path().join("frontier.json"), text.as_bytes()).failed_run(failed)?;
    let report = page::report(&outcome)
        .section(Section::new("Recipe").item(&Code::toml(&loaded.resolved)))
        .provenance(provenance(Some(loaded.value.seed), started));
    folder.write_report(&report.render()).failed_run(failed)?;
    page::print(output, &outcome);
    output.result_json(&result);
    output.note(&format!("report: {}", folder.path().join(REPORT).display()));
    Ok(())
}

impl Arguments {
    fn load(&self) -> Result<Loaded<FrontierRecipe>, CommandError> {
        let options = &self.options;
        if let (true, Some(folder)) = (self.resume, &options.folder.out) {
            return recipe_of_run(folder, self.recipe.is_some() || options.are_given());
        }
        let seed = options
            .seed
            .map(|seed| Override::from_flag("--seed", "seed", seed.to_string()));
        let overrides: Vec<Override> = seed.into_iter().chain(options.overrides.iter().cloned()).collect();
        recipes::load(self.recipe.as_deref(), &overrides)
    }

    fn folder(&self, loaded: &Loaded<FrontierRecipe>) -> Result<RunFolder, CommandError> {
        let place = Place {
            out: self.options.folder.out.as_deref(),
            resume: self.resume,
        };
        place.folder_of("lm frontier", "imdb", &loaded.resolved)
    }
}

/// The stages, in their order.
struct Experiment<'a> {
    recipe: &'a FrontierRecipe,
    folder: &'a RunFolder,
    output: &'a Output,
}

impl<'a> Experiment<'a> {
    fn run(&self, reviews: &Reviews) -> Result<Outcome<'a>, CommandError> {
        let recipe = self.recipe;
        let files = self.data(reviews)?;
        let untrained = self.untrained(&files.texts[0])?;
        let model = |name: &str| self.path(name).join(MODEL);
        let sft = self.stage("sft", Stage::Sft, &recipe.sft_stage(&untrained, files.texts))?;
        let reference = model("sft");
        let reward_stage = recipe.reward_stage(&reference, files.sentiment);
        let reward = self.stage("reward", Stage::Reward, &reward_stage)?;
        let mut judge = Judge::new(recipe, [&reference, &model("reward")], &files.evaluation, self.output)?;
        let judged_reference = judge.reference(&self.path("sft"))?;
        let preferences = self.preferences(&mut judge, &files.prompts)?;
        let mut runs = Vec::new();
        for run in recipe.runs() {
            let name = run.name();
            let (stage, data) = match run.method {
                Method::Dpo => (Stage::Dpo, &preferences),
                Method::Ppo => (Stage::Ppo, &files.prompts),
            };
            let stage_recipe = recipe.run_stage(run, &reference, data.clone(), model("reward"));
            let state = self.stage(&name, stage, &stage_recipe)?;
            let judged = judge.run(&self.path(&name))?;
            if let Some(end) = judged.end() {
                let point = end.point;
                self.output.note(&format!(
                    "{name}: reward {:.3} at a KL divergence of {:.3}",
                    point.reward, point.kl
                ));
            }
            runs.push(FinishedRun { run, state, judged });
        }
        let lines = fs::read_to_string(&preferences).failed_run(|| "cannot read the preferences".into())?;
        Ok(Outcome {
            recipe,
            parameters: judge.parameters(),
            sft,
            reward,
            pairs: lines.lines().count(),
            reference: judged_reference,
            runs,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self, reviews: &Reviews) -> Result<Files, CommandError> {
        let folder = self.path("data");
        let files = Files::new(&folder);
        self.once(&folder, |folder| reviews.write(self.recipe, &Files::new(folder)))?;
        Ok(files)
    }

    /// The model before it has learnt anything, with a tokenizer made from the texts that it is to learn.
    fn untrained(&self, texts: &Path) -> Result<PathBuf, CommandError> {
        let path = self.path("untrained");
        let recipe = self.recipe;
        self.once(&path, |folder| {
            fs::remove_dir(folder).failed_run(|| "cannot write the model".into())?;
            init(&recipe.model.config, &[texts.to_owned()], folder, recipe.seed).map(drop)
        })?;
        Ok(path)
    }

    /// A folder that is there as a whole or not at all: `make` gets another one to fill.
    fn once(&self, path: &Path, make: impl FnOnce(&Path) -> Result<(), CommandError>) -> Result<(), CommandError> {
        if path.exists() {
            return Ok(());
        }
        let failed = || format!("cannot write {}", path.display());
        let scratch = tempfile::Builder::new()
            .prefix(".unfinished-")
            .tempdir_in(self.folder.path());
        let scratch = scratch.failed_run(failed)?;
        let unfinished = scratch.path().join("folder");
        fs::create_dir(&unfinished).failed_run(failed)?;
        make(&unfinished)?;
        fs::rename(&unfinished, path).failed_run(failed)
    }

    /// Runs a command's recipe in the folder of this name, or goes on with it, or leaves it as it is where it has come to its end.
    fn stage(&self, name: &str, stage: Stage, recipe: &StageRecipe) -> Result<TrainerState, CommandError> {
        let out = self.path(name);
        let failed = || format!("cannot go on with {}", out.display());
        if !out.join(REPORT).exists() {
            let mut place = Place {
                out: Some(&out),
                resume: false,
            };
            if out.exists() {
                place.resume = checkpoint::latest(&out).failed_run(failed)?.is_some();
                if !place.resume {
                    fs::remove_dir_all(&out).failed_run(failed)?;
                }
            }
            self.output.note(&format!("{name}:"));
            train(
                stage,
                recipe.loaded(&out.join("config.toml"))?,
                place,
                &Ranks::alone(),
                self.output,
            )?;
        }
        let latest = checkpoint::latest(&out).failed_run(failed)?;
        let latest = latest.ok_or_else(|| CommandError::failed_run(failed()).because("it has no checkpoint"))?;
        Ok(checkpoint::load(&latest).failed_run(failed)?.0)
    }

    /// Every two answers of the reference to one prompt, the one with the higher reward as the better one (Rafailov et al. 2023, appendix
    /// C.1). Pairs of equal rewards or texts, and answers without a word, are left out.
    fn preferences(&self, judge: &mut Judge<'_>, prompts: &Path) -> Result<PathBuf, CommandError> {
        let path = self.path("preferences.jsonl");
        if path.exists() {
            return Ok(path);
        }
        let mut pairs = Vec::new();
        judge.answers(prompts, |prompt, answers| {
            let says = |(text, _): &&(String, f32)| !text.trim().is_empty();
            let answers: Vec<&(String, f32)> = answers.iter().filter(says).collect();
            for (index, one) in answers.iter().enumerate() {
                for other in &answers[index + 1..] {
                    let (chosen, rejected) = if one.1 > other.1 { (one, other) } else { (other, one) };
                    if chosen.1 > rejected.1 && chosen.0 != rejected.0 {
                        pairs.push(json!({
                            "prompt": prompt, "chosen": chosen.0, "rejected": rejected.0,
                            "chosen_reward": chosen.1, "rejected_reward": rejected.1,
                        }));
                    }
                }
            }
        })?;
        write_lines(&path, pairs.into_iter())?;
        Ok(path)
    }
}
