//! `etude lm sft`, `etude lm reward`, `etude lm dpo`: a language model is trained.

mod data;
mod estimate;
mod learn;
mod page;
mod recipe;
mod samples;
mod trl;

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module as _;
use burn::tensor::Device;
use clap::Args;
use etude_align::AlignError;
use etude_align::preference::{Dpo, PreferenceExample, ReferenceLogProbabilities};
use etude_align::reward::{RewardModel, RewardModeling};
use etude_align::sft::Sft;
use etude_align::training::{Objective, Order, Sequences as _, Trained, Trainer, TrainerState, checkpoint};
use etude_hub::peft::LoraAdapter;
use etude_lm::Source;
use etude_lm::decoder::Decoder;
use etude_train::{RunFolder, Seed, TrainError};
use serde_json::json;

use crate::cli::RunOptions;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::recipe::{self as recipes, Loaded, Override};
use crate::report::{Code, Section};
use crate::run_report::{RUNS, config_text, provenance};
use data::Split;
use estimate::{Estimate, Work, peak_memory};
use learn::{Run, learn};
use recipe::Recipe;
use samples::Samples;

/// What is trained, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Sft,
    Reward,
    Dpo,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::Reward => "reward",
            Self::Dpo => "dpo",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Sft => "Supervised fine-tuning",
            Self::Reward => "A reward model",
            Self::Dpo => "Direct preference optimisation",
        }
    }

    /// TRL's.
    fn learning_rate(self) -> f64 {
        match self {
            Self::Sft => 2e-5,
            Self::Reward => 1e-4,
            Self::Dpo => 1e-6,
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
    stage: Stage,
    model: String,
    examples: usize,
    state: TrainerState,
    estimate: Estimate,
    peak_memory: Option<u64>,
    /// Prompt, answer before, answer after.
    samples: Vec<[String; 3]>,
}

/// What every stage has at hand.
struct Task<'a> {
    stage: Stage,
    recipe: &'a Recipe,
    source: Source,
    folder: &'a RunFolder,
    /// The checkpoint to go on from.
    from: Option<PathBuf>,
    output: &'a Output,
}

