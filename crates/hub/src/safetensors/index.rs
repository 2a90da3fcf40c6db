//! The index of shards.

use std::path::{Component, Path};

use serde::Deserialize;

use crate::error::{HubError, fault};
use crate::json::{self, Members};

/// Which tensor is in which file: `model.safetensors.index.json`.
#[derive(Debug, Deserialize)]
pub struct ShardIndex {
    weight_map: Members<String>,
}

impl ShardIndex {
    /// Reads the content of a file. Errors call it by `path`.
    ///
    /// # Errors
    /// Names the field, what was found and what was expected. A file is a plain name: nothing outside the folder is reached.
    pub fn from_json(path: &Path, bytes: &[u8]) -> Result<Self, HubError> {
        let index: Self = json::parse(path, bytes)?;
        if index.weight_map.0.is_empty() {
            let detail = "`weight_map` is empty; expected for each tensor the file that it is in";
            return Err(fault(path, detail));
        }
        for (tensor, file) in index.tensors() {
            let mut parts = Path::new(file).components();
            let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
            if !plain || file.contains(['/', '\\', '\0']) {
                let detail = format!(
                    "`weight_map`, `{tensor}`: found the file `{file}`; expected a plain name of a file beside the index"
                );
                return Err(fault(path, detail));
            }
        }
        Ok(index)
    }

    /// The tensors, each with the file that it is in, in order of the index.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &str)> {
        let members = self.weight_map.0.iter();
        members.map(|(tensor, file)| (tensor.as_str(), file.as_str()))
    }
}
