//! Losses on pairs that need no reference.

use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;

use super::{Pairs, loss};

/// -ln s(beta (a_w - a_l) - gamma), `[pairs]`, of mean log-probabilities per token a: SimPO (Meng et al. 2024, equation 6). gamma is the
/// margin that the chosen answer has to have.
pub fn simpo(averages: Pairs, beta: f64, gamma: f64) -> Tensor<1> {
    loss::sigmoid(averages.margins() - gamma / beta, beta)
}

/// -(1 - e) ln s(beta z) - e ln s(-beta z) + alpha NLL, `[pairs]`, with z = ln pi_w - ln pi_l of whole answers: CPO (Xu et al. 2024,
/// equation 3), where the NLL is that of the chosen answers per token of the batch, whose numbers of tokens are `lengths`, `[pairs]`.
pub fn cpo(sums: Pairs, lengths: Tensor<1>, beta: f64, smoothing: f64, alpha: f64) -> Tensor<1> {
    let likelihood = loss::sft(sums.chosen.clone(), lengths);
    loss::conservative(sums.margins(), beta, smoothing) + likelihood * alpha
}

/// NLL - lambda ln s( ln odds_w - ln odds_l ), `[pairs]`, with odds = p / (1 - p) of p = e^a, the geometric mean of the tokens'
/// probabilities: ORPO (Hong et al. 2024, equations 4 to 7). The NLL is that of the chosen answers per token of the batch.
///
/// `averages` are mean log-probabilities per token of answers, and `lengths` the chosen answers' numbers of tokens, `[pairs]`.
pub fn orpo(averages: Pairs, lengths: Tensor<1>, lambda: f64) -> Tensor<1> {
    let likelihood = loss::sft(averages.chosen.clone() * lengths.clone(), lengths);
    let log_odds = averages
        .map(|average| average.clone() - log_one_minus_exp(average))
        .margins();
    likelihood - log_sigmoid(log_odds) * lambda
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
