//! Deep Q-learning (Mnih et al. 2015), from a replay memory and with a target network.
//!
//! The network's q(s, .; w) moves to targets that the target network w- gives, for transitions (s, a, r, s') drawn from
//! the memory:
//!
//! ```text
//! y = r + gamma max_a' q(s', a'; w-)                      DQN, equation 2
//! y = r + gamma q(s', argmax_a' q(s', a'; w); w-)         double DQN (van Hasselt, Guez and Silver 2016, equation 4)
//! y = r + ... + gamma^(n-1) r_n + gamma^n ...             n steps (Sutton and Barto, section 7.1)
//! ```
//!
//! and w by Adam along the gradient of the mean of h(y - q(s, a; w)), Huber's function h or the square. A terminated
//! transition has the target r alone; a truncated one is bootstrapped from, which the memory sees to.
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | every constant, with its usual value |
//! | `network.rs` | q(s, .; w): a perceptron, or two streams (Wang et al. 2016) |
//! | `loss.rs` | the targets, the loss and its gradient |
//! | `learner.rs` | what DQN needs of a network that learns |
//! | `update.rs` | one step of gradient descent |
//! | `burn.rs` | the same with any Burn module, on any of its devices |
//! | `greedy_policy.rs` | the action of greatest value |
//! | `agent.rs` | acting, remembering, and when to learn |

mod agent;
mod burn;
mod greedy_policy;
mod learner;
mod loss;
mod network;
mod options;
mod update;

pub use agent::Dqn;
pub use burn::QModule;
pub use greedy_policy::GreedyPolicy;
pub use loss::{Loss, double_targets, q_learning_targets};
pub use network::{QNetwork, QPass};
pub use options::DqnOptions;
