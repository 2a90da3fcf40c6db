//! What a pickle builds.

use crate::dtype::Dtype;

/// The place of an object among all of a pickle's. Objects refer to each other by it, so that nothing is copied and nothing is
/// freed one within the other, however deep they lie.
pub(super) type Id = usize;

/// An object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    None,
    Bool(bool),
    Integer(i128),
    /// A number, or bytes: nothing that tensors depend on.
    Other,
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(Tensor),
}

/// A function or type that a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    /// A list of lengths.
    Size,
    /// The type of a storage of such elements.
    Storage(Dtype),
    /// From storage, offset, lengths and strides; later versions give more, which does not matter here.
    RebuildTensor,
    /// From a tensor, and more that does not matter here.
    RebuildParameter,
}

/// The bytes of one or several tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) dtype: Dtype,
    /// The name of its bytes, a text.
    pub(super) key: Id,
    pub(super) elements: usize,
}

/// A view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    pub(super) storage: Id,
    /// The first element, an integer.
    pub(super) offset: Id,
    /// The lengths of the dimensions, a tuple or list.
    pub(super) shape: Id,
    /// How many elements lie between neighbours in each dimension, a tuple or list.
    pub(super) strides: Id,
}

impl Object {
    /// The items of a tuple or a list.
    pub(super) fn items(&self) -> Option<&[Id]> {
        match self {
            Self::Tuple(items) | Self::List(items) => Some(items),
            _ => None,
        }
    }
}

impl Global {
    pub(super) fn of(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch", "Size") => Self::Size,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "BoolStorage") => Self::Storage(Dtype::Bool),
            ("torch", "ByteStorage") => Self::Storage(Dtype::U8),
            ("torch", "CharStorage") => Self::Storage(Dtype::I8),
            ("torch", "ShortStorage") => Self::Storage(Dtype::I16),
            ("torch", "IntStorage") => Self::Storage(Dtype::I32),
            ("torch", "LongStorage") => Self::Storage(Dtype::I64),
            ("torch", "HalfStorage") => Self::Storage(Dtype::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Dtype::Bf16),
            ("torch", "FloatStorage") => Self::Storage(Dtype::F32),
            ("torch", "DoubleStorage") => Self::Storage(Dtype::F64),
            _ => return None,
        })
    }
}
