//! Proximal policy optimisation of language models (RLHF: Ziegler et al. 2019; Ouyang et al. 2022): from the draw of answers to
//! the losses.
//!
//! An answer is an episode whose actions are its tokens. It is scored once, at its end, and every token is charged for how far its
//! probability has moved from the reference's:
//!
//! ```text
//! r_t = -c kl_t + [t is last] score                                          Ziegler et al. 2019, equation 2; Ouyang et al. 2022, equation 2
//! delta_t = r_t + gamma v_t+1 - v_t,   A_t = delta_t + gamma lambda A_t+1    Schulman et al. 2016, equation 16 (GAE)
//! rho_t = pi(y_t) / pi_old(y_t)
//! L_policy = mean of max(-A rho, -A clip(rho, 1 - e, 1 + e))                 Schulman et al. 2017, equation 7
//! L_value = 1/2 mean of max((v - R)^2, (v_old + clip(v - v_old, -e, e) - R)^2),  R = A + v_old
//! L = L_policy + c_v L_value
//! ```
//!
//! With pi's entropy in the KL term, the optimum of the expected sum of rewards is pi* proportional to pi_ref e^(score / c):
//! `crates/align/tests/losses/bandits.rs` reaches it.
//!
//! Where implementations differ, each way has a name: [`KlEstimator`], [`KlCoefficient`], [`Variance`], [`MissingEos`]. Two differences
//! from TRL's code have none. TRL adds the score one token after the last, at a padding token, where there is one; here it is at the last
//! token, as in OpenAI's code. And TRL's `policy/approxkl_avg`, `policy/entropy_avg` and
//! `val/ratio` count padding; here there is none. (TRL had the trainer until its version 1.12.)
//!
//! Tokens of the answers of a batch lie one after the other, `[tokens]`, without prompts and without padding; `lengths`, `[answers]`, say
//! how many tokens each answer has. A mask, `[tokens]`, says which tokens the policy has chosen: what a tool has put between them is none
//! of its actions.
//!
//! | file | what |
//! |---|---|
//! | `kl.rs` | how far the policy is from the reference, and the coefficient of that |
//! | `rewards.rs` | scores, and the rewards of tokens |
//! | `whitening.rs` | numbers of mean 0 and variance 1 |
//! | `advantages.rs` | generalised advantage estimation |
//! | `loss.rs` | the clipped losses |
//! | `statistics.rs` | what is logged, by TRL's names |
//! | `options.rs` | every constant |
//! | `rollout.rs` | answers, drawn from the policy by the engine that also serves |
//! | `actor_critic.rs` | a policy with values |
//! | `objective.rs` | the losses of a minibatch, which a [`Trainer`](crate::training::Trainer) takes |
//! | `trainer.rs` | a step from the draw of answers to the last minibatch |

mod actor_critic;
mod advantages;
mod kl;
mod loss;
mod objective;
mod options;
mod rewards;
mod rollout;
mod statistics;
mod trainer;
mod whitening;

pub use actor_critic::ActorCritic;
pub use advantages::{Advantages, generalized_advantages};
pub use kl::{KlCoefficient, KlEstimator, full_kl};
pub use loss::{clipped_policy_loss, clipped_value_loss, entropy, masked_mean, ratios};
pub use objective::{Experience, ExperienceBatch, Ppo};
pub use options::{PpoOptions, ValueModel};
pub use rewards::{MissingEos, RewardNormalization, token_rewards};
pub use rollout::{Drawing, Question, Rollout};
pub use statistics::{MinibatchStatistics, MinibatchTokens, RolloutStatistics, ratio_variance};
pub use trainer::{Judged, PpoState, PpoTrainer};
pub use whitening::{Variance, whiten};
