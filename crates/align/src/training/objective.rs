//! What a model is trained for.

use burn::module::Module;
use burn::tensor::Tensor;
use etude_lm::decoder::Decoder;

use super::Metrics;

/// A model that stands on a decoder.
pub trait Trained: Module + Clone {
    /// The decoder.
    fn decoder(&self) -> &Decoder;

    /// What becomes of the model after a step of the optimiser; the first one is step 1. Most stay as they are.
    #[must_use]
    fn stepped(self, _step: u64) -> Self {
        self
    }
}

impl Trained for Decoder {
    fn decoder(&self) -> &Decoder {
        self
    }
}

/// Sequences beside each other, as a decoder reads them.
pub trait Sequences {
    /// The tokens of all sequences.
    fn tokens(&self) -> &[u32];
    /// Where each begins: 0 first, and the number of tokens last.
    fn offsets(&self) -> &[usize];
}

/// A loss on batches of examples.
pub trait Objective {
    /// What is trained.
    type Model: Trained;
    /// What data are made of.
    type Example: Clone;
    /// Examples laid beside each other.
    type Batch: Sequences;

    /// Lays examples beside each other.
    fn batch(&self, examples: &[&Self::Example]) -> Self::Batch;

    /// What a batch weighs beside the others of its step: the number of what its loss is a mean of.
    fn weight(&self, batch: &Self::Batch) -> f64;

    /// The mean loss of a batch times `share`, `[1]`, from its hidden states after the last norm, `[tokens, hidden]`. The loss without
    /// `share` goes into `metrics` as `loss`, and beside it whatever tells how the training goes.
    fn loss(
        &self,
        model: &Self::Model,
        hidden: Tensor<2>,
        batch: &Self::Batch,
        share: f64,
        metrics: &mut Metrics,
    ) -> Tensor<1>;
}
