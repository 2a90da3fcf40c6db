//! The objective of reward models.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{RewardModel, RewardModelMetrics, bradley_terry, centering};
use crate::AlignError;
use crate::data::{Packed, Tokenized};
use crate::error::require;
use crate::preference::Pairs;
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

/// A better and a worse answer.
#[derive(Debug, Clone, PartialEq)]
pub struct RewardExample {
    /// The better one, then the worse one, each with its prompt.
    pub sequences: [Tokenized; 2],
    /// By how much the better one is to win; 0 where nothing is said.
    pub margin: f32,
}

/// All better answers beside each other, then all worse ones.
#[derive(Debug, Clone)]
pub struct RewardSequences {
    sequences: Packed,
    /// None where nothing is said.
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
        let answers = |answer: usize| {
            examples
                .iter()
                .map(move |example| example.sequences[answer].clone().into())
        };
        let packs: Vec<Packed> = answers(0).chain(answers(1)).collect();
        let margins: Vec<f32> = examples.iter().map(|example| example.margin).collect();
        RewardSequences {
            sequences: Packed::concat(&packs),
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
        let rewards = Pairs::split(model.rewards(hidden, batch.tokens(), batch.offsets()));
        let margins = batch
            .margins
            .as_ref()
            .map(|margins| Tensor::from_data(TensorData::new(margins.clone(), [margins.len()]), &device));
        let mut loss = bradley_terry(rewards.clone(), margins).mean();
        if let Some(coefficient) = self.options.center_rewards_coefficient {
            loss = loss + centering(rewards.clone()).mean() * coefficient;
        }
        let numbers = |rewards: &Tensor<1>| rewards.to_data().iter::<f32>().collect::<Vec<_>>();
        let (chosen, rejected) = (numbers(&rewards.chosen), numbers(&rewards.rejected));
        let weight = chosen.len() as f64;
        metrics.add("loss", loss.clone().into_scalar(), weight);
        for (name, value) in RewardModelMetrics::new(&chosen, &rejected).named() {
            metrics.add(name, value, weight);
        }
        loss * share
    }
}
