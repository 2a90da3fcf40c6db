//! KTO: answers that are desirable or not by themselves, without pairs (Ethayarajh et al. 2024).
//!
//! What an answer is worth is its implicit reward beyond a reference point, beta (ln (pi / pi_ref) - KL), and a human's utility
//! levels off both ways:
//!
//! ```text
//! L = w_D (1 - s(beta (ratio - KL)))        of desirable answers                                           (7, 8)
//! L = w_U (1 - s(beta (KL - ratio)))        of undesirable ones
//! KL = max(0, mean of ln (pi / pi_ref) over prompts with the answers of others)
//! ```
//!
//! With KL = 0 this is APO-zero of unpaired answers (D'Oosterlinck et al. 2024), TRL's `apo_zero_unpaired`.

use std::borrow::Cow;

use burn::module::Module as _;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use etude_lm::decoder::Decoder;
use serde::{Deserialize, Serialize};

use super::{Aggregation, AnswerSequences, Referenced, sequence_log_probabilities};
use crate::AlignError;
use crate::data::{Examples, Tokenized, TokenizedCompletion, Truncation};
use crate::error::require;
use crate::training::{Metrics, Objective, Sequences};

/// The reference point, `[1]`, without gradients, from log-ratios ln (pi / pi_ref) of answers to prompts that are not theirs,
/// `[mismatched]`: each prompt of a batch with the answer to the next one.
pub fn reference_point(mismatched: Tensor<1>) -> Tensor<1> {
    mismatched.detach().mean().clamp_min(0.0)
}

/// What an answer of each kind weighs. The paper wants w_D n_D / (w_U n_U) from 1 to 4/3, where n are their numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// w_D.
    pub desirable: f64,
    /// w_U.
    pub undesirable: f64,
}

/// The loss of each answer, `[answers]`, from its log-ratio ln (pi / pi_ref), `[answers]`, whether it is desirable, `[answers]`, and the
/// [`reference_point`], `[1]`.
pub fn kto(
    log_ratios: Tensor<1>,
    desirable: Tensor<1, Bool>,
    reference_point: Tensor<1>,
    beta: f64,
    weights: Weights,
) -> Tensor<1> {
    let desirable = desirable.float();
    let signs = desirable.clone() * 2.0 - 1.0;
    let weights = desirable * (weights.desirable - weights.undesirable) + weights.undesirable;
    // 1 - s(u) = s(-u).
    weights * sigmoid((reference_point - log_ratios) * signs * beta)
}

/// Which loss, by TRL's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KtoLoss {
    /// KTO.
    #[default]
    Kto,
    /// APO-zero of unpaired answers: the reference point is 0.
    ApoZeroUnpaired,
}

/// The constants, by the names and with the defaults of TRL's `KTOConfig`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KtoOptions {
    /// Which loss.
    pub loss_type: KtoLoss,
    /// How dear it is to leave the reference; above 0.
    pub beta: f64,
    /// w_D; above 0.
    pub desirable_weight: f64,
    /// w_U; above 0.
    pub undesirable_weight: f64,
}

impl Default for KtoOptions {
    fn default() -> Self {
        Self {
            loss_type: KtoLoss::Kto,
            beta: 0.1,
            desirable_weight: 1.0,
            undesirable_weight: 1.0,
        }
    }
}

/// KTO on answers whose reference log-probabilities are known.
#[derive(Debug, Clone)]
pub struct Kto {
    options: KtoOptions,
}

/// An answer that is desirable or not, and what the reference says.
#[derive(Debug, Clone, PartialEq)]
pub struct KtoExample {
    /// The prompt with its answer, and then with the answer to another one; what counts in the loss is the answer.
    pub sequences: [Tokenized; 2],
    /// Whether the first answer is desirable.
    pub desirable: bool,
    /// ln pi_ref of both answers.
    pub reference: [f32; 2],
}

impl Referenced for KtoExample {
    fn answers(&self) -> &[Tokenized; 2] {
        &self.sequences
    }

    fn with_reference(self, reference: [f32; 2]) -> Self {
        Self { reference, ..self }
    }
}

