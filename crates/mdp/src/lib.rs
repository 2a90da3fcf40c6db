//! Exact planning on finite Markov decision processes.
//!
//! A model is stored ([`Mdp`], built by [`MdpBuilder`] or read from a file by [`read`]) or computes its transitions when
//! asked ([`GridWorld`], or anything that implements [`Model`]). Two questions are answered about it, both in `f64`, both
//! with a guaranteed bound on the error, rounding included:
//!
//! - [`policy_evaluation`]: how good is a policy? The Bellman equation v = r_pi + gamma P_pi v.
//! - [`optimal`]: which policy is best? The Bellman optimality equation v = max over pi of (r_pi + gamma P_pi v).
//!
//! [`simulate`](fn@simulate) draws episodes. The same input gives the same bytes on any number of threads.
//!
//! ```
//! use etude_mdp::optimal::{SolveOptions, solve};
//! use etude_mdp::{GridWorld, GridWorldSpec, silent};
//!
//! let map = [".....", ".xx..", "..x..", ".xTx.", ".x..."].map(String::from).to_vec();
//! let grid = GridWorld::new(&GridWorldSpec { map, ..GridWorldSpec::default() })?;
//! let solution = solve(&grid, 0.9, &SolveOptions::default(), &mut silent)?;
//! assert!((solution.values[0] - 5.832).abs() < 1e-6); // the top left cell, as the book prints it
//! assert!(solution.bound <= 1e-9);
//! # Ok::<(), etude_mdp::MdpError>(())
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

mod action_values;
mod affine;
mod bound;
mod builder;
mod discount;
mod error;
mod estimate;
mod flow_order;
mod grid_world;
mod iteration;
mod mdp;
mod model;
pub mod optimal;
mod policy;
pub mod policy_evaluation;
pub mod read;
mod rewards;
pub mod simulate;
mod sweep;

pub use action_values::ActionValues;
pub use affine::AffineRewards;
pub use builder::{MdpBuilder, Next};
pub use discount::{check_discount, check_proper, longest_episode, longest_episode_under};
pub use error::MdpError;
pub use grid_world::{CellKind, GridRewards, GridWorld, GridWorldSpec};
pub use iteration::{Iteration, OnIteration, silent};
pub use mdp::Mdp;
pub use model::{Model, TERMINAL};
pub use policy::Policy;
pub use simulate::{Sample, Simulation, SimulationOptions, simulate};
