//! Files and folders of data.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fields::Row;
use super::files::{self, Container, Rows};
use super::format::Format;
use super::record::Record;
use crate::AlignError;

/// The files of a dataset.
#[derive(Debug, Clone)]
pub struct DataFiles {
    files: Vec<(Arc<Path>, Container)>,
}

/// How files are read.
#[derive(Debug, Clone, Default)]
pub struct DataOptions {
    /// What the columns mean; none where the columns of the first record are to decide.
    pub format: Option<Format>,
    /// Names of columns that the format does not know: pairs of the format's name and the file's, such as `("prompt",
    /// "question")`.
    pub columns: Vec<(String, String)>,
}

impl DataFiles {
    /// Of a folder: all files in it that can be read, by name.
    ///
    /// # Errors
    /// There is no such file or folder, nothing that can be read is in the folder, or a file's name does not say how it is
    /// written.
    pub fn find(paths: &[PathBuf]) -> Result<Self, AlignError> {
        let mut files = Vec::new();
        for path in paths {
            let error = |source| AlignError::Read {
                path: path.clone(),
                source,
            };
            if fs::metadata(path).map_err(error)?.is_dir() {
                let before = files.len();
                let entries = fs::read_dir(path).map_err(error)?;
                let entries: Result<Vec<_>, _> = entries.map(|entry| Ok(entry?.path())).collect();
                let mut entries = entries.map_err(error)?;
                entries.sort();
                let readable = entries.into_iter().filter(|path| path.is_file());
                files.extend(readable.filter_map(|path| Some((Arc::from(&*path), Container::of(&path)?))));
                if files.len() == before {
                    return Err(AlignError::File {
                        path: path.clone(),
                        detail: format!(
                            "there are no data in this folder, expected files that end in {}",
                            files::ENDINGS
                        ),
                    });
                }
            } else {
                let container = Container::of(path).ok_or_else(|| files::unknown(path))?;
                files.push((Arc::from(&**path), container));
            }
        }
        Ok(Self { files })
    }

    /// The files, in the order in which they are read.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| &**path)
    }

    /// Reads all records, one after the other.
    pub fn records(&self, options: &DataOptions) -> Records {
        let mut files = self.files.clone().into_iter();
        let open = move || files.next().map(|(path, container)| container.open(&path));
        Records {
            open: Box::new(open),
            rows: None,
            format: options.format,
            columns: options.columns.clone(),
        }
    }
}

/// The records of a dataset. After the error of a record there may be more, after that of a file there are none.
pub struct Records {
    /// The rows of the next file.
    open: Box<dyn FnMut() -> Option<Result<Rows, AlignError>>>,
    rows: Option<Rows>,
    format: Option<Format>,
    columns: Vec<(String, String)>,
}

impl Records {
    /// The records of a file of that name which lies in memory.
    pub fn of_bytes(name: &Path, bytes: Vec<u8>, options: &DataOptions) -> Self {
        let name = Arc::from(name);
        let mut bytes = Some(bytes);
        Self {
            open: Box::new(move || bytes.take().map(|bytes| files::rows_of_bytes(&name, bytes))),
            rows: None,
            format: options.format,
            columns: options.columns.clone(),
        }
    }

    /// What the columns mean; known from the first record on.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    fn next_row(&mut self) -> Option<Result<Row, AlignError>> {
        loop {
            if let Some(row) = self.rows.as_mut().and_then(Iterator::next) {
                return Some(row);
            }
            match (self.open)()? {
                Ok(rows) => self.rows = Some(rows),
                Err(error) => {
                    self.end();
                    return Some(Err(error));
                }
            }
        }
    }

    fn end(&mut self) {
        self.rows = None;
        self.open = Box::new(|| None);
    }

    fn understand(&mut self, mut row: Row) -> Result<Record, AlignError> {
        for (to, from) in &self.columns {
            row.rename(from, to)?;
        }
        let format = match self.format {
            Some(format) => format,
            None => Format::detect(&row).ok_or_else(|| unknown_columns(&row))?,
        };
        self.format = Some(format);
        Record::read(row, format)
    }
}

fn unknown_columns(row: &Row) -> AlignError {
    let names: Vec<&str> = row.names().collect();
    AlignError::Record {
        place: row.place.clone(),
        detail: format!(
            "no format has its columns ({}), expected text, messages, conversations, prompt, completion, chosen and rejected, \
             or instruction and output; columns can be given these names",
            names.join(", ")
        ),
    }
}

impl Iterator for Records {
    type Item = Result<Record, AlignError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.next_row()?;
        if matches!(row, Err(AlignError::Read { .. } | AlignError::File { .. })) {
            self.end();
        }
        Some(row.and_then(|row| self.understand(row)))
    }
}
