//! `etude rl train`: an agent learns in an environment.

mod algorithm;
mod logs;
mod one_seed;
mod page;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use etude_rl::statistics::{Estimate, Scores, bootstrap, interquartile_mean};
use etude_rl::{Autoreset, reference_returns};
use etude_train::{RunFolder, Seed, TrainError};
use rayon::prelude::*;
use serde::Serialize;

pub(crate) use algorithm::Algorithm;
use algorithm::built_in;
pub(super) use one_seed::unfit;
use one_seed::{Done, Task};

use super::failed;
use super::film;
use super::recipe::Recipe;
use super::zoo;
use crate::cli::RunOptions;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::recipe::{self, Loaded, Override};
use crate::run_report::{RUNS, config_text, provenance};

/// What `etude rl train` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The algorithm: dqn, sarsa, expected-sarsa, n-step-sarsa, q-learning, off-policy-q-learning; reinforce, qac, a2c,
    /// off-policy-actor-critic, ppo; for actions that are numbers also dpg, ddpg, td3; or, to learn what acting at
    /// random is worth, monte-carlo, td-linear, n-step-td, td-lambda, lstd, residual-gradient, tdc
    #[arg(value_name = "ALGORITHM")]
    algorithm: String,
    /// A recipe (.toml), or hyperparameters of Stable-Baselines3's zoo (.yml); without one, the algorithm's own for the environment, or else its usual constants
    #[arg(value_name = "RECIPE")]
    recipe: Option<PathBuf>,
    /// The environment, as `etude rl envs` lists it, or `gym:ID` for one of Gymnasium's
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// Steps in all
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    steps: Option<String>,
    /// Train so many seeds side by side, from `--seed` on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    seeds: u16,
    /// Go on with the run in the folder `--out`, exactly as if it had never stopped
    #[arg(long, requires = "out")]
    resume: bool,
    #[command(flatten)]
    options: RunOptions,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    algorithm: &'a str,
    environment: &'a str,
    steps: u64,
    seconds: f64,
    steps_per_second: f64,
    evaluation: JsonEvaluation,
    /// The same of the last policy, where `evaluation` is of the best one on the way.
    evaluation_of_last: JsonEvaluation,
    /// The mean of the best between random actions, 0, and a planner, 1, where these are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    normalized_score: Option<f64>,
    seeds: Vec<JsonSeed>,
    run: String,
}

/// Returns without exploration.
#[derive(Serialize)]
struct JsonEvaluation {
    mean: f64,
    /// The interquartile mean, over episodes where there is one seed and over the seeds' means where there are several.
    iqm: f64,
    /// 95 %, by bootstrap.
    interval: [f64; 2],
    episodes: usize,
}

#[derive(Serialize)]
struct JsonSeed {
    seed: u64,
    best: f64,
    best_step: u64,
    last: f64,
}

/// The judgement of one policy a seed.
pub(super) struct Judged {
    mean: f64,
    iqm: Estimate,
    episodes: usize,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let algorithm = Algorithm::called(&arguments.algorithm)?;
    let loaded = arguments.load(algorithm, output)?;
    let recipe = &loaded.value;
    try_out(algorithm, recipe)?;
    let folder = arguments.folder(algorithm, &loaded)?;
    interrupt::install()?;

    let first = recipe.seed.map_or(0, |seed| seed.get() as u64);
    let side_by_side = if arguments.resume {
        seeds_in(folder.path())
    } else {
        Vec::new()
    };
    let seeds: Vec<u64> = if side_by_side.is_empty() {
        (0..u64::from(arguments.seeds))
            .map(|index| first.wrapping_add(index))
            .collect()
    } else {
        side_by_side
    };
    let folders = seeds
        .iter()
        .map(|seed| match seeds.len() {
            1 => Ok(folder.clone()),
            _ => RunFolder::open(folder.path().join(format!("{SEED}{seed}"))),
        })
        .collect::<Result<Vec<RunFolder>, TrainError>>()
        .failed_run(|| "cannot write the run".into())?;