/// Answers of which the reference has not been asked yet, each with a mismatched one.
#[derive(Debug)]
pub struct Mismatched<S> {
    answers: S,
    truncation: Truncation,
    /// The place of each answer, and of the one that its prompt gets as well.
    places: Vec<[usize; 2]>,
}

impl<S: Examples<Example = TokenizedCompletion>> Mismatched<S> {
    /// In each of the `batches`, places of answers, a prompt gets the answer to the one before, and the first that to the last: as in TRL,
    /// which so makes batches of the neighbours in the data. A batch of one has its own answer for a mismatched one. Answers of which
    /// truncation leaves nothing are left out.
    ///
    /// What is mismatched stays so in later epochs, whatever batches they have, so that the reference is asked once.
    ///
    /// # Errors
    /// The answers cannot be read.
    pub fn new(
        answers: S,
        truncation: Truncation,
        batches: impl IntoIterator<Item = Vec<usize>>,
    ) -> Result<Self, AlignError> {
        let mut before: Vec<usize> = (0..answers.len()).collect();
        for batch in batches {
            for (&place, &earlier) in batch.iter().zip(batch.last().into_iter().chain(&batch)) {
                before[place] = earlier;
            }
        }
        let mut mismatched = Self {
            places: before.into_iter().enumerate().map(<[usize; 2]>::from).collect(),
            answers,
            truncation,
        };
        let mut left = Vec::with_capacity(mismatched.places.len());
        for &places in &mismatched.places {
            if mismatched.cut(places)?.is_some() {
                left.push(places);
            }
        }
        mismatched.places = left;
        Ok(mismatched)
    }

    fn cut(&self, [place, before]: [usize; 2]) -> Result<Option<KtoExample>, AlignError> {
        let answer = self.answers.example(place)?;
        let mismatched = TokenizedCompletion {
            completion: self.answers.example(before)?.completion.clone(),
            ..TokenizedCompletion::clone(&answer)
        };
        let sequence = |answer: &TokenizedCompletion| answer.sequence(&self.truncation);
        let (Some(own), Some(other)) = (sequence(&answer), sequence(&mismatched)) else {
            return Ok(None);
        };
        Ok(Some(KtoExample {
            sequences: [own, other],
            desirable: answer.label,
            reference: [f32::NAN; 2],
        }))
    }
}

impl<S: Examples<Example = TokenizedCompletion>> Examples for Mismatched<S> {
    type Example = KtoExample;

    fn len(&self) -> usize {
        self.places.len()
    }

    fn example(&self, place: usize) -> Result<Cow<'_, KtoExample>, AlignError> {
        let example = self.cut(self.places[place])?;
        // Those of which nothing is left have been left out.
        example.map(Cow::Owned).ok_or(AlignError::NoExamples)
    }
}

/// Answers beside each other.
#[derive(Debug, Clone)]
pub struct KtoSequences {
    answers: AnswerSequences,
    /// The same prompts with the answers to others; none where the reference point is 0.
    mismatched: Option<AnswerSequences>,
    desirable: Vec<bool>,
    /// ln pi_ref of the answers, and of the mismatched ones.
    reference: [Vec<f32>; 2],
}

impl Sequences for KtoSequences {
    fn tokens(&self) -> &[u32] {
        self.answers.tokens()
    }

    fn offsets(&self) -> &[usize] {
        self.answers.offsets()
    }
}

impl KtoSequences {
    /// The reference point of a batch, `[1]`: the policy is asked for the mismatched answers, without a graph.
    fn reference_point(&self, model: &Decoder, device: &Device) -> Tensor<1> {
        let Some(mismatched) = &self.mismatched else {
            return Tensor::zeros([1], device);
        };
        let policy = model.valid();
        let hidden = policy.hidden(mismatched.tokens(), mismatched.offsets());
        let said: Vec<f32> = mismatched
            .log_probabilities(&policy, hidden, Aggregation::Sum)
            .to_data()
            .iter()
            .collect();
        let ratios: Vec<f32> = said
            .iter()
            .zip(&self.reference[1])
            .map(|(policy, reference)| policy - reference)
            .collect();
        reference_point(Tensor::from_data(TensorData::new(ratios, [said.len()]), device))
    }
}

