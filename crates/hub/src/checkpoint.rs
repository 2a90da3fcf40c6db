//! What every format of checkpoints has in common.

use std::borrow::Cow;
use std::fmt::Debug;
use std::path::Path;

use crate::dtype::Dtype;
use crate::error::HubError;

/// Name, type and shape of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name, as Hugging Face writes it: `model.layers.0.mlp.up_proj.weight`.
    pub name: String,
    /// The type of the elements, as they lie in the file.
    pub dtype: Dtype,
    /// The lengths of the dimensions, the slowest first; none of a single number.
    pub shape: Vec<usize>,
}

impl TensorInfo {
    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The number of bytes in the file.
    pub fn bytes(&self) -> usize {
        self.dtype.bytes_of(self.elements()).unwrap_or(usize::MAX)
    }
}

/// The elements of a tensor as they lie in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTensor<'a> {
    /// The type of the elements.
    pub dtype: Dtype,
    /// The lengths of the dimensions, the slowest first.
    pub shape: &'a [usize],
    /// The elements in row-major order, little endian.
    pub bytes: Cow<'a, [u8]>,
}

/// Tensors by name, each read when it is asked for.
pub trait Checkpoint: Debug + Send + Sync {
    /// The file or folder.
    fn path(&self) -> &Path;

    /// All tensors, in order of their names.
    fn tensors(&self) -> &[TensorInfo];

    /// The elements of a tensor as they lie in the file: borrowed from it wherever it holds them in the right order.
    ///
    /// # Errors
    /// [`HubError::MissingTensor`] where there is none of this name.
    fn raw(&self, name: &str) -> Result<RawTensor<'_>, HubError>;

    /// Name, type and shape of a tensor, if there is one of this name.
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        let tensors = self.tensors();
        let place = tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()?;
        tensors.get(place)
    }

    /// A tensor's elements as `f32` in row-major order.
    ///
    /// # Errors
    /// [`HubError::MissingTensor`] where there is none of this name, [`HubError::Dtype`] where its elements are no real numbers.
    fn read_f32(&self, name: &str) -> Result<Vec<f32>, HubError> {
        let RawTensor { dtype, shape, bytes } = self.raw(name)?;
        if !dtype.is_real() {
            return Err(HubError::Dtype {
                path: self.path().into(),
                name: name.into(),
                found: dtype,
                expected: "real numbers",
            });
        }
        let mut numbers = vec![0.0; shape.iter().product()];
        dtype.to_f32(&bytes, &mut numbers);
        Ok(numbers)
    }

    /// Like [`read_f32`](Self::read_f32), for a tensor that must have a certain shape.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32), and [`HubError::Shape`] where the shape is another.
    fn read_f32_shaped(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, HubError> {
        let info = self.info(name).ok_or_else(|| self.missing(name))?;
        if info.shape != shape {
            return Err(HubError::Shape {
                path: self.path().into(),
                name: name.into(),
                found: info.shape.clone(),
                expected: shape.into(),
            });
        }
        self.read_f32(name)
    }

    /// The error that says that there is no tensor of this name.
    fn missing(&self, name: &str) -> HubError {
        let common = |other: &str| other.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let tensors = self.tensors();
        let nearest = tensors.iter().map(|tensor| (common(&tensor.name), &tensor.name));
        HubError::MissingTensor {
            path: self.path().into(),
            name: name.into(),
            count: tensors.len(),
            nearest: nearest
                .max_by_key(|&(length, _)| length)
                .filter(|&(length, _)| length > 0)
                .map(|(_, name)| name.clone()),
        }
    }
}

/// The tensors in order of their names, and with each what was kept beside it. A name that comes twice is given back as the error.
pub(crate) fn by_name<T>(mut tensors: Vec<(TensorInfo, T)>) -> Result<(Vec<TensorInfo>, Vec<T>), String> {
    tensors.sort_by(|(left, _), (right, _)| left.name.cmp(&right.name));
    let twice = tensors
        .array_windows()
        .find(|[(left, _), (right, _)]| left.name == right.name);
    if let Some([(tensor, _), _]) = twice {
        return Err(tensor.name.clone());
    }
    Ok(tensors.into_iter().unzip())
}

/// The place of a tensor among those in order of their names.
pub(crate) fn place(tensors: &[TensorInfo], name: &str) -> Option<usize> {
    tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()
}
