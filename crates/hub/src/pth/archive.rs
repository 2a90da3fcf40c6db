//! The newer layout: a ZIP archive with the pickle in `NAME/data.pkl` and each storage in `NAME/data/KEY`, none compressed.

use std::collections::HashMap;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::machine::Pickle;
use super::tensors::{self, View};
use crate::checkpoint::TensorInfo;
use crate::error::{HubError, fault};

/// How a ZIP archive begins.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";

/// The tensors of an archive.
pub(super) fn read(path: &Path, file: &[u8]) -> Result<Vec<(TensorInfo, View)>, HubError> {
    let fault = |detail: String| fault(path, detail);
    let mut archive =
        ZipArchive::new(Cursor::new(file)).map_err(|error| fault(format!("as a ZIP archive: {error}")))?;
    let mut places = HashMap::new();
    for number in 0..archive.len() {
        let entry = archive
            .by_index(number)
            .map_err(|error| fault(format!("entry {number} of the archive: {error}")))?;
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let end = usize::try_from(entry.size())
            .ok()
            .and_then(|size| start?.checked_add(size));
        let (Some(start), Some(end)) = (start, end.filter(|&end| end <= file.len())) else {
            let detail = format!("entry {number} of the archive: it ends beyond the file (is it cut off?)");
            return Err(fault(detail));
        };
        let stored = entry.compression() == CompressionMethod::Stored && entry.size() == entry.compressed_size();
        let name = entry
            .name()
            .map_err(|error| fault(format!("entry {number} of the archive: {error}")))?;
        places.insert(name.into_owned(), (start..end, stored));
    }
    let pickle = places
        .keys()
        .filter(|name| name.as_str() == "data.pkl" || name.ends_with("/data.pkl"))
        .min();
    let Some(pickle) = pickle else {
        return Err(fault(
            "the archive has no `data.pkl`; expected one that `torch.save` wrote".into(),
        ));
    };
    let folder = pickle.trim_end_matches("data.pkl");
    let place = |name: &str| -> Result<Option<Range<usize>>, HubError> {
        match places.get(&format!("{folder}{name}")) {
            Some((_, false)) => {
                let detail = format!("`{folder}{name}` is compressed; expected it as `torch.save` writes it");
                Err(fault(detail))
            }
            place => Ok(place.map(|(place, _)| place.clone())),
        }
    };
    if let Some(order) = place("byteorder")?
        && file[order.clone()] != *b"little"
    {
        return Err(fault("`byteorder`: expected `little`".into()));
    }
    let Some(bytes) = place("data.pkl")? else {
        return Ok(Vec::new());
    };
    let bytes = &file[bytes];
    let pickle = Pickle::load(path, bytes, &mut 0)?;
    let named = tensors::named(path, &pickle, bytes.len())?;
    let mut storages = HashMap::new();
    for (key, storage) in tensors::storages(path, &pickle, &named)? {
        let Some(bytes) = place(&format!("data/{key}"))? else {
            return Err(fault(format!(
                "the archive has no `{folder}data/{key}`, a storage of the pickle"
            )));
        };
        if storage.dtype.bytes_of(storage.elements) != Some(bytes.len()) {
            let detail = format!(
                "`{folder}data/{key}` has {} bytes; expected the {} elements of type {} that the pickle says",
                bytes.len(),
                storage.elements,
                storage.dtype
            );
            return Err(fault(detail));
        }
        storages.insert(key.to_owned(), bytes);
    }
    tensors::views(path, &pickle, named, &storages)
}
