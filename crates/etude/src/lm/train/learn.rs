//! The loop around a trainer: logs, evaluations, checkpoints, the best model, an early end.

use std::fs;
use std::path::Path;
use std::time::Instant;

use etude_align::AlignError;
use etude_align::training::{Metrics, Objective, Trained, Trainer, TrainerState, TrainingArguments, checkpoint};
use etude_train::{JsonlObserver, LogPlace, Observer as _, RunFolder, TensorBoardObserver, TrainError};
use serde::{Deserialize, Serialize};

use super::data::Split;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::number::short;

/// Where the logs stood at a checkpoint, in a file of its own beside those of transformers.
const LOGS: &str = "logs.json";
/// The folder of the model that was judged best.
pub(super) const BEST: &str = "best";

/// Something that is trained step by step.
pub(super) trait Learner: Sized {
    /// What comes out of it.
    type Model: Trained;

    /// What the next step learns from, where that is not there beforehand.
    type Drawn;

    /// Draws it. Where that fails, nothing is lost: it can be tried again.
    fn draw(&mut self) -> Result<Self::Drawn, AlignError>;

    /// Takes the next step.
    fn step(self, drawn: Self::Drawn) -> Result<(Self, Metrics), AlignError>;

    /// The metrics of what is held out; none where nothing is.
    fn evaluate(&mut self) -> Result<Option<Metrics>, AlignError>;

    /// Of two evaluations the one is better where this is less.
    fn cost(metrics: &Metrics) -> f64;

    /// Steps, moments and model.
    fn trainer(&self) -> &Trainer<Self::Model>;

    /// Writes the model into a folder, to be used: where averages of its parameters are kept, that of these.
    fn save(&self, folder: &Path) -> Result<(), AlignError>;

    /// Writes the model into a folder, with what else is needed to go on from there.
    fn save_to_go_on(&self, folder: &Path) -> Result<(), AlignError>;
}

/// Writes a model into a folder.
type Save<'a, M> = &'a dyn Fn(&M, &Path) -> Result<(), AlignError>;

/// Learns from data that are there.
pub(super) struct FromData<'a, O: Objective> {
    pub(super) objective: &'a O,
    pub(super) trainer: Trainer<O::Model>,
    pub(super) examples: &'a Split<O::Example>,
    pub(super) save: Save<'a, O::Model>,
    /// Writes what is needed to go on besides.
    pub(super) save_state: Save<'a, O::Model>,
}

impl<O: Objective> Learner for FromData<'_, O> {
    type Model = O::Model;
    type Drawn = ();

    fn draw(&mut self) -> Result<(), AlignError> {
        Ok(())
    }

    fn step(mut self, (): ()) -> Result<(Self, Metrics), AlignError> {
        let metrics;
        (self.trainer, metrics) = self.trainer.step(self.objective, &self.examples.train)?;
        Ok((self, metrics))
    }

    fn evaluate(&mut self) -> Result<Option<Metrics>, AlignError> {
        let held_out = &self.examples.held_out;
        let metrics = (!held_out.is_empty()).then(|| self.trainer.evaluate(self.objective, held_out));
        metrics.transpose()
    }

    fn cost(metrics: &Metrics) -> f64 {
        metrics.get("loss").unwrap_or(f64::NAN)
    }

    fn trainer(&self) -> &Trainer<O::Model> {
        &self.trainer
    }

    fn save(&self, folder: &Path) -> Result<(), AlignError> {
        (self.save)(&self.trainer.averaged(), folder)
    }

    fn save_to_go_on(&self, folder: &Path) -> Result<(), AlignError> {
        (self.save)(self.trainer.model(), folder)?;
        (self.save_state)(self.trainer.model(), folder)
    }
}

/// A run that is going on.
pub(super) struct Run<'a, L> {
    pub(super) learner: L,
    pub(super) arguments: &'a TrainingArguments,
    /// Where the run is written: by the first rank alone.
    pub(super) folder: Option<&'a RunFolder>,
    pub(super) state: TrainerState,
    pub(super) output: &'a Output,
}

/// What the logs need to go on from a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
struct Places {
    metrics: LogPlace,
    tensorboard: LogPlace,
    window: Metrics,
}

struct Logs {
    /// None on a rank that does not write.
    files: Option<Files>,
    /// Of the steps since the last line.
    window: Metrics,
}

/// Scalars go to both.
struct Files {
    metrics: JsonlObserver,
    tensorboard: TensorBoardObserver,
}

