//! The run of one seed: learning, with evaluations and checkpoints on the way.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use etude_rl::{
    Autoreset, Evaluation, Policy, PolicyCard, RlError, Surface, Training, VectorEnv, evaluate, load_policy,
};
use etude_train::{Observer, RunFolder, Seed, TrainError, read_checkpoint, write_checkpoint};
use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::logs::{Logs, Places};
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::recipe::range::Whole;
use crate::rl::failed;
use crate::rl::recipe::Recipe;
use crate::rl::result::SeedResult;

/// What a checkpoint of ours calls itself.
const KIND: &str = "rl train";

/// Metrics are reported about so many times in a run.
const REPORTS: u64 = 200;

/// The seeds of the environments in which policies are judged on the way, and at the end. They are far from those of
/// learning, which are small numbers.
const EVALUATION_SEED: u64 = 1_000_000_000;
const FINAL_SEED: u64 = 2_000_000_000;

/// What one seed is to do.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) recipe: &'a Recipe,
    pub(super) seed: u64,
    pub(super) folder: &'a RunFolder,
    /// Go on from the checkpoint in the folder.
    pub(super) resume: bool,
}

/// What it has done.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) seed: u64,
    pub(super) steps: u64,
    /// Of learning, with evaluations and checkpoints, in this process.
    pub(super) seconds: f64,
    /// Steps in this process.
    pub(super) new_steps: u64,
    pub(super) episodes: u64,
    /// Mean returns of the evaluations on the way, by step.
    pub(super) evaluations: Vec<(u64, f64)>,
    /// Mean returns while learning, by step.
    pub(super) returns: Vec<(u64, f64)>,
    /// Errors against the exact answer by step, where the model is known.
    pub(super) truths: Vec<Truth>,
    /// The exact values beside the learnt ones at the end.
    pub(super) surface: Option<Surface>,
    /// The step of the best policy.
    pub(super) best_step: u64,
    /// The final judgement of the best policy and of the last.
    pub(super) best: Evaluation,
    pub(super) last: Evaluation,
    /// The environments could not be saved, so that this is not what an uninterrupted run would have been.
    pub(super) inexact: bool,
}

/// Errors against the exact answer, by name, at a step.
pub(super) type Truth = (u64, Vec<(String, f64)>);

/// How far a run has come, beside what the training knows itself.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Progress {
    evaluations: Vec<(u64, f64)>,
    returns: Vec<(u64, f64)>,
    truths: Vec<Truth>,
    /// Step and mean return of the best policy.
    best: Option<(u64, f64)>,
    seconds: f64,
}

struct Run<'a> {
    task: Task<'a>,
    total: u64,
    training: Training,
    judges: Box<dyn VectorEnv>,
    logs: Logs,
    progress: Progress,
    started: Instant,
}

