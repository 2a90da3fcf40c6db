//! Reading a file from its beginning, never beyond its end.

use std::path::Path;

use crate::error::{HubError, fault};

/// What is left to read of a file.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    path: &'a Path,
    file: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(path: &'a Path, file: &'a [u8]) -> Self {
        Self { path, file, at: 0 }
    }

    /// The place that is read next, in bytes from the beginning.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// A fault of this file.
    pub(super) fn fault(&self, detail: impl Into<String>) -> HubError {
        fault(self.path, detail)
    }

    /// So many bytes. `what` they are is said where there are not so many.
    pub(super) fn bytes(&mut self, count: usize, what: &str) -> Result<&'a [u8], HubError> {
        let left = &self.file[self.at..];
        let Some((bytes, _)) = left.split_at_checked(count) else {
            return Err(self.fault(format!(
                "{what} at byte {}: {} bytes are left; expected {count} (is the file cut off?)",
                self.at,
                left.len()
            )));
        };
        self.at += count;
        Ok(bytes)
    }

    /// The bytes of a number.
    pub(super) fn number<const N: usize>(&mut self, what: &str) -> Result<[u8; N], HubError> {
        let mut number = [0; N];
        number.copy_from_slice(self.bytes(N, what)?);
        Ok(number)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, HubError> {
        self.number(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, HubError> {
        self.number(what).map(u64::from_le_bytes)
    }

    /// How many things follow, each of at least so many bytes: no more than there is room for in the file.
    pub(super) fn count(&mut self, each: usize, what: &str) -> Result<usize, HubError> {
        let count = self.u64(what)?;
        let room = (self.file.len() - self.at) / each;
        if count > room as u64 {
            return Err(self.fault(format!(
                "{what} is {count}; expected at most {room}, for which the rest of the file has room (is it cut off?)"
            )));
        }
        Ok(count as usize)
    }

    /// A text, after its length.
    pub(super) fn text(&mut self, what: &str) -> Result<String, HubError> {
        let length = self.count(1, what)?;
        let bytes = self.bytes(length, what)?;
        let text = std::str::from_utf8(bytes).map_err(|error| self.fault(format!("{what}: not UTF-8: {error}")))?;
        Ok(text.to_owned())
    }
}
