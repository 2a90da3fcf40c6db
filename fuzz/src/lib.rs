//! What the targets share.

mod checkpoint;
pub mod input;
pub mod metric;
mod model;
pub mod tokenizer;

pub use checkpoint::check_checkpoint;
pub use model::check;