/// Learns. `counted` is moved by the steps taken; `note` hears of every evaluation.
pub(super) fn run(task: Task<'_>, counted: &AtomicU64, note: &(dyn Fn(&str) + Sync)) -> Result<Done, CommandError> {
    let recipe = task.recipe;
    let failed = |error: RlError| failed(&error, &recipe.environment);
    let id = &recipe.environment;
    let total = recipe.steps.get() as u64;
    let wrapping = recipe.wrappers.wrapping();
    let make = |count, autoreset| wrapping.make_envs(id, count, autoreset).map_err(failed);
    let envs = make(recipe.environments.get(), Autoreset::SameStep)?;
    let judges = make(recipe.evaluation.episodes.get(), Autoreset::Disabled)?;
    let normalizer = task.algorithm.normalizer(recipe, &*envs).map_err(failed)?;
    let agent = (task.algorithm)
        .agent(recipe, &*envs, normalizer.as_ref(), total, Seed(task.seed))
        .map_err(failed)?
        .map_err(|reason| unfit(task.algorithm, recipe, reason))?;
    let mut training = Training::new(envs, agent, task.seed)
        .map_err(failed)?
        .normalized(normalizer);
    let (mut progress, mut inexact) = (Progress::default(), false);
    let logs = if task.resume {
        let (places, saved) = load_checkpoint(task.folder, &mut progress)?;
        inexact = !training.load(&saved).map_err(failed)?;
        Logs::resume(task.folder.path(), &places)
    } else {
        Logs::create(task.folder, id)
    };
    let first_step = training.steps();
    counted.fetch_add(first_step, Ordering::Relaxed);
    let mut run = Run {
        task,
        total,
        training,
        judges,
        logs: logs.failed_run(|| "cannot write the logs of the run".into())?,
        progress,
        started: Instant::now(),
    };
    run.learn(counted, note)?;
    let seconds = run.started.elapsed().as_secs_f64();
    let (best, last) = run.judge().map_err(failed)?;
    run.logs
        .finish()
        .failed_run(|| "cannot write the logs of the run".into())?;
    let done = Done {
        seed: task.seed,
        steps: run.training.steps(),
        seconds,
        new_steps: run.training.steps() - first_step,
        episodes: run.training.episodes(),
        best_step: run.progress.best.map_or(0, |(step, _)| step),
        evaluations: run.progress.evaluations,
        returns: run.progress.returns,
        truths: run.progress.truths,
        surface: run.training.surface(),
        best,
        last,
        inexact,
    };
    let result = SeedResult {
        algorithm: task.algorithm.name().to_owned(),
        environment: id.clone(),
        seed: done.seed,
        steps: done.steps,
        seconds: run.progress.seconds + seconds,
        evaluations: done.evaluations.clone(),
        best_step: done.best_step,
        best_returns: done.best.returns.clone(),
        last_returns: done.last.returns.clone(),
    };
    result
        .write(task.folder.path())
        .failed_run(|| "cannot write the result of the run".into())?;
    Ok(done)
}