impl Logs {
    /// Nobody writes them.
    fn unwritten() -> Self {
        Self {
            files: None,
            window: Metrics::default(),
        }
    }

    /// Starts them.
    fn create(folder: &RunFolder) -> Result<Self, CommandError> {
        let create = || -> Result<Self, TrainError> {
            let files = Files {
                metrics: folder.jsonl()?,
                tensorboard: folder.tensorboard()?,
            };
            Ok(Self {
                files: Some(files),
                window: Metrics::default(),
            })
        };
        create().failed_run(|| "cannot write the run".into())
    }

    /// Goes on with them where the checkpoint `from` found them.
    fn resume(folder: &RunFolder, from: &Path) -> Result<Self, CommandError> {
        let path = from.join(LOGS);
        let damaged = || format!("cannot go on with the logs of {}", path.display());
        let bytes = fs::read(&path).bad_input(damaged)?;
        let places: Places = serde_json::from_slice(&bytes).bad_input(damaged)?;
        let files = Files {
            metrics: JsonlObserver::resume(folder.path(), &places.metrics).bad_input(damaged)?,
            tensorboard: TensorBoardObserver::resume(folder.path(), &places.tensorboard).bad_input(damaged)?,
        };
        Ok(Self {
            files: Some(files),
            window: places.window,
        })
    }

    fn write<'a>(&mut self, kind: &str, step: u64, numbers: impl IntoIterator<Item = (&'a str, f64)>) {
        let Some(files) = &mut self.files else { return };
        for (name, value) in numbers {
            let name = format!("{kind}/{name}");
            files.metrics.scalar(&name, step, value);
            files.tensorboard.scalar(&name, step, value);
        }
    }

    /// None on a rank that does not write.
    fn places(&mut self) -> Result<Option<Places>, TrainError> {
        let Some(files) = &mut self.files else { return Ok(None) };
        Ok(Some(Places {
            metrics: files.metrics.place()?,
            tensorboard: files.tensorboard.place()?,
            window: self.window.clone(),
        }))
    }

    fn finish(&mut self) -> Result<(), TrainError> {
        let Some(files) = &mut self.files else { return Ok(()) };
        files.metrics.finish().and(files.tensorboard.finish())
    }
}