pub(super) fn run(stage: Stage, arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let started = Instant::now();
    let mut loaded = arguments.load(stage, output)?;
    loaded.value.training.learning_rate.get_or_insert(stage.learning_rate());
    check(stage, &loaded)?;
    let recipe = &loaded.value;
    let name = &recipe.model.path;
    let source = Source::open(name).bad_input(|| format!("cannot open {name}"))?;
    source
        .tokenizer
        .check_model(source.config.vocabulary)
        .bad_input(|| format!("cannot open {name}"))?;
    interrupt::install()?;
    let records = data::read(recipe, output)?;
    let folder = arguments.folder(stage, &loaded)?;
    let from = if arguments.resume {
        let latest = checkpoint::latest(folder.path()).bad_input(|| "cannot go on with the run".into())?;
        let none = || CommandError::bad_input("cannot go on with the run").because("it has no checkpoint yet");
        Some(latest.ok_or_else(none)?)
    } else {
        None
    };
    let task = Task {
        stage,
        recipe,
        source,
        folder: &folder,
        from,
        output,
    };
    let outcome = match stage {
        Stage::Sft => task.sft(&records),
        Stage::Reward => task.reward(&records),
        Stage::Dpo => task.dpo(&records),
    }?;
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
        "seconds": outcome.state.seconds,
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
        Stage::Dpo => Dpo::new(recipe.dpo.clone()).map(drop).map_err(rejected("dpo")),
        Stage::Reward if recipe.lora.is_some() => {
            Err(loaded.reject("lora", "reward models are trained as a whole, without adapters"))
        }
        Stage::Reward => RewardModeling::new(recipe.reward).map(drop).map_err(rejected("reward")),
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

impl Task<'_> {
    fn sft(self, records: &Split<etude_align::data::Record>) -> Result<Outcome, CommandError> {
        let examples = data::sft(records, self.recipe, &self.source, self.output)?;
        let samples = self.samples(records);
        let decoder = self.decoder()?;
        self.finish(&Sft, decoder, &examples, Some(&samples))
    }

    fn dpo(self, records: &Split<etude_align::data::Record>) -> Result<Outcome, CommandError> {
        let dpo = Dpo::new(self.recipe.dpo.clone()).bad_input(|| "cannot train so".into())?;
        let mut examples = data::preferences(records, self.recipe, &self.source, self.output)?;
        let samples = self.samples(records);
        if dpo.options().reference_free {
            for example in examples.train.iter_mut().chain(&mut examples.held_out) {
                example.reference = [0.0; 2];
            }
        } else {
            self.references(&dpo, &mut examples)?;
        }
        let decoder = self.decoder()?;
        self.finish(&dpo, decoder, &examples, Some(&samples))
    }

    fn reward(self, records: &Split<etude_align::data::Record>) -> Result<Outcome, CommandError> {
        let objective = RewardModeling::new(self.recipe.reward).bad_input(|| "cannot train so".into())?;
        let examples = data::rewards(records, self.recipe, &self.source, self.output)?;
        let opened;
        let source = match &self.from {
            Some(path) => {
                opened = self.open(path)?;
                &opened
            }
            None => &self.source,
        };
        let model = RewardModel::load(
            source.config.clone(),
            &*source.checkpoint,
            self.recipe.model.precision.into(),
            source.config.pad_token.or(source.tokenizer.special_ids().eos),
            Seed(self.recipe.training.seed),
            &Device::flex().autodiff(),
        );
        let model = model.bad_input(|| format!("cannot load {}", self.recipe.model.path))?;
        self.finish(&objective, model, &examples, None)
    }

    fn samples(&self, records: &Split<etude_align::data::Record>) -> Samples {
        let recipe = &self.recipe.samples;
        Samples {
            prompts: data::prompts(records, recipe.count.get(), &self.source),
            max_tokens: recipe.max_tokens.get(),
            stop_tokens: self.source.stop_tokens.clone(),
        }
    }

    fn open(&self, path: &Path) -> Result<Source, CommandError> {
        let name = path.to_string_lossy();
        Source::open(&name).bad_input(|| format!("cannot open {name}"))
    }

    /// The decoder to train, as it was at the checkpoint where there is one.
    fn decoder(&self) -> Result<Decoder, CommandError> {
        let failed = || format!("cannot load {}", self.recipe.model.path);
        let load = |source: &Source| {
            let device = Device::flex().autodiff();
            let decoder = Decoder::load(source.config.clone(), &*source.checkpoint, &device).bad_input(failed)?;
            Ok(decoder.with_precision(self.recipe.model.precision.into()))
        };
        match (&self.recipe.lora, &self.from) {
            (None, None) => load(&self.source),
            (None, Some(path)) => load(&self.open(path)?),
            (Some(options), None) => load(&self.source)?
                .with_lora(options, self.recipe.training.seed)
                .bad_input(failed),
            (Some(_), Some(path)) => {
                let adapter = LoraAdapter::open(path).bad_input(failed)?;
                load(&self.source)?.with_adapter(&adapter).bad_input(failed)
            }
        }
    }

    /// Fills in what the model, as it is before training, says of the pairs that the run will read.
    fn references(&self, dpo: &Dpo, examples: &mut Split<PreferenceExample>) -> Result<(), CommandError> {
        let failed = || "cannot compute the reference's log-probabilities".to_owned();
        let source = &self.source;
        let reference = Decoder::load(source.config.clone(), &*source.checkpoint, &Device::flex()).bad_input(failed)?;
        let reference = reference.with_precision(self.recipe.model.precision.into());
        let beside = self.folder.path().parent().unwrap_or(Path::new("."));
        let mut known = ReferenceLogProbabilities::open(&beside.join("reference-log-probabilities"), &reference)
            .failed_run(failed)?;
        let arguments = &self.recipe.training;
        let order = Order {
            examples: examples.train.len(),
            batch: arguments.per_device_train_batch_size,
            accumulation: arguments.gradient_accumulation_steps,
            shuffle: arguments.shuffle.then_some(Seed(arguments.seed)),
        };
        let mut read = vec![false; examples.train.len()];
        if !read.is_empty() {
            for step in 0..arguments.steps(order.steps_per_epoch()) {
                order
                    .step(step)
                    .concat()
                    .into_iter()
                    .for_each(|place| read[place] = true);
                if read.iter().all(|read| *read) {
                    break;
                }
            }
        }
        let train = examples
            .train
            .iter_mut()
            .zip(&read)
            .filter_map(|(example, read)| read.then_some(example));
        let wanted: Vec<&mut PreferenceExample> = train.chain(&mut examples.held_out).collect();
        let bar = Progress::bar(self.output, "reference", wanted.len() as u64);
        let progress = |done: usize| {
            bar.set(done as u64, "log-probabilities");
            !interrupt::interrupted()
        };
        known
            .fill(dpo, &reference, wanted, arguments.per_device_eval_batch_size, progress)
            .failed_run(failed)?;
        bar.finish();
        if interrupt::interrupted() {
            return Err(CommandError::failed_run("stopped on request")
                .hint("what the reference has said so far is kept, and need not be computed again"));
        }
        Ok(())
    }

    /// Writes a decoder or its adapters.
    fn finish<O: Objective>(
        self,
        objective: &O,
        model: O::Model,
        examples: &Split<O::Example>,
        samples: Option<&Samples>,
    ) -> Result<Outcome, CommandError>
    where
        O::Model: SaveModel,
    {
        let failed = || "cannot train".to_owned();
        let (recipe, source, output) = (self.recipe, &self.source, self.output);
        let mut trainer = Trainer::new(model, recipe.training.clone(), examples.train.len()).bad_input(failed)?;
        let mut state = TrainerState::default();
        if let Some(from) = &self.from {
            let damaged = || "cannot go on with the run".to_owned();
            let moments;
            (state, moments) = checkpoint::load(from).bad_input(damaged)?;
            trainer = trainer.resumed(state.global_step, moments).bad_input(damaged)?;
        }
        let estimate = self.work(objective, &trainer, examples).estimate();
        output.note(&format!(
            "{} steps on {} examples; expected: {:.1} GB of memory, {:.0} s",
            trainer.steps(),
            examples.train.len(),
            estimate.bytes as f64 / 1e9,
            estimate.seconds
        ));
        let ask = |model: &O::Model| -> Result<Vec<String>, CommandError> {
            let answers = samples.map(|samples| samples.answers(&model.valid().decoder().merged(), &source.tokenizer));
            answers
                .transpose()
                .failed_run(|| "cannot answer the samples".into())
                .map(Option::unwrap_or_default)
        };
        let before = match &self.from {
            // As it was before the first step, and not before this one.
            Some(_) => self.answers_before(samples)?,
            None => ask(trainer.model())?,
        };
        let save = |model: &O::Model, folder: &Path| model.save_model(folder, source);
        let run = Run {
            objective,
            trainer,
            arguments: &recipe.training,
            examples,
            folder: self.folder,
            state,
            save: &save,
            output,
        };
        let (model, state) = learn(run, self.from.as_deref())?;
        let peak_memory = peak_memory();
        let finished = self.folder.path().join(MODEL);
        model
            .save_model(&finished, source)
            .failed_run(|| "cannot write the model".into())?;
        let after = ask(&model)?;
        let prompts = samples.map(|samples| samples.shown(&source.tokenizer)).transpose();
        let prompts = prompts
            .failed_run(|| "cannot show the samples".into())?
            .unwrap_or_default();
        let samples = prompts.into_iter().zip(before).zip(after);
        Ok(Outcome {
            stage: self.stage,
            model: recipe.model.path.clone(),
            examples: examples.train.len(),
            state,
            estimate,
            peak_memory,
            samples: samples
                .map(|((prompt, before), after)| [prompt, before, after])
                .collect(),
        })
    }

    /// The answers of the model that the run began with.
    fn answers_before(&self, samples: Option<&Samples>) -> Result<Vec<String>, CommandError> {
        let Some(samples) = samples else { return Ok(Vec::new()) };
        let source = &self.source;
        let failed = || "cannot answer the samples".to_owned();
        let decoder = Decoder::load(source.config.clone(), &*source.checkpoint, &Device::flex()).bad_input(failed)?;
        samples.answers(&decoder, &source.tokenizer).failed_run(failed)
    }

    fn work<O: Objective>(&self, objective: &O, trainer: &Trainer<O::Model>, examples: &Split<O::Example>) -> Work {
        let batches = (trainer.step_count()..trainer.steps()).flat_map(|step| trainer.order().step(step));
        let lengths = batches.map(|places| {
            let batch: Vec<_> = places.iter().map(|&place| &examples.train[place]).collect();
            objective.batch(&batch).tokens().len()
        });
        let (tokens, largest_batch) =
            lengths.fold((0, 0), |(all, most), length| (all + length as u64, most.max(length)));
        let shapes = etude_lm::decoder::parameters(&self.source.config);
        Work {
            memory: self.source.memory(),
            parameters: shapes
                .iter()
                .map(|(_, shape)| shape.iter().product::<usize>() as u64)
                .sum(),
            tokens,
            largest_batch,
            precision: self.recipe.model.precision.into(),
            checkpointing: self.recipe.training.gradient_checkpointing,
            adapters: self.recipe.lora.is_some(),
        }
    }
}

/// A model that can be written into a folder, with what belongs to it.
trait SaveModel: Trained {
    fn save_model(&self, folder: &Path, source: &Source) -> Result<(), AlignError>;
}

impl SaveModel for Decoder {
    /// A whole model; or adapters beside the model that they are merged into.
    fn save_model(&self, folder: &Path, source: &Source) -> Result<(), AlignError> {
        self.save(folder)?;
        if let Some(adapter) = self.lora() {
            adapter.save(folder)?;
        }
        Ok(source.save_tokenizer(folder)?)
    }
}

impl SaveModel for RewardModel {
    fn save_model(&self, folder: &Path, source: &Source) -> Result<(), AlignError> {
        self.save(folder)?;
        Ok(source.save_tokenizer(folder)?)
    }
}
