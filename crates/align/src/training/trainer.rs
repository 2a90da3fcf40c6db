//! Steps of training, and evaluation.

use burn::optim::{GradientsAccumulator, GradientsParams};
use etude_kernels::burn::with_gradients;
use etude_train::Seed;

use super::neftune::embedding_noise;
use super::{Metrics, Objective, Optimizer, OptimizerState, Order, Ranks, Sequences as _, Trained, TrainingArguments};
use crate::AlignError;
use crate::data::Examples;

/// A model on its way: its parameters, the optimiser's moments, and how many steps it has taken.
#[derive(Debug)]
pub struct Trainer<M> {
    model: M,
    optimizer: Optimizer,
    arguments: TrainingArguments,
    ranks: Ranks,
    order: Order,
    steps: u64,
    step: u64,
    tokens: u64,
}

impl<M: Trained> Trainer<M> {
    /// Before the first step, of data that have so many examples.
    ///
    /// # Errors
    /// There are no examples, or an argument is out of its range.
    pub fn new(model: M, arguments: TrainingArguments, examples: usize) -> Result<Self, AlignError> {
        let arguments = arguments.checked()?;
        let order = Order::new(&arguments, examples, &Ranks::alone());
        Self::in_order(model, arguments, order)
    }

    /// The same, where a step reads the data in another order than [`step`](Self::step) does.
    ///
    /// # Errors
    /// As there.
    pub fn in_order(model: M, arguments: TrainingArguments, order: Order) -> Result<Self, AlignError> {
        let arguments = arguments.checked()?;
        if order.examples == 0 {
            return Err(AlignError::NoExamples);
        }
        Ok(Self {
            model,
            optimizer: Optimizer::new(&arguments),
            steps: arguments.steps(order.steps_per_epoch()),
            arguments,
            ranks: Ranks::alone(),
            order,
            step: 0,
            tokens: 0,
        })
    }

    /// Takes every step together with other processes, which do the same with the same model and data.
    pub fn among(mut self, ranks: Ranks) -> Self {
        self.order = Order::new(&self.arguments, self.order.examples, &ranks);
        self.steps = self.arguments.steps(self.order.steps_per_epoch());
        self.ranks = ranks;
        self
    }

    /// Goes on after `step` steps, with the optimiser's state of then; the model is the one of then already.
    ///
    /// # Errors
    /// The state is not that of this model and optimiser.
    pub fn resumed(mut self, step: u64, state: OptimizerState) -> Result<Self, AlignError> {
        self.optimizer.restore(&self.model, state)?;
        self.step = step;
        Ok(self)
    }

    /// The model as it is now.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The model with the moving averages of its parameters, or as it is where none are kept: what is to be used.
    pub fn averaged(&self) -> M {
        self.optimizer.averaged(&self.model)
    }

    /// The optimiser.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// Steps taken so far.
    pub fn step_count(&self) -> u64 {
        self.step
    }

    /// Tokens that this trainer's steps have read, prompts too.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Steps in all.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How often the data have been read so far.
    pub fn epoch(&self) -> f64 {
        self.order.epochs_before(self.step)
    }

    /// The processes that take the steps.
    pub fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// The order in which the data are read.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Takes the next step. The batches of a step have one loss, the mean over all that it is made of, however they are cut; its
    /// gradient is clipped, and the optimiser follows it.
    ///
    /// The metrics hold `loss` and what the objective adds to it, `grad_norm` before clipping, and `learning_rate`.
    ///
    /// # Errors
    /// The gradient is not finite: the model is lost, and the last checkpoint is what there is. Or the examples cannot be read, or the
    /// ranks do not understand each other.
    ///
    /// # Panics
    /// There are fewer examples than the trainer was told of.
    pub fn step<O: Objective<Model = M>>(
        self,
        objective: &O,
        examples: &(impl Examples<Example = O::Example> + ?Sized),
    ) -> Result<(Self, Metrics), AlignError> {
        let places = self.order.step(self.step);
        let (trainer, metrics) = self.update(objective, examples, &places)?;
        Ok((trainer.next_step(), metrics))
    }

