//! The loop around a trainer: logs, evaluations, checkpoints, the best model, an early end.

use std::fs;
use std::path::Path;
use std::time::Instant;

use etude_align::AlignError;
use etude_align::data::Examples;
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
pub(super) struct FromData<'a, O: Objective, S> {
    pub(super) objective: &'a O,
    pub(super) trainer: Trainer<O::Model>,
    pub(super) examples: &'a Split<S>,
    pub(super) save: Save<'a, O::Model>,
    /// Writes what is needed to go on besides.
    pub(super) save_state: Save<'a, O::Model>,
}

impl<O: Objective, S: Examples<Example = O::Example>> Learner for FromData<'_, O, S> {
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
    let steps = run.learner.trainer().steps();
    let bar = Progress::bar(run.output, "training", steps);
    let mut course = Course::begin(run, from)?;
    if course.is_judged() && !course.state.is_evaluated() {
        course.judge()?;
        if course.state.global_step > 0 {
            // The evaluation of this step had failed, and the run goes on from there.
            course.keep()?;
        }
    }
    while course.state.global_step < steps && !course.gives_up() {
        let drawn = course.learner.draw().map_err(|error| course.failed(&error))?;
        let metrics;
        (course.learner, metrics) = course.learner.step(drawn).failed_run(broken)?;
        course.stepped(&metrics);
        let step = course.state.global_step;
        bar.set(step, format!("loss {}", short(metrics.get("loss").unwrap_or(f64::NAN))));
        if course.is_judged() {
            course.judge()?;
        }
        // All stop after the same step, whichever of them was asked to.
        let asked = course.learner.trainer().ranks().gather(interrupt::interrupted());
        let asked = asked.failed_run(broken)?;
        let (ends, stops) = (step == steps || course.gives_up(), asked.contains(&true));
        if step.is_multiple_of(course.arguments.save_steps) || ends || stops {
            course.keep()?;
        }
        if stops && !ends {
            if course.folder.is_none() {
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
    course.end()
}

fn broken() -> String {
    "training has broken down".into()
}

/// A run between its steps.
struct Course<'a, L> {
    learner: L,
    arguments: &'a TrainingArguments,
    folder: Option<&'a RunFolder>,
    state: TrainerState,
    logs: Logs,
    /// Tokens and seconds before it was gone on with.
    earlier: (u64, f64),
    started: Instant,
    /// Tokens at the last line of the logs, and when that was, evaluations and checkpoints left out.
    window: (u64, Instant),
}

impl<'a, L: Learner> Course<'a, L> {
    fn begin(run: Run<'a, L>, from: Option<&Path>) -> Result<Self, CommandError> {
        let Run {
            learner,
            arguments,
            folder,
            mut state,
            ..
        } = run;
        let logs = match (folder, from) {
            (None, _) => Logs::unwritten(),
            (Some(folder), Some(from)) => Logs::resume(folder, from)?,
            (Some(folder), None) => Logs::create(folder)?,
        };
        state.max_steps = learner.trainer().steps();
        state.progress.ranks = learner.trainer().ranks().size();
        let now = Instant::now();
        Ok(Self {
            learner,
            arguments,
            folder,
            earlier: (state.num_input_tokens_seen, state.progress.seconds),
            state,
            logs,
            started: now,
            window: (0, now),
        })
    }

    /// Counts a step, and writes a line where one is due.
    fn stepped(&mut self, metrics: &Metrics) {
        self.logs.window.merge(metrics);
        let trainer = self.learner.trainer();
        let (step, tokens) = (trainer.step_count(), trainer.tokens());
        self.state.global_step = step;
        self.state.epoch = trainer.epoch();
        self.state.num_input_tokens_seen = self.earlier.0 + tokens;
        if !step.is_multiple_of(self.arguments.logging_steps) && step < self.state.max_steps {
            return;
        }
        let (tokens_before, since) = self.window;
        let mut window = std::mem::take(&mut self.logs.window);
        window.add("num_tokens", self.state.num_input_tokens_seen as f64, 1.0);
        let speed = (tokens - tokens_before) as f64 / since.elapsed().as_secs_f64();
        window.add("tokens_per_second", speed, 1.0);
        self.state.log(window.iter());
        self.logs.write("train", step, window.iter());
        self.window = (tokens, Instant::now());
    }

    /// Whether an evaluation belongs to the present step.
    fn is_judged(&self) -> bool {
        let step = self.state.global_step;
        let every = self.arguments.eval_steps;
        step == 0 || step == self.state.max_steps || every.is_some_and(|every| step.is_multiple_of(every))
    }

    fn gives_up(&self) -> bool {
        let patience = self.arguments.early_stopping_patience;
        patience.is_some_and(|patience| self.state.progress.evaluations_since_best >= patience)
    }

    /// Evaluates what is held out, and writes the model where it is the best so far; before the first step it is there already.
    fn judge(&mut self) -> Result<(), CommandError> {
        let before = Instant::now();
        let metrics = self.learner.evaluate().map_err(|error| self.failed(&error))?;
        let Some(metrics) = metrics else { return Ok(()) };
        let state = &mut self.state;
        let cost = L::cost(&metrics);
        self.logs.write("eval", state.global_step, metrics.iter());
        let named: Vec<(String, f64)> = metrics
            .iter()
            .map(|(name, value)| (format!("eval_{name}"), value))
            .collect();
        state.log(named.iter().map(|(name, value)| (name.as_str(), *value)));
        if state.best_metric.is_none_or(|best| cost < best) {
            state.best_metric = Some(cost);
            state.best_global_step = Some(state.global_step);
            state.progress.evaluations_since_best = 0;
            if let Some(folder) = self.folder.filter(|_| state.global_step > 0) {
                let best = self.learner.save(&folder.path().join(BEST));
                best.failed_run(|| "cannot write the run".into())?;
            }
        } else {
            state.progress.evaluations_since_best += 1;
        }
        self.window.1 += before.elapsed();
        Ok(())
    }

    /// Writes a checkpoint.
    fn keep(&mut self) -> Result<(), CommandError> {
        let Some(folder) = self.folder else { return Ok(()) };
        let before = Instant::now();
        self.state.progress.seconds = self.seconds();
        let places = self.logs.places().failed_run(|| "cannot write the run".into())?;
        let (learner, optimizer) = (&self.learner, self.learner.trainer().optimizer());
        let model = |path: &Path| {
            learner.save_to_go_on(path)?;
            let places = serde_json::to_vec(&places).unwrap_or_default();
            Ok(etude_train::write_atomically(&path.join(LOGS), &places)?)
        };
        checkpoint::save(folder.path(), &self.state, optimizer, self.arguments, model)
            .failed_run(|| "cannot write the checkpoint; those before are as they were".into())?;
        self.window.1 += before.elapsed();
        Ok(())
    }

    /// What fails beside the model, such as a reward, costs no step.
    fn failed(&mut self, error: &AlignError) -> CommandError {
        let message = CommandError::failed_run(broken()).caused_by(error);
        let step = self.state.global_step;
        if step == 0 {
            return message;
        }
        match self.keep() {
            Ok(()) => message.hint(format!(
                "the {step} steps before it are kept: the same command with `--resume` and this folder as `--out` goes on from there"
            )),
            Err(error) => error,
        }
    }

    /// Seconds of training, with those before it was gone on with.
    fn seconds(&self) -> f64 {
        self.earlier.1 + self.started.elapsed().as_secs_f64()
    }

    fn end(mut self) -> Result<(L, TrainerState), CommandError> {
        self.state.progress.seconds = self.seconds();
        self.logs.finish().failed_run(|| "cannot write the run".into())?;
        Ok((self.learner, self.state))
    }
}
