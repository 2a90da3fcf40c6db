//! Files, one record at a time.
//!
//! Memory is that of a record and a buffer, and a record may take [`LONGEST_RECORD`] bytes. Only Parquet holds more: its pages.

mod csv;
mod json_array;
mod json_lines;
mod parquet;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::fields::Row;
use super::record::Place;
use crate::AlignError;
pub use parquet::PARQUET_THREAD;

/// The bytes that a record may take in a file.
const LONGEST_RECORD: usize = 64 << 20;

/// The rows of one file. After an error of the file as a whole there are no more; after one of a record there may be.
pub(super) type Rows = Box<dyn Iterator<Item = Result<Row, AlignError>>>;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Container {
    layout: Layout,
    gzip: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    JsonLines,
    /// An array; JSON lines too have this ending at times.
    Json,
    Csv,
    Parquet,
}

/// The endings of the names of files that can be read.
pub(super) const ENDINGS: &str = ".jsonl, .ndjson, .json, .csv, each also with .gz, or .parquet";

impl Container {
    /// By the ending of the file's name.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let (stem, gzip) = match name.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (&*name, false),
        };
        let layout = match stem.rsplit_once('.')?.1 {
            "jsonl" | "ndjson" => Layout::JsonLines,
            "json" => Layout::Json,
            "csv" => Layout::Csv,
            "parquet" if !gzip => Layout::Parquet,
            _ => return None,
        };
        Some(Self { layout, gzip })
    }

    /// Opens a file.
    pub(super) fn open(self, path: &Arc<Path>) -> Result<Rows, AlignError> {
        let file = File::open(path).map_err(|source| read_error(path, source))?;
        if self.layout == Layout::Parquet {
            return Ok(Box::new(parquet::rows(path, file)?));
        }
        let mut reader: Box<dyn BufRead> = if self.gzip {
            Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file))))
        } else {
            Box::new(BufReader::new(file))
        };
        skip_byte_order_mark(&mut *reader).map_err(|source| read_error(path, source))?;
        self.rows(path, reader)
    }

    /// The rows of a text file.
    fn rows(self, path: &Arc<Path>, mut reader: Box<dyn BufRead>) -> Result<Rows, AlignError> {
        Ok(match self.layout {
            Layout::Json if json_array::begins(path, &mut *reader)? => Box::new(json_array::rows(path, reader)),
            Layout::Csv => Box::new(csv::rows(path, reader)?),
            _ => Box::new(json_lines::rows(path, reader)),
        })
    }
}

/// Reads the rows of a file of that name which lies in memory; for fuzzing.
pub(super) fn rows_of_bytes(path: &Arc<Path>, bytes: Vec<u8>) -> Result<Rows, AlignError> {
    let container = Container::of(path).ok_or_else(|| unknown(path))?;
    container.rows(path, Box::new(io::Cursor::new(bytes)))
}

/// The error of a file whose name says nothing.
pub(super) fn unknown(path: &Path) -> AlignError {
    AlignError::File {
        path: path.into(),
        detail: format!("the name does not say how it is written, expected it to end in {ENDINGS}"),
    }
}

fn read_error(path: &Path, source: io::Error) -> AlignError {
    AlignError::Read {
        path: path.into(),
        source,
    }
}

fn too_long(place: Place) -> AlignError {
    AlignError::Record {
        place,
        detail: format!(
            "it has more than {} MiB, expected records of a dataset",
            LONGEST_RECORD >> 20
        ),
    }
}

/// Excel and others begin files with it.
fn skip_byte_order_mark(reader: &mut dyn BufRead) -> io::Result<()> {
    if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    Ok(())
}
