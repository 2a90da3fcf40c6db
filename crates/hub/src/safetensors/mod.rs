//! Safetensors, the format in which Hugging Face keeps tensors.
//!
//! A file is the length of its header in eight bytes, the header in JSON (for each tensor its type, its shape and where its
//! bytes lie behind the header), and the bytes. Many tensors are split over files, "shards", with an index
//! `model.safetensors.index.json` that says which tensor is in which. Source: the format's description in the `safetensors`
//! repository; the crate of that name is what the tests compare with. It is not what reads here because its errors do not say
//! which tensor is wrong and how, and because it keeps silent where a name comes twice.

mod checkpoint;
mod header;
mod index;
mod save;

pub use checkpoint::SafetensorsCheckpoint;
pub use index::ShardIndex;
pub use save::{save_file, save_shards};

/// The name of the file in a folder, where there is one.
pub const SINGLE: &str = "model.safetensors";

/// The name of the index in a folder, where there are shards.
pub const INDEX: &str = "model.safetensors.index.json";
