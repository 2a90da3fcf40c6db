//! LoRA adapters as PEFT keeps them: a folder with `adapter_config.json` and `adapter_model.safetensors`.
//!
//! An adapter adds s B A to the weights of some modules, with A of [r, inputs], B of [outputs, r] and s = alpha / r, or
//! alpha / sqrt(r) for rank-stabilised LoRA. Sources: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models",
//! section 4.1; Kalajdzievski 2023, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA"; PEFT's `save_pretrained` for
//! the names.

mod adapter;
mod config;

pub use adapter::{LoraAdapter, LoraModule};
pub use config::{LoraConfig, Modules, Patterns};

/// The configuration in an adapter's folder.
pub const CONFIG: &str = "adapter_config.json";

/// The tensors in an adapter's folder.
pub const MODEL: &str = "adapter_model.safetensors";
