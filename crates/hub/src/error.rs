//! Everything that can be wrong with files of models.

use std::path::PathBuf;

use thiserror::Error;

use crate::dtype::Dtype;

/// What a function of this crate reports instead of an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HubError {
    /// A file or folder could not be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file was read and does not hold what its format asks for.
    #[error("{}: {detail}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Field, value found and value expected.
        detail: String,
    },
    /// A checkpoint does not have a tensor.
    #[error("{}: there is no tensor `{name}` among its {count}{}", path.display(), similar(nearest.as_deref()))]
    MissingTensor {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor asked for.
        name: String,
        /// How many tensors there are.
        count: usize,
        /// The tensor whose name begins with most of the same letters.
        nearest: Option<String>,
    },
    /// A tensor has another shape than the model asks for.
    #[error("{}: the tensor `{name}` has shape {found:?}; expected {expected:?}", path.display())]
    Shape {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape asked for.
        expected: Vec<usize>,
    },
    /// A tensor holds other elements than are asked for.
    #[error("{}: the tensor `{name}` holds elements of type {found}; expected {expected}", path.display())]
    Dtype {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type of elements.
        found: Dtype,
        /// The types asked for, in words.
        expected: &'static str,
    },
    /// There is no model of this name on this machine.
    #[error(
        "`{name}` is no file or folder here, and not in the cache {}: {state}. To use it, download from the model's page its \
         config.json, generation_config.json, tokenizer.json, tokenizer_config.json, special_tokens_map.json and \
         chat_template.jinja, as far as it has them, and model.safetensors (or model.safetensors.index.json and every file that \
         it names), and put them into the folder {}",
        cache.display(), folder.display()
    )]
    NotFound {
        /// The name asked for.
        name: String,
        /// Where downloaded models are kept.
        cache: PathBuf,
        /// What is there of the model.
        state: String,
        /// The folder that would be found under the name.
        folder: PathBuf,
    },
}

fn similar(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; the nearest is `{name}`"))
}

/// A fault of the content of a file.
pub(crate) fn fault(path: impl Into<PathBuf>, detail: impl Into<String>) -> HubError {
    HubError::Format {
        path: path.into(),
        detail: detail.into(),
    }
}