impl Kto {
    /// With these constants.
    ///
    /// # Errors
    /// Names the first one that is out of its range.
    pub fn new(options: KtoOptions) -> Result<Self, AlignError> {
        for (name, number) in [
            ("beta", options.beta),
            ("desirable_weight", options.desirable_weight),
            ("undesirable_weight", options.undesirable_weight),
        ] {
            require(number > 0.0 && number.is_finite(), name, &number, "a number above 0")?;
        }
        Ok(Self { options })
    }

    /// The constants.
    pub fn options(&self) -> &KtoOptions {
        &self.options
    }
}

impl Objective for Kto {
    type Model = Decoder;
    type Example = KtoExample;
    type Batch = KtoSequences;

    fn batch(&self, examples: &[&KtoExample]) -> KtoSequences {
        let sequences = |which: usize| AnswerSequences::new(examples.iter().map(|example| &example.sequences[which]));
        KtoSequences {
            answers: sequences(0),
            mismatched: (self.options.loss_type == KtoLoss::Kto).then(|| sequences(1)),
            desirable: examples.iter().map(|example| example.desirable).collect(),
            reference: [0, 1].map(|which| examples.iter().map(|example| example.reference[which]).collect()),
        }
    }

    /// Batches weigh alike, whatever their size, as in TRL.
    fn weight(&self, _: &KtoSequences) -> f64 {
        1.0
    }

    fn loss(
        &self,
        model: &Decoder,
        hidden: Tensor<2>,
        batch: &KtoSequences,
        share: f64,
        metrics: &mut Metrics,
    ) -> Tensor<1> {
        let (device, count) = (hidden.device(), batch.desirable.len());
        let point = batch.reference_point(model, &device);
        let (tokens, statistics) = batch.answers.token_log_probabilities(model, hidden);
        let policy = sequence_log_probabilities(tokens, batch.answers.lengths(), Aggregation::Sum);
        let reference = Tensor::from_data(TensorData::new(batch.reference[0].clone(), [count]), &device);
        let desirable = Tensor::from_data(TensorData::new(batch.desirable.clone(), [count]), &device);
        let weights = Weights {
            desirable: self.options.desirable_weight,
            undesirable: self.options.undesirable_weight,
        };
        let beta = self.options.beta;
        let loss = kto(policy.clone() - reference, desirable, point.clone(), beta, weights).mean();

        metrics.add("loss", loss.clone().into_scalar(), count as f64);
        metrics.add("kl", point.into_scalar(), count as f64);
        metrics.add_entropy(statistics.iter());
        let kinds = batch.desirable.iter().zip(batch.answers.lengths());
        let kinds = kinds.flat_map(|(desirable, length)| std::iter::repeat_n(*desirable, *length));
        let tokens: Vec<_> = kinds.zip(&statistics).collect();
        for (kind, name) in [(true, "chosen"), (false, "rejected")] {
            let of_kind = tokens.iter().filter(|(desirable, _)| *desirable == kind);
            metrics.add_logits(name, of_kind.map(|(_, token)| *token));
        }
        let policy: Vec<f32> = policy.to_data().iter().collect();
        let means = |kind: bool| {
            let of_kind = || (0..count).filter(|&answer| batch.desirable[answer] == kind);
            let number = of_kind().count() as f64;
            let sum = |value: &dyn Fn(usize) -> f32| of_kind().map(|answer| f64::from(value(answer))).sum::<f64>();
            let rewards = beta * sum(&|answer| policy[answer] - batch.reference[0][answer]);
            (number, rewards / number, sum(&|answer| policy[answer]) / number)
        };
        let (chosen, rejected) = (means(true), means(false));
        for (name, (number, reward, log_probability)) in [("chosen", chosen), ("rejected", rejected)] {
            metrics.add(&format!("rewards/{name}"), reward, number);
            metrics.add(&format!("logps/{name}"), log_probability, number);
        }
        // Of batches that have both kinds.
        metrics.add("rewards/margins", chosen.1 - rejected.1, chosen.0.min(rejected.0));
        loss * share
    }
}
