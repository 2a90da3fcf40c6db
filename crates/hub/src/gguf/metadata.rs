//! Named values about a model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::cursor::Cursor;
use crate::error::{HubError, fault};

/// Arrays of arrays of arrays are read to this depth.
const MAX_DEPTH: usize = 4;

/// A value.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the types of the format by their own names")]
pub enum MetadataValue {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(String),
    Array(MetadataArray),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// Values of one type.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the types of the format by their own names")]
pub enum MetadataArray {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    Text(Vec<String>),
    Array(Vec<MetadataArray>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
}

impl MetadataValue {
    /// Reads a value of the type that stands before it.
    pub(super) fn read(cursor: &mut Cursor<'_>, key: &str) -> Result<Self, HubError> {
        let kind = cursor.u32(key)?;
        Ok(match kind {
            0 => Self::U8(u8::from_le_bytes(cursor.number(key)?)),
            1 => Self::I8(i8::from_le_bytes(cursor.number(key)?)),
            2 => Self::U16(u16::from_le_bytes(cursor.number(key)?)),
            3 => Self::I16(i16::from_le_bytes(cursor.number(key)?)),
            4 => Self::U32(cursor.u32(key)?),
            5 => Self::I32(i32::from_le_bytes(cursor.number(key)?)),
            6 => Self::F32(f32::from_le_bytes(cursor.number(key)?)),
            7 => Self::Bool(boolean(cursor, key)?),
            8 => Self::Text(cursor.text(key)?),
            9 => Self::Array(MetadataArray::read(cursor, key, MAX_DEPTH)?),
            10 => Self::U64(cursor.u64(key)?),
            11 => Self::I64(i64::from_le_bytes(cursor.number(key)?)),
            12 => Self::F64(f64::from_le_bytes(cursor.number(key)?)),
            _ => return Err(unknown(cursor, key, kind)),
        })
    }

    /// What kind of value it is, for errors.
    fn kind(&self) -> &'static str {
        match self {
            Self::U8(_) | Self::U16(_) | Self::U32(_) | Self::U64(_) => "an unsigned integer",
            Self::I8(_) | Self::I16(_) | Self::I32(_) | Self::I64(_) => "an integer",
            Self::F32(_) | Self::F64(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::Text(_) => "a text",
            Self::Array(_) => "an array",
        }
    }

    /// An integer of any width.
    fn integer(&self) -> Option<i128> {
        Some(match *self {
            Self::U8(n) => n.into(),
            Self::I8(n) => n.into(),
            Self::U16(n) => n.into(),
            Self::I16(n) => n.into(),
            Self::U32(n) => n.into(),
            Self::I32(n) => n.into(),
            Self::U64(n) => n.into(),
            Self::I64(n) => n.into(),
            _ => return None,
        })
    }
}

impl MetadataArray {
    fn read(cursor: &mut Cursor<'_>, key: &str, depth: usize) -> Result<Self, HubError> {
        let kind = cursor.u32(key)?;
        Ok(match kind {
            0 => Self::U8(numbers(cursor, key, u8::from_le_bytes)?),
            1 => Self::I8(numbers(cursor, key, i8::from_le_bytes)?),
            2 => Self::U16(numbers(cursor, key, u16::from_le_bytes)?),
            3 => Self::I16(numbers(cursor, key, i16::from_le_bytes)?),
            4 => Self::U32(numbers(cursor, key, u32::from_le_bytes)?),
            5 => Self::I32(numbers(cursor, key, i32::from_le_bytes)?),
            6 => Self::F32(numbers(cursor, key, f32::from_le_bytes)?),
            7 => Self::Bool(elements(cursor, key, 1, |cursor| boolean(cursor, key))?),
            8 => Self::Text(elements(cursor, key, 8, |cursor| cursor.text(key))?),
            9 if depth == 0 => {
                let detail = format!("`{key}`: arrays lie in one another deeper than {MAX_DEPTH}");
                return Err(cursor.fault(detail));
            }
            9 => Self::Array(elements(cursor, key, 12, |cursor| Self::read(cursor, key, depth - 1))?),
            10 => Self::U64(numbers(cursor, key, u64::from_le_bytes)?),
            11 => Self::I64(numbers(cursor, key, i64::from_le_bytes)?),
            12 => Self::F64(numbers(cursor, key, f64::from_le_bytes)?),
            _ => return Err(unknown(cursor, key, kind)),
        })
    }

