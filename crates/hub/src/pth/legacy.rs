//! The older layout: pickles of a number, a version, the machine that wrote, the objects and the keys of the storages; then the
//! storages in the order of these keys, each after the number of its elements in eight bytes.

use std::collections::HashMap;
use std::path::Path;

use super::machine::Pickle;
use super::object::Object;
use super::tensors::{self, View};
use crate::checkpoint::TensorInfo;
use crate::error::{HubError, fault};

/// The number that such a file begins with.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

/// The one version there is.
const VERSION: i128 = 1001;

/// The tensors of a file.
pub(super) fn read(path: &Path, file: &[u8]) -> Result<Vec<(TensorInfo, View)>, HubError> {
    let at = &mut 0;
    for (what, expected) in [("the first pickle", MAGIC), ("the version", VERSION)] {
        let pickle = Pickle::load(path, file, at)?;
        match pickle.objects[pickle.root] {
            Object::Integer(found) if found == expected => {}
            ref other => {
                let detail = format!("{what}: found {other:?}; expected {expected} (is it a file of `torch.save`?)");
                return Err(fault(path, detail));
            }
        }
    }
    check_little_endian(path, &Pickle::load(path, file, at)?)?;
    let start = *at;
    let pickle = Pickle::load(path, file, at)?;
    let named = tensors::named(path, &pickle, *at - start)?;
    let keys = Pickle::load(path, file, at)?;
    let Object::List(items) = &keys.objects[keys.root] else {
        return Err(fault(path, "expected a list of the storages' keys behind the pickle"));
    };
    let used = tensors::storages(path, &pickle, &named)?;
    let mut storages = HashMap::new();
    for &item in items {
        let Object::Text(key) = &keys.objects[item] else {
            return Err(fault(path, "the keys of the storages: expected texts"));
        };
        let Some(storage) = used.get(key.as_str()) else {
            let detail = format!("storage `{key}`: no tensor has it, so that the size of its elements is not known");
            return Err(fault(path, detail));
        };
        let left = file.get(*at..).unwrap_or_default();
        let count = left.first_chunk().map(|&count| u64::from_le_bytes(count));
        let bytes = storage
            .dtype
            .bytes_of(storage.elements)
            .filter(|&bytes| bytes <= left.len().saturating_sub(8));
        let (Some(bytes), true) = (bytes, count == Some(storage.elements as u64)) else {
            let detail = format!(
                "storage `{key}`: found {count:?} elements in {} bytes that are left; expected {} of type {} (is the file cut off?)",
                left.len(),
                storage.elements,
                storage.dtype
            );
            return Err(fault(path, detail));
        };
        let start = *at + 8;
        *at = start + bytes;
        if storages.insert(key.clone(), start..*at).is_some() {
            return Err(fault(path, format!("the storage `{key}` comes twice")));
        }
    }
    if *at != file.len() {
        let detail = format!(
            "the storages end at byte {at}; expected {}, where the file ends",
            file.len()
        );
        return Err(fault(path, detail));
    }
    tensors::views(path, &pickle, named, &storages)
}

fn check_little_endian(path: &Path, about: &Pickle) -> Result<(), HubError> {
    let Object::Dict(items) = &about.objects[about.root] else {
        return Err(fault(
            path,
            "the third pickle: expected a dictionary about the machine that wrote the file",
        ));
    };
    let little = items
        .iter()
        .find(|(key, _)| about.objects[*key] == Object::Text("little_endian".into()));
    match little.map(|(_, value)| &about.objects[*value]) {
        Some(Object::Bool(true)) => Ok(()),
        _ => Err(fault(
            path,
            "`little_endian` is not true; expected a file of little-endian numbers",
        )),
    }
}
