//! A checkpoint that is in memory.

use std::borrow::Cow;
use std::path::Path;

use crate::checkpoint::{Checkpoint, RawTensor, TensorInfo, place};
use crate::dtype::Dtype;
use crate::error::HubError;

/// Tensors in memory, to be saved, or read from a file that cannot be read in parts.
#[derive(Debug, Clone, Default)]
pub struct MemoryCheckpoint {
    pub(crate) path: std::path::PathBuf,
    pub(crate) tensors: Vec<TensorInfo>,
    pub(crate) bytes: Vec<Vec<u8>>,
}

impl MemoryCheckpoint {
    /// One without tensors. Errors call it by `path`.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// Adds a tensor, or puts it in the place of the one of the same name. Its elements are rounded to the nearest of its type.
    ///
    /// # Panics
    /// If the shape is not one of so many numbers, or the type is not one of real numbers.
    pub fn insert_f32(&mut self, name: &str, shape: &[usize], numbers: &[f32], dtype: Dtype) {
        let bytes = dtype.of_f32(numbers);
        assert!(bytes.is_some(), "type {dtype}: expected one of real numbers");
        self.insert(name, dtype, shape, bytes.unwrap_or_default());
    }

    /// Adds a tensor as the bytes of its elements, little endian, or puts it in the place of the one of the same name.
    ///
    /// # Panics
    /// If the shape and the type are not those of so many bytes.
    pub fn insert(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) {
        let info = TensorInfo {
            name: name.into(),
            dtype,
            shape: shape.into(),
        };
        assert!(
            info.bytes() == bytes.len(),
            "`{name}` of shape {shape:?} and type {dtype}: {} bytes, expected {}",
            bytes.len(),
            info.bytes()
        );
        match self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)) {
            Ok(place) => {
                self.tensors[place] = info;
                self.bytes[place] = bytes;
            }
            Err(place) => {
                self.tensors.insert(place, info);
                self.bytes.insert(place, bytes);
            }
        }
    }
}

impl Checkpoint for MemoryCheckpoint {
    fn path(&self) -> &Path {
        &self.path
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn raw(&self, name: &str) -> Result<RawTensor<'_>, HubError> {
        let place = place(&self.tensors, name).ok_or_else(|| self.missing(name))?;
        let TensorInfo { dtype, shape, .. } = &self.tensors[place];
        Ok(RawTensor {
            dtype: *dtype,
            shape,
            bytes: Cow::Borrowed(&self.bytes[place]),
        })
    }
}
