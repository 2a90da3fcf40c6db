//! Reinforcement learning: environments, and the methods that learn to predict ([`prediction`]) and to act ([`control`]) in them.
//!
//! An [`Env`] means what Gymnasium's environments mean: [`reset`](Env::reset) begins an episode, [`step`](Env::step) takes
//! an action and returns a reward and whether the episode was *terminated* (by the task: what follows is worth nothing)
//! or *truncated* (by a limit: what follows would have been worth something). [`make`] builds one by its name,
//! [`make_envs`] many at a time, from here or from Gymnasium.
//!
//! ```
//! use etude_rl::{Env, make};
//!
//! let mut env = make("CartPole-v1")?;
//! let mut observation = [0.0; 4];
//! env.reset(Some(1), &mut observation);
//! let mut steps = 0;
//! loop {
//!     // Push the cart to where the pole leans.
//!     let action = [f32::from(observation[2] > 0.0)];
//!     let step = env.step(&action, &mut observation);
//!     steps += 1;
//!     if step.terminated || step.truncated {
//!         break;
//!     }
//! }
//! assert!(steps > 20);
//! # Ok::<(), etude_rl::RlError>(())
//! ```

// Input from outside must not panic: what cannot be is an error or is shown by the types. Tests may.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo
    )
)]

pub mod actor_critic;
mod agent;
mod any_features;
mod burn_module;
mod check;
pub mod classic_control;
pub mod continuous_control;
pub mod control;
pub mod ddpg;
pub mod dqn;
mod elimination;
mod encoding;
mod env;
mod error;
mod evaluation;
mod features;
mod grid_world;
mod gymnasium;
mod linear_quadratic;
mod module_features;
mod normalization;
mod normalized_score;
mod objectives;
pub mod planner;
pub mod prediction;
mod prediction_agent;
mod random_walk;
mod registry;
pub mod render;
mod replay;
mod runge_kutta;
mod saved_policy;
mod saved_state;
mod schedule;
mod simulator;
mod simulators;
mod space;
pub mod statistics;
mod tabular;
pub mod toy_text;
mod training;
mod trigonometry;
mod truth;
mod vector;
mod window;
pub mod wrappers;
mod wrapping;
pub mod zhao;

pub use agent::{Agent, Policy};
pub use any_features::{AnyFeatures, Numbered, Scaled};
pub use check::{Check, Verdict, check_env};
pub use encoding::Encoding;
pub use env::{Env, Step};
pub use error::RlError;
pub use evaluation::{Evaluation, evaluate};
pub use features::{FeatureMap, Fourier, OneHot, Placed, Polynomial, RadialBasis, StateAggregation, TileCoding};
pub use grid_world::grid_world;
pub use gymnasium::{Extras, GymnasiumEnvs, Interpreter};
pub use linear_quadratic::LinearQuadratic;
pub use module_features::{FeatureModule, ModuleFeatures};
pub use normalization::{Normalization, NormalizedPolicy, Normalizer, NormalizerOptions};
pub use normalized_score::{References, measure_references, reference_returns};
pub use objectives::{FeatureMatrix, KnownChain, Objectives};
pub use prediction_agent::{AnyPredictor, PredictionAgent};
pub use random_walk::random_walk;
pub use registry::{Registered, environments, make, make_drawn, make_envs, registered};
pub use replay::{Minibatch, PriorityOptions, Replay, ReplayOptions};
pub use saved_policy::{NetworkCard, Outputs, PolicyCard, load_policy};
pub use schedule::Schedule;
pub use simulator::{Dynamics, Simulator};
pub use simulators::Simulators;
pub use space::Space;
pub use tabular::{Outcome, Tabular, TabularModel};
pub use training::{Episode, Training};
pub use truth::{KnownTask, Surface};
pub use vector::{Autoreset, Batch, Transition, Vector, VectorEnv};
pub use wrappers::TimeLimit;
pub use wrapping::{FrameStacks, Wrapping};
