//! The tensors among a pickle's objects, by name.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use super::machine::Pickle;
use super::object::{Id, Object, Storage};
use crate::checkpoint::TensorInfo;
use crate::dtype::Dtype;
use crate::error::{HubError, fault};

/// Dictionaries and lists lie in one another to this depth.
const MAX_DEPTH: usize = 32;

/// No tensor has more dimensions; PyTorch allows 64, and uses a few.
const MAX_DIMENSIONS: usize = 16;

/// Names of tensors and what is kept for each may take so many bytes beside sixteen times the pickle's: parts that are shared
/// would otherwise come to any number.
const BUDGET: usize = 1 << 20;

/// What is kept for each beside its name, about.
const ENTRY: usize = 256;

/// Where a tensor's elements lie.
#[derive(Debug)]
pub(super) struct View {
    /// The bytes in the file from its first element to its last.
    pub(super) bytes: Range<usize>,
    /// How many elements lie between neighbours in each dimension; nothing where they are as in a row-major array.
    pub(super) strides: Option<Vec<usize>>,
}

/// Every tensor under the keys that lead to it, with dots between. The pickle has so many bytes.
pub(super) fn named(path: &Path, pickle: &Pickle, bytes: usize) -> Result<Vec<(String, Id)>, HubError> {
    let mut found = Vec::new();
    let mut budget = BUDGET + 16 * bytes;
    // What is left to look at, with its name and how deep it lies.
    let mut left = vec![(pickle.root, String::new(), 0)];
    while let Some((id, name, depth)) = left.pop() {
        let mut look_at = |id: Id, key: &str| {
            budget = budget.checked_sub(ENTRY + name.len() + key.len())?;
            let name = if name.is_empty() {
                key.to_owned()
            } else {
                format!("{name}.{key}")
            };
            (depth < MAX_DEPTH).then(|| left.push((id, name, depth + 1)))
        };
        let too_much = || {
            let shown: String = name.chars().take(100).collect();
            let detail =
                format!("pickle, at `{shown}`: more lies in one another than {MAX_DEPTH} deep, or the same too often");
            fault(path, detail)
        };
        let object = &pickle.objects[id];
        match object {
            Object::Dict(items) => {
                for &(key, value) in items {
                    // Numbers and texts beside the tensors are passed over.
                    if is_leaf(&pickle.objects[value]) {
                        continue;
                    }
                    let looked_at = match &pickle.objects[key] {
                        Object::Text(key) => look_at(value, key),
                        Object::Integer(key) => look_at(value, &key.to_string()),
                        _ => {
                            return Err(fault(
                                path,
                                format!("pickle, at `{name}`: expected texts or numbers as keys"),
                            ));
                        }
                    };
                    looked_at.ok_or_else(too_much)?;
                }
            }
            Object::Tensor(_) => found.push((name, id)),
            _ => {
                for (number, &item) in object.items().unwrap_or_default().iter().enumerate() {
                    if !is_leaf(&pickle.objects[item]) {
                        look_at(item, &number.to_string()).ok_or_else(too_much)?;
                    }
                }
            }
        }
    }
    Ok(found)
}

fn is_leaf(object: &Object) -> bool {
    !matches!(
        object,
        Object::Dict(_) | Object::List(_) | Object::Tuple(_) | Object::Tensor(_)
    )
}

/// A tensor with what its parts are.
struct Resolved<'a> {
    storage: &'a Storage,
    key: &'a str,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

fn resolve(pickle: &Pickle, id: Id) -> Option<Resolved<'_>> {
    let object = |id: Id| &pickle.objects[id];
    let count = |id: Id| match *object(id) {
        Object::Integer(n) => usize::try_from(n).ok(),
        _ => None,
    };
    let counts = |id: Id| {
        let items = object(id).items().filter(|items| items.len() <= MAX_DIMENSIONS)?;
        items.iter().map(|&item| count(item)).collect::<Option<Vec<_>>>()
    };
    let Object::Tensor(tensor) = object(id) else {
        return None;
    };
    let Object::Storage(storage) = object(tensor.storage) else {
        return None;
    };
    let Object::Text(key) = object(storage.key) else {
        return None;
    };
    let (shape, strides) = (counts(tensor.shape)?, counts(tensor.strides)?);
    (shape.len() == strides.len()).then_some(Resolved {
        storage,
        key,
        offset: count(tensor.offset)?,
        shape,
        strides,
    })
}

