//! Control: learning to act by the values of actions, in a table, a linear function or a network.
//!
//! All methods are one (Zhao, table 7.2): q(s, a) <- q(s, a) + alpha (target - q(s, a)), and only the [`Target`] differs.
//!
//! | method | target |
//! |---|---|
//! | [`Target::Sarsa`] | r + gamma q(s', a'), where a' is the action that is taken next |
//! | n-step Sarsa | r_1 + gamma r_2 + ... + gamma^n q(s_n, a_n) |
//! | [`Target::ExpectedSarsa`] | r + gamma sum over a of pi(a\|s') q(s', a) |
//! | [`Target::QLearning`] | r + gamma max over a of q(s', a) |
//!
//! The values are [`ActionValues`]: [`LinearActionValues`] with one-hot features are the table, with others a linear function of
//! the state for each action, [`JointActionValues`] one of state and action together, and [`NetworkActionValues`] are a network.
//! [`KnownControl`] measures how far they are from the optimum where the model is known.
//!
//! ```
//! use etude_rl::control::{EpsilonGreedy, LinearActionValues, Settings, Target, TdControl};
//! use etude_rl::{Env, OneHot, Tabular, toy_text};
//! use etude_train::Seed;
//!
//! let mut env = Tabular::new(toy_text::cliff_walking(false));
//! let settings = Settings {
//!     target: Target::QLearning,
//!     steps: 1,
//!     behaviour: EpsilonGreedy { epsilon: 0.1 },
//!     discount: 1.0,
//!     step_size: 0.5,
//! };
//! let table = LinearActionValues::new(OneHot { states: 48 }, 4);
//! let mut agent = TdControl::new(table, settings, Seed(1).stream("agent"));
//! let (mut here, mut next, mut action) = ([0.0], [0.0], [0.0]);
//! for episode in 0..500 {
//!     env.reset((episode == 0).then_some(1), &mut here);
//!     loop {
//!         agent.act(&here, &mut action);
//!         let step = env.step(&action, &mut next);
//!         agent.learn(&here, &action, step.reward, &next, step.transition());
//!         here = next;
//!         if step.ends() {
//!             break;
//!         }
//!     }
//! }
//! // Along the edge of the cliff, the shortest way: 13 steps.
//! env.reset(None, &mut here);
//! let mut steps = 0;
//! loop {
//!     agent.act_greedily(&here, &mut action);
//!     steps += 1;
//!     if env.step(&action, &mut here).terminated {
//!         break;
//!     }
//! }
//! assert_eq!(steps, 13);
//! ```

mod action_values;
mod agent;
mod epsilon_greedy;
mod known;
mod network;
mod td;

pub use action_values::{ActionValues, JointActionValues, LinearActionValues};
pub use agent::{ControlAgent, LinearPolicy, SavedValues};
pub use epsilon_greedy::{EpsilonGreedy, greedy_action};
pub use known::{ControlErrors, KnownControl};
pub use network::NetworkActionValues;
pub use td::{Settings, Target, TdControl};
