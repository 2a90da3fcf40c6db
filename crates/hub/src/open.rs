//! Opening whatever holds tensors.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::error::{HubError, fault};
use crate::gguf::GgufCheckpoint;
use crate::pth::PthCheckpoint;
use crate::safetensors::{INDEX, SINGLE, SafetensorsCheckpoint};

/// The file of PyTorch's in a folder that is older than safetensors.
const OLD: &str = "pytorch_model.bin";

/// Opens the tensors in a file of any format, told by how it begins, or in a folder: safetensors there, or one old file of PyTorch's.
///
/// # Errors
/// Names the file, the field or tensor, what was found and what was expected.
pub fn open(path: &Path) -> Result<Box<dyn Checkpoint>, HubError> {
    if path.is_dir() {
        let old = path.join(OLD);
        return if !old.exists() || path.join(SINGLE).exists() || path.join(INDEX).exists() {
            Ok(Box::new(SafetensorsCheckpoint::open(path)?))
        } else {
            Ok(Box::new(PthCheckpoint::open(&old)?))
        };
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4).read_to_end(&mut start));
    read.map_err(|source| HubError::Read {
        path: path.into(),
        source,
    })?;
    match start[..] {
        [] => Err(fault(
            path,
            "the file is empty; expected safetensors, GGUF or a file of PyTorch's",
        )),
        [b'G', b'G', b'U', b'F'] => Ok(Box::new(GgufCheckpoint::open(path)?)),
        // A ZIP archive; a pickle of the integer of ten bytes that the older layout begins with, in a frame of 13 since version 4. As
        // the length of a safetensors header either would be beyond what the format allows.
        [b'P', b'K', 3, 4] | [0x80, 2..=5, 0x8a, 10] | [0x80, 4..=5, 0x95, 13] => {
            Ok(Box::new(PthCheckpoint::open(path)?))
        }
        _ => Ok(Box::new(SafetensorsCheckpoint::open(path)?)),
    }
}
