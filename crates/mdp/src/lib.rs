//! Exact planning on finite Markov decision processes.

mod action_values;
mod builder;
mod error;
mod iteration;
mod mdp;
mod model;
pub mod read;
mod rewards;

pub use action_values::ActionValues;
pub use builder::{MdpBuilder, Next};
pub use error::MdpError;
pub use iteration::{Iteration, OnIteration, silent};
pub use mdp::Mdp;
pub use model::{Model, TERMINAL};
