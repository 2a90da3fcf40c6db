//! Alignment of language models: supervised fine-tuning, reward models, PPO, direct preference optimisation.
//!
//! - [`training`]: the trainer, which takes any of the objectives below.
//! - [`sft`]: supervised fine-tuning.
//! - [`data`]: conversations, completions and preferences, from files of every usual format.
//! - [`preference`]: losses on pairs of answers: DPO and its family.
//! - [`reward`]: reward models, and how good their probabilities are.
//! - [`ppo`]: what PPO computes from a rollout, and its losses.
//! - [`frontier`]: how much reward policies have for how far they are from the reference.

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

pub mod data;
mod error;
pub mod frontier;
pub mod ppo;
pub mod preference;
pub mod reward;
pub mod sft;
pub mod training;

pub use error::AlignError;
