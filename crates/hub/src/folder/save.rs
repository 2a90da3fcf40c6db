//! Writing a folder.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{CONFIG, GENERATION_CONFIG, GenerationConfig};
use crate::checkpoint::{Checkpoint, RawTensor, TensorInfo};
use crate::dtype::Dtype;
use crate::error::HubError;
use crate::file::{self, write_error};
use crate::json;
use crate::safetensors::save_shards;

/// The tensor that a tied model does not have.
const HEAD: &str = "lm_head.weight";

/// What a folder is to have in it.
#[derive(Debug)]
pub struct SavedModel<'a> {
    /// The configuration of the model, an object.
    pub config: &'a Value,
    /// How text is to be generated.
    pub generation_config: Option<&'a GenerationConfig>,
    /// Further files, the tokenizer's above all, by their places in the folder.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// The tensors.
    pub checkpoint: &'a dyn Checkpoint,
}

impl SavedModel<'_> {
    /// Writes the folder so that transformers loads what was given: tensors of up to `most` bytes a file.
    ///
    /// A head that is tied to the embedding is left out. `dtype` in the configuration becomes the type of the tensors where
    /// they have one type and it says another, because transformers would round them.
    ///
    /// # Errors
    /// What the operating system says of a file, and what the checkpoint says of a tensor.
    pub fn save(&self, folder: &Path, most: usize) -> Result<(), HubError> {
        fs::create_dir_all(folder).map_err(|source| write_error(folder, source))?;
        let checkpoint = Untied::new(self.checkpoint, is_tied(self.config));
        save_shards(folder, &checkpoint, most)?;
        let mut config = self.config.clone();
        set_dtype(&mut config, &checkpoint.tensors);
        json::write(&folder.join(CONFIG), &config)?;
        self.write_files(folder)
    }

    /// Writes everything but the configuration and the tensors.
    pub(super) fn write_files(&self, folder: &Path) -> Result<(), HubError> {
        if let Some(generation) = self.generation_config {
            json::write(&folder.join(GENERATION_CONFIG), generation)?;
        }
        for (name, bytes) in &self.files {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|source| write_error(parent, source))?;
            }
            file::write(&path, |file| {
                file.write_all(bytes).map_err(|source| write_error(&path, source))
            })?;
        }
        Ok(())
    }
}

/// Whether the head's weights are the embedding's. Gemma's are where the configuration does not speak of it.
fn is_tied(config: &Value) -> bool {
    let gemma = config["model_type"]
        .as_str()
        .is_some_and(|kind| kind.starts_with("gemma"));
    config["tie_word_embeddings"].as_bool().unwrap_or(gemma)
}

fn set_dtype(config: &mut Value, tensors: &[TensorInfo]) {
    let mut types = tensors
        .iter()
        .map(|tensor| tensor.dtype)
        .filter(|dtype| dtype.is_real());
    let Some(first) = types.next() else { return };
    let name = match first {
        Dtype::F32 => "float32",
        Dtype::F16 => "float16",
        Dtype::Bf16 => "bfloat16",
        Dtype::F64 => "float64",
        _ => return,
    };
    if !types.all(|dtype| dtype == first) {
        return;
    }
    // Before version 4.56 of transformers the name was `torch_dtype`.
    let field = if config.get("torch_dtype").is_some() {
        "torch_dtype"
    } else {
        "dtype"
    };
    config[field] = name.into();
}

/// A checkpoint without its head.
#[derive(Debug)]
struct Untied<'a> {
    from: &'a dyn Checkpoint,
    tensors: Vec<TensorInfo>,
}

impl<'a> Untied<'a> {
    fn new(from: &'a dyn Checkpoint, tied: bool) -> Self {
        let kept = from.tensors().iter().filter(|tensor| !tied || tensor.name != HEAD);
        let tensors = kept.cloned().collect();
        Self { from, tensors }
    }
}

impl Checkpoint for Untied<'_> {
    fn path(&self) -> &Path {
        self.from.path()
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn raw(&self, name: &str) -> Result<RawTensor<'_>, HubError> {
        self.from.raw(name)
    }
}
