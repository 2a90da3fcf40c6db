//! The losses on pairs, each `[pairs]`.
//!
//! z are margins of log-ratios (or of the scores of another divergence), `[pairs]`, and `ratios` the log-ratios ln (pi / pi_ref) of
//! both answers.

use burn::tensor::activation::{log_sigmoid, relu, sigmoid as s};
use burn::tensor::{Int, Tensor};

use super::Pairs;

/// -ln s(beta z): DPO (Rafailov et al. 2023, equation 7).
pub fn sigmoid(z: Tensor<1>, beta: f64) -> Tensor<1> {
    -log_sigmoid(z * beta)
}

/// -(1 - e) ln s(beta z) - e ln s(-beta z): conservative DPO, where a share e of the preferences is taken for mistaken (Mitchell 2023,
/// "A note on DPO with noisy preferences", equation 3). Least where s(beta z) = 1 - e.
pub fn conservative(z: Tensor<1>, beta: f64, smoothing: f64) -> Tensor<1> {
    sigmoid(z.clone(), beta) * (1.0 - smoothing) + sigmoid(-z, beta) * smoothing
}

/// (-(1 - e) ln s(beta z) + e ln s(-beta z)) / (1 - 2 e): robust DPO, whose expectation over preferences that are flipped with the
/// probability e is the loss without flips (Chowdhury et al. 2024).
pub fn robust(z: Tensor<1>, beta: f64, smoothing: f64) -> Tensor<1> {
    (sigmoid(z.clone(), beta) * (1.0 - smoothing) - sigmoid(-z, beta) * smoothing) / (1.0 - 2.0 * smoothing)
}

/// max(0, 1 - beta z): the hinge loss (SLiC, Zhao et al. 2023; as a loss on log-ratios RSO, Liu et al. 2024).
pub fn hinge(z: Tensor<1>, beta: f64) -> Tensor<1> {
    relu(-(z * beta) + 1.0)
}

/// (z - 1 / (2 beta))^2: IPO (Azar et al. 2023, equation 17), whose regularisation tau is beta here. z are margins of log-ratios of whole
/// answers in the paper's equation, or of their means per token.
pub fn ipo(z: Tensor<1>, beta: f64) -> Tensor<1> {
    (z - 0.5 / beta).square()
}

/// KL(q || p) of q = (s(beta z), s(-beta z)) from p = (1 - e, e): EXO (Ji et al. 2024, equation 16). e is above 0.
pub fn exo_pair(z: Tensor<1>, beta: f64, smoothing: f64) -> Tensor<1> {
    let u = z * beta;
    s(u.clone()) * (log_sigmoid(u.clone()) - (-smoothing).ln_1p()) + s(-u.clone()) * (log_sigmoid(-u) - smoothing.ln())
}

/// -(1 - m) ln s(beta z) + m e^(-beta z) with m = s(beta z / tau): DiscoPOP (Lu et al. 2024, equation 5). tau is from 0 to 1.
pub fn discopop(z: Tensor<1>, beta: f64, tau: f64) -> Tensor<1> {
    let u = z * beta;
    let modulation = u.clone() / tau;
    // m e^-u as one power: by itself e^-u overflows where m vanishes.
    let exponential = (log_sigmoid(modulation.clone()) - u.clone()).exp();
    -log_sigmoid(u) * s(-modulation) + exponential
}

/// -ln s(r_w) - ln s(-r_w) / 2 - ln s(-r_l) / 2 with r = beta ln (pi / pi_ref): NCA of two answers (Chen et al. 2024).
pub fn nca_pair(ratios: Pairs, beta: f64) -> Tensor<1> {
    let Pairs { chosen, rejected } = ratios.map(|ratios| ratios * beta);
    -log_sigmoid(chosen.clone()) - (log_sigmoid(-chosen) + log_sigmoid(-rejected)) * 0.5
}

/// -ln s(r_w) - ln s(-r_l) with r = beta ln (pi / pi_ref): a classifier of good and bad answers, BCO without its reward shift (Jung
/// et al. 2024).
pub fn bco_pair(ratios: Pairs, beta: f64) -> Tensor<1> {
    let Pairs { chosen, rejected } = ratios;
    sigmoid(chosen, beta) + sigmoid(-rejected, beta)
}

/// (ln (pi / pi_ref)_w - 1 / (2 beta))^2 + (ln (pi / pi_ref)_l + 1 / (2 beta))^2: SPPO, where the chosen answer wins for certain (Wu et al.
/// 2024, equation 4.7; beta is 1 / eta).
pub fn sppo_hard(ratios: Pairs, beta: f64) -> Tensor<1> {
    let Pairs { chosen, rejected } = ratios;
    ipo(chosen, beta) + ipo(-rejected, beta)
}

/// 1 - s(r_w) + s(r_l) with r = beta ln (pi / pi_ref): the chosen answer up and the rejected one down, for answers better than what the
/// model gives (APO-zero, D'Oosterlinck et al. 2024, equation 7).
pub fn apo_zero(ratios: Pairs, beta: f64) -> Tensor<1> {
    let Pairs { chosen, rejected } = ratios.map(|ratios| ratios * beta);
    s(-chosen) + s(rejected)
}

/// s(r_w) + 1 - s(r_w - r_l) with r = beta ln (pi / pi_ref): both answers down and the rejected one further, for answers worse than what
/// the model gives (APO-down, D'Oosterlinck et al. 2024, equation 8).
pub fn apo_down(ratios: Pairs, beta: f64) -> Tensor<1> {
    let ratios = ratios.map(|ratios| ratios * beta);
    s(ratios.chosen.clone()) + s(-ratios.margins())
}

/// The conservative loss of sorted margins: those of the policy, ln pi_w - ln pi_l, are to dominate those of the reference
/// stochastically, quantile by quantile of the batch (AOT of paired data, Melnyk et al. 2024).
pub fn aot(policy: Pairs, reference: Pairs, beta: f64, smoothing: f64) -> Tensor<1> {
    conservative(sorted(policy.margins()) - sorted(reference.margins()), beta, smoothing)
}

/// The conservative loss of sorted log-ratios: those of chosen answers are to dominate those of rejected ones, whatever they were
/// paired with (AOT of unpaired data, Melnyk et al. 2024).
pub fn aot_unpaired(ratios: Pairs, beta: f64, smoothing: f64) -> Tensor<1> {
    conservative(ratios.map(sorted).margins(), beta, smoothing)
}

/// Minus the mean of ln pi over all tokens of the chosen answers, the same for each pair, from sums over each answer, `[pairs]`, and
/// lengths, `[pairs]`.
pub fn sft(chosen: Tensor<1>, lengths: Tensor<1>) -> Tensor<1> {
    let [pairs] = chosen.dims();
    (-chosen.sum() / lengths.sum().clamp_min(1.0)).expand([pairs])
}

/// In rising order. Gradients go back to where each number came from.
fn sorted(values: Tensor<1>) -> Tensor<1> {
    let order: Tensor<1, Int> = values.clone().argsort(0);
    values.select(0, order)
}
