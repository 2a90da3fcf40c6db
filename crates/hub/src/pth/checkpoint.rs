//! A file, of either layout.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::tensors::{View, gather};
use super::{archive, legacy};
use crate::checkpoint::{Checkpoint, RawTensor, TensorInfo, by_name, place};
use crate::error::{HubError, fault};
use crate::file::FileBytes;

/// Tensors in a file of PyTorch's, mapped into memory. Those in dictionaries within dictionaries have the keys that lead to them as
/// their names, with dots between; numbers and texts beside them are passed over.
#[derive(Debug)]
pub struct PthCheckpoint {
    path: PathBuf,
    tensors: Vec<TensorInfo>,
    views: Vec<View>,
    file: FileBytes,
}

impl PthCheckpoint {
    /// Opens a file.
    ///
    /// # Errors
    /// Names the file, what was found and what was expected; where the pickle asks for something of Python's that no tensor
    /// needs, its name.
    pub fn open(path: &Path) -> Result<Self, HubError> {
        Self::new(path, FileBytes::map(path)?)
    }

    /// A file that is in memory already. Errors call it by `path`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, HubError> {
        Self::new(path, FileBytes::Memory(bytes))
    }

    fn new(path: &Path, file: FileBytes) -> Result<Self, HubError> {
        let tensors = if file.starts_with(archive::MAGIC) {
            archive::read(path, &file)?
        } else if file.first() == Some(&0x80) {
            legacy::read(path, &file)?
        } else {
            let start = &file[..file.len().min(4)];
            let detail =
                format!("it begins with the bytes {start:?}; expected a ZIP archive or a pickle of `torch.save`");
            return Err(fault(path, detail));
        };
        let (tensors, views) =
            by_name(tensors).map_err(|name| fault(path, format!("the tensor `{name}` comes twice")))?;
        Ok(Self {
            path: path.into(),
            tensors,
            views,
            file,
        })
    }
}

impl Checkpoint for PthCheckpoint {
    fn path(&self) -> &Path {
        &self.path
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn raw(&self, name: &str) -> Result<RawTensor<'_>, HubError> {
        let at = place(&self.tensors, name).ok_or_else(|| self.missing(name))?;
        let (TensorInfo { dtype, shape, .. }, view) = (&self.tensors[at], &self.views[at]);
        let bytes = &self.file[view.bytes.clone()];
        Ok(RawTensor {
            dtype: *dtype,
            shape,
            bytes: match &view.strides {
                None => Cow::Borrowed(bytes),
                Some(strides) => Cow::Owned(gather(bytes, *dtype, shape, strides)),
            },
        })
    }
}
