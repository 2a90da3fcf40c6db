//! The objective of reward models.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{Comparisons, RewardModel, RewardModelMetrics, bradley_terry, centering};
use crate::AlignError;
use crate::data::{Packed, Tokenized};
use crate::error::require;
use crate::training::{Metrics, Objective, Sequences};

/// The constants of a reward model, by TRL's names.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RewardOptions {
    /// What (r_w + r_l)^2 counts in the loss, which holds rewards at 0; none where it does not. Eisenstein et al. 2023 use 0.01.
    pub center_rewards_coefficient: Option<f64>,
}

/// The likelihood of preferences under Bradley and Terry's model.
#[derive(Debug, Clone, Copy, Default)]
pub struct RewardModeling {
    options: RewardOptions,
}

/// A better and a worse answer, or several that are ranked, of which every better one is compared with every worse one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardExample {
    /// The answers, the best first, each with its prompt; at least two.
    pub sequences: Vec<Tokenized>,
    /// By how much a better one is to win; 0 where nothing is said.
    pub margin: f32,
}

/// All answers beside each other, prompt by prompt.
#[derive(Debug, Clone)]
pub struct RewardSequences {
    sequences: Packed,
    comparisons: Comparisons,
    /// One of each prompt; none where nothing is said.
    margins: Option<Vec<f32>>,
}

impl Sequences for RewardSequences {
    fn tokens(&self) -> &[u32] {
        &self.sequences.ids
    }

    fn offsets(&self) -> &[usize] {
        &self.sequences.offsets
    }
}

impl RewardModeling {
    /// With these constants.
    ///
    /// # Errors
    /// The coefficient is negative or no number.
    pub fn new(options: RewardOptions) -> Result<Self, AlignError> {
        let coefficient = options.center_rewards_coefficient;
        let good = coefficient.is_none_or(|coefficient| coefficient >= 0.0 && coefficient.is_finite());
        require(good, "center_rewards_coefficient", &coefficient, "at least 0")?;
        Ok(Self { options })
    }
}

impl Objective for RewardModeling {
    type Model = RewardModel;
    type Example = RewardExample;
    type Batch = RewardSequences;

    fn batch(&self, examples: &[&RewardExample]) -> RewardSequences {
        let answers = examples.iter().flat_map(|example| &example.sequences);
        let packs: Vec<Packed> = answers.map(|answer| answer.clone().into()).collect();
        let ranks = examples
            .iter()
            .map(|example| (0..).take(example.sequences.len()).collect());
        let margins: Vec<f32> = examples.iter().map(|example| example.margin).collect();
        RewardSequences {
            sequences: Packed::concat(&packs),
            comparisons: Comparisons::of_ranks(&ranks.collect::<Vec<_>>()),
            margins: margins.iter().any(|margin| *margin != 0.0).then_some(margins),
        }
    }

    /// Batches weigh alike, whatever their size, as in TRL.
    fn weight(&self, _: &RewardSequences) -> f64 {
        1.0
    }

    fn loss(
        &self,
        model: &RewardModel,
        hidden: Tensor<2>,
        batch: &RewardSequences,
        share: f64,
        metrics: &mut Metrics,
    ) -> Tensor<1> {
        let device = hidden.device();
        let comparisons = &batch.comparisons;
        let rewards = model.rewards(hidden, batch.tokens(), batch.offsets());
        let pairs = comparisons.pairs(rewards.clone());
        let margins = batch.margins.as_ref().map(|margins| {
            let margins = TensorData::new(margins.clone(), [margins.len()]);
            comparisons.spread(Tensor::from_data(margins, &device))
        });
        let mut losses = bradley_terry(pairs.clone(), margins);
        if let Some(coefficient) = self.options.center_rewards_coefficient {
            losses = losses + centering(pairs.clone()) * coefficient;
        }
        let losses = comparisons.means(losses);
        let [prompts] = losses.dims();
        let loss = losses.mean();

        metrics.add("loss", loss.clone().into_scalar(), prompts as f64);
        let numbers = |rewards: &Tensor<1>| rewards.to_data().iter::<f32>().collect::<Vec<_>>();
        let [rewards, chosen, rejected] = [&rewards, &pairs.chosen, &pairs.rejected].map(numbers);
        for (name, value, of) in RewardModelMetrics::new(&rewards, &chosen, &rejected).named() {
            metrics.add(name, value, of as f64);
        }
        loss * share
    }
}
