//! One run of a stage: data and model are read, the reference is asked, the model is trained and written.

use std::path::{Path, PathBuf};

use burn::module::Module as _;
use burn::tensor::Device;
use etude_align::AlignError;
use etude_align::data::Record;
use etude_align::preference::{Dpo, PreferenceExample, ReferenceLogProbabilities};
use etude_align::reward::{RewardModel, RewardModeling};
use etude_align::sft::Sft;
use etude_align::training::{Objective, Order, Ranks, Sequences as _, Trained, Trainer, TrainerState, checkpoint};
use etude_hub::MemoryCheckpoint;
use etude_hub::peft::LoraAdapter;
use etude_lm::Source;
use etude_lm::decoder::Decoder;
use etude_train::{RunFolder, Seed};

use super::data::{self, Split};
use super::estimate::{Work, peak_memory};
use super::learn::{Run, learn};
use super::recipe::Recipe;
use super::samples::Samples;
use super::{MODEL, Outcome, Stage};
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;

/// What every stage has at hand.
pub(super) struct Task<'a> {
    pub(super) stage: Stage,
    pub(super) recipe: &'a Recipe,
    pub(super) source: Source,
    pub(super) ranks: &'a Ranks,
    /// Makes the folder of the run, on the first rank: only when data and settings are known to be good.
    pub(super) folder: &'a dyn Fn() -> Result<Option<RunFolder>, CommandError>,
    /// The checkpoint to go on from.
    pub(super) from: Option<PathBuf>,
    pub(super) output: &'a Output,
}

