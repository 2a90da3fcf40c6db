//! ORPO: supervised fine-tuning that also turns away from worse answers, without a reference (Hong et al. 2024).
//!
//! ```text
//! L = NLL - lambda ln s( ln odds_w - ln odds_l )                                                  (6, 7)
//! odds = p / (1 - p),    ln p = a, the mean of ln pi over the tokens of an answer                 (3, 4)
//! ```
//!
//! A departure from the paper, which TRL's `ORPOTrainer` makes as well: the NLL is that of the prompts of chosen answers too, per token of
//! the batch.

use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Int, Tensor, TensorData};
use etude_lm::decoder::Decoder;
use serde::{Deserialize, Serialize};

use super::{Aggregation, AnswerSequences, Pairs, RewardMetrics, sequence_log_probabilities};
use crate::AlignError;
use crate::data::Tokenized;
use crate::error::require;
use crate::training::{Metrics, Objective, Sequences};

/// The constant, by the name and with the default of TRL's `ORPOConfig`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrpoOptions {
    /// lambda: what the odds count beside the NLL; above 0.
    pub beta: f64,
}

impl Default for OrpoOptions {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

/// ORPO on pairs of answers.
#[derive(Debug, Clone, Copy)]
pub struct Orpo {
    options: OrpoOptions,
}

/// All better answers, whose prompts count as well, beside each other, then all worse ones.
#[derive(Debug, Clone)]
pub struct OrpoSequences {
    sequences: AnswerSequences,
    /// Which of what counts there belongs to answers.
    answers: Vec<i64>,
    /// How many tokens each answer has.
    lengths: Vec<usize>,
}

impl Sequences for OrpoSequences {
    fn tokens(&self) -> &[u32] {
        self.sequences.tokens()
    }

    fn offsets(&self) -> &[usize] {
        self.sequences.offsets()
    }
}

impl Orpo {
    /// With this constant.
    ///
    /// # Errors
    /// It is out of its range.
    pub fn new(options: OrpoOptions) -> Result<Self, AlignError> {
        let beta = options.beta;
        require(beta > 0.0 && beta.is_finite(), "beta", &beta, "a number above 0")?;
        Ok(Self { options })
    }

    /// The loss of each pair, `[pairs]`, from mean log-probabilities per token of the answers and the NLL, `[1]`.
    pub fn losses(&self, averages: Pairs, likelihood: Tensor<1>) -> Tensor<1> {
        likelihood - log_sigmoid(log_odds_ratios(averages)) * self.options.beta
    }
}

/// ln odds_w - ln odds_l, `[pairs]`, from mean log-probabilities per token of answers.
pub fn log_odds_ratios(averages: Pairs) -> Tensor<1> {
    averages
        .map(|average| average.clone() - log_one_minus_exp(average))
        .margins()
}

/// ln (1 - e^x) of x below 0. What is closer to 0 than 32 bits can tell a probability from 1 counts as that close.
fn log_one_minus_exp(x: Tensor<1>) -> Tensor<1> {
    const BRANCH: f64 = -std::f64::consts::LN_2;
    // Each branch is cut off where the other one takes over, so that no gradient is infinite times zero.
    let far = (-x.clone().clamp_max(BRANCH).exp()).log1p();
    // 1 - e^x = -2 e^(x / 2) sinh(x / 2), which loses no digits near 0.
    let half = x.clone().clamp(BRANCH, -f64::from(f32::EPSILON)) / 2.0;
    let near = (half.clone().sinh() * -2.0).log() + half;
    far.mask_where(x.greater_elem(BRANCH), near)
}

impl Objective for Orpo {
    type Model = Decoder;
    /// A better and a worse answer, each with its prompt.
    type Example = [Tokenized; 2];
    type Batch = OrpoSequences;

    fn batch(&self, examples: &[&[Tokenized; 2]]) -> OrpoSequences {
        let whole = |sequence: &Tokenized| Tokenized {
            // Nothing predicts the first token.
            loss: (0..sequence.ids.len()).map(|index| index > 0).collect(),
            ..sequence.clone()
        };
        let chosen: Vec<Tokenized> = examples.iter().map(|pair| whole(&pair[0])).collect();
        let sequences = || {
            let of = |answer: usize| examples.iter().map(move |pair| &pair[answer]);
            of(0).chain(of(1))
        };
        let counted = AnswerSequences::new(chosen.iter().chain(examples.iter().map(|pair| &pair[1])));
        let lengths: Vec<usize> = sequences().map(Tokenized::supervised).collect();
        // An answer is at the end of what counts in its sequence.
        let ends = counted.lengths().iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        let answers = ends.zip(&lengths).flat_map(|(end, length)| end - length..end);
        OrpoSequences {
            answers: answers.map(|place| place as i64).collect(),
            lengths,
            sequences: counted,
        }
    }

    /// Batches weigh alike, whatever their size, as in TRL.
    fn weight(&self, _: &OrpoSequences) -> f64 {
        1.0
    }

    fn loss(
        &self,
        model: &Decoder,
        hidden: Tensor<2>,
        batch: &OrpoSequences,
        share: f64,
        metrics: &mut Metrics,
    ) -> Tensor<1> {
        let device = hidden.device();
        let (tokens, statistics) = batch.sequences.token_log_probabilities(model, hidden);
        let pairs = batch.lengths.len() / 2;
        let chosen: usize = batch.sequences.lengths()[..pairs].iter().sum();
        let likelihood = -tokens.clone().narrow(0, 0, chosen).mean();
        let places = TensorData::new(batch.answers.clone(), [batch.answers.len()]);
        let tokens = tokens.select(0, Tensor::<1, Int>::from_data(places, &device));
        let averages = sequence_log_probabilities(tokens, &batch.lengths, Aggregation::Average);
        let averages = Pairs::split(averages);
        let loss = self.losses(averages.clone(), likelihood.clone()).mean();

        let weight = pairs as f64;
        metrics.add("loss", loss.clone().into_scalar(), weight);
        metrics.add("nll_loss", likelihood.into_scalar(), weight);
        metrics.add_entropy(statistics.iter());
        metrics.add_accuracy(statistics[..chosen].iter());
        let averages = averages.map(Tensor::without_autodiff);
        let log_odds = log_odds_ratios(averages.clone());
        metrics.add("log_odds_chosen", log_odds.clone().mean().into_scalar(), weight);
        metrics.add("log_odds_ratio", log_sigmoid(log_odds).mean().into_scalar(), weight);
        for (name, value) in RewardMetrics::without_reference(&averages, self.options.beta).named() {
            metrics.add(name, value, weight);
        }
        loss * share
    }
}
