//! Writing files.

use std::cmp::Reverse;
use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value};

use super::{INDEX, SINGLE};
use crate::checkpoint::{Checkpoint, TensorInfo};
use crate::dtype::Dtype;
use crate::error::{HubError, fault};
use crate::file::{self, write_error};
use crate::json;

/// Writes the tensors of a checkpoint into one file, one after the other, with `{"format": "pt"}` about it, without which some
/// versions of transformers refuse a file.
///
/// # Errors
/// What the operating system says of the file, and what the checkpoint says of a tensor.
pub fn save_file(path: &Path, checkpoint: &dyn Checkpoint) -> Result<(), HubError> {
    write(path, checkpoint, checkpoint.tensors().iter().collect())
}

/// Writes the tensors of a checkpoint into a folder: into `model.safetensors` where they fit in `most` bytes, otherwise into
/// shards of at most so many bytes (or of one tensor that is larger) with their index. A file of the other kind that is there
/// already is removed, so that nobody reads the old one.
///
/// # Errors
/// As [`save_file`].
pub fn save_shards(folder: &Path, checkpoint: &dyn Checkpoint, most: usize) -> Result<(), HubError> {
    let tensors = checkpoint.tensors();
    let mut shards: Vec<Vec<&TensorInfo>> = vec![Vec::new()];
    let mut filled = 0;
    for tensor in tensors {
        if filled > 0 && tensor.bytes() > most.saturating_sub(filled) {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += tensor.bytes();
        if let Some(shard) = shards.last_mut() {
            shard.push(tensor);
        }
    }
    let count = shards.len();
    if count == 1 {
        save_file(&folder.join(SINGLE), checkpoint)?;
        return remove(&folder.join(INDEX));
    }
    let mut weight_map = Map::new();
    for (number, shard) in (1..).zip(shards) {
        let name = format!("model-{number:05}-of-{count:05}.safetensors");
        for tensor in &shard {
            weight_map.insert(tensor.name.clone(), Value::String(name.clone()));
        }
        write(&folder.join(name), checkpoint, shard)?;
    }
    let total: usize = tensors.iter().map(TensorInfo::bytes).sum();
    let index = serde_json::json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
    let path = folder.join(INDEX);
    json::write(&path, &index)?;
    remove(&folder.join(SINGLE))
}

fn remove(path: &Path) -> Result<(), HubError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(write_error(path, source)),
        _ => Ok(()),
    }
}

/// Writes some tensors of a checkpoint, those with the widest elements first, so that each is aligned to its elements.
fn write(path: &Path, checkpoint: &dyn Checkpoint, mut tensors: Vec<&TensorInfo>) -> Result<(), HubError> {
    tensors.sort_by_key(|tensor| (Reverse(tensor.dtype.bytes_of(1)), &tensor.name));
    let mut header = Map::new();
    header.insert("__metadata__".into(), serde_json::json!({ "format": "pt" }));
    let mut end = 0;
    for tensor in tensors.iter().copied() {
        let TensorInfo { name, dtype, shape } = tensor;
        if let Dtype::Block(_) = dtype {
            return Err(HubError::Dtype {
                path: checkpoint.path().into(),
                name: name.clone(),
                found: *dtype,
                expected: "one that safetensors has; convert the checkpoint (`Converted`) to F32, F16 or BF16 first",
            });
        }
        let start = end;
        end += tensor.bytes();
        let entry = serde_json::json!({ "dtype": dtype.to_string(), "shape": shape, "data_offsets": [start, end] });
        header.insert(name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string();
    header.extend(std::iter::repeat_n(
        ' ',
        header.len().next_multiple_of(8) - header.len(),
    ));
    file::write(path, |file| {
        let failed = |source| write_error(path, source);
        file.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
        file.write_all(header.as_bytes()).map_err(failed)?;
        for tensor in tensors {
            let raw = checkpoint.raw(&tensor.name)?;
            if raw.bytes.len() != tensor.bytes() || raw.dtype != tensor.dtype {
                let detail = format!(
                    "tensor `{}`: {} bytes of type {}",
                    tensor.name,
                    raw.bytes.len(),
                    raw.dtype
                );
                return Err(fault(checkpoint.path(), format!("{detail}; expected {tensor:?}")));
            }
            file.write_all(&raw.bytes).map_err(failed)?;
        }
        Ok(())
    })
}
