//! Exact planning on finite Markov decision processes.

mod builder;
mod error;
mod mdp;
mod model;
mod rewards;
pub mod read;

pub use builder::{MdpBuilder, Next};
pub use error::MdpError;
pub use mdp::Mdp;
pub use model::{Model, TERMINAL};
