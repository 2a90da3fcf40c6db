//! étude: train, align, evaluate and serve twelve learning systems, from the Bellman equation to Kimi-VL.
//!
//! This crate is the command `etude` ([`run`]) and what its subcommands share: the only place in the workspace that parses
//! flags, prints, and draws progress.

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

mod boxes;
mod bug;
mod cli;
mod completions;
mod doctor;
pub mod error;
pub mod interrupt;
mod lm;
mod mdp;
pub mod output;
pub mod progress;
pub mod recipe;
pub mod report;
mod rl;
mod run_report;
pub mod terminal;
mod tour;

pub use cli::run;