impl Task<'_> {
    pub(super) fn sft(self, records: &Split<Record>) -> Result<Option<Outcome>, CommandError> {
        let examples = data::sft(records, self.recipe, &self.source, self.output)?;
        let samples = self.samples(records);
        let (folder, decoder) = ((self.folder)()?, self.decoder()?);
        self.finish(&Sft, decoder, &examples, Some(&samples), folder)
    }

    pub(super) fn dpo(self, records: &Split<Record>) -> Result<Option<Outcome>, CommandError> {
        let dpo = Dpo::new(self.recipe.dpo.clone()).bad_input(|| "cannot train so".into())?;
        let mut examples = data::preferences(records, self.recipe, &self.source, self.output)?;
        let samples = self.samples(records);
        let folder = (self.folder)()?;
        if dpo.options().reference_free {
            for example in examples.train.iter_mut().chain(&mut examples.held_out) {
                example.reference = [0.0; 2];
            }
        } else {
            if let Some(folder) = &folder {
                self.references(&dpo, &mut examples, folder)?;
            }
            self.share_references(&mut examples)?;
        }
        let decoder = self.decoder()?;
        self.finish(&dpo, decoder, &examples, Some(&samples), folder)
    }

    pub(super) fn reward(self, records: &Split<Record>) -> Result<Option<Outcome>, CommandError> {
        let objective = RewardModeling::new(self.recipe.reward).bad_input(|| "cannot train so".into())?;
        let examples = data::rewards(records, self.recipe, &self.source, self.output)?;
        let folder = (self.folder)()?;
        let source = &self.source;
        let opened = self.from.as_deref().map(open).transpose()?;
        let model = RewardModel::load(
            source.config.clone(),
            &*opened.as_ref().unwrap_or(source).checkpoint,
            self.recipe.model.precision.into(),
            source.config.pad_token.or(source.tokenizer.special_ids().eos),
            Seed(self.recipe.training.seed),
            &Device::flex().autodiff(),
        );
        let model = model.bad_input(|| format!("cannot load {}", self.recipe.model.path))?;
        self.finish(&objective, model, &examples, None, folder)
    }

    fn samples(&self, records: &Split<Record>) -> Samples {
        let recipe = &self.recipe.samples;
        Samples {
            prompts: data::prompts(records, recipe.count.get(), recipe.max_tokens.get(), &self.source),
            max_tokens: recipe.max_tokens.get(),
            stop_tokens: self.source.stop_tokens.clone(),
        }
    }

    /// The decoder to train, as it was at the checkpoint where there is one.
    fn decoder(&self) -> Result<Decoder, CommandError> {
        let failed = || format!("cannot load {}", self.recipe.model.path);
        // The configuration is that of the beginning, also where a checkpoint has the parameters.
        let load = |source: &Source| {
            let (config, device) = (self.source.config.clone(), Device::flex().autodiff());
            let decoder = Decoder::load(config, &*source.checkpoint, &device).bad_input(failed)?;
            Ok(decoder.with_precision(self.recipe.model.precision.into()))
        };
        match (&self.recipe.lora, &self.from) {
            (None, None) => load(&self.source),
            (None, Some(path)) => load(&open(path)?),
            (Some(options), None) => load(&self.source)?
                .with_lora(options, self.recipe.training.seed)
                .bad_input(failed),
            (Some(_), Some(path)) => {
                let adapter = LoraAdapter::open(&path.join(ADAPTER)).bad_input(failed)?;
                load(&self.source)?.with_adapter(&adapter).bad_input(failed)
            }
        }
    }

    /// Fills in what the model, as it is before training, says of the pairs that the run will read.
    fn references(
        &self,
        dpo: &Dpo,
        examples: &mut Split<PreferenceExample>,
        folder: &RunFolder,
    ) -> Result<(), CommandError> {
        let failed = || "cannot compute the reference's log-probabilities".to_owned();
        let source = &self.source;
        let reference = Decoder::load(source.config.clone(), &*source.checkpoint, &Device::flex()).bad_input(failed)?;
        let reference = reference.with_precision(self.recipe.model.precision.into());
        let beside = folder.path().parent().unwrap_or(Path::new("."));
        let mut known = ReferenceLogProbabilities::open(&beside.join("reference-log-probabilities"), &reference)
            .failed_run(failed)?;
        let arguments = &self.recipe.training;
        let order = Order::new(arguments, examples.train.len(), self.ranks);
        let mut read = vec![false; examples.train.len()];
        // After an epoch all have been read.
        let steps = arguments.steps(order.steps_per_epoch()).min(order.steps_per_epoch());
        for place in (0..steps).flat_map(|step| order.step(step)).flatten() {
            read[place] = true;
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

    /// The first rank has asked the reference, and tells the others.
    fn share_references(&self, examples: &mut Split<PreferenceExample>) -> Result<(), CommandError> {
        let all = || examples.train.iter().chain(&examples.held_out);
        let own: Vec<[f32; 2]> = if self.ranks.is_first() {
            all().map(|example| example.reference).collect()
        } else {
            Vec::new()
        };
        let told = self
            .ranks
            .gather(own)
            .failed_run(|| "cannot train in several processes".into())?;
        let examples = examples.train.iter_mut().chain(&mut examples.held_out);
        for (example, reference) in examples.zip(told.into_iter().flatten()) {
            example.reference = reference;
        }
        Ok(())
    }

    /// Trains to the end, and writes the model; an outcome is what the first rank has.
    fn finish<O: Objective>(
        mut self,
        objective: &O,
        model: O::Model,
        examples: &Split<O::Example>,
        samples: Option<&Samples>,
        folder: Option<RunFolder>,
    ) -> Result<Option<Outcome>, CommandError>
    where
        O::Model: SaveModel,
    {
        let failed = || "cannot train".to_owned();
        let (recipe, output) = (self.recipe, self.output);
        let samples = samples.filter(|_| self.ranks.is_first());
        let mut trainer = Trainer::new(model, recipe.training.clone(), examples.train.len()).bad_input(failed)?;
        trainer = trainer.among(self.ranks.clone());
        let mut state = TrainerState::default();
        if let Some(from) = &self.from {
            let damaged = || "cannot go on with the run".to_owned();
            let moments;
            (state, moments) = checkpoint::load(from).bad_input(damaged)?;
            if state.progress.ranks != self.ranks.size() {
                let (found, began) = (self.ranks.size(), state.progress.ranks);
                return Err(CommandError::bad_input(damaged())
                    .because(format!("it began with {began} processes, and there are {found}"))
                    .hint(format!("start as many: `mpirun -n {began} etude lm ...`")));
            }
            trainer = trainer.resumed(state.global_step, moments).bad_input(damaged)?;
        }
        let estimate = self.work(objective, &trainer, examples).estimate();
        let processes = match self.ranks.size() {
            1 => String::new(),
            size => format!(" in {size} processes"),
        };
        output.note(&format!(
            "{} steps on {} examples{processes}; expected: {:.1} GB of memory, {:.0} s",
            trainer.steps(),
            examples.train.len(),
            estimate.bytes as f64 / 1e9,
            estimate.seconds
        ));
        let before_resumed = match &self.from {
            // As it was before the first step, and not before this one.
            Some(_) => Some(self.answers_before(samples)?),
            None => None,
        };
        // What has been read of the file's pages counts as this process's memory as long as the file is open.
        self.source.checkpoint = Box::new(MemoryCheckpoint::new(&self.source.path));
        let source = &self.source;
        let ask = |model: &O::Model| -> Result<Vec<String>, CommandError> {
            let answers = samples.map(|samples| samples.answers(&model.valid().decoder().merged(), &source.tokenizer));
            answers
                .transpose()
                .failed_run(|| "cannot answer the samples".into())
                .map(Option::unwrap_or_default)
        };
        let before = match before_resumed {
            Some(answers) => answers,
            None => ask(trainer.model())?,
        };
        let save = |model: &O::Model, folder: &Path| model.save_model(folder, source);
        let run = Run {
            objective,
            trainer,
            arguments: &recipe.training,
            examples,
            folder: folder.as_ref(),
            ranks: self.ranks,
            state,
            save: &save,
            output,
        };
        let (model, state) = learn(run, self.from.as_deref())?;
        // The other ranks are done.
        let Some(folder) = folder else { return Ok(None) };
        let peak_memory = peak_memory();
        let finished = folder.path().join(MODEL);
        model
            .save_model(&finished, source)
            .failed_run(|| "cannot write the model".into())?;
        let after = ask(&model)?;
        let prompts = samples.map(|samples| samples.shown(&source.tokenizer)).transpose();
        let prompts = prompts
            .failed_run(|| "cannot show the samples".into())?
            .unwrap_or_default();
        let samples = prompts.into_iter().zip(before).zip(after);
        Ok(Some(Outcome {
            folder,
            stage: self.stage,
            model: recipe.model.path.clone(),
            examples: examples.train.len(),
            state,
            estimate,
            peak_memory,
            samples: samples
                .map(|((prompt, before), after)| [prompt, before, after])
                .collect(),
        }))
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
        let length = |example| objective.batch(&[example]).tokens().len();
        let mut lengths: Vec<usize> = examples.train.iter().map(length).collect();
        lengths.sort_unstable();
        let arguments = &self.recipe.training;
        let batch = arguments.per_device_train_batch_size.min(lengths.len());
        let epochs = (trainer.steps() - trainer.step_count()) as f64 / trainer.order().steps_per_epoch() as f64;
        let shapes = etude_lm::decoder::parameters(&self.source.config);
        Work {
            memory: self.source.memory(),
            parameters: shapes
                .iter()
                .map(|(_, shape)| shape.iter().product::<usize>() as u64)
                .sum(),
            tokens: epochs * lengths.iter().sum::<usize>() as f64 / self.ranks.size() as f64,
            largest_batch: lengths[lengths.len() - batch..].iter().sum(),
            precision: self.recipe.model.precision.into(),
            checkpointing: arguments.gradient_checkpointing,
            adapters: self.recipe.lora.is_some(),
        }
    }
}

fn open(path: &Path) -> Result<Source, CommandError> {
    let name = path.to_string_lossy();
    Source::open(&name).bad_input(|| format!("cannot open {name}"))
}

/// Where adapters are in the folder of the model that they are merged into: beside its configuration, transformers would take it for
/// adapters alone.
const ADAPTER: &str = "adapter";

/// A model that can be written into a folder, with what belongs to it.
trait SaveModel: Trained {
    fn save_model(&self, folder: &Path, source: &Source) -> Result<(), AlignError>;
}

impl SaveModel for Decoder {
    /// A whole model, into which adapters are merged, and these by themselves.
    fn save_model(&self, folder: &Path, source: &Source) -> Result<(), AlignError> {
        self.save(folder)?;
        if let Some(adapter) = self.lora() {
            adapter.save(&folder.join(ADAPTER))?;
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
