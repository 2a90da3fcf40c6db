//! A checkpoint of one file or of shards.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::header::Header;
use super::index::ShardIndex;
use super::{INDEX, SINGLE};
use crate::checkpoint::{Checkpoint, RawTensor, TensorInfo, by_name, place};
use crate::error::{HubError, fault};
use crate::file::{self, FileBytes};
use crate::json;

/// Where a tensor lies: which file, and where in it.
type Place = (usize, Range<usize>);

/// Tensors in safetensors files, mapped into memory.
#[derive(Debug)]
pub struct SafetensorsCheckpoint {
    path: PathBuf,
    metadata: Vec<(String, String)>,
    tensors: Vec<TensorInfo>,
    places: Vec<Place>,
    files: Vec<FileBytes>,
}

impl SafetensorsCheckpoint {
    /// Opens a file, an index of shards (a file that ends with `.index.json`), or a folder that has one of either under the
    /// names that Hugging Face gives them; with both, the single file counts, as in transformers.
    ///
    /// # Errors
    /// Names the file, the field, what was found and what was expected.
    pub fn open(path: &Path) -> Result<Self, HubError> {
        if !path.is_dir() {
            return if path.as_os_str().to_string_lossy().ends_with(".index.json") {
                Self::open_shards(path)
            } else {
                Self::one(path, FileBytes::map(path)?)
            };
        }
        let (single, index) = (path.join(SINGLE), path.join(INDEX));
        if single.exists() {
            Self::open(&single)
        } else if index.exists() {
            Self::open(&index)
        } else {
            Err(fault(
                path,
                format!("the folder has neither a file {SINGLE} nor {INDEX}; expected one of them"),
            ))
        }
    }

    /// A file that is in memory already. Errors call it by `path`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, HubError> {
        Self::one(path, FileBytes::Memory(bytes))
    }

    fn one(path: &Path, file: FileBytes) -> Result<Self, HubError> {
        let header = Header::read(path, &file)?;
        let tensors = header.tensors.into_iter().map(|(info, range)| (info, (0, range)));
        Self::new(path, header.metadata, tensors.collect(), vec![file])
    }

    fn open_shards(path: &Path) -> Result<Self, HubError> {
        let index = ShardIndex::from_json(path, &file::read(path, json::MAX_BYTES)?)?;
        let mut wanted: HashMap<&str, HashSet<&str>> = HashMap::new();
        let mut names: Vec<&str> = Vec::new();
        for (tensor, file) in index.tensors() {
            let shard = wanted.entry(file).or_insert_with(|| {
                names.push(file);
                HashSet::new()
            });
            shard.insert(tensor);
        }
        let mut files = Vec::with_capacity(names.len());
        let mut tensors = Vec::new();
        for name in names {
            let shard = path.with_file_name(name);
            if !shard.exists() {
                let detail =
                    format!("the shard `{name}` is missing; expected it beside the index, which puts tensors into it");
                return Err(fault(path, detail));
            }
            let file = FileBytes::map(&shard)?;
            let header = Header::read(&shard, &file)?;
            let mut expected = wanted.remove(name).unwrap_or_default();
            for (info, range) in header.tensors {
                // What the index does not put here is not part of the checkpoint.
                if expected.remove(info.name.as_str()) {
                    tensors.push((info, (files.len(), range)));
                }
            }
            if let Some(tensor) = expected.iter().min() {
                let detail = format!(
                    "there is no tensor `{tensor}`; expected it here by the index {}",
                    path.display()
                );
                return Err(fault(shard, detail));
            }
            files.push(file);
        }
        Self::new(path, Vec::new(), tensors, files)
    }

    fn new(
        path: &Path,
        metadata: Vec<(String, String)>,
        tensors: Vec<(TensorInfo, Place)>,
        files: Vec<FileBytes>,
    ) -> Result<Self, HubError> {
        let (tensors, places) =
            by_name(tensors).map_err(|name| fault(path, format!("the tensor `{name}` comes twice")))?;
        Ok(Self {
            path: path.into(),
            metadata,
            tensors,
            places,
            files,
        })
    }

    /// A text that a single file has about itself, such as `pt` by the name `format`.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        let found = self.metadata.iter().find(|(n, _)| n == name);
        found.map(|(_, text)| text.as_str())
    }
}

impl Checkpoint for SafetensorsCheckpoint {
    fn path(&self) -> &Path {
        &self.path
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn raw(&self, name: &str) -> Result<RawTensor<'_>, HubError> {
        let place = place(&self.tensors, name).ok_or_else(|| self.missing(name))?;
        let TensorInfo { dtype, shape, .. } = &self.tensors[place];
        let (file, range) = &self.places[place];
        Ok(RawTensor {
            dtype: *dtype,
            shape,
            bytes: Cow::Borrowed(&self.files[*file][range.clone()]),
        })
    }
}
