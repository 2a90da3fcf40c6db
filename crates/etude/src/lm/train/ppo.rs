//! PPO: what the run needs beside the policy, and where it is kept.

use std::path::Path;
use std::time::Duration;

use burn::module::Module as _;
use burn::tensor::Device;
use etude_align::AlignError;
use etude_align::data::{Examples as _, StoredExamples};
use etude_align::ppo::{ActorCritic, Drawing, Judged, Ppo, PpoState, PpoTrainer, Question, ValueModel};
use etude_align::reward::{RewardCommand, RewardFunction, RewardModel, RuleReward};
use etude_align::training::{Metrics, Trainer, TrainerState, checkpoint};
use etude_hub::peft::LoraAdapter;
use etude_hub::{Checkpoint as _, Dtype, MemoryCheckpoint, SafetensorsCheckpoint, safetensors};
use etude_lm::Source;
use etude_lm::decoder::Decoder;
use etude_train::Seed;

use super::Outcome;
use super::data::{Data, Split};
use super::estimate::{Estimate, Work};
use super::learn::Learner;
use super::save::SaveModel as _;
use super::task::{Plan, Task, open};
use crate::error::{CommandError, Context as _};

/// In a checkpoint, beside the policy: the critic, where it is a model of its own.
const CRITIC: &str = "critic";
/// The linear function that gives values, under the name that it has in TRL's models with a value head.
const VALUE: &str = "value_head.safetensors";
const VALUE_TENSOR: &str = "v_head.summary.weight";
/// What changes besides.
const STATE: &str = "ppo_state.json";

/// A policy that learns from its own answers.
struct Policy<'a> {
    trainer: PpoTrainer<'a>,
    questions: &'a Split<StoredExamples<Question>>,
    source: &'a Source,
}

impl Learner for Policy<'_> {
    type Model = ActorCritic;
    type Drawn = Judged;

    fn draw(&mut self) -> Result<Judged, AlignError> {
        self.trainer.draw(&self.questions.train)
    }

    fn step(mut self, drawn: Judged) -> Result<(Self, Metrics), AlignError> {
        let mut metrics;
        (self.trainer, metrics) = self.trainer.learn(&drawn)?;
        metrics.add("rollout_tokens_per_second", drawn.tokens_per_second(), 1.0);
        Ok((self, metrics))
    }

    fn evaluate(&mut self) -> Result<Option<Metrics>, AlignError> {
        let held_out = &self.questions.held_out;
        let metrics = (!held_out.is_empty()).then(|| self.trainer.evaluate(held_out));
        metrics.transpose()
    }

    /// A higher score is better, less what it costs to be far from the reference.
    fn cost(metrics: &Metrics) -> f64 {
        -metrics.get("objective/rlhf_reward").unwrap_or(f64::NAN)
    }

    fn trainer(&self) -> &Trainer<ActorCritic> {
        self.trainer.trainer()
    }

    fn save(&self, folder: &Path) -> Result<(), AlignError> {
        self.trainer
            .trainer()
            .averaged()
            .policy()
            .save_model(folder, self.source)
    }

    fn save_to_go_on(&self, folder: &Path) -> Result<(), AlignError> {
        let model = self.trainer.trainer().model();
        model.policy().save_model(folder, self.source)?;
        if let Some(critic) = model.critic() {
            match critic.lora() {
                Some(adapter) => adapter.save(&folder.join(CRITIC))?,
                None => critic.save(&folder.join(CRITIC))?,
            }
        }
        let value = model.value();
        let mut head = MemoryCheckpoint::new(&folder.join(VALUE));
        head.insert_f32(VALUE_TENSOR, &[1, value.len()], &value, Dtype::F32);
        safetensors::save_file(&folder.join(VALUE), &head)?;
        let state = serde_json::to_vec(&self.trainer.state()).unwrap_or_default();
        Ok(etude_train::write_atomically(&folder.join(STATE), &state)?)
    }
}

