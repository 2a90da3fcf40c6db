//! A model of one file.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::architecture::{Architecture, Change, ROPE_FACTORS};
use super::header::Header;
use super::metadata::Metadata;
use super::tokenizer::GgufTokenizer;
use crate::checkpoint::{Checkpoint, RawTensor, TensorInfo, by_name, place};
use crate::dtype::Dtype;
use crate::error::{HubError, fault};
use crate::file::FileBytes;

/// Tensors in a GGUF file of a llama, Qwen 2, Qwen 3 or Gemma 3 model, mapped into memory.
///
/// They have the names and shapes that transformers gives them, the slowest dimension first, so that weights are
/// [outputs, inputs]; a model whose head is tied to its embedding has no tensor for the head. What llama.cpp changes when it
/// writes a file is undone: the rows of the queries and keys of llama lie in the order that rotary of halves wants, which can
/// be had without looking into blocks; and from the norms of Gemma the 1 is taken that was added.
#[derive(Debug)]
pub struct GgufCheckpoint {
    path: PathBuf,
    version: u32,
    metadata: Metadata,
    tokenizer: Option<GgufTokenizer>,
    rope_factors: Option<Vec<f32>>,
    tensors: Vec<TensorInfo>,
    places: Vec<Place>,
    file: FileBytes,
}

/// How to read a tensor.
#[derive(Debug)]
struct Place {
    dtype: Dtype,
    bytes: Range<usize>,
    change: Change,
}

impl GgufCheckpoint {
    /// Opens a file.
    ///
    /// # Errors
    /// Names the file, the value or tensor, what was found and what was expected.
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
        let Header {
            version,
            metadata,
            tensors: found,
        } = Header::read(path, &file)?;
        let architecture = Architecture::of(&metadata)?;
        let tokenizer = GgufTokenizer::read(&metadata)?;
        let mut rope_factors = None;
        let mut tensors = Vec::with_capacity(found.len());
        for tensor in found {
            if tensor.name == ROPE_FACTORS {
                let mut factors = vec![0.0; tensor.shape.iter().product()];
                tensor.dtype.to_f32(&file[tensor.place], &mut factors);
                rope_factors = Some(factors);
                continue;
            }
            let (name, change) = architecture.translate(&tensor.name, &metadata)?;
            if let Change::Interleaved { heads } = change
                && !tensor.shape[0].is_multiple_of(2 * heads)
            {
                let detail = format!(
                    "tensor `{}` of shape {:?}: expected a multiple of {} rows, an even number for each of {heads} heads",
                    tensor.name,
                    tensor.shape,
                    2 * heads
                );
                return Err(fault(path, detail));
            }
            let info = TensorInfo {
                name,
                dtype: if change == Change::PlusOne {
                    Dtype::F32
                } else {
                    tensor.dtype
                },
                shape: tensor.shape,
            };
            let place = Place {
                dtype: tensor.dtype,
                bytes: tensor.place,
                change,
            };
            tensors.push((info, place));
        }
        let (tensors, places) =
            by_name(tensors).map_err(|name| fault(path, format!("the tensor `{name}` comes twice")))?;
        Ok(Self {
            path: path.into(),
            version,
            metadata,
            tokenizer,
            rope_factors,
            tensors,
            places,
            file,
        })
    }

    /// The version of the format, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Everything that the file says about the model.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The tokenizer, where the file has one.
    pub fn tokenizer(&self) -> Option<&GgufTokenizer> {
        self.tokenizer.as_ref()
    }

    /// By how much each of the frequencies of rotary is divided (half of a head's size), where the model scales them by a rule
    /// that the configuration in the file does not tell, as Llama 3.1 does.
    pub fn rope_factors(&self) -> Option<&[f32]> {
        self.rope_factors.as_deref()
    }
}

impl Checkpoint for GgufCheckpoint {
    fn path(&self) -> &Path {
        &self.path
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn raw(&self, name: &str) -> Result<RawTensor<'_>, HubError> {
        let at = place(&self.tensors, name).ok_or_else(|| self.missing(name))?;
        let (info, place) = (&self.tensors[at], &self.places[at]);
        let bytes = &self.file[place.bytes.clone()];
        let bytes = match place.change {
            Change::None => Cow::Borrowed(bytes),
            Change::Interleaved { heads } => Cow::Owned(halves(bytes, info.shape[0], heads)),
            Change::PlusOne => {
                let mut numbers = vec![0.0; info.elements()];
                place.dtype.to_f32(bytes, &mut numbers);
                Cow::Owned(numbers.iter().flat_map(|x| (x - 1.0).to_le_bytes()).collect())
            }
        };
        Ok(RawTensor {
            dtype: info.dtype,
            shape: &info.shape,
            bytes,
        })
    }
}

/// The rows of each head in order of the halves: row 2 i + h becomes row h n / 2 + i.
fn halves(bytes: &[u8], rows: usize, heads: usize) -> Vec<u8> {
    let row = bytes.len() / rows;
    let half = rows / heads / 2;
    let mut ordered = Vec::with_capacity(bytes.len());
    for head in bytes.chunks_exact(2 * half * row) {
        for second in 0..2 {
            for i in 0..half {
                let start = (2 * i + second) * row;
                ordered.extend_from_slice(&head[start..start + row]);
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::halves;

    #[test]
    fn interleaved_rows_come_apart_head_by_head() {
        // Two heads of four rows of two bytes.
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(
            halves(&bytes, 8, 2),
            [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]
        );
    }
}
