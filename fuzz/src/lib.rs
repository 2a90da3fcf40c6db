//! What the targets share.

pub mod input;
pub mod metric;
mod model;

pub use model::check;
