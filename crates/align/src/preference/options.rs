//! What can be set, by TRL's names where TRL has it.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Aggregation, FDivergence, ReferenceSync};
use crate::AlignError;
use crate::error::require;

/// The losses on pairs. Their names in files are TRL's `loss_type`, except for `conservative` and `ipo_sum`, which TRL does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreferenceLoss {
    /// DPO, [`sigmoid`](super::loss::sigmoid). Without label smoothing, as in TRL since its version 1.
    Sigmoid,
    /// Conservative DPO, [`conservative`](super::loss::conservative): `sigmoid` with label smoothing.
    Conservative,
    /// [`hinge`](super::loss::hinge).
    Hinge,
    /// [`ipo`](super::loss::ipo) of log-ratios per token: what TRL computes and, as the authors told it, what they did themselves.
    Ipo,
    /// [`ipo`](super::loss::ipo) of log-ratios of whole answers: the equation as it is printed, and the code of DPO's authors.
    IpoSum,
    /// [`exo_pair`](super::loss::exo_pair).
    ExoPair,
    /// [`nca_pair`](super::loss::nca_pair).
    NcaPair,
    /// [`robust`](super::loss::robust).
    Robust,
    /// [`bco_pair`](super::loss::bco_pair).
    BcoPair,
    /// [`sppo_hard`](super::loss::sppo_hard).
    SppoHard,
    /// [`aot`](super::loss::aot).
    Aot,
    /// [`aot_unpaired`](super::loss::aot_unpaired).
    AotUnpaired,
    /// [`apo_zero`](super::loss::apo_zero).
    ApoZero,
    /// [`apo_down`](super::loss::apo_down).
    ApoDown,
    /// [`discopop`](super::loss::discopop).
    Discopop,
    /// [`sft`](super::loss::sft).
    Sft,
    /// [`sigmoid`](super::loss::sigmoid) of scores per token.
    SigmoidNorm,
}

impl PreferenceLoss {
    /// Whether it is a function of the difference of both answers' scores, for which another divergence has a meaning.
    fn is_of_scores(self) -> bool {
        use PreferenceLoss::{Conservative, Discopop, ExoPair, Hinge, Ipo, IpoSum, Robust, Sft, Sigmoid, SigmoidNorm};
        matches!(
            self,
            Sigmoid | Conservative | Hinge | Ipo | IpoSum | ExoPair | Robust | Discopop | Sft | SigmoidNorm
        )
    }
}

/// The constants of the losses on pairs.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of TRL's")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreferenceOptions {
    /// One loss, or several that are added.
    #[serde(deserialize_with = "one_or_several")]
    pub loss_type: Vec<PreferenceLoss>,
    /// What each of several losses is multiplied by (MPO, Wang et al. 2024: 0.8 `sigmoid` + 0.2 `bco_pair` + 1 `sft`). Without, by 1.
    pub loss_weights: Option<Vec<f64>>,
    /// How dear it is to leave the reference; above 0.
    pub beta: f64,
    /// The share of preferences that are taken for mistaken, from 0 to below 0.5: of `conservative`, `robust`, `exo_pair` (above 0), `aot` and
    /// `aot_unpaired`. The others do not look at it.
    pub label_smoothing: f64,
    /// The divergence from the reference. Other than `reverse_kl` only of losses that are made of a difference of scores.
    pub f_divergence_type: FDivergence,
    /// The alpha of `alpha_divergence`.
    pub f_alpha_divergence_coef: f64,
    /// The temperature tau of `discopop`, above 0 and at most 1.
    pub discopop_tau: f64,
    /// The reference takes all answers for equally probable, and need not be there.
    pub reference_free: bool,
    /// Means over tokens take the place of sums.
    pub average_log_prob: bool,
    /// LD-DPO: tokens beyond the length of the shorter answer count this many times, from 0 to 1.
    pub ld_alpha: Option<f64>,
    /// WPO: pairs weigh as much as the policy would have given their answers (Zhou et al. 2024, equation 2).
    pub use_weighting: bool,
    /// TR-DPO: the reference follows the policy.
    pub sync_ref_model: bool,
    /// How far it moves, above 0 and at most 1.
    pub ref_model_mixup_alpha: f64,
    /// From one move to the next, in steps; at least 1.
    pub ref_model_sync_steps: u64,
}

