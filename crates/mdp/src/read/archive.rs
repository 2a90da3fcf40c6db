//! The arrays of one `.npz` archive, read with bounded memory.

use std::fmt::Display;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::npy::{Header, elements};
use crate::error::MdpError;

/// One compressed byte makes at most this many: the limit of the DEFLATE format.
const MAX_RATIO: u64 = 1032;

/// An archive of arrays, and the name by which errors call it.
pub(super) struct Archive<'a, R> {
    path: &'a Path,
    zip: ZipArchive<R>,
    bytes: u64,
}

impl<'a, R: Read + Seek> Archive<'a, R> {
    pub(super) fn open(path: &'a Path, mut reader: R) -> Result<Self, MdpError> {
        let fault = |error: &dyn Display| MdpError::Format {
            path: path.into(),
            detail: format!("not a NumPy archive (.npz): {error}"),
        };
        let bytes = reader.seek(SeekFrom::End(0)).map_err(|error| fault(&error))?;
        if bytes == 0 {
            return Err(fault(&"the file is empty"));
        }
        let zip = ZipArchive::new(reader).map_err(|error| fault(&error))?;
        Ok(Self { path, zip, bytes })
    }

    /// A fault of this archive.
    pub(super) fn fault(&self, detail: impl Into<String>) -> MdpError {
        MdpError::Format {
            path: self.path.into(),
            detail: detail.into(),
        }
    }

    /// The names of the arrays, without `.npy`.
    pub(super) fn names(&self) -> Vec<String> {
        let files = self.zip.file_names().flatten();
        files
            .filter_map(|file| Some(file.strip_suffix(".npy")?.to_owned()))
            .collect()
    }

    /// Real numbers in row-major order, and the shape: `float64` or `float32`, or integers.
    pub(super) fn reals(&mut self, name: &str) -> Result<(Vec<u64>, Vec<f64>), MdpError> {
        let (header, values) = self.array(name, |kind, data, count, bytes| match kind {
            "<f8" => elements(data, count, bytes, |b| Some(f64::from_le_bytes(b))),
            "<f4" => elements(data, count, bytes, |b| Some(f32::from_le_bytes(b).into())),
            "<i8" => elements(data, count, bytes, |b| Some(i64::from_le_bytes(b) as f64)),
            "<i4" => elements(data, count, bytes, |b| Some(i32::from_le_bytes(b).into())),
            _ => Err(format!(
                "its type is {kind}; expected numbers of type <f8, <f4, <i8 or <i4"
            )),
        })?;
        match header.shape[..] {
            [rows, columns] if header.fortran_order => {
                Ok((header.shape, row_major(&values, rows as usize, columns as usize)))
            }
            _ => Ok((header.shape, values)),
        }
    }

    /// Indices: `int32` or `int64`, from 0 to 2^32 - 2.
    pub(super) fn indices(&mut self, name: &str) -> Result<Vec<u32>, MdpError> {
        let index = |index: &u32| *index < u32::MAX;
        let (_, values) = self.array(name, |kind, data, count, bytes| match kind {
            "<i4" => elements(data, count, bytes, |b| i32::from_le_bytes(b).try_into().ok()),
            "<i8" => elements(data, count, bytes, |b| {
                i64::from_le_bytes(b).try_into().ok().filter(index)
            }),
            _ => Err(format!("its type is {kind}; expected integers of type <i4 or <i8")),
        })?;
        Ok(values)
    }

    /// The three letters by which `scipy.sparse` names the format of a sparse matrix.
    pub(super) fn format(&mut self) -> Result<Vec<[u8; 3]>, MdpError> {
        let (_, letters) = self.array("format", |kind, data, count, bytes| match kind {
            "|S3" => elements(data, count, bytes, Some),
            _ => Err(format!("its type is {kind}; expected |S3")),
        })?;
        Ok(letters)
    }

    /// Reads one array by `read`, which gets the type of the elements, their bytes, and how many elements and bytes
    /// there are.
    fn array<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str, &mut dyn Read, u64, u64) -> Result<Vec<T>, String>,
    ) -> Result<(Header, Vec<T>), MdpError> {
        let fault = |detail: &dyn Display| MdpError::Format {
            path: self.path.into(),
            detail: format!("array `{name}`: {detail}"),
        };
        let mut entry = self
            .zip
            .by_name(&format!("{name}.npy"))
            .map_err(|error| fault(&error))?;
        let stored = entry.compressed_size().min(self.bytes);
        let possible = match entry.compression() {
            CompressionMethod::Stored => stored,
            _ => stored.saturating_mul(MAX_RATIO),
        };
        let claimed = entry.size();
        if claimed > possible {
            return Err(fault(&format!(
                "the archive claims {claimed} bytes for it, more than its {stored} bytes there can hold"
            )));
        }
        let header = Header::read(&mut entry).map_err(|error| fault(&error))?;
        let bytes = claimed.saturating_sub(header.bytes);
        let values = read(&header.descr, &mut entry, header.elements(), bytes).map_err(|error| fault(&error))?;
        Ok((header, values))
    }
}

/// The elements of a matrix, given column by column, row by row.
fn row_major(values: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    cells.map(|(row, column)| values[column * rows + row]).collect()
}

#[cfg(test)]
mod tests {
    use super::row_major;

    #[test]
    fn columns_become_rows() {
        assert_eq!(
            row_major(&[0.0, 3.0, 1.0, 4.0, 2.0, 5.0], 2, 3),
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        );
        assert!(row_major(&[], 0, 3).is_empty());
    }
}