impl Run<'_> {
    fn learn(&mut self, counted: &AtomicU64, note: &(dyn Fn(&str) + Sync)) -> Result<(), CommandError> {
        let recipe = self.task.recipe;
        let often = |given: Option<usize>, parts: u64| given.map_or((self.total / parts).max(1), |every| every as u64);
        let evaluate_every = often(recipe.evaluation.every.map(Whole::get), 25);
        let checkpoint_every = often(recipe.checkpoint_every.map(Whole::get), 10);
        let report_every = often(None, REPORTS);
        // The first multiple that has not been reached.
        let next = |every: u64, steps: u64| (steps / every + 1) * every;
        while self.training.steps() < self.total {
            let before = self.training.steps();
            let until = [evaluate_every, checkpoint_every, report_every]
                .into_iter()
                .map(|every| next(every, before))
                .fold(self.total, u64::min);
            self.training
                .run_until(until)
                .map_err(|error| failed(&error, &recipe.environment))?;
            let steps = self.training.steps();
            counted.fetch_add(steps - before, Ordering::Relaxed);
            let seconds = self.progress.seconds + self.started.elapsed().as_secs_f64();
            for episode in self.training.take_finished() {
                self.logs.episode(episode, seconds);
            }
            let due = |every: u64| steps / every > before / every || steps >= self.total;
            let (reports, evaluates, saves) = (due(report_every), due(evaluate_every), due(checkpoint_every));
            if reports {
                self.training.report(&mut self.logs);
                self.progress
                    .returns
                    .extend(self.training.recent_return().map(|value| (steps, value)));
            }
            if evaluates {
                let mean = self.evaluate().map_err(|error| failed(&error, &recipe.environment))?;
                note(&format!("return {mean:.1}"));
            }
            let stops = interrupt::interrupted();
            if saves || stops {
                self.save_checkpoint()
                    .failed_run(|| "cannot write the checkpoint; the one before is as it was".into())?;
            }
            if stops && steps < self.total {
                return Err(
                    CommandError::failed_run(format!("stopped on request after {steps} steps"))
                        .hint("the same command with `--resume` and this folder as `--out` goes on from here"),
                );
            }
        }
        Ok(())
    }

    /// Judges the policy of now, and keeps it where it is the best so far.
    fn evaluate(&mut self) -> Result<f64, RlError> {
        let step = self.training.steps();
        let patience = self.task.recipe.evaluation.patience.get() as u32;
        let evaluation = evaluate(
            &mut *self.judges,
            &mut *self.training.policy(),
            EVALUATION_SEED,
            patience,
        )?;
        let mean = evaluation.mean();
        self.logs.scalar("eval/mean_reward", step, mean);
        self.logs.scalar("eval/mean_ep_length", step, evaluation.mean_length());
        self.progress.evaluations.push((step, mean));
        if let Some(surface) = self.training.surface() {
            for (name, error) in &surface.errors {
                self.logs.scalar(name, step, *error);
            }
            let errors = surface.errors.iter().map(|&(name, error)| (name.to_owned(), error));
            self.progress.truths.push((step, errors.collect()));
        }
        if self.progress.best.is_none_or(|(_, best)| mean > best) {
            self.progress.best = Some((step, mean));
            self.save_policy("best")?;
        }
        Ok(mean)
    }

    fn save_policy(&self, folder: &str) -> Result<(), RlError> {
        let (recipe, training) = (self.task.recipe, &self.training);
        let mut card = PolicyCard::new(
            self.task.algorithm.name(),
            &recipe.environment,
            training.steps(),
            self.judges.observation_space(),
            self.judges.action_space(),
        );
        card.wrapping = recipe.wrappers.wrapping();
        card.normalization = training.normalization().cloned();
        training
            .agent()
            .save_policy(&card, &self.task.folder.path().join(folder))
    }

    fn save_checkpoint(&mut self) -> Result<(), TrainError> {
        let places = self.logs.places()?;
        let now = Progress {
            seconds: self.progress.seconds + self.started.elapsed().as_secs_f64(),
            ..self.progress.clone()
        };
        let state = serde_json::to_vec(&(&places, &now)).unwrap_or_default();
        let length = (state.len() as u64).to_le_bytes();
        let parts = [&length[..], &state, &self.training.save()];
        write_checkpoint(&self.task.folder.checkpoints_dir()?.join("latest"), KIND, &parts)
    }

    /// The returns of the best policy and of the last, in episodes that neither has been judged on.
    fn judge(&mut self) -> Result<(Evaluation, Evaluation), RlError> {
        self.save_policy("last")?;
        let recipe = self.task.recipe;
        let (evaluation, wrapping) = (&recipe.evaluation, recipe.wrappers.wrapping());
        let episodes = evaluation.final_episodes.get();
        let mut judges = wrapping.make_envs(&recipe.environment, episodes, Autoreset::Disabled)?;
        let patience = evaluation.patience.get() as u32;
        let mut judge = |policy: &mut dyn Policy| evaluate(&mut *judges, policy, FINAL_SEED, patience);
        let (_, mut best) = load_policy(&self.task.folder.path().join("best"))?;
        Ok((judge(&mut *best)?, judge(&mut *self.training.policy())?))
    }
}

/// The recipe does not fit the algorithm or the environment.
pub(in crate::rl) fn unfit(algorithm: Algorithm, recipe: &Recipe, reason: String) -> CommandError {
    CommandError::bad_input(format!("{} cannot learn in {}", algorithm.name(), recipe.environment)).because(reason)
}

/// The state that the checkpoint in `folder` holds, and where the logs stood.
fn load_checkpoint(folder: &RunFolder, progress: &mut Progress) -> Result<(Places, Vec<u8>), CommandError> {
    let path = folder.path().join("checkpoints/latest");
    let refuse = || CommandError::bad_input(format!("cannot go on with the run in {}", folder.path().display()));
    let bytes = read_checkpoint(&path, KIND).map_err(|error| {
        let refused = refuse().caused_by(&error);
        if Path::exists(&path) {
            refused.hint("begin again with another `--out`; the policies in the folder are as they were")
        } else {
            refused.hint("no checkpoint has been written there yet: begin again with another `--out`")
        }
    })?;
    let parts = bytes.split_first_chunk().and_then(|(length, rest)| {
        let (state, training) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        Some((serde_json::from_slice::<(Places, Progress)>(state).ok()?, training))
    });
    let Some(((places, saved), training)) = parts else {
        return Err(refuse().because("the checkpoint was written by another version of this program"));
    };
    *progress = saved;
    Ok((places, training.to_vec()))
}