    /// Integers of any width.
    fn integers(&self) -> Option<Vec<i128>> {
        fn wide<T: Copy + Into<i128>>(numbers: &[T]) -> Vec<i128> {
            numbers.iter().map(|&n| n.into()).collect()
        }
        Some(match self {
            Self::U8(n) => wide(n),
            Self::I8(n) => wide(n),
            Self::U16(n) => wide(n),
            Self::I16(n) => wide(n),
            Self::U32(n) => wide(n),
            Self::I32(n) => wide(n),
            Self::U64(n) => wide(n),
            Self::I64(n) => wide(n),
            _ => return None,
        })
    }
}

fn boolean(cursor: &mut Cursor<'_>, key: &str) -> Result<bool, HubError> {
    match cursor.number(key)? {
        [0] => Ok(false),
        [1] => Ok(true),
        [other] => Err(cursor.fault(format!(
            "`{key}`: found the byte {other}; expected 0 or 1 for false or true"
        ))),
    }
}

fn numbers<T, const N: usize>(
    cursor: &mut Cursor<'_>,
    key: &str,
    number: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, HubError> {
    let count = cursor.count(N, key)?;
    let (numbers, _) = cursor.bytes(N * count, key)?.as_chunks();
    Ok(numbers.iter().map(|&bytes| number(bytes)).collect())
}

/// As many elements as the count says that stands before them, each of at least so many bytes.
fn elements<T>(
    cursor: &mut Cursor<'_>,
    key: &str,
    least: usize,
    mut element: impl FnMut(&mut Cursor<'_>) -> Result<T, HubError>,
) -> Result<Vec<T>, HubError> {
    let count = cursor.count(least, key)?;
    (0..count).map(|_| element(cursor)).collect()
}

fn unknown(cursor: &Cursor<'_>, key: &str, kind: u32) -> HubError {
    cursor.fault(format!(
        "`{key}`: found a value of type {kind}; expected one of the types 0 to 12"
    ))
}

/// The named values of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    path: PathBuf,
    values: BTreeMap<String, MetadataValue>,
}

impl Metadata {
    /// Reads so many values.
    pub(super) fn read(cursor: &mut Cursor<'_>, path: &Path, count: usize) -> Result<Self, HubError> {
        let mut values = BTreeMap::new();
        for number in 0..count {
            let key = cursor.text(&format!("the name of value {number}"))?;
            let value = MetadataValue::read(cursor, &key)?;
            if values.contains_key(&key) {
                return Err(cursor.fault(format!("the value `{key}` comes twice")));
            }
            values.insert(key, value);
        }
        let path = path.into();
        Ok(Self { path, values })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All values by name, in order of the names.
    pub fn values(&self) -> &BTreeMap<String, MetadataValue> {
        &self.values
    }

    /// What kind of model it is: `general.architecture`.
    ///
    /// # Errors
    /// Where it is missing or no text.
    pub fn architecture(&self) -> Result<&str, HubError> {
        let missing = || {
            fault(
                &self.path,
                "`general.architecture` is missing; expected a name such as `llama`",
            )
        };
        self.text("general.architecture")?.ok_or_else(missing)
    }

    /// An integer that is not negative, of any width.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn unsigned(&self, key: &str) -> Result<Option<u64>, HubError> {
        self.get(key, "an integer that is not negative", |value| {
            u64::try_from(value.integer()?).ok()
        })
    }

    /// A number of any type.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn number(&self, key: &str) -> Result<Option<f64>, HubError> {
        self.get(key, "a number", |value| match *value {
            MetadataValue::F32(x) => Some(x.into()),
            MetadataValue::F64(x) => Some(x),
            _ => value.integer().map(|n| n as f64),
        })
    }

    /// True or false.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, HubError> {
        self.get(key, "true or false", |value| match *value {
            MetadataValue::Bool(b) => Some(b),
            _ => None,
        })
    }

    /// A text.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn text(&self, key: &str) -> Result<Option<&str>, HubError> {
        self.get(key, "a text", |value| match value {
            MetadataValue::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Texts.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn texts(&self, key: &str) -> Result<Option<&[String]>, HubError> {
        self.get(key, "an array of texts", |value| match value {
            MetadataValue::Array(MetadataArray::Text(texts)) => Some(texts.as_slice()),
            _ => None,
        })
    }

    /// Integers of 32 bits, from an array of integers of any width.
    ///
    /// # Errors
    /// Where it is something else, or one is wider.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i32>>, HubError> {
        self.get(key, "an array of integers of 32 bits", |value| match value {
            MetadataValue::Array(array) => array.integers()?.into_iter().map(|n| n.try_into().ok()).collect(),
            _ => None,
        })
    }

    /// Numbers.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn numbers(&self, key: &str) -> Result<Option<&[f32]>, HubError> {
        self.get(key, "an array of numbers of 32 bits", |value| match value {
            MetadataValue::Array(MetadataArray::F32(numbers)) => Some(numbers.as_slice()),
            _ => None,
        })
    }

    fn get<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a MetadataValue) -> Option<T>,
    ) -> Result<Option<T>, HubError> {
        let Some(value) = self.values.get(key) else {
            return Ok(None);
        };
        let wrong = || {
            fault(
                &self.path,
                format!("`{key}`: found {}; expected {expected}", shown(value)),
            )
        };
        read(value).map(Some).ok_or_else(wrong)
    }
}

/// A value for an error: its kind, and itself where it is an integer.
fn shown(value: &MetadataValue) -> String {
    match value.integer() {
        Some(integer) => integer.to_string(),
        None => value.kind().to_owned(),
    }
}