    /// A step of the optimiser on these batches of examples, by their places, with the learning rate of the next step, which is still the
    /// next one afterwards: what [`step`](Self::step) does once for each step, and PPO several times.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// There are no examples at a place.
    pub fn update<O: Objective<Model = M>>(
        mut self,
        objective: &O,
        examples: &(impl Examples<Example = O::Example> + ?Sized),
        places: &[Vec<usize>],
    ) -> Result<(Self, Metrics), AlignError> {
        let batches: Result<Vec<O::Batch>, AlignError> = places
            .iter()
            .map(|places| batch(objective, examples, places.iter().copied()))
            .collect();
        let batches = batches?;
        let all: f64 = batches.iter().map(|batch| objective.weight(batch)).sum();
        let mut metrics = Metrics::default();
        let mut gradients = GradientsParams::new();
        let mut random = Seed(self.arguments.seed).stream_indexed("embedding noise", self.step);
        let (width, alpha) = (self.model.decoder().config().hidden, self.arguments.neftune_noise_alpha);
        // Drawn for the batches of other ranks too, so that it is the same however batches are cut and dealt out.
        let with_noise = batches.iter().map(|batch| {
            let noise = alpha.map(|alpha| embedding_noise(alpha, batch.offsets(), width, &mut random));
            (batch, noise)
        });
        for (batch, noise) in self.ranks.share(with_noise) {
            let share = objective.weight(batch) / all.max(f64::MIN_POSITIVE);
            gradients = self.backward(objective, batch, noise.as_deref(), share, gradients, &mut metrics);
        }
        let gradients = self.ranks.sum(&self.model, gradients);
        let mut metrics = self.ranks.merge(metrics)?;
        let learning_rate = self.arguments.learning_rate(self.step, self.steps);
        let limit = self.arguments.max_grad_norm as f32;
        let (model, norm) = self.optimizer.step(
            self.model,
            gradients,
            learning_rate as f32,
            (limit > 0.0).then_some(limit),
        );
        if !norm.is_finite() {
            return Err(AlignError::NotFinite {
                step: self.step + 1,
                norm,
                loss: metrics.get("loss").unwrap_or(f64::NAN),
                examples: places.concat(),
            });
        }
        metrics.add("grad_norm", norm.into(), 1.0);
        metrics.add("learning_rate", learning_rate, 1.0);
        self.tokens += batches.iter().map(|batch| batch.tokens().len() as u64).sum::<u64>();
        Ok((Self { model, ..self }, metrics))
    }

    /// Counts a step whose updates have been made.
    #[must_use]
    pub fn next_step(self) -> Self {
        let step = self.step + 1;
        Self {
            model: self.model.stepped(step),
            step,
            ..self
        }
    }

    /// The gradients of one batch, of whose embeddings `noise`, `[tokens, hidden]`, is a part, added to those of the batches before.
    fn backward<O: Objective<Model = M>>(
        &self,
        objective: &O,
        batch: &O::Batch,
        noise: Option<&[f32]>,
        share: f64,
        earlier: GradientsParams,
        metrics: &mut Metrics,
    ) -> GradientsParams {
        let (model, decoder) = (&self.model, self.model.decoder());
        let (tokens, offsets) = (batch.tokens(), batch.offsets());
        if !self.arguments.gradient_checkpointing {
            let hidden = decoder.hidden_with_noise(tokens, offsets, noise);
            let loss = objective.loss(model, hidden, batch, share, metrics);
            return GradientsParams::from_grads(with_gradients(loss, model, earlier).backward(), model);
        }
        let (hidden, checkpoints) = decoder.hidden_with_checkpoints(tokens, offsets, noise);
        let loss = objective.loss(model, hidden.clone(), batch, share, metrics);
        let mut of_loss = with_gradients(loss, model, earlier).backward();
        let by_hidden = hidden.grad_remove(&mut of_loss);
        let mut gradients = GradientsAccumulator::new();
        gradients.accumulate(model, GradientsParams::from_grads(of_loss, model));
        if let Some(by_hidden) = by_hidden {
            checkpoints.backward(decoder, by_hidden, |more| gradients.accumulate(model, more));
        }
        gradients.grads()
    }

    /// The metrics of the [`averaged`](Self::averaged) model on other examples, without a graph. Means are over all that they are made of, so they do
    /// not depend on the size of batches.
    ///
    /// # Errors
    /// The examples cannot be read, or the ranks do not understand each other.
    pub fn evaluate<O: Objective<Model = M>>(
        &self,
        objective: &O,
        examples: &(impl Examples<Example = O::Example> + ?Sized),
    ) -> Result<Metrics, AlignError> {
        let plain = self.averaged().valid();
        let mut metrics = Metrics::default();
        let together = self.arguments.per_device_eval_batch_size;
        let batches = (0..examples.len()).step_by(together);
        for start in self.ranks.share(batches) {
            let end = examples.len().min(start.saturating_add(together));
            let batch = batch(objective, examples, start..end)?;
            let hidden = plain.decoder().hidden(batch.tokens(), batch.offsets());
            objective.loss(&plain, hidden, &batch, 1.0, &mut metrics);
        }
        self.ranks.merge(metrics)
    }
}

/// Lays the examples at these places beside each other.
fn batch<O: Objective>(
    objective: &O,
    examples: &(impl Examples<Example = O::Example> + ?Sized),
    places: impl Iterator<Item = usize>,
) -> Result<O::Batch, AlignError> {
    let found: Result<Vec<_>, AlignError> = places.map(|place| examples.example(place)).collect();
    let found = found?;
    Ok(objective.batch(&found.iter().map(|example| &**example).collect::<Vec<_>>()))
}
