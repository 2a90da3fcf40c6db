//! Sequences with answers at their ends, as objectives on answers read them.

use burn::tensor::{Int, Tensor, TensorData};
use etude_kernels::linear_cross_entropy::TokenStatistics;
use etude_lm::decoder::Decoder;

use super::{Aggregation, sequence_log_probabilities};
use crate::data::{Packed, Tokenized};
use crate::training::Sequences;

/// Sequences beside each other. What counts in a sequence is its answer.
#[derive(Debug, Clone)]
pub struct AnswerSequences {
    sequences: Packed,
    /// The next token of each that has one.
    targets: Vec<u32>,
    /// Where tokens of answers are predicted, in order.
    places: Vec<i64>,
    /// How many tokens each answer has.
    lengths: Vec<usize>,
}

impl Sequences for AnswerSequences {
    fn tokens(&self) -> &[u32] {
        &self.sequences.ids
    }

    fn offsets(&self) -> &[usize] {
        &self.sequences.offsets
    }
}

impl AnswerSequences {
    /// One after the other.
    pub fn new<'a>(sequences: impl IntoIterator<Item = &'a Tokenized>) -> Self {
        let all: Vec<&Tokenized> = sequences.into_iter().collect();
        let packs: Vec<Packed> = all.iter().map(|&sequence| sequence.clone().into()).collect();
        let sequences = Packed::concat(&packs);
        let predicts = |(place, counts): (usize, &bool)| counts.then(|| place as i64 - 1);
        Self {
            targets: sequences.ids.iter().skip(1).copied().chain([0]).collect(),
            places: sequences.loss.iter().enumerate().filter_map(predicts).collect(),
            lengths: all.iter().map(|sequence| sequence.supervised()).collect(),
            sequences,
        }
    }

    /// All better answers, then all worse ones.
    pub fn pairs(pairs: &[&[Tokenized; 2]]) -> Self {
        let answers = |answer: usize| pairs.iter().map(move |pair| &pair[answer]);
        Self::new(answers(0).chain(answers(1)))
    }

    /// How many tokens each answer has.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// ln pi of all answers, `[answers]`, from the hidden states of all tokens, `[tokens, hidden]`: what a reference is asked for.
    ///
    /// # Panics
    /// The hidden states are those of other sequences.
    pub fn log_probabilities(&self, decoder: &Decoder, hidden: Tensor<2>, aggregation: Aggregation) -> Tensor<1> {
        let (hidden, targets) = self.predicting(hidden);
        sequence_log_probabilities(decoder.log_probabilities(hidden, &targets), &self.lengths, aggregation)
    }

    /// ln pi of all tokens of all answers, one answer after the other, and what else is known of them.
    pub(crate) fn token_log_probabilities(
        &self,
        decoder: &Decoder,
        hidden: Tensor<2>,
    ) -> (Tensor<1>, Vec<TokenStatistics>) {
        let (hidden, targets) = self.predicting(hidden);
        decoder.log_probabilities_with_statistics(hidden, &targets)
    }

    /// The hidden states after which the tokens of answers come, `[tokens of answers, hidden]`, and these tokens.
    pub(crate) fn predicting(&self, hidden: Tensor<2>) -> (Tensor<2>, Vec<u32>) {
        let places = TensorData::new(self.places.clone(), [self.places.len()]);
        let places = Tensor::<1, Int>::from_data(places, &hidden.device());
        let targets = self.places.iter().map(|&place| self.targets[place as usize]);
        (hidden.select(0, places), targets.collect())
    }
}
