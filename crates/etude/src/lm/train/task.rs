//! One run of a stage: data and model are read, the reference is asked, the model is trained and written.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use etude_align::AlignError;
use etude_align::data::{Examples, Tokenized};
use etude_align::preference::{Aggregation, Cpo, Dpo, Kto, Orpo, SyncedPolicy, TrDpo, WithReference};
use etude_align::reward::{RewardModel, RewardModeling};
use etude_align::sft::Sft;
use etude_align::training::{Objective, Optim, Ranks, Sequences as _, Trained, Trainer, TrainerState, checkpoint};
use etude_hub::peft::LoraAdapter;
use etude_hub::{Checkpoint, MemoryCheckpoint, SafetensorsCheckpoint};
use etude_lm::Source;
use etude_lm::decoder::Decoder;
use etude_train::{RunFolder, Seed};

use super::data::{Data, Reader, Split};
use super::estimate::{Estimate, Work, peak_memory};
use super::learn::{FromData, Learner, Run, learn};
use super::recipe::Recipe;
use super::samples::Samples;
use super::save::{ADAPTER, REFERENCE, SaveModel};
use super::{MODEL, Outcome, Stage};
use crate::error::{CommandError, Context as _};
use crate::output::Output;

/// What is known of a run before its first step.
pub(super) struct Plan<'a> {
    /// How many there are to learn from.
    pub(super) examples: usize,
    pub(super) estimate: Estimate,
    pub(super) samples: Option<&'a Samples>,
    /// What the model answers before it is trained.
    pub(super) before: Vec<String>,
    /// On the first rank.
    pub(super) folder: Option<RunFolder>,
}

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
    pub(super) fn sft(self) -> Result<Option<Outcome>, CommandError> {
        let Data { examples, prompts } = self.reader().sft()?;
        let samples = self.samples(prompts);
        let (folder, decoder) = ((self.folder)()?, self.decoder()?);
        self.finish(&Sft, decoder, &examples, Some(&samples), folder)
    }

    pub(super) fn dpo(self) -> Result<Option<Outcome>, CommandError> {
        let dpo = Dpo::new(self.recipe.dpo.clone()).bad_input(|| "cannot train so".into())?;
        let Data { examples, prompts } = self.reader().preferences()?;
        let samples = self.samples(prompts);
        let folder = (self.folder)()?;
        if let Some(sync) = dpo.options().reference_sync() {
            let policy = self.decoder()?;
            let device = Device::flex().autodiff();
            let reference = match &self.from {
                None => self.load(&*self.source.checkpoint, &device),
                Some(from) => {
                    let kept = SafetensorsCheckpoint::open(&from.join(REFERENCE));
                    self.load(&kept.bad_input(|| "cannot go on with the run".into())?, &device)
                }
            }?;
            let model = SyncedPolicy::new(policy, reference, sync);
            return self.finish(&TrDpo(dpo), model, &examples, Some(&samples), folder);
        }
        let examples = if dpo.options().reference_free {
            examples.map(|examples| {
                let zeros = vec![[0.0; 2]; examples.len()];
                Ok(WithReference::new(examples, zeros))
            })
        } else {
            self.with_references(dpo.options().aggregation(), examples, folder.as_ref())
        }?;
        let decoder = self.decoder()?;
        self.finish(&dpo, decoder, &examples, Some(&samples), folder)
    }

    pub(super) fn kto(self) -> Result<Option<Outcome>, CommandError> {
        let kto = Kto::new(self.recipe.kto.clone()).bad_input(|| "cannot train so".into())?;
        let Data { examples, prompts } = self.reader().unpaired()?;
        let mut desirable = 0;
        for example in examples.train.examples() {
            desirable += usize::from(example.bad_input(|| "cannot read the data".into())?.desirable);
        }
        let options = kto.options();
        let balance = options.desirable_weight * desirable as f64
            / (options.undesirable_weight * (examples.train.len() - desirable) as f64);
        if !(1.0..=4.0 / 3.0).contains(&balance) {
            self.output.note(&format!(
                "{desirable} of {} answers are desirable: with their weights {balance:.2} to 1, where KTO's authors want 1 to 1.33; \
                 `kto.desirable_weight` and `kto.undesirable_weight` change that",
                examples.train.len()
            ));
        }
        let samples = self.samples(prompts);
        let folder = (self.folder)()?;
        let examples = self.with_references(Aggregation::Sum, examples, folder.as_ref())?;
        let decoder = self.decoder()?;
        self.finish(&kto, decoder, &examples, Some(&samples), folder)
    }

    pub(super) fn cpo(self) -> Result<Option<Outcome>, CommandError> {
        let cpo = Cpo::new(self.recipe.cpo.clone()).bad_input(|| "cannot train so".into())?;
        self.without_reference(&cpo)
    }

    pub(super) fn orpo(self) -> Result<Option<Outcome>, CommandError> {
        let orpo = Orpo::new(self.recipe.orpo).bad_input(|| "cannot train so".into())?;
        self.without_reference(&orpo)
    }

    fn without_reference<O>(self, objective: &O) -> Result<Option<Outcome>, CommandError>
    where
        O: Objective<Model = Decoder, Example = [Tokenized; 2]>,
    {
        let Data { examples, prompts } = self.reader().pairs()?;
        let samples = self.samples(prompts);
        let (folder, decoder) = ((self.folder)()?, self.decoder()?);
        self.finish(objective, decoder, &examples, Some(&samples), folder)
    }

    pub(super) fn reward(self) -> Result<Option<Outcome>, CommandError> {
        let objective = RewardModeling::new(self.recipe.reward).bad_input(|| "cannot train so".into())?;
        let examples = self.reader().rewards()?.examples;
        let folder = (self.folder)()?;
        let source = &self.source;
        let failed = || format!("cannot load {}", self.recipe.model.path);
        let lora = self.recipe.lora.as_ref();
        // With adapters, a checkpoint's weights are those that they are merged into.
        let from = self.from.as_deref().filter(|_| lora.is_none());
        let opened = from.map(open).transpose()?;
        let model = RewardModel::load(
            source.config.clone(),
            &*opened.as_ref().unwrap_or(source).checkpoint,
            self.recipe.model.precision.into(),
            source.config.pad_token.or(source.tokenizer.special_ids().eos),
            Seed(self.recipe.training.seed),
            &Device::flex().autodiff(),
        );
        let mut model = model.bad_input(failed)?;
        if let Some(options) = lora {
            model = match &self.from {
                None => model.with_lora(options, self.recipe.training.seed),
                Some(from) => LoraAdapter::open(&from.join(ADAPTER))
                    .map_err(AlignError::from)
                    .and_then(|adapter| model.with_adapter(&adapter)),
            }
            .bad_input(failed)?;
        }
        self.finish(&objective, model, &examples, None, folder)
    }

    /// What reads the data.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader {
            recipe: self.recipe,
            source: &self.source,
            output: self.output,
        }
    }

    pub(super) fn samples(&self, prompts: Vec<Vec<u32>>) -> Samples {
        Samples {
            prompts,
            max_tokens: self.recipe.samples.max_tokens.get(),
            stop_tokens: self.source.stop_tokens.clone(),
        }
    }

    /// The decoder to train, as it was at the checkpoint where there is one.
    pub(super) fn decoder(&self) -> Result<Decoder, CommandError> {
        let failed = || format!("cannot load {}", self.recipe.model.path);
        let load = |source: &Source| self.load(&*source.checkpoint, &Device::flex().autodiff());
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

    /// The decoder whose parameters a checkpoint has. The configuration is that of the beginning, also where it is one of the run's.
    pub(super) fn load(&self, checkpoint: &dyn Checkpoint, device: &Device) -> Result<Decoder, CommandError> {
        let decoder = Decoder::load(self.source.config.clone(), checkpoint, device);
        let decoder = decoder.bad_input(|| format!("cannot load {}", self.recipe.model.path))?;
        Ok(decoder.with_precision(self.recipe.model.precision.into()))
    }

    /// Trains on data to the end, and writes the model.
    fn finish<O: Objective>(
        mut self,
        objective: &O,
        model: O::Model,
        examples: &Split<impl Examples<Example = O::Example>>,
        samples: Option<&Samples>,
        folder: Option<RunFolder>,
    ) -> Result<Option<Outcome>, CommandError>
    where
        O::Model: SaveModel,
    {
        let samples = samples.filter(|_| self.ranks.is_first());
        let trainer = Trainer::new(model, self.recipe.training.clone(), examples.train.len());
        let mut trainer = trainer.bad_input(|| "cannot train".into())?.among(self.ranks.clone());
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
        let plan = Plan {
            examples: examples.train.len(),
            estimate: self.work(objective, &trainer, &examples.train)?.estimate(),
            before: self.answers_before(samples, trainer.model())?,
            samples,
            folder,
        };
        self.close();
        let save = |model: &O::Model, folder: &Path| model.save_model(folder, &self.source);
        let learner = FromData {
            objective,
            trainer,
            examples,
            save: &save,
            save_state: &|model, folder| model.save_state(folder),
        };
        self.learn(learner, state, plan)
    }

    /// Lets go of the file of the model: what has been read of its pages counts as this process's memory as long as it is open.
    pub(super) fn close(&mut self) {
        self.source.checkpoint = Box::new(MemoryCheckpoint::new(&self.source.path));
    }

    /// Trains to the end, and writes the model.
    pub(super) fn learn<L: Learner>(
        &self,
        learner: L,
        state: TrainerState,
        plan: Plan<'_>,
    ) -> Result<Option<Outcome>, CommandError> {
        let (recipe, output) = (self.recipe, self.output);
        let processes = match self.ranks.size() {
            1 => String::new(),
            size => format!(" in {size} processes"),
        };
        let Plan {
            examples,
            estimate,
            samples,
            before,
            folder,
        } = plan;
        output.note(&format!(
            "{} steps on {examples} examples{processes}; expected: {:.1} GB of memory, {:.0} s",
            learner.trainer().steps(),
            estimate.bytes as f64 / 1e9,
            estimate.seconds
        ));
        let run = Run {
            learner,
            arguments: &recipe.training,
            folder: folder.as_ref(),
            state,
            output,
        };
        let (learner, state) = learn(run, self.from.as_deref())?;
        // The other ranks are done.
        let Some(folder) = folder else { return Ok(None) };
        let peak_memory = peak_memory();
        learner
            .save(&folder.path().join(MODEL))
            .failed_run(|| "cannot write the model".into())?;
        let after = self.answers(samples, &learner.trainer().averaged())?;
        let prompts = samples.map(|samples| samples.shown(&self.source.tokenizer)).transpose();
        let prompts = prompts
            .failed_run(|| "cannot show the samples".into())?
            .unwrap_or_default();
        let samples = prompts.into_iter().zip(before).zip(after);
        Ok(Some(Outcome {
            folder,
            stage: self.stage,
            model: recipe.model.path.clone(),
            examples,
            state,
            estimate,
            peak_memory,
            samples: samples
                .map(|((prompt, before), after)| [prompt, before, after])
                .collect(),
        }))
    }

    /// What a model answers now.
    fn answers<M: Trained>(&self, samples: Option<&Samples>, model: &M) -> Result<Vec<String>, CommandError> {
        self.answers_of(samples, &model.valid().decoder().merged())
    }

    fn answers_of(&self, samples: Option<&Samples>, decoder: &Decoder) -> Result<Vec<String>, CommandError> {
        let answers = samples.map(|samples| samples.answers(decoder, &self.source.tokenizer));
        let answers = answers.transpose().failed_run(|| "cannot answer the samples".into())?;
        Ok(answers.unwrap_or_default())
    }

    /// What the model that the run began with answers; `model` is that one, unless the run goes on from a checkpoint.
    pub(super) fn answers_before<M: Trained>(
        &self,
        samples: Option<&Samples>,
        model: &M,
    ) -> Result<Vec<String>, CommandError> {
        if self.from.is_none() || samples.is_none() {
            return self.answers(samples, model);
        }
        let failed = || "cannot answer the samples".to_owned();
        let (config, checkpoint) = (self.source.config.clone(), &*self.source.checkpoint);
        let decoder = Decoder::load(config, checkpoint, &Device::flex()).bad_input(failed)?;
        self.answers_of(samples, &decoder)
    }

    fn work<O: Objective>(
        &self,
        objective: &O,
        trainer: &Trainer<O::Model>,
        examples: &impl Examples<Example = O::Example>,
    ) -> Result<Work, CommandError> {
        let length =
            |example: Result<Cow<'_, O::Example>, AlignError>| Ok(objective.batch(&[&*example?]).tokens().len());
        let lengths: Result<Vec<usize>, AlignError> = examples.examples().map(length).collect();
        let mut lengths = lengths.bad_input(|| "cannot read the data".into())?;
        lengths.sort_unstable();
        let arguments = &self.recipe.training;
        let batch = arguments.per_device_train_batch_size.min(lengths.len());
        let epochs = (trainer.steps() - trainer.step_count()) as f64 / trainer.order().steps_per_epoch() as f64;
        let synced = self.stage == Stage::Dpo && self.recipe.dpo.sync_ref_model;
        let averaged = arguments.ema_decay.is_some() && self.recipe.lora.is_none();
        let shapes = etude_lm::decoder::parameters(&self.source.config);
        let of_layers = |(name, shape): &&(String, Vec<usize>)| shape.len() == 2 && name.contains(".layers.");
        let sizes = shapes
            .iter()
            .filter(of_layers)
            .map(|(_, shape)| shape.iter().product::<usize>() as u64);
        let with_muon = sizes.sum();
        Ok(Work {
            memory: self.source.memory(),
            parameters: self.parameters(),
            models: 1,
            bases: 1,
            tokens: epochs * lengths.iter().sum::<usize>() as f64 / self.ranks.size() as f64,
            read_tokens: 0.0,
            largest_batch: lengths[lengths.len() - batch..].iter().sum(),
            precision: self.recipe.model.precision.into(),
            checkpointing: arguments.gradient_checkpointing,
            adapters: self.recipe.lora.is_some(),
            more_passes: u64::from(synced || self.stage == Stage::Kto),
            models_beside: u64::from(synced) + u64::from(averaged),
            with_muon: if arguments.optim == Optim::Muon { with_muon } else { 0 },
        })
    }

    /// How many parameters the model has.
    pub(super) fn parameters(&self) -> u64 {
        let shapes = etude_lm::decoder::parameters(&self.source.config);
        let sizes = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>() as u64);
        sizes.sum()
    }
}

pub(super) fn open(path: &Path) -> Result<Source, CommandError> {
    let name = path.to_string_lossy();
    Source::open(&name).bad_input(|| format!("cannot open {name}"))
}
