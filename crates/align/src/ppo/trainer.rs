//! A step of PPO: answers are drawn, scored, and learnt from.

use std::borrow::Cow;
use std::time::Instant;

use burn::module::Module as _;
use burn::tensor::Tensor;
use etude_lm::decoder::Decoder;
use etude_train::Seed;
use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};

use super::statistics::RATIO;
use super::{ActorCritic, Drawing, Experience, KlCoefficient, Ppo, PpoOptions, Question, RewardNormalization, Rollout};
use super::{RolloutStatistics, generalized_advantages, ratio_variance, token_rewards, whiten};
use crate::AlignError;
use crate::data::{Examples, Tokenized};
use crate::error::require;
use crate::preference::AnswerSequences;
use crate::reward::{Answer, RewardFunction, Rewards, total_rewards};
use crate::training::{Metrics, OptimizerState, Order, Sequences as _, Trainer, TrainingArguments};

/// What changes from step to step beside the model and the optimiser's moments.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PpoState {
    /// Of the KL penalty.
    pub coefficient: KlCoefficient,
    /// What scores are scaled by; none before it is fitted, and where they stay as they are.
    pub normalization: Option<RewardNormalization>,
}

/// Answers of a step of the optimiser.
fn minibatch(arguments: &TrainingArguments) -> usize {
    let batch = arguments.per_device_train_batch_size;
    batch.saturating_mul(arguments.gradient_accumulation_steps)
}

/// Policy and critic on their way, with the reference that the policy is held to.
pub struct PpoTrainer<'a> {
    objective: Ppo,
    trainer: Trainer<ActorCritic>,
    /// Outside autodiff.
    reference: Decoder,
    drawing: Drawing<'a>,
    rewards: Vec<Box<dyn RewardFunction>>,
    arguments: TrainingArguments,
    state: PpoState,
}

/// Answers, and what is computed of their tokens, `[tokens]`, all answers one after the other.
#[derive(Debug)]
pub struct Judged {
    /// Questions with their answers.
    sequences: Vec<Tokenized>,
    /// ln pi.
    log_probabilities: Vec<f32>,
    /// v.
    values: Vec<f32>,
    /// Estimates of KL(pi || `pi_ref`).
    divergences: Vec<f32>,
    /// `[answers]`.
    scores: Vec<f32>,
    metrics: Metrics,
    /// That drawing has taken; 0 of answers that were there.
    seconds: f64,
}

impl Judged {
    /// Tokens of answers that were drawn a second.
    pub fn tokens_per_second(&self) -> f64 {
        self.log_probabilities.len() as f64 / self.seconds
    }
}

impl<'a> PpoTrainer<'a> {
    /// Before the first step, of so many questions. Answers are drawn as `drawing` says, with the length and the temperature of the options.
    ///
    /// # Errors
    /// There are no questions, no reward function, or an argument is out of its range; or the temperature is not 1 and the model caps
    /// its logits, which are no linear function then.
    pub fn new(
        objective: Ppo,
        model: ActorCritic,
        reference: Decoder,
        drawing: Drawing<'a>,
        rewards: Vec<Box<dyn RewardFunction>>,
        arguments: TrainingArguments,
        questions: usize,
    ) -> Result<Self, AlignError> {
        let arguments = arguments.checked()?;
        // The tokens of a rollout are to be as probable in training as they were when they were drawn.
        let alpha = arguments.neftune_noise_alpha;
        require(alpha.is_none(), "neftune_noise_alpha", &alpha, "none with PPO")?;
        let options = objective.options();
        if rewards.is_empty() || (options.is_tempered() && reference.config().logit_soft_cap.is_some()) {
            let (name, found, expected) = if rewards.is_empty() {
                ("rewards", "none".to_owned(), "a reward model, rules or a command")
            } else {
                (
                    "temperature",
                    options.temperature.to_string(),
                    "1, since the model caps its logits",
                )
            };
            return Err(AlignError::Setting {
                name,
                found,
                expected: expected.to_owned(),
            });
        }
        let order = Order {
            examples: questions,
            batch: minibatch(&arguments).saturating_mul(options.num_mini_batches),
            accumulation: 1,
            shuffle: arguments.shuffle.then_some(Seed(arguments.seed)),
        };
        Ok(Self {
            state: PpoState {
                coefficient: options.kl_coefficient(),
                normalization: None,
            },
            drawing: Drawing {
                length: options.response_length,
                temperature: options.temperature,
                ..drawing
            },
            trainer: Trainer::in_order(model, arguments.clone(), order)?,
            objective,
            reference,
            rewards,
            arguments,
        })
    }

