//! Parquet, by Apache's own reader.
//!
//! That reader panics on files that are damaged in some ways and on types of columns that it does not know. It therefore works on
//! a thread of its own, whose end is an error like any other.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use etude_lm::chat_template::TemplateValue;
use parquet::file::reader::SerializedFileReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;

use super::read_error;
use crate::AlignError;
use crate::data::fields::Row;
use crate::data::record::Place;

/// The thread that reads Parquet. A panic on it becomes an error of the file, and needs no report of its own.
pub const PARQUET_THREAD: &str = "parquet reader";

/// Records that are read ahead.
const AHEAD: usize = 64;

type Columns = Vec<(String, TemplateValue)>;

struct Records {
    path: Arc<Path>,
    /// What the thread has read; a text is an error of a record.
    receiver: Receiver<Result<Columns, String>>,
    thread: Option<JoinHandle<Result<(), String>>>,
    number: usize,
}

/// The rows of a file.
///
/// # Errors
/// No thread can be started.
pub(super) fn rows(
    path: &Arc<Path>,
    file: File,
) -> Result<impl Iterator<Item = Result<Row, AlignError>> + use<>, AlignError> {
    let (sender, receiver) = sync_channel(AHEAD);
    let thread = Builder::new()
        .name(PARQUET_THREAD.into())
        .spawn(move || read(file, &sender).map_err(|error| error.to_string()))
        .map_err(|source: io::Error| read_error(path, source))?;
    Ok(Records {
        path: Arc::clone(path),
        receiver,
        thread: Some(thread),
        number: 0,
    })
}

/// Reads the file to its end, or until nobody listens any more.
fn read(file: File, sender: &SyncSender<Result<Columns, String>>) -> Result<(), parquet::errors::ParquetError> {
    let reader = SerializedFileReader::new(file)?;
    for row in RowIter::from_file_into(Box::new(reader)) {
        let columns = row?.into_columns().into_iter();
        let columns: Result<Columns, String> = columns
            .map(|(name, field)| value(field).map(|value| (name, value)))
            .collect();
        if sender.send(columns).is_err() {
            break;
        }
    }
    Ok(())
}

/// A field as JSON would have it.
fn value(field: Field) -> Result<TemplateValue, String> {
    Ok(match field {
        Field::Null => TemplateValue::from(()),
        Field::Bool(value) => value.into(),
        Field::Byte(value) => value.into(),
        Field::Short(value) => value.into(),
        Field::Int(value) | Field::Date(value) | Field::TimeMillis(value) => value.into(),
        Field::Long(value)
        | Field::TimeMicros(value)
        | Field::TimestampMillis(value)
        | Field::TimestampMicros(value) => value.into(),
        Field::UByte(value) => value.into(),
        Field::UShort(value) => value.into(),
        Field::UInt(value) => value.into(),
        Field::ULong(value) => value.into(),
        Field::Float16(value) => value.to_f64().into(),
        Field::Float(value) => value.into(),
        Field::Double(value) => value.into(),
        Field::Str(text) => text.into(),
        // Columns of text that do not say so; pictures and the like are no text.
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => text.into(),
            Err(_) => TemplateValue::from_bytes(bytes.data().to_vec()),
        },
        Field::Decimal(_) => return Err("a column is of decimal numbers, expected floating-point ones".into()),
        Field::Group(row) => {
            let fields = row.into_columns().into_iter();
            let fields: Result<Columns, String> = fields
                .map(|(name, field)| value(field).map(|value| (name, value)))
                .collect();
            TemplateValue::from_pairs(fields?)
        }
        Field::ListInternal(list) => list
            .elements()
            .iter()
            .map(|field| value(field.clone()))
            .collect::<Result<TemplateValue, String>>()?,
        Field::MapInternal(map) => {
            let entry = |(name, field): &(Field, Field)| match name {
                Field::Str(name) => Ok((name.clone(), value(field.clone())?)),
                _ => Err("a column has a map whose keys are no text".to_owned()),
            };
            TemplateValue::from_pairs(map.entries().iter().map(entry).collect::<Result<Columns, String>>()?)
        }
    })
}

impl Records {
    /// Why the thread has ended; none where the file has.
    fn end(&mut self) -> Option<AlignError> {
        let detail = match self.thread.take()?.join() {
            Ok(Ok(())) => return None,
            Ok(Err(detail)) => detail,
            Err(panic) => {
                let message = panic.downcast_ref::<String>().cloned();
                let message = message.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                message.unwrap_or_default()
            }
        };
        let hint = if detail.contains("zstd") || detail.contains("brotli") || detail.contains("BROTLI") {
            "; compressions that are read are snappy, gzip and lz4, so write the file anew with one of them"
        } else {
            ""
        };
        Some(AlignError::File {
            path: self.path.to_path_buf(),
            detail: format!(
                "after record {}: it is no Parquet that can be read: {detail}{hint}",
                self.number
            ),
        })
    }
}

impl Iterator for Records {
    type Item = Result<Row, AlignError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Ok(columns) = self.receiver.recv() else {
            return self.end().map(Err);
        };
        self.number += 1;
        let place = Place {
            file: Arc::clone(&self.path),
            record: self.number,
        };
        Some(match columns {
            Ok(columns) => Ok(Row::new(place, columns)),
            Err(detail) => Err(AlignError::Record { place, detail }),
        })
    }
}