/// Trains to the end, from the checkpoint `from` where there is one.
pub(super) fn learn<L: Learner>(run: Run<'_, L>, from: Option<&Path>) -> Result<(L, TrainerState), CommandError> {
    let Run {
        mut learner,
        arguments,
        folder,
        mut state,
        output,
    } = run;
    let write = || "cannot write the run".to_owned();
    let broken = || "training has broken down".to_owned();
    let mut logs = match (folder, from) {
        (None, _) => Logs::unwritten(),
        (Some(folder), Some(from)) => Logs::resume(folder, from)?,
        (Some(folder), None) => Logs::create(folder)?,
    };
    let steps = learner.trainer().steps();
    state.max_steps = steps;
    state.progress.ranks = learner.trainer().ranks().size();
    let (earlier, started) = (state.progress.seconds, Instant::now());
    let earlier_tokens = state.num_input_tokens_seen;
    let bar = Progress::bar(output, "training", steps);
    let mut tokens_before_window = 0;
    let mut window_started = Instant::now();
    let judged =
        |step: u64| step == 0 || arguments.eval_steps.is_some_and(|every| step.is_multiple_of(every)) || step == steps;
    let keep = |learner: &L, state: &mut TrainerState, logs: &mut Logs| {
        state.progress.seconds = earlier + started.elapsed().as_secs_f64();
        folder.map_or(Ok(()), |folder| save(learner, state, logs, arguments, folder))
    };
    // What fails beside the model costs no step.
    let failed = |error: &AlignError, learner: &L, state: &mut TrainerState, logs: &mut Logs| {
        let message = CommandError::failed_run(broken()).caused_by(error);
        let step = state.global_step;
        if step == 0 {
            return message;
        }
        match keep(learner, state, logs) {
            Ok(()) => message.hint(format!(
                "the {step} steps before it are kept: the same command with `--resume` and this folder as `--out` goes on from there"
            )),
            Err(error) => error,
        }
    };
    if judged(state.global_step) && !state.is_evaluated() {
        // Or the evaluation of this step failed, and the run goes on from there.
        if let Err(error) = judge(&mut learner, &mut state, &mut logs, folder) {
            return Err(failed(&error, &learner, &mut state, &mut logs));
        }
        if state.global_step > 0 {
            keep(&learner, &mut state, &mut logs)?;
        }
    }
    let gives_up = |state: &TrainerState| {
        let patience = arguments.early_stopping_patience;
        patience.is_some_and(|patience| state.progress.evaluations_since_best >= patience)
    };
    while learner.trainer().step_count() < steps && !gives_up(&state) {
        let drawn = match learner.draw() {
            Ok(drawn) => drawn,
            Err(error) => return Err(failed(&error, &learner, &mut state, &mut logs)),
        };
        let metrics;
        (learner, metrics) = learner.step(drawn).failed_run(broken)?;
        logs.window.merge(&metrics);
        let trainer = learner.trainer();
        let tokens = trainer.tokens();
        state.global_step = trainer.step_count();
        state.epoch = trainer.epoch();
        state.num_input_tokens_seen = earlier_tokens + tokens;
        let step = state.global_step;
        let last = step == steps;
        bar.set(step, format!("loss {}", short(metrics.get("loss").unwrap_or(f64::NAN))));
        if step.is_multiple_of(arguments.logging_steps) || last {
            let seconds = window_started.elapsed().as_secs_f64();
            let mut window = std::mem::take(&mut logs.window);
            window.add("num_tokens", state.num_input_tokens_seen as f64, 1.0);
            window.add(
                "tokens_per_second",
                (tokens - tokens_before_window) as f64 / seconds,
                1.0,
            );
            state.log(window.iter());
            logs.write("train", step, window.iter());
            tokens_before_window = tokens;
            window_started = Instant::now();
        }
        if judged(step) {
            let before = Instant::now();
            if let Err(error) = judge(&mut learner, &mut state, &mut logs, folder) {
                return Err(failed(&error, &learner, &mut state, &mut logs));
            }
            window_started += before.elapsed();
        }
        // All stop after the same step, whichever of them was asked to.
        let asked = learner.trainer().ranks().gather(interrupt::interrupted());
        let asked = asked.failed_run(broken)?;
        let (ends, stops) = (last || gives_up(&state), asked.contains(&true));
        if step.is_multiple_of(arguments.save_steps) || ends || stops {
            let before = Instant::now();
            keep(&learner, &mut state, &mut logs)?;
            window_started += before.elapsed();
        }
        if stops && !ends {
            if folder.is_none() {
                // The first rank tells of it.
                break;
            }
            return Err(
                CommandError::failed_run(format!("stopped on request after {step} steps"))
                    .hint("the same command with `--resume` and this folder as `--out` goes on from here"),
            );
        }
    }
    bar.finish();
    state.progress.seconds = earlier + started.elapsed().as_secs_f64();
    logs.finish().failed_run(write)?;
    Ok((learner, state))
}

/// Writes a checkpoint.
fn save<L: Learner>(
    learner: &L,
    state: &TrainerState,
    logs: &mut Logs,
    arguments: &TrainingArguments,
    folder: &RunFolder,
) -> Result<(), CommandError> {
    let places = logs.places().failed_run(|| "cannot write the run".into())?;
    let model = |path: &Path| {
        learner.save_to_go_on(path)?;
        let places = serde_json::to_vec(&places).unwrap_or_default();
        Ok(etude_train::write_atomically(&path.join(LOGS), &places)?)
    };
    checkpoint::save(folder.path(), state, learner.trainer().optimizer(), arguments, model)
        .failed_run(|| "cannot write the checkpoint; those before are as they were".into())
}

/// Evaluates what is held out, and writes the model where it is the best so far; before the first step it is there already.
fn judge<L: Learner>(
    learner: &mut L,
    state: &mut TrainerState,
    logs: &mut Logs,
    folder: Option<&RunFolder>,
) -> Result<(), AlignError> {
    let Some(metrics) = learner.evaluate()? else {
        return Ok(());
    };
    let cost = L::cost(&metrics);
    logs.write("eval", state.global_step, metrics.iter());
    let named: Vec<(String, f64)> = metrics
        .iter()
        .map(|(name, value)| (format!("eval_{name}"), value))
        .collect();
    state.log(named.iter().map(|(name, value)| (name.as_str(), *value)));
    let best = state.best_metric.is_none_or(|best| cost < best);
    if best {
        state.best_metric = Some(cost);
        state.best_global_step = Some(state.global_step);
        state.progress.evaluations_since_best = 0;
    } else {
        state.progress.evaluations_since_best += 1;
    }
    match folder {
        Some(folder) if best && state.global_step > 0 => learner.save(&folder.path().join(BEST)),
        _ => Ok(()),
    }
}