    /// Goes on after `step` steps, with the optimiser's state and the rest of then; the model is the one of then already.
    ///
    /// # Errors
    /// The state is not that of this model and optimiser.
    pub fn resumed(self, step: u64, optimizer: OptimizerState, state: PpoState) -> Result<Self, AlignError> {
        let trainer = self.trainer.resumed(step, optimizer)?;
        Ok(Self { trainer, state, ..self })
    }

    /// Steps, moments and model.
    pub fn trainer(&self) -> &Trainer<ActorCritic> {
        &self.trainer
    }

    /// What else a checkpoint needs.
    pub fn state(&self) -> PpoState {
        self.state
    }

    fn seed(&self) -> Seed {
        Seed(self.arguments.seed)
    }

    /// Takes the next step: [`draw`](Self::draw), and [`learn`](Self::learn).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub fn step(
        mut self,
        questions: &(impl Examples<Example = Question> + ?Sized),
    ) -> Result<(Self, Metrics), AlignError> {
        let judged = self.draw(questions)?;
        self.learn(&judged)
    }

    /// Draws answers to the questions of the next step, and scores them.
    ///
    /// # Errors
    /// A question cannot be read, or an answer cannot be drawn or scored; it can be tried again, and gives the same answers.
    ///
    /// # Panics
    /// There are fewer questions than the trainer was told of.
    pub fn draw(&mut self, questions: &(impl Examples<Example = Question> + ?Sized)) -> Result<Judged, AlignError> {
        if self.state.normalization.is_none()
            && let Some(count) = self.objective.options().reward_normalization
        {
            self.state.normalization = Some(self.fit_normalization(questions, count)?);
        }
        let step = self.trainer.step_count();
        let places = self.trainer.order().step(step).concat();
        let asked = at(questions, places)?;
        let asked: Vec<&Question> = asked.iter().map(|question| &**question).collect();
        let first = self.trainer.order().examples_before(step);
        let policy = self.trainer.model().policy().valid();
        let started = Instant::now();
        let rollouts = self.drawing.draw(&policy, &asked, self.seed(), "rollout", first)?;
        let seconds = started.elapsed().as_secs_f64();
        drop(policy);
        let judged = self.judge_drawn(rollouts)?;
        Ok(Judged { seconds, ..judged })
    }

    /// The same of answers that the policy, as it is now, has given.
    ///
    /// # Errors
    /// There are none, or one cannot be scored.
    pub fn judge_drawn(&mut self, rollouts: Vec<Rollout<'_>>) -> Result<Judged, AlignError> {
        if rollouts.is_empty() {
            return Err(AlignError::NoExamples);
        }
        let model = self.trainer.model().valid();
        self.judge(rollouts, &model)
    }

    /// Takes `num_ppo_epochs` x `num_mini_batches` steps of the optimiser on answers of the policy as it is now.
    ///
    /// The metrics are TRL's, and `val/first_ratio`, the ratio of the first minibatch, which is 1.
    ///
    /// # Errors
    /// A gradient is not finite, or the first ratio is not exactly 1: the model is lost then, and the last checkpoint is what there is.
    pub fn learn(mut self, judged: &Judged) -> Result<(Self, Metrics), AlignError> {
        let step = self.trainer.step_count();
        let mut metrics = judged.metrics.clone();
        let experiences = self.experiences(judged);
        if let Some(kl) = metrics.get("objective/kl") {
            self.state.coefficient.update(kl, experiences.len());
        }

        let mut ratios = Vec::new();
        for epoch in 0..self.objective.options().num_ppo_epochs as u64 {
            let mut order: Vec<usize> = (0..experiences.len()).collect();
            let epoch = step * self.objective.options().num_ppo_epochs as u64 + epoch;
            if self.arguments.shuffle {
                order.shuffle(&mut self.seed().stream_indexed("minibatches", epoch));
            }
            for minibatch in order.chunks(minibatch(&self.arguments)) {
                let batches: Vec<Vec<usize>> = minibatch
                    .chunks(self.arguments.per_device_train_batch_size)
                    .map(<[usize]>::to_vec)
                    .collect();
                let found;
                (self.trainer, found) = self.trainer.update(&self.objective, &experiences, &batches)?;
                let ratio = found.get(RATIO).unwrap_or(f64::NAN);
                if ratios.is_empty() && ratio.to_bits() != 1.0_f64.to_bits() {
                    return Err(AlignError::Ratio { step: step + 1, ratio });
                }
                ratios.push(ratio);
                metrics.merge(&found);
            }
        }
        metrics.add("val/first_ratio", ratios[0], 1.0);
        metrics.add("val/ratio_var", ratio_variance(&ratios), 1.0);
        self.trainer = self.trainer.next_step();
        metrics.add("episode", self.trainer.order().examples_before(step + 1) as f64, 1.0);
        Ok((self, metrics))
    }

    /// What the policy (its average, where one is kept) scores on other questions, and how far it is from the reference. The same
    /// policy gives the same numbers.
    ///
    /// # Errors
    /// A question cannot be read, or an answer cannot be drawn or scored.
    pub fn evaluate(
        &mut self,
        questions: &(impl Examples<Example = Question> + ?Sized),
    ) -> Result<Metrics, AlignError> {
        let asked = at(questions, 0..questions.len())?;
        let asked: Vec<&Question> = asked.iter().map(|question| &**question).collect();
        let model = self.trainer.averaged().valid();
        let rollouts = self
            .drawing
            .draw(model.policy(), &asked, self.seed(), "evaluation", 0)?;
        Ok(self.judge(rollouts, &model)?.metrics)
    }

    /// Scores answers, and asks policy, critic and reference about them; the metrics are those of the answers.
    fn judge(&mut self, rollouts: Vec<Rollout<'_>>, model: &ActorCritic) -> Result<Judged, AlignError> {
        let Rewards {
            total: mut scores,
            parts,
        } = self.score(&rollouts)?;
        let options = self.objective.options();
        let mut metrics = Metrics::default();
        let answers = rollouts.len() as f64;
        for (name, rewards) in &parts {
            let sum: f64 = rewards.iter().map(|reward| f64::from(*reward)).sum();
            metrics.add(&format!("rewards/{name}"), sum / answers, answers);
        }
        for (score, rollout) in scores.iter_mut().zip(&rollouts) {
            if let Some(normalization) = &self.state.normalization {
                *score = normalization.apply(*score);
            }
            if let Some(missing_eos) = options.missing_eos {
                *score = missing_eos.apply(*score, rollout.ended);
            }
        }

        let (mut log_probabilities, mut values, mut reference) = (Vec::new(), Vec::new(), Vec::new());
        for rollouts in rollouts.chunks(self.arguments.per_device_eval_batch_size) {
            let answers = AnswerSequences::new(rollouts.iter().map(|rollout| &rollout.sequence));
            let hidden = |decoder: &Decoder| decoder.hidden(answers.tokens(), answers.offsets());
            let numbers = |tensor: Tensor<1>| tensor.to_data().iter::<f32>().collect::<Vec<_>>();
            let of = |decoder: &Decoder, hidden: Tensor<2>| {
                let (rows, targets) = answers.predicting(hidden / options.temperature);
                numbers(decoder.log_probabilities(rows, &targets))
            };
            let states = hidden(model.policy());
            values.extend(numbers(model.values(states.clone(), &answers)));
            log_probabilities.extend(of(model.policy(), states));
            reference.extend(of(&self.reference, hidden(&self.reference)));
        }
        let pairs = log_probabilities.iter().zip(&reference);
        let divergences: Vec<f32> = pairs
            .map(|(policy, reference)| options.kl_estimator.estimate(*policy, *reference))
            .collect();
        let mask = vec![true; divergences.len()];
        let coefficient = self.state.coefficient.value();
        let found = RolloutStatistics::new(&divergences, &log_probabilities, &mask, &scores, coefficient);
        for (name, value) in found.named() {
            metrics.add(name, value, answers);
        }
        metrics.add("objective/kl_coef", coefficient, 1.0);
        let ended = rollouts.iter().filter(|rollout| rollout.ended).count();
        metrics.add("val/num_eos_tokens", ended as f64, 1.0);
        metrics.add("completions/mean_length", divergences.len() as f64 / answers, answers);
        if !options.is_tempered() {
            // The engine speaks of temperature 1 only.
            let drawn = rollouts.iter().flat_map(|rollout| &rollout.log_probabilities);
            let differences = drawn
                .zip(&log_probabilities)
                .map(|(drawn, trained)| (drawn - trained).abs());
            metrics.add("val/engine_difference", differences.fold(0.0, f32::max).into(), 1.0);
        }
        Ok(Judged {
            sequences: rollouts.into_iter().map(|rollout| rollout.sequence).collect(),
            log_probabilities,
            values,
            divergences,
            scores,
            metrics,
            seconds: 0.0,
        })
    }

    fn score(&mut self, rollouts: &[Rollout<'_>]) -> Result<Rewards, AlignError> {
        let answers: Vec<Answer<'_>> = rollouts.iter().map(Rollout::answer).collect();
        total_rewards(&mut self.rewards, &answers)
    }

    /// What gives the scores of the reference's answers to some of the questions the mean 0 and the variance 1.
    fn fit_normalization(
        &mut self,
        questions: &(impl Examples<Example = Question> + ?Sized),
        count: usize,
    ) -> Result<RewardNormalization, AlignError> {
        let asked = at(questions, (0..questions.len()).cycle().take(count))?;
        let asked: Vec<&Question> = asked.iter().map(|question| &**question).collect();
        let rollouts = self
            .drawing
            .draw(&self.reference, &asked, self.seed(), "normalization", 0)?;
        let scores = self.score(&rollouts)?.total;
        RewardNormalization::fit(&scores).ok_or_else(|| AlignError::Setting {
            name: "reward_normalization",
            found: format!("{count} answers of the reference, all with the score {}", scores[0]),
            expected: "answers of different scores, or no normalisation".to_owned(),
        })
    }

    /// Rewards of tokens, and from these advantages and returns.
    fn experiences(&self, judged: &Judged) -> Vec<Experience> {
        let Judged {
            sequences,
            log_probabilities,
            values,
            divergences,
            scores,
            ..
        } = judged;
        let PpoOptions {
            whiten_rewards,
            whiten_advantages,
            whitening,
            gamma,
            lam,
            ..
        } = *self.objective.options();
        let lengths: Vec<usize> = sequences.iter().map(Tokenized::supervised).collect();
        let mask = vec![true; divergences.len()];
        let mut rewards = token_rewards(divergences, &mask, &lengths, scores, self.state.coefficient.value());
        if whiten_rewards {
            whiten(&mut rewards, &mask, false, whitening);
        }
        let mut found = generalized_advantages(&rewards, values, &mask, &lengths, [gamma, lam]);
        if whiten_advantages {
            whiten(&mut found.advantages, &mask, true, whitening);
        }
        let ends = lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        let experience = |((sequence, length), end): ((&Tokenized, &usize), usize)| {
            let of = |numbers: &[f32]| numbers[end - length..end].to_vec();
            Experience {
                sequence: sequence.clone(),
                log_probabilities: of(log_probabilities),
                values: of(values),
                advantages: of(&found.advantages),
                returns: of(&found.returns),
            }
        };
        sequences.iter().zip(&lengths).zip(ends).map(experience).collect()
    }
}

/// The questions at these places.
fn at<Q: Examples<Example = Question> + ?Sized>(
    questions: &Q,
    places: impl IntoIterator<Item = usize>,
) -> Result<Vec<Cow<'_, Question>>, AlignError> {
    places.into_iter().map(|place| questions.example(place)).collect()
}