    let started = Instant::now();
    let done = learn(algorithm, recipe, &seeds, &folders, arguments.resume, output)?;
    let seconds = started.elapsed();
    let (best, last) = (
        Judged::new(&done, |done| &done.best)?,
        Judged::new(&done, |done| &done.last)?,
    );
    let new_steps: u64 = done.iter().map(|done| done.new_steps).sum();
    let learning: f64 = if seeds.len() == 1 {
        done[0].seconds
    } else {
        seconds.as_secs_f64()
    };
    output.result_json(&Json {
        algorithm: algorithm.name(),
        environment: &recipe.environment,
        steps: done.iter().map(|done| done.steps).sum(),
        seconds: learning,
        steps_per_second: new_steps as f64 / learning,
        evaluation: (&best).into(),
        evaluation_of_last: (&last).into(),
        normalized_score: best.normalized(&recipe.environment),
        seeds: done.iter().map(JsonSeed::from).collect(),
        run: folder.path().display().to_string(),
    });
    if done.iter().any(|done| done.inexact) {
        output.note(
            "the environments run in another program and could not be saved: they began new episodes, so this run is not the \
             one that an uninterrupted run would have been",
        );
    }
    page::print(output, algorithm, recipe, &done, (&best, &last));
    let film = (!algorithm.predicts())
        .then(|| film::of_saved(&folders[0].path().join("best")))
        .flatten();
    let report = page::report(algorithm, recipe, &done, (&best, &last), film.as_ref())
        .section(page::recipe(&loaded.resolved))
        .provenance(provenance(Some(first), started));
    folder
        .write_report(&report.render())
        .failed_run(|| "cannot write the report".into())?;
    output.note(&format!("run: {}", folder.path().display()));
    output.note(&format!("report: {}", folder.path().join("report.html").display()));
    Ok(())
}

/// What the folder of one of several seeds is called, before its number.
const SEED: &str = "seed-";

/// The seeds of a run that trained several side by side, in their order.
fn seeds_in(run: &Path) -> Vec<u64> {
    let names = std::fs::read_dir(run).into_iter().flatten().flatten();
    let mut seeds: Vec<u64> = names
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix(SEED)?.parse().ok())
        .collect();
    seeds.sort_unstable();
    seeds
}

/// Builds an environment and an agent for it, so that what does not fit is told before anything is written.
fn try_out(algorithm: Algorithm, recipe: &Recipe) -> Result<(), CommandError> {
    let failed = |error| failed(&error, &recipe.environment);
    let (wrapping, count) = (recipe.wrappers.wrapping(), recipe.environments.get());
    let envs = (wrapping.make_envs(&recipe.environment, count, Autoreset::SameStep)).map_err(failed)?;
    let normalizer = algorithm.normalizer(recipe, &*envs).map_err(failed)?;
    let agent = algorithm.agent(recipe, &*envs, normalizer.as_ref(), recipe.steps.get() as u64, Seed(0));
    let fits = agent.map_err(failed)?;
    fits.map(drop).map_err(|reason| unfit(algorithm, recipe, reason))
}

