//! JSON in which no name may come twice.

use std::collections::HashSet;
use std::fmt;
use std::io::Write;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{HubError, fault};
use crate::file::{self, write_error};

/// Files of JSON are read whole, the longest being tokenizers of some tens of megabytes.
pub(crate) const MAX_BYTES: u64 = 1 << 28;

/// An object's members in the order of the text. A name that comes twice is an error, where serde would keep the last alone.
#[derive(Debug)]
pub(crate) struct Members<T>(pub(crate) Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct MembersVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for MembersVisitor<T> {
            type Value = Members<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                let mut names = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("the name `{name}` comes twice")));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        from.deserialize_map(MembersVisitor(PhantomData))
    }
}

/// Reads a file of JSON.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, HubError> {
    parse(path, &file::read(path, MAX_BYTES)?)
}

/// Reads JSON that a file holds.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, HubError> {
    serde_json::from_slice(bytes).map_err(|error| fault(path, format!("not the JSON that belongs here: {error}")))
}

/// Writes a file of JSON, indented as transformers does.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> Result<(), HubError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| fault(path, error.to_string()))?;
    text.push('\n');
    file::write(path, |file| {
        file.write_all(text.as_bytes())
            .map_err(|source| write_error(path, source))
    })
}
