//! Deep deterministic policy gradient (Lillicrap et al. 2016, "Continuous control with deep reinforcement learning"), and
//! TD3 (Fujimoto, van Hoof and Meger 2018), which mends three of its faults.
//!
//! An actor mu(s; theta) and a critic q(s, a; w), each with a slow copy, learn from transitions (s, a, r, s') drawn from a replay
//! memory, of actions that were mu(s) with noise (Algorithm 1 of the paper):
//!
//! ```text
//! y = r + gamma q(s', mu(s'; theta-); w-)                                   targets of the critic
//! L(w) = mean of (y - q(s, a; w))^2                                         its loss
//! grad J = mean of  grad_a q(s, a; w) at a = mu(s)  times  grad mu(s)       equation 6: deterministic policy gradient
//! w- <- (1 - tau) w- + tau w,   theta- <- (1 - tau) theta- + tau theta      soft updates
//! ```
//!
//! and TD3 changes
//!
//! ```text
//! a' = clip(mu(s'; theta-) + clip(noise, -c, c), -1, 1)                     target policy smoothing (section 5.3)
//! y = r + gamma min over i = 1, 2 of q_i(s', a'; w_i-)                      clipped double q-learning (section 4.2)
//! ```
//!
//! and moves the actor and the slow copies only at every d-th update of the critics (section 5.2, delayed updates).
//! A terminated transition has the target r alone; a truncated one is bootstrapped from, which the memory sees to.
//!
//! Both networks deal with actions between -1 and 1, whatever the bounds of the environment are.
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | every constant, with the paper's value |
//! | `scale.rs` | from -1 and 1 to the bounds of an environment's actions |
//! | `networks.rs` | the actor and the critic |
//! | `module.rs` | the same with batch normalisation, or for pixels |
//! | `noise.rs` | exploration: Ornstein and Uhlenbeck's process, or independent draws |
//! | `loss.rs` | targets, the critic's loss, and the gradient that the actor follows |
//! | `update.rs` | one update of all networks |
//! | `burn.rs` | one update with batch normalisation, or from pixels |
//! | `actor_policy.rs` | what has been learnt: mu, without noise |
//! | `agent.rs` | acting, remembering, and when to learn |

mod actor_policy;
mod agent;
mod batch_normalization;
mod burn;
mod learner;
mod loss;
mod module;
mod networks;
mod noise;
mod options;
mod pixel_policy;
mod scale;
mod update;

pub use actor_policy::ActorPolicy;
pub use agent::Ddpg;
pub use loss::{action_value_targets, critic_loss, deterministic_policy_gradient, smooth, take_lesser};
pub(crate) use module::{Affine, Convolution, Shown};
pub use networks::{ActionLayer, Actor, Critic};
pub use noise::{Noise, NoiseProcess};
pub use options::{DdpgOptions, Td3Options};
pub(crate) use pixel_policy::PixelPolicy;
pub use scale::ActionScale;
