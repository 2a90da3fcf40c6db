//! The header of a file.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::checkpoint::TensorInfo;
use crate::dtype::Dtype;
use crate::error::{HubError, fault};
use crate::json::{self, Members};

/// No header is longer, by the format's description.
const MAX_HEADER: u64 = 100_000_000;

/// The name in the header that is no tensor's.
const METADATA: &str = "__metadata__";

/// What a header says.
#[derive(Debug)]
pub(super) struct Header {
    /// Texts about the file, in order of the file.
    pub(super) metadata: Vec<(String, String)>,
    /// The tensors, in order of the header, and where in the file each lies.
    pub(super) tensors: Vec<(TensorInfo, Range<usize>)>,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl Header {
    /// Reads and checks the header of a file of these bytes.
    pub(super) fn read(path: &Path, file: &[u8]) -> Result<Self, HubError> {
        let Some((&length, after)) = file.split_first_chunk() else {
            let detail = format!(
                "it has {} bytes; expected at least the 8 of a length of the header",
                file.len()
            );
            return Err(fault(path, detail));
        };
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER.min(after.len() as u64) {
            let detail = format!(
                "length of the header: found {length}; expected at most the {} bytes behind it and at most {MAX_HEADER} (is the \
                 file cut off, or no safetensors file?)",
                after.len()
            );
            return Err(fault(path, detail));
        }
        let (header, data) = after.split_at(length as usize);
        // A header without tensors is `{}`; none at all is what a file of zeros has.
        if header.first() != Some(&b'{') {
            let detail =
                format!("the header of {length} bytes does not begin with a brace; is this a safetensors file?");
            return Err(fault(path, detail));
        }
        let start = file.len() - data.len();
        let Members(members) = json::parse::<Members<Value>>(path, header)?;
        let mut metadata = Vec::new();
        let mut tensors = Vec::with_capacity(members.len());
        for (name, value) in members {
            if name == METADATA {
                metadata = texts(path, value)?;
            } else {
                let (info, within) = tensor(path, name, value, data.len())?;
                tensors.push((info, within.start + start..within.end + start));
            }
        }
        check_gapless(path, &tensors, start..file.len())?;
        Ok(Self { metadata, tensors })
    }
}

/// The texts about the file.
fn texts(path: &Path, value: Value) -> Result<Vec<(String, String)>, HubError> {
    let Value::Object(members) = value else {
        return Err(fault(
            path,
            format!("`{METADATA}`: found {value}; expected an object of texts"),
        ));
    };
    let text = |(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        other => Err(fault(
            path,
            format!("`{METADATA}`, `{name}`: found {other}; expected a text"),
        )),
    };
    members.into_iter().map(text).collect()
}

/// One tensor, and where behind the header it lies.
fn tensor(path: &Path, name: String, value: Value, data: usize) -> Result<(TensorInfo, Range<usize>), HubError> {
    let entry: Entry =
        serde_json::from_value(value).map_err(|error| fault(path, format!("tensor `{name}`: {error}")))?;
    let Some(dtype) = Dtype::from_name(&entry.dtype) else {
        let detail = format!(
            "tensor `{name}`: `dtype` is `{}`; expected one of {}",
            entry.dtype,
            Dtype::names()
        );
        return Err(fault(path, detail));
    };
    let (start, end) = entry.data_offsets;
    if start > end || end > data {
        let detail = format!(
            "tensor `{name}`: `data_offsets` are [{start}, {end}]; expected a range within the {data} bytes behind the header \
             (is the file cut off?)"
        );
        return Err(fault(path, detail));
    }
    let elements = entry
        .shape
        .iter()
        .try_fold(1, |product: usize, &n| product.checked_mul(n));
    let bytes = elements.and_then(|elements| dtype.bytes_of(elements));
    if bytes != Some(end - start) {
        let expected = bytes.map_or_else(|| "more than can be addressed".to_owned(), |bytes| bytes.to_string());
        let detail = format!(
            "tensor `{name}` of shape {:?} and type {dtype}: `data_offsets` [{start}, {end}] are {} bytes; expected {expected}",
            entry.shape,
            end - start
        );
        return Err(fault(path, detail));
    }
    let info = TensorInfo {
        name,
        dtype,
        shape: entry.shape,
    };
    Ok((info, start..end))
}

/// The format has the tensors fill the file behind the header, without gaps and without overlaps.
fn check_gapless(path: &Path, tensors: &[(TensorInfo, Range<usize>)], data: Range<usize>) -> Result<(), HubError> {
    let mut order: Vec<_> = tensors.iter().map(|(info, place)| (place, &info.name)).collect();
    order.sort_by_key(|(place, _)| (place.start, place.end));
    let mut end = data.start;
    for (place, name) in order {
        if place.start != end {
            let detail = format!(
                "tensor `{name}`: it begins at byte {} of the file; expected {end}, where the one before it ends",
                place.start
            );
            return Err(fault(path, detail));
        }
        end = place.end;
    }
    if end != data.end {
        let detail = format!(
            "the tensors end at byte {end} of the file; expected {}, where the file ends",
            data.end
        );
        return Err(fault(path, detail));
    }
    Ok(())
}
