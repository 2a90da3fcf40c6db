//! A JSON array of objects, of which one at a time is read.

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use super::{LONGEST_RECORD, read_error, too_long};
use crate::AlignError;
use crate::data::fields::Row;
use crate::data::record::Place;

struct Elements {
    path: Arc<Path>,
    reader: Box<dyn BufRead>,
    number: usize,
    ended: bool,
}

/// Whether a file is an array, by its first character, which is then taken.
pub(super) fn begins(path: &Path, reader: &mut dyn BufRead) -> Result<bool, AlignError> {
    let first = peek(path, reader)?;
    if first == Some(b'[') {
        reader.consume(1);
    }
    Ok(first == Some(b'['))
}

/// The rows of a file whose opening bracket has been taken.
pub(super) fn rows(
    path: &Arc<Path>,
    reader: Box<dyn BufRead>,
) -> impl Iterator<Item = Result<Row, AlignError>> + use<> {
    Elements {
        path: Arc::clone(path),
        reader,
        number: 0,
        ended: false,
    }
}

/// The next byte that is no space, which is left there; none at the end of the file.
fn peek(path: &Path, reader: &mut dyn BufRead) -> Result<Option<u8>, AlignError> {
    loop {
        let buffer = reader.fill_buf().map_err(|source| read_error(path, source))?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let spaces = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if let Some(&byte) = buffer.get(spaces) {
            reader.consume(spaces);
            return Ok(Some(byte));
        }
        reader.consume(spaces);
    }
}

/// Where in an element the reader is.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// Takes a byte; false where it is the comma or bracket that ends the element.
    fn takes(&mut self, byte: u8) -> bool {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return true;
        }
        match byte {
            b',' | b']' | b'}' if self.depth == 0 => return false,
            b'"' => self.in_string = true,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth -= 1,
            _ => {}
        }
        true
    }
}

impl Elements {
    fn place(&self) -> Place {
        Place {
            file: Arc::clone(&self.path),
            record: self.number,
        }
    }

    fn wrong(&self, detail: &str) -> AlignError {
        AlignError::Record {
            place: self.place(),
            detail: detail.to_owned(),
        }
    }

    /// The next element; none after the closing bracket.
    fn element(&mut self) -> Result<Option<Vec<u8>>, AlignError> {
        let first = peek(&self.path, &mut *self.reader)?;
        if self.number == 0 && first == Some(b']') {
            return Ok(None);
        }
        self.number += 1;
        let mut element = Vec::new();
        let mut scan = Scan::default();
        loop {
            let buffer = self
                .reader
                .fill_buf()
                .map_err(|source| read_error(&self.path, source))?;
            if buffer.is_empty() {
                return Err(self.wrong("the file ends within it, expected the ] of the array"));
            }
            let taken = buffer.iter().take_while(|&&byte| scan.takes(byte)).count();
            element.extend_from_slice(&buffer[..taken]);
            let whole = taken < buffer.len();
            self.reader.consume(taken);
            if element.len() > LONGEST_RECORD {
                return Err(too_long(self.place()));
            }
            if whole {
                return Ok(Some(element));
            }
        }
    }

    /// Takes what stands after an element; the array goes on after a comma.
    fn separator(&mut self) -> Result<(), AlignError> {
        match peek(&self.path, &mut *self.reader)? {
            Some(b',') => self.reader.consume(1),
            Some(b']') => self.ended = true,
            _ => return Err(self.wrong("no comma or ] follows it")),
        }
        Ok(())
    }
}

impl Iterator for Elements {
    type Item = Result<Row, AlignError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let element = self.element().and_then(|element| {
            if element.is_some() {
                self.separator()?;
            }
            Ok(element)
        });
        match element {
            Ok(Some(json)) => Some(Row::from_json(self.place(), json.trim_ascii())),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}
