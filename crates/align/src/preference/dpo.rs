//! The objective of direct preference optimisation.

use burn::tensor::{Int, Tensor, TensorData};
use etude_lm::decoder::Decoder;

use super::{Aggregation, PreferenceBatch, PreferenceOptions, RewardMetrics, preference_loss, wpo_weights};
use super::{Pairs, sequence_log_probabilities};
use crate::AlignError;
use crate::data::{Packed, Tokenized};
use crate::training::{Metrics, Objective, Sequences};

/// DPO and its family on pairs of answers, whose reference log-probabilities are known.
#[derive(Debug, Clone)]
pub struct Dpo {
    options: PreferenceOptions,
}

/// A better and a worse answer as sequences, and what the reference says of them.
#[derive(Debug, Clone, PartialEq)]
pub struct PreferenceExample {
    /// The better one, then the worse one, each with its prompt; what counts in the loss is the answer.
    pub sequences: [Tokenized; 2],
    /// ln pi_ref of both answers, aggregated as the options have it.
    pub reference: [f32; 2],
}

/// All better answers beside each other, then all worse ones.
#[derive(Debug, Clone)]
pub struct PreferenceSequences {
    sequences: Packed,
    /// The next token of each that has one.
    targets: Vec<u32>,
    /// Where tokens of answers are predicted, in order.
    answers: Vec<i64>,
    /// How many tokens each answer has.
    lengths: Vec<usize>,
    reference: Vec<f32>,
}

impl Sequences for PreferenceSequences {
    fn tokens(&self) -> &[u32] {
        &self.sequences.ids
    }

    fn offsets(&self) -> &[usize] {
        &self.sequences.offsets
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

    /// ln pi of all answers of a batch, `[2 pairs]`, aggregated as the options have it: what a reference is asked for.
    ///
    /// # Panics
    /// The hidden states are those of other sequences.
    pub fn log_probabilities(&self, decoder: &Decoder, hidden: Tensor<2>, batch: &PreferenceSequences) -> Tensor<1> {
        let (hidden, targets) = batch.answers(hidden);
        let tokens = decoder.log_probabilities(hidden, &targets);
        sequence_log_probabilities(tokens, &batch.lengths, self.options.aggregation())
    }
}

impl PreferenceSequences {
    /// The hidden states after which the tokens of answers come, `[tokens, hidden]`, from those of all tokens; and these tokens.
    fn answers(&self, hidden: Tensor<2>) -> (Tensor<2>, Vec<u32>) {
        let places = TensorData::new(self.answers.clone(), [self.answers.len()]);
        let places = Tensor::<1, Int>::from_data(places, &hidden.device());
        let targets = self.answers.iter().map(|&place| self.targets[place as usize]);
        (hidden.select(0, places), targets.collect())
    }
}

impl Objective for Dpo {
    type Model = Decoder;
    type Example = PreferenceExample;
    type Batch = PreferenceSequences;

    fn batch(&self, examples: &[&PreferenceExample]) -> PreferenceSequences {
        let answers = |answer: usize| examples.iter().map(move |example| (example, answer));
        let all: Vec<_> = answers(0).chain(answers(1)).collect();
        let packs: Vec<Packed> = all
            .iter()
            .map(|(example, answer)| example.sequences[*answer].clone().into())
            .collect();
        let sequences = Packed::concat(&packs);
        let predicts = |(place, counts): (usize, &bool)| counts.then(|| place as i64 - 1);
        PreferenceSequences {
            targets: sequences.ids.iter().skip(1).copied().chain([0]).collect(),
            answers: sequences.loss.iter().enumerate().filter_map(predicts).collect(),
            lengths: all
                .iter()
                .map(|(example, answer)| example.sequences[*answer].supervised())
                .collect(),
            reference: all.iter().map(|(example, answer)| example.reference[*answer]).collect(),
            sequences,
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
        let (device, pairs) = (hidden.device(), batch.lengths.len() / 2);
        let (hidden, targets) = batch.answers(hidden);
        let (tokens, statistics) = model.log_probabilities_with_statistics(hidden, &targets);
        let reference = TensorData::new(batch.reference.clone(), [2 * pairs]);
        let reference = Tensor::from_data(reference, &device);
        let aggregation = self.options.aggregation();
        let mut scored = PreferenceBatch::new(tokens.clone(), reference, &batch.lengths, aggregation);
        if self.options.use_weighting {
            let log_sum_squares: Vec<f32> = statistics.iter().map(|found| found.log_sum_squares).collect();
            let log_sum_squares = Tensor::from_data(TensorData::new(log_sum_squares, [statistics.len()]), &device);
            scored.weights = Some(wpo_weights(tokens.clone(), log_sum_squares, &batch.lengths));
        }
        let loss = preference_loss(&scored, &self.options).mean();

        let weight = pairs as f64;
        metrics.add("loss", loss.clone().into_scalar(), weight);
        metrics.add_entropy(statistics.iter());
        // Of chosen answers alone, as in TRL.
        let chosen: usize = batch.lengths[..pairs].iter().sum();
        metrics.add_accuracy(statistics[..chosen].iter());
        let plain = |pairs: &Pairs| pairs.clone().map(Tensor::without_autodiff);
        let rewards = RewardMetrics::new(&plain(&scored.policy), &plain(&scored.reference), self.options.beta);
        for (name, value) in rewards.named() {
            metrics.add(name, value, weight);
        }
        if aggregation != Aggregation::Sum {
            // What is logged is the log-probability of whole answers, whatever the loss is made of.
            let sums = sequence_log_probabilities(tokens.without_autodiff(), &batch.lengths, Aggregation::Sum);
            let sums = Pairs::split(sums);
            metrics.add("logps/sum/chosen", sums.chosen.mean().into_scalar(), weight);
            metrics.add("logps/sum/rejected", sums.rejected.mean().into_scalar(), weight);
        }
        loss * share
    }
}
