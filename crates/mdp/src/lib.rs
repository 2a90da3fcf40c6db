//! Exact planning on finite Markov decision processes.

mod action_values;
mod bound;
pub mod optimal;
mod sweep;
mod builder;
mod error;
mod grid_world;
mod iteration;
mod mdp;
mod model;
pub mod read;
mod rewards;

pub use action_values::ActionValues;
pub use builder::{MdpBuilder, Next};
pub use error::MdpError;
pub use grid_world::{CellKind, GridRewards, GridWorld, GridWorldSpec};
pub use iteration::{Iteration, OnIteration, silent};
pub use mdp::Mdp;
pub use model::{Model, TERMINAL};