impl Default for PreferenceOptions {
    fn default() -> Self {
        Self {
            loss_type: vec![PreferenceLoss::Sigmoid],
            loss_weights: None,
            beta: 0.1,
            label_smoothing: 0.0,
            f_divergence_type: FDivergence::ReverseKl,
            f_alpha_divergence_coef: 0.5,
            discopop_tau: 0.05,
            reference_free: false,
            average_log_prob: false,
            ld_alpha: None,
            use_weighting: false,
            sync_ref_model: false,
            ref_model_mixup_alpha: 0.6,
            ref_model_sync_steps: 512,
        }
    }
}

impl PreferenceOptions {
    /// These options, if they go together.
    ///
    /// # Errors
    /// Names the first setting that is out of its range or does not go with the others.
    pub fn checked(self) -> Result<Self, AlignError> {
        use PreferenceLoss::{Aot, AotUnpaired, ExoPair};
        let losses = &self.loss_type;
        let has = |loss| losses.contains(&loss);
        require(!losses.is_empty(), "loss_type", &"none", "at least one loss")?;
        if let Some(weights) = &self.loss_weights {
            let expected = format!("as many finite numbers as there are losses, {}", losses.len());
            let good = weights.len() == losses.len() && weights.iter().all(|weight| weight.is_finite());
            require(good, "loss_weights", weights, &expected)?;
        }
        let positive = self.beta.is_finite() && self.beta > 0.0;
        require(positive, "beta", &self.beta, "a number above 0")?;
        let smoothing = self.label_smoothing;
        require(
            (0.0..0.5).contains(&smoothing),
            "label_smoothing",
            &smoothing,
            "from 0 to below 0.5",
        )?;
        let exo = smoothing > 0.0 || !has(ExoPair);
        require(
            exo,
            "label_smoothing",
            &smoothing,
            "above 0 for exo_pair, usually 0.001",
        )?;
        let divergence = self.f_divergence_type;
        if divergence != FDivergence::ReverseKl
            && let Some(other) = losses.iter().find(|loss| !loss.is_of_scores())
        {
            let expected = format!("reverse_kl, since {other:?} is no function of a difference of scores");
            require(false, "f_divergence_type", &divergence, &expected)?;
        }
        let alpha = self.f_alpha_divergence_coef;
        require(alpha.is_finite(), "f_alpha_divergence_coef", &alpha, "a number")?;
        let tau = self.discopop_tau;
        require(tau > 0.0 && tau <= 1.0, "discopop_tau", &tau, "above 0 and at most 1")?;
        if let Some(alpha) = self.ld_alpha {
            require((0.0..=1.0).contains(&alpha), "ld_alpha", &alpha, "from 0 to 1")?;
            require(
                !self.average_log_prob,
                "ld_alpha",
                &alpha,
                "none where average_log_prob is set",
            )?;
        }
        // Sorting takes pairs apart, so that no weight is theirs.
        let weighted = !self.use_weighting || !(has(Aot) || has(AotUnpaired));
        require(weighted, "use_weighting", &true, "false for aot and aot_unpaired")?;
        ReferenceSync {
            alpha: self.ref_model_mixup_alpha,
            steps: self.ref_model_sync_steps,
        }
        .checked()?;
        let followed = !(self.sync_ref_model && self.reference_free);
        require(followed, "sync_ref_model", &true, "false where reference_free is set")?;
        Ok(self)
    }

    /// How the reference follows the policy, where it does.
    pub fn reference_sync(&self) -> Option<ReferenceSync> {
        self.sync_ref_model.then_some(ReferenceSync {
            alpha: self.ref_model_mixup_alpha,
            steps: self.ref_model_sync_steps,
        })
    }

    /// How log-probabilities of answers are made of those of tokens, for the policy and for the reference.
    pub fn aggregation(&self) -> Aggregation {
        match self.ld_alpha {
            Some(alpha) => Aggregation::LengthDesensitized { alpha },
            None if self.average_log_prob => Aggregation::Average,
            None => Aggregation::Sum,
        }
    }
}

/// TRL takes one name as well as a list of them.
fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PreferenceLoss>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(PreferenceLoss),
        Several(Vec<PreferenceLoss>),
    }
    Ok(match Names::deserialize(deserializer)? {
        Names::One(loss) => vec![loss],
        Names::Several(losses) => losses,
    })
}
