//! Supervised fine-tuning: the cross-entropy of what an answer has next, given what came before (Ouyang et al. 2022, section 3.5, step
//! 1).
//!
//! L = - 1 / n sum over the n tokens that count of ln pi(token | those before it)
//!
//! The mean is over all tokens of a step that count, so that it does not matter how a step is cut into batches, nor how sequences are
//! packed.

use burn::tensor::Tensor;
use etude_lm::decoder::Decoder;

use crate::data::Packed;
use crate::training::{Metrics, Objective, Sequences};

/// The objective of supervised fine-tuning on sequences beside each other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sft;

/// Sequences beside each other with what the model is to say next.
#[derive(Debug, Clone)]
pub struct SftBatch {
    sequences: Packed,
    /// The next token of each; any number where it does not count.
    targets: Vec<u32>,
    /// How many count.
    supervised: usize,
}

impl Sequences for SftBatch {
    fn tokens(&self) -> &[u32] {
        &self.sequences.ids
    }

    fn offsets(&self) -> &[usize] {
        &self.sequences.offsets
    }
}

impl Objective for Sft {
    type Model = Decoder;
    /// One sequence, or several that are packed.
    type Example = Packed;
    type Batch = SftBatch;

    fn batch(&self, examples: &[&Packed]) -> SftBatch {
        let sequences = Packed::concat(examples.iter().copied());
        let targets = sequences.ids.iter().skip(1).copied().chain([0]).collect();
        let supervised = sequences.loss.iter().filter(|counts| **counts).count();
        SftBatch {
            sequences,
            targets,
            supervised,
        }
    }

    fn weight(&self, batch: &SftBatch) -> f64 {
        batch.supervised as f64
    }

    fn loss(
        &self,
        model: &Decoder,
        hidden: Tensor<2>,
        batch: &SftBatch,
        share: f64,
        metrics: &mut Metrics,
    ) -> Tensor<1> {
        let supervised = batch.supervised as f64;
        let weight = (share / supervised.max(1.0)) as f32;
        // The loss of a token is that of what stands before it.
        let counts = batch.sequences.loss.iter().skip(1).chain([&false]);
        let weights: Vec<f32> = counts.map(|&counts| if counts { weight } else { 0.0 }).collect();
        let (loss, statistics) = model.loss_with_statistics(hidden, &batch.targets, &weights);
        metrics.add("loss", loss.clone().into_scalar::<f64>() / share, supervised);
        let counted = || statistics.iter().zip(&weights).filter(|(_, weight)| **weight != 0.0);
        metrics.add_entropy(counted().map(|(token, _)| token));
        metrics.add_accuracy(counted().map(|(token, _)| token));
        loss
    }
}
