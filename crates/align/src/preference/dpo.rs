//! The objective of direct preference optimisation.

use burn::tensor::{Tensor, TensorData};
use etude_lm::decoder::Decoder;
use serde::{Deserialize, Serialize};

use super::{Aggregation, AnswerSequences, Pairs, PreferenceBatch, PreferenceOptions, Referenced, RewardMetrics};
use super::{preference_loss, sequence_log_probabilities, wpo_weights};
use crate::AlignError;
use crate::data::Tokenized;
use crate::training::{Metrics, Objective, Sequences};

/// DPO and its family on pairs of answers, whose reference log-probabilities are known.
#[derive(Debug, Clone)]
pub struct Dpo {
    options: PreferenceOptions,
}

/// A better and a worse answer as sequences, and what the reference says of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreferenceExample {
    /// The better one, then the worse one, each with its prompt; what counts in the loss is the answer.
    pub sequences: [Tokenized; 2],
    /// ln pi_ref of both answers, aggregated as the options have it.
    pub reference: [f32; 2],
}

impl PreferenceExample {
    /// A pair of which the reference has not been asked yet.
    pub fn new(sequences: [Tokenized; 2]) -> Self {
        Self {
            sequences,
            reference: [f32::NAN; 2],
        }
    }
}

impl Referenced for PreferenceExample {
    fn answers(&self) -> &[Tokenized; 2] {
        &self.sequences
    }

    fn with_reference(self, reference: [f32; 2]) -> Self {
        Self { reference, ..self }
    }
}

/// All better answers beside each other, then all worse ones.
#[derive(Debug, Clone)]
pub struct PreferenceSequences {
    pub(super) answers: AnswerSequences,
    pub(super) reference: Vec<f32>,
}

impl Sequences for PreferenceSequences {
    fn tokens(&self) -> &[u32] {
        self.answers.tokens()
    }

    fn offsets(&self) -> &[usize] {
        self.answers.offsets()
    }
}

impl Dpo {
    /// With these constants.
    ///
    /// # Errors
    /// They do not go together.
    pub fn new(options: PreferenceOptions) -> Result<Self, AlignError> {
        let options = options.checked()?;
        Ok(Self { options })
    }

    /// The constants.
    pub fn options(&self) -> &PreferenceOptions {
        &self.options
    }
}

impl Objective for Dpo {
    type Model = Decoder;
    type Example = PreferenceExample;
    type Batch = PreferenceSequences;

    fn batch(&self, examples: &[&PreferenceExample]) -> PreferenceSequences {
        let pairs: Vec<_> = examples.iter().map(|example| &example.sequences).collect();
        let of = |answer: usize| examples.iter().map(move |example| example.reference[answer]);
        PreferenceSequences {
            answers: AnswerSequences::pairs(&pairs),
            reference: of(0).chain(of(1)).collect(),
        }
    }

    /// Batches weigh alike, whatever their size, as in TRL.
    fn weight(&self, _: &PreferenceSequences) -> f64 {
        1.0
    }

    fn loss(
        &self,
        model: &Decoder,
        hidden: Tensor<2>,
        batch: &PreferenceSequences,
        share: f64,
        metrics: &mut Metrics,
    ) -> Tensor<1> {
        let (device, lengths) = (hidden.device(), batch.answers.lengths());
        let pairs = lengths.len() / 2;
        let (tokens, statistics) = batch.answers.token_log_probabilities(model, hidden);
        let reference = TensorData::new(batch.reference.clone(), [2 * pairs]);
        let reference = Tensor::from_data(reference, &device);
        let aggregation = self.options.aggregation();
        let mut scored = PreferenceBatch::new(tokens.clone(), reference, lengths, aggregation);
        if self.options.use_weighting {
            let log_sum_squares: Vec<f32> = statistics.iter().map(|found| found.log_sum_squares).collect();
            let log_sum_squares = Tensor::from_data(TensorData::new(log_sum_squares, [statistics.len()]), &device);
            scored.weights = Some(wpo_weights(tokens.clone(), log_sum_squares, lengths));
        }
        let loss = preference_loss(&scored, &self.options).mean();

        let weight = pairs as f64;
        metrics.add("loss", loss.clone().into_scalar(), weight);
        metrics.add_entropy(statistics.iter());
        // Of chosen answers alone, as in TRL.
        let chosen: usize = lengths[..pairs].iter().sum();
        metrics.add_accuracy(statistics[..chosen].iter());
        metrics.add_logits("chosen", statistics[..chosen].iter());
        metrics.add_logits("rejected", statistics[chosen..].iter());
        let plain = |pairs: &Pairs| pairs.clone().map(Tensor::without_autodiff);
        let rewards = RewardMetrics::new(&plain(&scored.policy), &plain(&scored.reference), self.options.beta);
        for (name, value) in rewards.named() {
            metrics.add(name, value, weight);
        }
        if aggregation != Aggregation::Sum {
            // What is logged is the log-probability of whole answers, whatever the loss is made of.
            let sums = sequence_log_probabilities(tokens.without_autodiff(), lengths, Aggregation::Sum);
            let sums = Pairs::split(sums);
            metrics.add("logps/sum/chosen", sums.chosen.mean().into_scalar(), weight);
            metrics.add("logps/sum/rejected", sums.rejected.mean().into_scalar(), weight);
        }
        loss * share
    }
}
