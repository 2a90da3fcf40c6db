//! Hand-written CPU paths, each with its backward.
//!
//! - [`adam_w`]: AdamW in one sweep;
//! - [`attention`]: without a stored score matrix, forward, backward and from caches;
//! - [`gated`], [`norm`], [`rotary`]: gated units, norms and rotary embeddings;
//! - [`linear_cross_entropy`]: log-probabilities of tokens without the logits of all of them;
//! - [`matrix`]: products of dense matrices in f32 and bf16, and weights packed for them;
//! - [`muon`]: Muon, for matrices;
//! - [`perceptron`]: small networks, trained on memory that is laid out beforehand;
//! - [`quantized`]: weights in the blocks of GGUF, and products with them.
//!
//! What comes out for a row depends on that row alone, and for attention on its own sequence, bit by bit: not on how many rows
//! there are, not on the number of threads. With the feature `burn`, the parts of language models are operations on Burn's tensors too,
//! each with its gradient.

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

pub mod adam_w;
pub mod attention;
#[cfg(feature = "burn")]
pub mod burn;
mod error;
mod exponential;
pub mod gated;
mod instructions;
pub mod linear_cross_entropy;
pub mod matrix;
mod memory;
pub mod muon;
pub mod norm;
pub mod perceptron;
mod precision;
pub mod quantized;
pub mod rotary;
mod vectorized;

pub use error::KernelError;
pub use instructions::Instructions;
pub use precision::Precision;
