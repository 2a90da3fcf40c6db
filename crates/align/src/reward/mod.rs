//! Reward models: a number for each answer, learnt from which answers people prefer.
//!
//! Bradley and Terry (1952) have people prefer y_w to y_l with the probability s(r(x, y_w) - r(x, y_l)), s the logistic function. A reward
//! model maximises the likelihood of what was preferred:
//!
//! ```text
//! L = -E [ ln s(r_w - r_l) ]                                                 Ouyang et al. 2022 (InstructGPT), equation 1, with K = 2
//! L = -E [ ln s(r_w - r_l - m) ]                                             Touvron et al. 2023 (Llama 2), equation 2: a margin
//! L = -1 / C(K, 2)  E [ sum over pairs ln s(r_w - r_l) ]                     InstructGPT, equation 1: K answers that are ranked
//! ```
//!
//! Of K ranked answers every better one is compared with every worse one, after one pass over each; a margin is that of all pairs of a
//! prompt.
//!
//! Only differences matter, so that rewards may drift as a whole; [`centering`] holds them at 0 (Eisenstein et al. 2023).
//!
//! | file | what |
//! |---|---|
//! | `loss.rs` | the losses |
//! | `metrics.rs` | what a batch is logged by, by TRL's names |
//! | `model.rs` | a decoder with a score, as transformers lays it out |
//! | `modeling.rs` | the objective that a [`Trainer`](crate::training::Trainer) takes |
//! | `function.rs` | what gives answers their scores: a reward model is one such function |
//! | `rules.rs` | scores by rules |
//! | `command.rs` | scores by a command of the user's own, over JSON lines |
//! | `calibration.rs` | whether s(r_w - r_l) is the probability that it says it is |

mod calibration;
mod command;
mod function;
mod loss;
mod metrics;
mod model;
mod modeling;
mod rules;

pub use calibration::{Bin, Calibration};
pub use command::RewardCommand;
pub use function::{Answer, RewardFunction, Rewards, total_rewards};
pub use loss::{Comparisons, bradley_terry, centering};
pub use metrics::RewardModelMetrics;
pub use model::RewardModel;
pub use modeling::{RewardExample, RewardModeling, RewardOptions, RewardSequences};
pub use rules::{Rule, RuleReward};
