//! Checkpoints on disk.
//!
//! | format | reader |
//! |---|---|
//! | safetensors, one file or shards with an index | [`SafetensorsCheckpoint`] |
//! | GGUF, llama.cpp's format of one file | [`GgufCheckpoint`] |
//! | `.pth` of PyTorch, either layout, tensors only | [`PthCheckpoint`] |
//! | LoRA adapters of PEFT | [`peft::LoraAdapter`] |
//!
//! [`ModelFolder`] is a whole folder, with configuration, tokenizer and templates; [`locate`] finds a model by its name;
//! [`open()`] takes a file of any of these formats.
//!
//! Every reader of tensors is a [`Checkpoint`]: a list of tensors by name, each read when it is asked for. Files are mapped into memory and
//! checked when they are opened; whatever they claim, nothing is allocated that the bytes in them do not warrant.

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

mod chat_templates;
mod checkpoint;
mod converted;
#[cfg(feature = "download")]
mod download;
mod dtype;
mod error;
mod file;
pub mod folder;
pub mod gguf;
mod json;
mod locate;
mod memory;
mod open;
pub mod peft;
pub mod pth;
pub mod safetensors;

pub use chat_templates::ChatTemplates;
pub use checkpoint::{Checkpoint, RawTensor, TensorInfo};
pub use converted::Converted;
pub use dtype::Dtype;
pub use error::HubError;
pub use folder::{GenerationConfig, ModelFolder, SavedModel};
pub use gguf::{GgufCheckpoint, GgufTokenizer};
pub use locate::{cache_folder, locate};
pub use memory::MemoryCheckpoint;
pub use open::open;
pub use pth::PthCheckpoint;
pub use safetensors::SafetensorsCheckpoint;
