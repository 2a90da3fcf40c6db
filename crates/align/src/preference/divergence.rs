//! Other divergences from the reference than the reverse KL divergence.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// The divergence from the reference, D = E_ref [ f(t) ] with t = pi / pi_ref, whose f' takes the place of the logarithm in the
/// implicit reward: r = beta f'(t) + const (f-DPO, Wang et al. 2024).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FDivergence {
    /// KL(pi || pi_ref), the one of DPO: f'(t) = ln t, up to a constant.
    #[default]
    ReverseKl,
    /// KL(pi_ref || pi): f'(t) = 1 - 1 / t.
    ForwardKl,
    /// That of Jensen and Shannon: f'(t) = ln (2 t / (1 + t)).
    JsDivergence,
    /// That of alpha: f'(t) = (t^(alpha - 1) - 1) / (alpha - 1), which at alpha = 1 is the reverse and at alpha = 0 the forward KL
    /// divergence.
    AlphaDivergence,
}

/// Above this, e^u is continued by its tangent, so that squares of scores and their gradients remain numbers in 32 bits.
const LARGEST_EXPONENT: f64 = 30.0;

impl FDivergence {
    /// f'(t) of log-ratios ln t of any shape. `alpha` is of use to the divergence of that name only.
    pub fn score<const D: usize>(self, log_ratios: Tensor<D>, alpha: f64) -> Tensor<D> {
        match self {
            Self::ReverseKl => log_ratios,
            Self::ForwardKl => -(bounded_exp(-log_ratios) - 1.0),
            Self::JsDivergence => activation::log_sigmoid(log_ratios) + std::f64::consts::LN_2,
            // The limit, where the quotient is rounding.
            Self::AlphaDivergence if (alpha - 1.0).abs() < 1e-6 => log_ratios,
            Self::AlphaDivergence => (bounded_exp(log_ratios * (alpha - 1.0)) - 1.0) / (alpha - 1.0),
        }
    }
}

/// e^u, which grows no faster than at [`LARGEST_EXPONENT`].
fn bounded_exp<const D: usize>(exponents: Tensor<D>) -> Tensor<D> {
    let bounded = exponents.clone().clamp_max(LARGEST_EXPONENT);
    bounded.clone().exp() * (exponents - bounded + 1.0)
}