/// Trains all seeds side by side.
fn learn(
    algorithm: Algorithm,
    recipe: &Recipe,
    seeds: &[u64],
    folders: &[RunFolder],
    resume: bool,
    output: &Output,
) -> Result<Vec<Done>, CommandError> {
    let total = recipe.steps.get() as u64 * seeds.len() as u64;
    let bar = Progress::bar(output, format!("{} on {}", algorithm.name(), recipe.environment), total);
    let (steps, note) = (AtomicU64::new(0), Mutex::new(String::new()));
    let show = |text: &str| {
        if let Ok(mut note) = note.lock() {
            note.clear();
            note.push_str(text);
        }
    };
    let over = AtomicU64::new(0);
    std::thread::scope(|scope| {
        // Nobody but this thread touches the bar, however often the seeds report.
        scope.spawn(|| {
            while over.load(Ordering::Acquire) == 0 {
                let text = note.lock().map(|note| note.clone()).unwrap_or_default();
                bar.set(steps.load(Ordering::Relaxed), text);
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        let done = seeds
            .par_iter()
            .zip(folders)
            .map(|(&seed, folder)| {
                let task = Task {
                    algorithm,
                    recipe,
                    seed,
                    folder,
                    resume,
                };
                one_seed::run(task, &steps, &show)
            })
            .collect();
        over.store(1, Ordering::Release);
        done
    })
}

impl Arguments {
    /// Reads the recipe: the file, that of the run to go on with, or the built-in one; with the flags on top.
    fn load(&self, algorithm: Algorithm, output: &Output) -> Result<Loaded<Recipe>, CommandError> {
        if let (true, Some(folder)) = (self.resume, &self.options.folder.out) {
            let given = self.recipe.is_some()
                || self.env.is_some()
                || self.steps.is_some()
                || self.options.seed.is_some()
                || !self.options.overrides.is_empty();
            if given {
                return Err(
                    CommandError::bad_input("a run goes on with the recipe that it began with")
                        .hint("leave out the recipe, `--env`, `--steps`, `--seed` and `--set`, or begin another run"),
                );
            }
            return recipe::load(Some(&folder.join("config.toml")), &[]);
        }
        let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
        let seed = self.options.seed.map(|seed| seed.to_string());
        let flags = [
            ("--env", "environment", self.env.as_deref().map(text)),
            ("--steps", "steps", self.steps.clone()),
            ("--seed", "seed", seed),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(flag, key, value)| Some(Override::from_flag(flag, key, value?)));
        let overrides: Vec<Override> = flags.chain(self.options.overrides.iter().cloned()).collect();
        match (&self.recipe, &self.env) {
            (Some(path), env) if zoo::is_zoo(path) => {
                let text = zoo::read(path, algorithm, env.as_deref(), output)?;
                recipe::load_text(path, &text, &overrides)
            }
            (Some(path), _) => recipe::load(Some(path), &overrides),
            (None, Some(env)) => {
                if let Some((path, text)) = built_in(algorithm, env) {
                    return recipe::load_text(Path::new(&path), text, &overrides);
                }
                let steps = Override::from_flag("", "steps", DEFAULT_STEPS.to_string());
                recipe::load(None, &[vec![steps], overrides].concat())
            }
            (None, None) => Err(CommandError::bad_input("there is nothing to learn in")
                .hint("name an environment, such as `--env CartPole-v1`, or a recipe")),
        }
    }

    /// The run's folder, with the recipe in it.
    fn folder(&self, algorithm: Algorithm, loaded: &Loaded<Recipe>) -> Result<RunFolder, CommandError> {
        let refused = |error: TrainError| CommandError::bad_input("cannot write the run").caused_by(&error);
        if let (true, Some(path)) = (self.resume, &self.options.folder.out) {
            return RunFolder::open(path).map_err(refused);
        }
        let name = loaded.path.as_deref().and_then(Path::file_stem).map_or_else(
            || loaded.value.environment.replace([':', '/'], "-"),
            |stem| stem.to_string_lossy().into_owned(),
        );
        let command = format!("rl train {}", algorithm.name());
        let folder = match &self.options.folder.out {
            Some(path) => RunFolder::create(path),
            None => RunFolder::next_free(Path::new(RUNS), &format!("rl-train-{}-{name}", algorithm.name())),
        }
        .map_err(refused)?;
        folder
            .write_config(&config_text(&command, &name, &loaded.resolved))
            .map_err(refused)?;
        Ok(folder)
    }
}

/// Steps of a run where nobody says how many.
const DEFAULT_STEPS: u64 = 100_000;

impl Judged {
    fn new(done: &[Done], of: impl Fn(&Done) -> &etude_rl::Evaluation) -> Result<Self, CommandError> {
        let means: Vec<f64> = done.iter().map(|done| of(done).mean()).collect();
        let scores = match done {
            [one] => Scores::new(&[&of(one).returns]),
            _ => Scores::new(&[&means]),
        }
        .failed_run(|| "cannot judge the policies".into())?;
        Ok(Self {
            mean: means.iter().sum::<f64>() / means.len() as f64,
            iqm: bootstrap(&scores, Seed(0), interquartile_mean),
            episodes: done.iter().map(|done| of(done).returns.len()).sum(),
        })
    }
}

impl Judged {
    /// The mean return between that of random actions, 0, and that of a planner, 1, where these are known.
    fn normalized(&self, environment: &str) -> Option<f64> {
        reference_returns(environment).map(|references| references.normalized(self.mean))
    }
}

impl From<&Judged> for JsonEvaluation {
    fn from(judged: &Judged) -> Self {
        Self {
            mean: judged.mean,
            iqm: judged.iqm.value,
            interval: [judged.iqm.interval.low, judged.iqm.interval.high],
            episodes: judged.episodes,
        }
    }
}

impl From<&Done> for JsonSeed {
    fn from(done: &Done) -> Self {
        Self {
            seed: done.seed,
            best: done.best.mean(),
            best_step: done.best_step,
            last: done.last.mean(),
        }
    }
}
