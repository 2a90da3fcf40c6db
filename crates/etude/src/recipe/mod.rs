//! Recipes: what a run is made of, as a TOML file and `--set key=value` overrides.
//!
//! A recipe is read into a plain serde struct. Give each of its tables `#[serde(deny_unknown_fields)]`, its numbers the
//! checked types of [`range`], and its alternatives an externally tagged enum (`[model.grid]`, `[model.file]`): then every
//! error names the line, the field, the value found and the value wanted. (`#[serde(flatten)]`, `untagged` and internally
//! tagged enums hide the field from the reader, and the error with it.)
//!
//! ```
//! # use etude::recipe::{self, Override, range::Discount};
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Recipe {
//!     gamma: Discount,
//! }
//!
//! let overrides = ["gamma=0.95".parse::<Override>()?];
//! let loaded = recipe::load::<Recipe>(None, &overrides)?;
//! assert_eq!(loaded.value.gamma.get(), 0.95);
//! assert_eq!(loaded.resolved, "gamma = 0.95\n");
//!
//! let overrides = ["gamma=1.5".parse::<Override>()?];
//! let error = recipe::load::<Recipe>(None, &overrides).err().unwrap();
//! assert_eq!(
//!     error.to_string(),
//!     "error: cannot apply --set gamma=1.5\n  because: `gamma` must be a number in [0, 1]; found 1.5\n"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod deserializer;
mod document;
mod file;
mod overrides;
mod problem;
pub mod range;
mod tree;
mod words;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::CommandError;
use document::Document;
pub(crate) use file::where_to_look;
pub use overrides::{Override, OverrideError};
pub(crate) use words::{nearest, short};

/// A recipe that was read, with its overrides.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The recipe itself.
    pub value: T,
    /// The document that was read, overrides included, as TOML: the text of a run's `config.toml`.
    ///
    /// It holds what the user wrote; what the recipe's type fills in by default is not in it.
    pub resolved: String,
    /// The recipe's file, where there was one.
    pub path: Option<PathBuf>,
    document: Document,
}

impl<T> Loaded<T> {
    /// The error for a `field` (a dotted path such as `model.cells`) whose value is well-formed and makes no sense:
    /// it names the line or the flag that the value came from.
    ///
    /// Where the field was not written, the error names the table that it belongs to.
    pub fn reject(&self, field: &str, reason: impl Display) -> CommandError {
        self.document.reject(field, &reason.to_string())
    }

    /// Puts `text` in place of the value at `field` in [`resolved`](Self::resolved), such as an absolute path where the
    /// user wrote a relative one.
    ///
    /// # Errors
    /// The recipe has something other than a table on the way to the field.
    pub(crate) fn rewrite(&mut self, field: &str, text: &str) -> Result<(), CommandError> {
        self.document.rewrite(field, text)?;
        self.resolved = self.document.to_toml()?;
        Ok(())
    }
}

/// Reads the recipe at `path` (or starts from an empty one) and applies the `overrides` in their order.
///
/// # Errors
/// The file cannot be read, is larger than 4 MiB, or is no TOML; a key is unknown or missing; a value is of the wrong
/// kind or out of range. Each names its file and line, or the override that it came from.
pub fn load<T: DeserializeOwned>(path: Option<&Path>, overrides: &[Override]) -> Result<Loaded<T>, CommandError> {
    let text = path.map_or_else(|| Ok(String::new()), file::read)?;
    read(path.map(Path::to_path_buf), text, overrides)
}

/// As [`load`], for a recipe that is part of the program: its `text`, and the `path` by which errors name it.
///
/// # Errors
/// As [`load`], but for the file.
pub(crate) fn load_text<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    overrides: &[Override],
) -> Result<Loaded<T>, CommandError> {
    read(Some(path.to_owned()), text.to_owned(), overrides)
}

fn read<T: DeserializeOwned>(
    path: Option<PathBuf>,
    text: String,
    overrides: &[Override],
) -> Result<Loaded<T>, CommandError> {
    let document = Document::new(path.clone(), text, overrides)?;
    let value = document.read()?;
    let resolved = document.to_toml()?;
    Ok(Loaded {
        value,
        resolved,
        path,
        document,
    })
}
