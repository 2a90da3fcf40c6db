//! Losses on pairs of answers: direct preference optimisation (DPO, Rafailov et al. 2023) and its family.
//!
//! # From the KL-regularised objective to the loss
//!
//! A policy pi(y|x) is to earn a reward r(x, y) and stay close to a reference:
//!
//! ```text
//! max over pi of  E_y~pi [ r(x, y) ] - beta KL( pi(.|x) || pi_ref(.|x) )                                   (3)
//! ```
//!
//! Both terms are expectations over pi, so they are one, of ln pi(y|x) less the logarithm of something that depends on y alone:
//!
//! ```text
//! r - beta ln (pi / pi_ref)  =  -beta ln ( pi / (pi_ref e^(r / beta)) )
//!                            =  -beta ln ( pi / pi* ) + beta ln Z(x)
//!
//! pi*(y|x) = pi_ref(y|x) e^(r(x, y) / beta) / Z(x),   Z(x) = sum over y of pi_ref(y|x) e^(r(x, y) / beta)  (4)
//! ```
//!
//! The objective is therefore beta ln Z(x) - beta KL(pi || pi*). Z does not depend on pi, and a KL divergence is at least 0 and is 0
//! between equals only: pi* is the optimum, and the only one. To sample from it one would need Z, a sum over all answers. But (4)
//! can be read the other way round, as the reward for which a given policy is optimal:
//!
//! ```text
//! r(x, y) = beta ln ( pi*(y|x) / pi_ref(y|x) ) + beta ln Z(x)                                              (5)
//! ```
//!
//! Bradley and Terry let people prefer y_w to y_l with a probability that depends on the difference of two rewards. Two answers to
//! one prompt have the same Z, which goes:
//!
//! ```text
//! p(y_w > y_l | x) = s( r(x, y_w) - r(x, y_l) ) = s(beta z),                s(u) = 1 / (1 + e^-u)          (6)
//! z = ln ( pi(y_w|x) / pi_ref(y_w|x) ) - ln ( pi(y_l|x) / pi_ref(y_l|x) )
//! ```
//!
//! What remains is the likelihood of preferences under a policy, with neither reward model nor sampling, and DPO maximises it:
//!
//! ```text
//! L = -E [ ln s(beta z) ]                                                                                  (7)
//! grad L = -beta E [ s(-beta z) ( grad ln pi(y_w|x) - grad ln pi(y_l|x) ) ]                                (section 4)
//! ```
//!
//! The weight s(-beta z) is how wrong the implicit reward beta ln (pi / pi_ref) still is about the pair.
//!
//! | equation of the paper | function |
//! |---|---|
//! | ln pi(y given x), a sum over the tokens of y | [`sequence_log_probabilities`] |
//! | (5) without ln Z: implicit rewards | [`RewardMetrics`] |
//! | (6): z | [`Pairs::margins`] of [`PreferenceBatch::log_ratios`] |
//! | (7) | [`loss::sigmoid`] |
//! | (4) is reached | `crates/align/tests/losses/bandits.rs` |
//!
//! # The family
//!
//! Every other loss keeps the log-ratios and changes what is made of them. [`PreferenceLoss`] names them, [`preference_loss`] computes
//! them and their mixtures, and each is a function of its own in [`loss`] with its source. Another divergence than the KL divergence in
//! (3) changes the reward in (5): [`FDivergence`]. Losses that need no reference are [`Cpo`] and [`Orpo`], and the one that needs no pairs is in
//! [`kto`].
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | every constant, by TRL's names |
//! | `pairs.rs` | numbers of both answers of each pair |
//! | `sequence.rs` | log-probabilities of answers from those of tokens; LD-DPO |
//! | `divergence.rs` | scores from log-ratios, for each divergence |
//! | `loss.rs` | the losses on pairs |
//! | `mixture.rs` | the loss of a batch: a mixture, weighted (MPO, WPO) |
//! | `cpo.rs` | CPO and SimPO, which need no reference |
//! | `orpo.rs` | ORPO, which needs none either |
//! | `kto.rs` | KTO: answers that are good or bad by themselves |
//! | `reference_sync.rs` | TR-DPO: a reference that follows |
//! | `answers.rs` | sequences with answers at their ends |
//! | `metrics.rs` | implicit rewards, by TRL's names |
//! | `dpo.rs` | the objective that a [`Trainer`](crate::training::Trainer) takes |
//! | `reference.rs` | the reference's log-probabilities, kept on disk |

mod answers;
mod cpo;
mod divergence;
mod dpo;
pub mod kto;
pub mod loss;
mod metrics;
mod mixture;
mod options;
mod orpo;
mod pairs;
mod reference;
mod reference_sync;
mod sequence;

pub use answers::AnswerSequences;
pub use cpo::{Cpo, CpoLoss, CpoOptions};
pub use divergence::FDivergence;
pub use dpo::{Dpo, PreferenceExample, PreferenceSequences};
pub use kto::{Kto, KtoExample, KtoLoss, KtoOptions, Mismatched};
pub use metrics::RewardMetrics;
pub use mixture::{PreferenceBatch, preference_loss, wpo_weights};
pub use options::{PreferenceLoss, PreferenceOptions};
pub use orpo::{Orpo, OrpoOptions, log_odds_ratios};
pub use pairs::Pairs;
pub use reference::{ReferenceLogProbabilities, Referenced, WithReference, pair_log_probabilities};
pub use reference_sync::{ReferenceSync, SyncedPolicy, TrDpo};
pub use sequence::{Aggregation, sequence_log_probabilities};