fn resolved<'a>(path: &Path, pickle: &'a Pickle, name: &str, id: Id) -> Result<Resolved<'a>, HubError> {
    resolve(pickle, id).ok_or_else(|| {
        let detail = format!(
            "tensor `{name}`: expected an offset, and as many lengths as strides, at most {MAX_DIMENSIONS} and none negative"
        );
        fault(path, detail)
    })
}

/// The storages of the tensors by their keys, each once.
pub(super) fn storages<'a>(
    path: &Path,
    pickle: &'a Pickle,
    tensors: &[(String, Id)],
) -> Result<HashMap<&'a str, &'a Storage>, HubError> {
    let mut storages: HashMap<&str, &Storage> = HashMap::new();
    for (name, id) in tensors {
        let Resolved { storage, key, .. } = resolved(path, pickle, name, *id)?;
        let known = *storages.entry(key).or_insert(storage);
        if (known.dtype, known.elements) != (storage.dtype, storage.elements) {
            let detail = format!(
                "tensor `{name}`: the storage `{key}` has {} elements of type {}; expected {} of type {}, as elsewhere",
                storage.elements, storage.dtype, known.elements, known.dtype
            );
            return Err(fault(path, detail));
        }
    }
    Ok(storages)
}

/// The tensors, each with where its elements lie, given where each storage lies in the file.
pub(super) fn views(
    path: &Path,
    pickle: &Pickle,
    tensors: Vec<(String, Id)>,
    storages: &HashMap<String, Range<usize>>,
) -> Result<Vec<(TensorInfo, View)>, HubError> {
    let mut views = Vec::with_capacity(tensors.len());
    for (name, id) in tensors {
        let tensor = resolved(path, pickle, &name, id)?;
        let Some(place) = storages.get(tensor.key) else {
            let detail = format!("tensor `{name}`: the bytes of its storage `{}` are missing", tensor.key);
            return Err(fault(path, detail));
        };
        let Some(view) = view(&tensor, place) else {
            let detail = format!(
                "tensor `{name}` of shape {:?}, strides {:?} and offset {}: expected it to lie within the {} elements of its \
                 storage, and to have no more",
                tensor.shape, tensor.strides, tensor.offset, tensor.storage.elements
            );
            return Err(fault(path, detail));
        };
        let info = TensorInfo {
            name,
            dtype: tensor.storage.dtype,
            shape: tensor.shape,
        };
        views.push((info, view));
    }
    Ok(views)
}

/// Where a tensor lies in its storage, which has all its bytes at `place`.
fn view(tensor: &Resolved<'_>, place: &Range<usize>) -> Option<View> {
    let Resolved { storage, shape, .. } = tensor;
    let elements = shape.iter().try_fold(1, |product: usize, &n| product.checked_mul(n))?;
    if elements == 0 {
        return Some(View {
            bytes: place.start..place.start,
            strides: None,
        });
    }
    let mut last = 0_usize;
    let mut row_major = 1;
    let mut in_order = true;
    for (&n, &stride) in shape.iter().zip(&tensor.strides).rev() {
        last = last.checked_add(stride.checked_mul(n - 1)?)?;
        in_order &= n == 1 || stride == row_major;
        row_major *= n;
    }
    let end = tensor.offset.checked_add(last)?.checked_add(1)?;
    if end > storage.elements || elements > storage.elements {
        return None;
    }
    let bytes = |elements| storage.dtype.bytes_of(elements);
    Some(View {
        bytes: place.start + bytes(tensor.offset)?..place.start + bytes(end)?,
        strides: (!in_order).then(|| tensor.strides.clone()),
    })
}

/// The elements of a view in row-major order.
pub(super) fn gather(bytes: &[u8], dtype: Dtype, shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let each = dtype.bytes_of(1).unwrap_or(1);
    let elements: usize = shape.iter().product();
    let mut gathered = Vec::with_capacity(elements * each);
    let mut index = vec![0; shape.len()];
    for _ in 0..elements {
        let at: usize = index.iter().zip(strides).map(|(i, stride)| i * stride).sum();
        gathered.extend_from_slice(&bytes[at * each..(at + 1) * each]);
        for (i, &n) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    gathered
}
