//! Decoder language models.
//!
//! - [`config`]: what a model is made of, read from config.json or from a GGUF file's metadata.
//! - [`cpu_decoder`]: the model for generation, on plain slices, with weights that are packed once or stay quantised.
//! - [`engine`]: generation with continuous batching, and the scoring of given texts.
//! - [`evaluation`]: perplexity, and multiple choice by likelihood.
//! - [`tokenizer`]: text to token ids and back, from `tokenizer.json` or from the vocabulary inside a GGUF file, and whole
//!   characters from a stream of ids.
//! - [`chat_template`]: conversations to text by the template that comes with a model, and which of it the model said.
//! - [`decoder`]: the model on Burn's tensors, to train; forward over packed sequences, losses, LoRA and
//!   DoRA, loading and saving.

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

pub mod chat_template;
mod checkpoint;
pub mod config;
pub mod cpu_decoder;
pub mod decoder;
pub mod engine;
mod error;
pub mod evaluation;
mod memory;
mod model;
pub mod tokenizer;

pub use error::LmError;
pub use memory::Memory;
pub use model::{Message, Model, Source};
