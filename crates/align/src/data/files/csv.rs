//! Comma-separated values with a header. A cell that is a JSON list of objects is read as such, for conversations and tools.

use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::{Reader, ReaderBuilder, StringRecord};
use etude_lm::chat_template::{TemplateValue, ordered_json};

use super::{LONGEST_RECORD, read_error, too_long};
use crate::AlignError;
use crate::data::fields::Row;
use crate::data::record::Place;

/// A reader that ends with an error where too much is read at once: a quote that is never closed makes the rest of a file one
/// cell.
struct Limited {
    reader: Box<dyn BufRead>,
    left: Arc<AtomicUsize>,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.reader.read(buffer)?;
        self.left.store(left.saturating_sub(read), Ordering::Relaxed);
        Ok(read)
    }
}

struct Cells {
    path: Arc<Path>,
    reader: Reader<Limited>,
    left: Arc<AtomicUsize>,
    header: StringRecord,
    number: usize,
    ended: bool,
}

/// The rows of a file, from the one after the header.
///
/// # Errors
/// The header cannot be read.
pub(super) fn rows(
    path: &Arc<Path>,
    reader: Box<dyn BufRead>,
) -> Result<impl Iterator<Item = Result<Row, AlignError>> + use<>, AlignError> {
    let left = Arc::new(AtomicUsize::new(LONGEST_RECORD));
    let limited = Limited {
        reader,
        left: Arc::clone(&left),
    };
    let mut cells = Cells {
        path: Arc::clone(path),
        reader: ReaderBuilder::new().from_reader(limited),
        left,
        header: StringRecord::new(),
        number: 0,
        ended: false,
    };
    cells.header = match cells.reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => return Err(cells.failed(error)),
    };
    Ok(cells)
}

impl Cells {
    fn place(&self) -> Place {
        Place {
            file: Arc::clone(&self.path),
            record: self.number,
        }
    }

    fn failed(&self, error: csv::Error) -> AlignError {
        let text = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => too_long(self.place()),
            csv::ErrorKind::Io(error) => read_error(&self.path, error),
            csv::ErrorKind::UnequalLengths { len, expected_len, .. } => AlignError::Record {
                place: self.place(),
                detail: format!("it has {len} cells, expected {expected_len} as in the header"),
            },
            csv::ErrorKind::Utf8 { .. } => AlignError::Record {
                place: self.place(),
                detail: "it is not UTF-8 text".into(),
            },
            _ => AlignError::Record {
                place: self.place(),
                detail: text,
            },
        }
    }
}

impl Iterator for Cells {
    type Item = Result<Row, AlignError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.left.store(LONGEST_RECORD, Ordering::Relaxed);
        self.number += 1;
        let mut record = StringRecord::new();
        match self.reader.read_record(&mut record) {
            Ok(true) => {
                let names = self.header.iter().map(ToOwned::to_owned);
                Some(Ok(Row::new(self.place(), names.zip(record.iter().map(cell)))))
            }
            Ok(false) => {
                self.ended = true;
                None
            }
            Err(error) => {
                // The reader stands behind a record of the wrong size or coding, and nowhere after any other failure.
                self.ended = error.is_io_error();
                Some(Err(self.failed(error)))
            }
        }
    }
}

/// A cell; an empty one is an empty text.
fn cell(text: &str) -> TemplateValue {
    let list = text.starts_with("[{").then(|| ordered_json(text).ok()).flatten();
    list.unwrap_or_else(|| text.into())
}
