//! Actor-critic methods: a policy that learns from what a value function makes of its actions (Zhao, chapter 10).
//!
//! The methods that learn from a piece of experience at a time, and then forget it, are one agent, [`OnPolicy`]. From the states of
//! the piece it computes how much better the actions were than what was to be expected,
//!
//! ```text
//! delta_t = r_t + gamma v(s_t+1) - v(s_t)                                    Zhao, section 10.2: the TD error as advantage
//! A_t = delta_t + gamma lambda A_t+1                                         Schulman et al. 2016, equation 16 (GAE)
//! ```
//!
//! where lambda = 1 makes A_t the return of the rest of the piece less v(s_t), and then moves along the gradient of
//!
//! ```text
//! L = mean of  l(ln pi(a|s))  +  c_v (A + v_old - v(s))^2  -  c_e entropy(pi(.|s))
//! l = -A ln pi(a|s)                                                          A2C; REINFORCE with whole episodes
//! l = -min(A rho, A clip(rho, 1 - e, 1 + e)),  rho = pi(a|s) / pi_old(a|s)   PPO (Schulman et al. 2017, equation 7)
//! ```
//!
//! | method | piece | lambda | passes over it |
//! |---|---|---|---|
//! | REINFORCE with baseline (Williams 1992; Sutton and Barto, section 13.4) | an episode | 1 | 1 |
//! | A2C (Mnih et al. 2016; with one step Zhao, algorithm 10.2) | n steps | 1 | 1 |
//! | PPO | n steps | 0.95 | several, in minibatches |
//!
//! Three more learn from one step at a time and by plain steps along the gradient, as the book has them: QAC and the off-policy
//! actor-critic ([`OneStepActorCritic`]), and the deterministic actor-critic ([`DeterministicActorCritic`]).
//!
//! A terminated episode is worth nothing from there on; a truncated one is bootstrapped from its last observation.
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | every constant, with its usual value |
//! | `distribution/` | pi(a|s): choices, also masked, and Gaussian numbers |
//! | `networks.rs` | the policy and the value function, linear or with hidden layers |
//! | `rollout.rs` | a piece of experience |
//! | `advantage.rs` | generalised advantage estimation |
//! | `loss.rs` | the losses, row by row |
//! | `update.rs` | a step along the gradient of a minibatch |
//! | `on_policy.rs` | REINFORCE, A2C and PPO as an agent |
//! | `online.rs` | networks that move by one observation at a time |
//! | `one_step.rs` | QAC and the off-policy actor-critic |
//! | `deterministic.rs` | the deterministic actor-critic (DPG) |
//! | `network_policy.rs` | what has been learnt |

mod advantage;
mod deterministic;
mod distribution;
mod loss;
mod network_policy;
mod networks;
mod on_policy;
mod one_step;
mod online;
mod optimizer;
mod options;
mod rollout;
mod update;

pub use advantage::{Ending, generalized_advantages};
pub use deterministic::{DeterministicActorCritic, DeterministicOptions, PolynomialCritic};
pub use distribution::{Categorical, Deviation, Distribution, Gaussian, GaussianOptions, Row};
pub use loss::{clipped_surrogate, clipped_value_loss, policy_gradient, value_loss};
pub use network_policy::NetworkPolicy;
pub use networks::ActorCritic;
pub use on_policy::OnPolicy;
pub use one_step::{OneStepActorCritic, OneStepMethod};
pub use online::OnlineOptions;
pub use optimizer::OptimizerKind;
pub use options::{Horizon, OnPolicyOptions, Surrogate};
