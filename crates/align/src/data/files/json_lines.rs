//! JSON lines: an object a line.

use std::io::{BufRead, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::{LONGEST_RECORD, read_error, too_long};
use crate::AlignError;
use crate::data::fields::Row;
use crate::data::record::Place;

struct Lines {
    path: Arc<Path>,
    reader: Box<dyn BufRead>,
    number: usize,
    line: Vec<u8>,
    ended: bool,
}

/// The rows of a file. Blank lines count as lines and are no records.
pub(super) fn rows(
    path: &Arc<Path>,
    reader: Box<dyn BufRead>,
) -> impl Iterator<Item = Result<Row, AlignError>> + use<> {
    Lines {
        path: Arc::clone(path),
        reader,
        number: 0,
        line: Vec::new(),
        ended: false,
    }
}

impl Lines {
    fn read_line(&mut self) -> Result<(), AlignError> {
        self.line.clear();
        let most = LONGEST_RECORD as u64 + 1;
        let mut limited = (&mut self.reader).take(most);
        limited
            .read_until(b'\n', &mut self.line)
            .map_err(|source| read_error(&self.path, source))?;
        self.number += 1;
        if self.line.len() > LONGEST_RECORD {
            return Err(too_long(self.place()));
        }
        Ok(())
    }

    fn place(&self) -> Place {
        Place {
            file: Arc::clone(&self.path),
            record: self.number,
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Row, AlignError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            if let Err(error) = self.read_line() {
                self.ended = true;
                return Some(Err(error));
            }
            if self.line.is_empty() {
                self.ended = true;
            } else if !self.line.trim_ascii().is_empty() {
                return Some(Row::from_json(self.place(), self.line.trim_ascii()));
            }
        }
        None
    }
}
