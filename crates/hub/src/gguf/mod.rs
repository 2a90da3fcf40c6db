//! GGUF, the format in which llama.cpp keeps models.
//!
//! A file is a head (`GGUF`, a version, two counts), named values about the model and its tokenizer, names, shapes, types and
//! places of the tensors, and their bytes, each at a multiple of an alignment. Source: the format's description in the
//! repository of ggml (`docs/gguf.md`), versions 2 and 3, little endian.
//!
//! Names, shapes and the order of rows are made those of Hugging Face: [`GgufCheckpoint`] says how.

mod architecture;
mod checkpoint;
mod cursor;
mod header;
mod metadata;
mod tokenizer;

pub use checkpoint::GgufCheckpoint;
pub use metadata::{Metadata, MetadataArray, MetadataValue};
pub use tokenizer::GgufTokenizer;
