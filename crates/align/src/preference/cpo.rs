//! Losses on pairs that need no reference: CPO (Xu et al. 2024) and SimPO (Meng et al. 2024), as TRL's `CPOTrainer` has them.
//!
//! ```text
//! L = contrast + alpha NLL of the chosen answers                                                  CPO, equation 3
//! contrast = -(1 - e) ln s(beta z) - e ln s(-beta z)          z = ln pi_w - ln pi_l               `sigmoid`: CPO
//! the same of beta z - gamma                                  z = a_w - a_l                       `simpo`: SimPO, equation 6
//! contrast = max(0, 1 - beta z)                               z = ln pi_w - ln pi_l               `hinge`
//! contrast = (z - 1 / (2 beta))^2                             z = a_w - a_l                       `ipo`
//! ```
//!
//! a is the mean of ln pi over the tokens of an answer, and the NLL the mean over all tokens of the chosen answers of a batch. SimPO by
//! itself is `simpo` with `cpo_alpha = 0`; with the NLL it is CPO-SimPO.

use burn::tensor::Tensor;
use etude_lm::decoder::Decoder;
use serde::{Deserialize, Serialize};

use super::{Aggregation, AnswerSequences, Pairs, RewardMetrics, loss, sequence_log_probabilities};
use crate::AlignError;
use crate::data::Tokenized;
use crate::error::require;
use crate::training::{Metrics, Objective};

/// What is made of the difference of two answers, by TRL's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CpoLoss {
    /// CPO.
    #[default]
    Sigmoid,
    /// The hinge loss.
    Hinge,
    /// IPO without a reference.
    Ipo,
    /// SimPO.
    Simpo,
}

/// The constants, by the names and with the defaults of TRL's `CPOConfig`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CpoOptions {
    /// What is made of the difference of two answers.
    pub loss_type: CpoLoss,
    /// What log-probabilities are multiplied by; above 0. SimPO's authors use 2 to 10.
    pub beta: f64,
    /// The share of preferences that are taken for mistaken, from 0 to below 0.5: of `sigmoid` and `simpo`.
    pub label_smoothing: f64,
    /// What the NLL of the chosen answers counts; at least 0.
    pub cpo_alpha: f64,
    /// The margin gamma of `simpo`; at least 0. TRL's default is that for its default beta; SimPO's authors use 0.3 to 0.5 times beta.
    pub simpo_gamma: f64,
}

impl Default for CpoOptions {
    fn default() -> Self {
        Self {
            loss_type: CpoLoss::Sigmoid,
            beta: 0.1,
            label_smoothing: 0.0,
            cpo_alpha: 1.0,
            simpo_gamma: 0.5,
        }
    }
}

/// CPO and SimPO on pairs of answers.
#[derive(Debug, Clone)]
pub struct Cpo {
    options: CpoOptions,
}

impl Cpo {
    /// With these constants.
    ///
    /// # Errors
    /// Names the first one that is out of its range.
    pub fn new(options: CpoOptions) -> Result<Self, AlignError> {
        let CpoOptions {
            beta,
            label_smoothing: smoothing,
            ..
        } = options;
        require(beta > 0.0 && beta.is_finite(), "beta", &beta, "a number above 0")?;
        let share = (0.0..0.5).contains(&smoothing);
        require(share, "label_smoothing", &smoothing, "from 0 to below 0.5")?;
        for (name, number) in [("cpo_alpha", options.cpo_alpha), ("simpo_gamma", options.simpo_gamma)] {
            require(number >= 0.0 && number.is_finite(), name, &number, "at least 0")?;
        }
        Ok(Self { options })
    }

    /// How log-probabilities of answers are made of those of tokens.
    pub fn aggregation(&self) -> Aggregation {
        match self.options.loss_type {
            CpoLoss::Sigmoid | CpoLoss::Hinge => Aggregation::Sum,
            CpoLoss::Ipo | CpoLoss::Simpo => Aggregation::Average,
        }
    }

    /// The loss of each pair, `[pairs]`, from ln pi of the answers, aggregated as [`aggregation`](Self::aggregation) says, and the NLL, `[1]`.
    pub fn losses(&self, answers: Pairs, likelihood: Tensor<1>) -> Tensor<1> {
        let CpoOptions {
            beta,
            label_smoothing: smoothing,
            cpo_alpha: alpha,
            simpo_gamma: gamma,
            ..
        } = self.options;
        let z = answers.margins();
        let contrast = match self.options.loss_type {
            CpoLoss::Sigmoid => loss::conservative(z, beta, smoothing),
            CpoLoss::Simpo => loss::conservative(z - gamma / beta, beta, smoothing),
            CpoLoss::Hinge => loss::hinge(z, beta),
            CpoLoss::Ipo => loss::ipo(z, beta),
        };
        contrast + likelihood * alpha
    }
}

impl Objective for Cpo {
    type Model = Decoder;
    /// A better and a worse answer, each with its prompt.
    type Example = [Tokenized; 2];
    type Batch = AnswerSequences;

    fn batch(&self, examples: &[&[Tokenized; 2]]) -> AnswerSequences {
        AnswerSequences::pairs(examples)
    }

    /// Batches weigh alike, whatever their size, as in TRL.
    fn weight(&self, _: &AnswerSequences) -> f64 {
        1.0
    }

    fn loss(
        &self,
        model: &Decoder,
        hidden: Tensor<2>,
        batch: &AnswerSequences,
        share: f64,
        metrics: &mut Metrics,
    ) -> Tensor<1> {
        let (tokens, statistics) = batch.token_log_probabilities(model, hidden);
        let pairs = batch.lengths().len() / 2;
        let chosen: usize = batch.lengths()[..pairs].iter().sum();
        let likelihood = -tokens.clone().narrow(0, 0, chosen).mean();
        let answers = Pairs::split(sequence_log_probabilities(tokens, batch.lengths(), self.aggregation()));
        let loss = self.losses(answers.clone(), likelihood.clone()).mean();

        let weight = pairs as f64;
        metrics.add("loss", loss.clone().into_scalar(), weight);
        if self.options.cpo_alpha > 0.0 {
            metrics.add("nll_loss", likelihood.into_scalar(), weight);
        }
        metrics.add_entropy(statistics.iter());
        metrics.add_accuracy(statistics[..chosen].iter());
        for (name, value) in RewardMetrics::without_reference(&answers, self.options.beta).named() {
            metrics.add(name, value, weight);
        }
        loss * share
    }
}
