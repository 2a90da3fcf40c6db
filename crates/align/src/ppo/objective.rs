//! The objective of one step of the optimiser.

use burn::tensor::{Tensor, TensorData};

use super::{ActorCritic, MinibatchStatistics, MinibatchTokens, PpoOptions};
use super::{clipped_policy_loss, clipped_value_loss, ratios};
use crate::AlignError;
use crate::data::Tokenized;
use crate::preference::AnswerSequences;
use crate::training::{Metrics, Objective, Sequences};

/// The clipped losses of policy and values, on answers whose advantages are known.
#[derive(Debug, Clone)]
pub struct Ppo {
    options: PpoOptions,
}

/// An answer with what is known of its tokens; of each of these, `[tokens of the answer]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Experience {
    /// Prompt and answer, of which the answer counts.
    pub sequence: Tokenized,
    /// `ln pi_old`.
    pub log_probabilities: Vec<f32>,
    /// `v_old`.
    pub values: Vec<f32>,
    /// A.
    pub advantages: Vec<f32>,
    /// R.
    pub returns: Vec<f32>,
}

/// Answers beside each other, and the numbers of all their tokens, `[tokens of answers]`.
#[derive(Debug, Clone)]
pub struct ExperienceBatch {
    answers: AnswerSequences,
    log_probabilities: Vec<f32>,
    values: Vec<f32>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
}

impl Sequences for ExperienceBatch {
    fn tokens(&self) -> &[u32] {
        self.answers.tokens()
    }

    fn offsets(&self) -> &[usize] {
        self.answers.offsets()
    }
}

impl Ppo {
    /// With these constants.
    ///
    /// # Errors
    /// One is out of its range.
    pub fn new(options: PpoOptions) -> Result<Self, AlignError> {
        let options = options.checked()?;
        Ok(Self { options })
    }

    /// The constants.
    pub fn options(&self) -> &PpoOptions {
        &self.options
    }
}

impl Objective for Ppo {
    type Model = ActorCritic;
    type Example = Experience;
    type Batch = ExperienceBatch;

    fn batch(&self, examples: &[&Experience]) -> ExperienceBatch {
        let all = |of: fn(&Experience) -> &Vec<f32>| examples.iter().flat_map(|example| of(example)).copied().collect();
        ExperienceBatch {
            answers: AnswerSequences::new(examples.iter().map(|example| &example.sequence)),
            log_probabilities: all(|example| &example.log_probabilities),
            values: all(|example| &example.values),
            advantages: all(|example| &example.advantages),
            returns: all(|example| &example.returns),
        }
    }

    /// Tokens weigh alike, however a minibatch is cut.
    fn weight(&self, batch: &ExperienceBatch) -> f64 {
        batch.advantages.len() as f64
    }

    fn loss(
        &self,
        model: &ActorCritic,
        hidden: Tensor<2>,
        batch: &ExperienceBatch,
        share: f64,
        metrics: &mut Metrics,
    ) -> Tensor<1> {
        let PpoOptions {
            temperature,
            cliprange,
            cliprange_value,
            vf_coef,
            ..
        } = self.options;
        let device = hidden.device();
        let constant =
            |numbers: &[f32]| Tensor::<1>::from_data(TensorData::new(numbers.to_vec(), [numbers.len()]), &device);
        let values = model.values(hidden.clone(), &batch.answers);
        // Logits are a linear function of hidden states.
        let (log_probabilities, statistics) = batch
            .answers
            .token_log_probabilities(model.policy(), hidden / temperature);

        let ratios = ratios(log_probabilities.clone(), constant(&batch.log_probabilities));
        let policy_loss = clipped_policy_loss(ratios, constant(&batch.advantages), cliprange).mean();
        let (old, returns) = (constant(&batch.values), constant(&batch.returns));
        let value_loss = clipped_value_loss(values.clone(), old, returns, cliprange_value).mean();
        let loss = policy_loss + value_loss * vf_coef;

        let numbers = |tensor: &Tensor<1>| tensor.to_data().iter::<f32>().collect::<Vec<_>>();
        let entropies: Vec<f32> = statistics.iter().map(|token| token.entropy).collect();
        let found = MinibatchStatistics::new(
            &MinibatchTokens {
                log_probabilities: &numbers(&log_probabilities),
                old_log_probabilities: &batch.log_probabilities,
                advantages: &batch.advantages,
                values: &numbers(&values),
                old_values: &batch.values,
                returns: &batch.returns,
                entropies: &entropies,
                mask: &vec![true; entropies.len()],
            },
            cliprange,
            cliprange_value,
        );
        let weight = self.weight(batch);
        metrics.add("loss", loss.clone().into_scalar(), weight);
        for (name, value) in found.named() {
            metrics.add(name, value, weight);
        }
        loss * share
    }
}
