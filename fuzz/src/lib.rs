//! What the targets share.

mod checkpoint;
mod config;
pub mod gguf;
pub mod input;
pub mod metric;
mod model;
pub mod tokenizer;

pub use checkpoint::check_checkpoint;
pub use config::{check_config, config_json};
pub use model::check;