impl Task<'_> {
    pub(super) fn ppo(mut self) -> Result<Option<Outcome>, CommandError> {
        let failed = || "cannot train".to_owned();
        let recipe = self.recipe;
        let objective = Ppo::new(recipe.ppo.clone()).bad_input(failed)?;
        let Data {
            examples: questions,
            prompts,
        } = self.reader().questions()?;
        let model = self.actor_critic()?;
        let reference = self.reference(&model)?;
        let rewards = self.rewards(&model)?;
        let samples = self.samples(prompts);
        let (estimate, before) = (
            self.ppo_estimate(&questions.train)?,
            self.answers_before(Some(&samples), &model)?,
        );
        let folder = (self.folder)()?;
        self.close();
        let drawing = Drawing {
            tokenizer: &self.source.tokenizer,
            stop_tokens: &self.source.stop_tokens,
            length: recipe.ppo.response_length,
            temperature: recipe.ppo.temperature,
        };
        let arguments = recipe.training.clone();
        let count = questions.train.len();
        let mut trainer =
            PpoTrainer::new(objective, model, reference, drawing, rewards, arguments, count).bad_input(failed)?;
        let mut state = TrainerState::default();
        if let Some(from) = &self.from {
            let damaged = || "cannot go on with the run".to_owned();
            let moments;
            (state, moments) = checkpoint::load(from).bad_input(damaged)?;
            let bytes = std::fs::read(from.join(STATE)).bad_input(damaged)?;
            let ppo_state: PpoState = serde_json::from_slice(&bytes).bad_input(damaged)?;
            trainer = trainer
                .resumed(state.global_step, moments, ppo_state)
                .bad_input(damaged)?;
        }
        let learner = Policy {
            trainer,
            questions: &questions,
            source: &self.source,
        };
        let plan = Plan {
            examples: count,
            estimate,
            samples: Some(&samples),
            before,
            folder,
        };
        self.learn(learner, state, plan)
    }

    /// The reward model, whose tokens are those of the policy: a model of its own, or adapters to the policy's `base`.
    fn reward_model(&self, path: &str, base: Decoder, device: &Device) -> Result<RewardModel, CommandError> {
        let failed = || format!("cannot load the reward model {path}");
        if LoraAdapter::is_at(Path::new(path)) {
            if self.recipe.lora.is_none() {
                let reason = "it is adapters, whose base is lost where the policy is trained as a whole";
                return Err(CommandError::bad_input(failed())
                    .because(reason)
                    .hint("give the model that they are merged into, or train adapters here too, with `lora.r`"));
            }
            let adapter = LoraAdapter::open(Path::new(path)).bad_input(failed)?;
            let pad = self.source.config.pad_token.or(self.source.tokenizer.special_ids().eos);
            let model = RewardModel::new(base, pad, Seed(self.recipe.training.seed), device);
            return model.with_adapter(&adapter).bad_input(failed);
        }
        let source = open(Path::new(path))?;
        if source.config.vocabulary != self.source.config.vocabulary {
            let [found, expected] = [&source, &self.source].map(|source| source.config.vocabulary);
            let reason =
                format!("its vocabulary has {found} tokens, and the policy's {expected}: they have to be the same");
            return Err(CommandError::bad_input(failed()).because(reason));
        }
        let longest = self.recipe.data.longest(self.source.config.context);
        let longest = longest.saturating_add(self.recipe.ppo.response_length);
        let longest = longest.min(self.source.config.context);
        if source.config.context < longest {
            let found = source.config.context;
            let reason = format!("its context has {found} tokens, and prompts with answers may have {longest}");
            return Err(CommandError::bad_input(failed()).because(reason));
        }
        if source.checkpoint.info("score.weight").is_none() {
            return Err(
                CommandError::bad_input(failed()).because("it has no score: `etude lm reward` trains one that has")
            );
        }
        let pad = source.config.pad_token.or(source.tokenizer.special_ids().eos);
        let precision = self.recipe.model.precision.into();
        let (config, seed) = (source.config.clone(), Seed(self.recipe.training.seed));
        RewardModel::load(config, &*source.checkpoint, precision, pad, seed, device).bad_input(failed)
    }

    /// Policy and critic, as they were at the checkpoint where there is one.
    fn actor_critic(&self) -> Result<ActorCritic, CommandError> {
        let failed = || "cannot load the critic".to_owned();
        let device = Device::flex().autodiff();
        let policy = self.decoder()?;
        let mut value = vec![0.0; policy.config().hidden];
        let mut critic = match (self.recipe.ppo.value_model, &self.recipe.rewards.model) {
            (ValueModel::RewardModel, Some(path)) => {
                let (decoder, score) = self.reward_model(path, policy.base(), &device)?.into_parts();
                value = score;
                Some(decoder)
            }
            // Policy and critic share what neither changes.
            (ValueModel::Policy, _) if self.recipe.lora.is_some() => Some(policy.base()),
            (ValueModel::Policy, _) => Some(self.load(&*self.source.checkpoint, &device)?),
            _ => None,
        };
        if let Some(options) = &self.recipe.lora
            && let Some(decoder) = critic.take_if(|critic| critic.lora().is_none())
        {
            // Other adapters than the policy's; those of a reward model are trained on.
            let seed = self.recipe.training.seed.wrapping_add(1);
            critic = Some(decoder.with_lora(options, seed).bad_input(failed)?);
        }
        if let Some(from) = &self.from {
            let head = SafetensorsCheckpoint::open(&from.join(VALUE)).bad_input(failed)?;
            value = head
                .read_f32_shaped(VALUE_TENSOR, &[1, value.len()])
                .bad_input(failed)?;
            critic = critic
                .map(|critic| self.critic_at(&from.join(CRITIC), critic))
                .transpose()?;
        }
        Ok(ActorCritic::new(policy, critic, &value, &device))
    }

    /// The critic of a checkpoint.
    fn critic_at(&self, path: &Path, critic: Decoder) -> Result<Decoder, CommandError> {
        let failed = || "cannot load the critic".to_owned();
        if self.recipe.lora.is_some() {
            let adapter = LoraAdapter::open(path).bad_input(failed)?;
            return critic.with_adapter(&adapter).bad_input(failed);
        }
        let file = SafetensorsCheckpoint::open(path).bad_input(failed)?;
        let (config, precision) = (critic.config().clone(), critic.precision());
        let decoder = Decoder::load(config, &file, &Device::flex().autodiff());
        Ok(decoder.bad_input(failed)?.with_precision(precision))
    }

    /// The model as it is before training, outside autodiff: with adapters the policy's own base.
    fn reference(&self, model: &ActorCritic) -> Result<Decoder, CommandError> {
        if self.recipe.lora.is_some() {
            return Ok(model.policy().base().valid());
        }
        self.load(&*self.source.checkpoint, &Device::flex())
    }

    fn rewards(&self, model: &ActorCritic) -> Result<Vec<Box<dyn RewardFunction>>, CommandError> {
        let failed = || "cannot score answers".to_owned();
        let recipe = &self.recipe.rewards;
        let mut all: Vec<Box<dyn RewardFunction>> = Vec::new();
        if let Some(path) = &recipe.model {
            let base = model.policy().base().valid();
            all.push(Box::new(self.reward_model(path, base, &Device::flex())?));
        }
        for rule in &recipe.rules {
            all.push(Box::new(RuleReward::new(rule).bad_input(failed)?));
        }
        if let Some(command) = &recipe.command {
            let timeout = Duration::from_secs_f64(recipe.timeout);
            all.push(Box::new(RewardCommand::start(command, timeout).bad_input(failed)?));
        }
        Ok(all)
    }

    /// If every answer is as long as it may be.
    fn ppo_estimate(&self, questions: &StoredExamples<Question>) -> Result<Estimate, CommandError> {
        let (ppo, arguments) = (&self.recipe.ppo, &self.recipe.training);
        let (mut all, mut longest) = (0, 0);
        for question in questions.examples() {
            let question = question.bad_input(|| "cannot read the data".into())?;
            let length = question.tokens.len() + ppo.response_length;
            (all, longest) = (all + length, longest.max(length));
        }
        let mean = all as f64 / questions.len() as f64;
        let minibatch = arguments.per_device_train_batch_size as f64 * arguments.gradient_accumulation_steps as f64;
        let batch = minibatch * ppo.num_mini_batches as f64;
        let steps = arguments.steps((questions.len() as f64 / batch).ceil() as u64);
        let tokens = steps as f64 * batch * mean;
        let adapters = self.recipe.lora.is_some();
        let reward_model = self.recipe.rewards.model.as_deref();
        let reward_model = reward_model.is_some_and(|path| !LoraAdapter::is_at(Path::new(path)));
        // A critic beside the policy.
        let critic = ppo.value_model != ValueModel::Head;
        // With adapters, it has a base of its own only where that is the reward model's.
        let critic_base = critic && (!adapters || (ppo.value_model == ValueModel::RewardModel && reward_model));
        let work = Work {
            memory: self.source.memory(),
            parameters: self.parameters(),
            models: 1 + u64::from(critic),
            bases: 1 + u64::from(critic_base),
            tokens: tokens * ppo.num_ppo_epochs as f64,
            // By the engine, the policy and the reference.
            read_tokens: 3.0 * tokens,
            largest_batch: arguments.per_device_train_batch_size.min(questions.len()) * longest,
            precision: self.recipe.model.precision.into(),
            checkpointing: arguments.gradient_checkpointing,
            adapters,
            more_passes: 0,
            // The engine's copy of the policy; the reference, or where that is the base of adapters, what these are merged into to be
            // copied; and the reward model.
            models_beside: 2 + u64::from(reward_model),
            with_muon: 0,
        };
        Ok(work.estimate())
    }
}
