//! Fields of a JSON object, read once each, so that those which nobody read can be named at the end.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::LmError;

/// The largest count that a field may have: far above every real model, and far below what would overflow.
const LARGEST: u64 = 1 << 30;

pub(super) struct Fields<'a> {
    path: String,
    object: &'a Map<String, Value>,
    read: BTreeSet<&'static str>,
}

impl<'a> Fields<'a> {
    /// `path` stands before the names of fields in errors: empty, or as in "text_config.".
    pub(super) fn new(path: &str, value: &'a Value) -> Result<Self, LmError> {
        let Value::Object(object) = value else {
            let name = if path.is_empty() {
                "the file"
            } else {
                path.trim_end_matches('.')
            };
            return Err(field_error(name, &short(value), "an object with fields"));
        };
        Ok(Self {
            path: path.to_owned(),
            object,
            read: BTreeSet::new(),
        })
    }

    /// The value of a field. Null is as if it were not there.
    pub(super) fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.read.insert(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Whether a field is not there at all, not even as null.
    pub(super) fn is_absent(&self, name: &str) -> bool {
        !self.object.contains_key(name)
    }

    /// An object inside this one.
    pub(super) fn object(&mut self, name: &'static str) -> Result<Option<Fields<'a>>, LmError> {
        let path = format!("{}{name}.", self.path);
        self.value(name).map(|value| Fields::new(&path, value)).transpose()
    }

    pub(super) fn count(&mut self, name: &'static str) -> Result<Option<usize>, LmError> {
        self.read(name, &format!("a whole number from 1 to {LARGEST}"), |value| {
            value
                .as_u64()
                .filter(|count| (1..=LARGEST).contains(count))
                .map(|count| count as usize)
        })
    }

    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<f64>, LmError> {
        self.read(name, "a finite number", |value| {
            value.as_f64().filter(|x| x.is_finite())
        })
    }

    /// A number above zero that stays one as f32.
    pub(super) fn positive(&mut self, name: &'static str) -> Result<Option<f64>, LmError> {
        self.read(name, "a number from 1e-30 to 1e30", |value| {
            value.as_f64().filter(|x| (1e-30..=1e30).contains(x))
        })
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, LmError> {
        self.read(name, "true or false", Value::as_bool)
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, LmError> {
        self.read(name, "a text", Value::as_str)
    }

    /// The id of a token.
    pub(super) fn token(&mut self, name: &'static str) -> Result<Option<u32>, LmError> {
        self.read(name, "the id of a token", id)
    }

    /// The id of a token, or a list of them.
    pub(super) fn tokens(&mut self, name: &'static str) -> Result<Option<Vec<u32>>, LmError> {
        self.read(name, "the id of a token, or a list of ids", |value| match value {
            Value::Array(ids) => ids.iter().map(id).collect(),
            one => id(one).map(|one| vec![one]),
        })
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Result<Option<Vec<&'a str>>, LmError> {
        self.read(name, "a list of texts", |value| {
            value.as_array()?.iter().map(Value::as_str).collect()
        })
    }

    /// A field that must be absent or false, since what it turns on is not here.
    pub(super) fn off(&mut self, name: &'static str) -> Result<(), LmError> {
        match self.flag(name)? {
            Some(true) => Err(self.error(name, "true", "false; this is not supported")),
            _ => Ok(()),
        }
    }

    /// Fields whatever their values, since they change nothing that the model computes.
    pub(super) fn harmless(&mut self, names: &[&'static str]) {
        self.read.extend(names);
    }

    /// Every field must have been read.
    pub(super) fn finish(self) -> Result<(), LmError> {
        for (name, value) in self.object {
            if !value.is_null() && !self.read.contains(name.as_str()) {
                return Err(LmError::UnknownField {
                    field: format!("{}{name}", self.path),
                    found: short(value),
                });
            }
        }
        Ok(())
    }

    pub(super) fn error(&self, name: &str, found: &str, expected: &str) -> LmError {
        field_error(&format!("{}{name}", self.path), found, expected)
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, LmError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        match convert(value) {
            Some(converted) => Ok(Some(converted)),
            None => Err(self.error(name, &short(value), expected)),
        }
    }
}

pub(super) fn field_error(field: &str, found: &str, expected: &str) -> LmError {
    LmError::Field {
        field: field.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}

fn id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

/// A value as JSON, cut where it is long.
fn short(value: &Value) -> String {
    let mut text = value.to_string();
    if let Some((end, _)) = text.char_indices().nth(80) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}
