//! Readers of model files.

mod archive;
pub mod npz;
