//! The arrays of one NumPy archive (`.npz`), read with bounded memory.

use std::io::{Read, Seek};
use std::path::Path;

use npyz::{DType, Deserialize, NpyFile, Order, TypeChar};
use zip::ZipArchive;

use crate::error::MdpError;

/// The arrays are given room for this many bytes before the first byte has arrived; beyond it they grow with what
/// is really there, so that a header's claim costs nothing.
const TRUSTED_BYTES: u64 = 1 << 30;

/// An archive of arrays, and the name by which errors call it.
pub(super) struct Archive<'a, R> {
    path: &'a Path,
    zip: ZipArchive<R>,
    bytes: u64,
}

impl<'a, R: Read + Seek> Archive<'a, R> {
    pub(super) fn open(path: &'a Path, mut reader: R) -> Result<Self, MdpError> {
        let fault = |error: &dyn std::fmt::Display| {
            let detail = format!("not a NumPy archive (.npz): {error}");
            MdpError::Format {
                path: path.into(),
                detail,
            }
        };
        let bytes = reader.seek(std::io::SeekFrom::End(0)).map_err(|error| fault(&error))?;
        if bytes == 0 {
            return Err(fault(&"the file is empty"));
        }
        Ok(Self {
            path,
            zip: ZipArchive::new(reader).map_err(|error| fault(&error))?,
            bytes,
        })
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
        self.zip
            .file_names()
            .flatten()
            .map(|name| name.trim_end_matches(".npy").to_owned())
            .collect()
    }

    /// Real numbers: `float64` or `float32`, or integers.
    pub(super) fn reals(&mut self, name: &str) -> Result<(Vec<u64>, Vec<f64>), MdpError> {
        self.array(name, "real numbers", |kind, bytes, file| match (kind, bytes) {
            (TypeChar::Float, 8) => Some(collect::<f64, f64, _>(file, Some)),
            (TypeChar::Float, 4) => Some(collect::<f32, f64, _>(file, |x| Some(x.into()))),
            (TypeChar::Int, 8) => Some(collect::<i64, f64, _>(file, |x| Some(x as f64))),
            (TypeChar::Int, 4) => Some(collect::<i32, f64, _>(file, |x| Some(x.into()))),
            _ => None,
        })
    }

    /// Indices: `int32` or `int64`, from 0 to 2^32 - 2.
    pub(super) fn indices(&mut self, name: &str) -> Result<(Vec<u64>, Vec<u32>), MdpError> {
        self.array(name, "integers", |kind, bytes, file| match (kind, bytes) {
            (TypeChar::Int, 4) => Some(collect::<i32, u32, _>(file, |x| x.try_into().ok())),
            (TypeChar::Int, 8) => Some(collect::<i64, u32, _>(file, |x| {
                x.try_into().ok().filter(|&index| index < u32::MAX)
            })),
            _ => None,
        })
    }

    /// Reads one array by the reader that `read` chooses for its element type.
    fn array<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(TypeChar, u64, Entry<'_, R>) -> Option<Result<Vec<T>, String>>,
    ) -> Result<(Vec<u64>, Vec<T>), MdpError> {
        let fault = |detail: String| MdpError::Format {
            path: self.path.into(),
            detail: format!("array `{name}`: {detail}"),
        };
        let entry = self
            .zip
            .by_name(&format!("{name}.npy"))
            .map_err(|error| fault(error.to_string()))?;
        let file = NpyFile::new(std::io::BufReader::new(
            entry.take(self.bytes.saturating_mul(1032).max(1 << 20)),
        ))
        .map_err(|error| fault(error.to_string()))?;
        let DType::Plain(kind) = file.dtype() else {
            return Err(fault(format!("it has records; expected {expected}")));
        };
        let shape = file.shape().to_vec();
        if file.order() != Order::C && shape.len() > 1 {
            return Err(fault(
                "it is stored by columns (Fortran order); save it with numpy.ascontiguousarray".into(),
            ));
        }
        let values = read(kind.type_char(), kind.size_field(), file)
            .ok_or_else(|| {
                fault(format!(
                    "its type is {}; expected {expected}",
                    DType::Plain(kind).descr()
                ))
            })?
            .map_err(fault)?;
        Ok((shape, values))
    }
}

type Entry<'a, R> = NpyFile<std::io::BufReader<std::io::Take<zip::read::ZipFile<'a, R>>>>;

/// All elements of an array, converted one by one.
fn collect<T: Deserialize + Copy + std::fmt::Display, U, R: Read>(
    file: NpyFile<R>,
    convert: impl Fn(T) -> Option<U>,
) -> Result<Vec<U>, String> {
    let claimed = file.len();
    let trusted = claimed.min(TRUSTED_BYTES / size_of::<U>().max(1) as u64);
    let mut values = Vec::new();
    values
        .try_reserve_exact(trusted as usize)
        .map_err(|error| error.to_string())?;
    for element in file.data::<T>().map_err(|error| error.to_string())? {
        let element = element.map_err(|error| {
            format!(
                "its header claims {claimed} elements and {} could be read: {error}",
                values.len()
            )
        })?;
        values.push(
            convert(element).ok_or_else(|| format!("element {} is {element}, which is out of range", values.len()))?,
        );
    }
    Ok(values)
}
