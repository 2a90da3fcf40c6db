//! A checkpoint whose numbers are rounded to one type.

use std::borrow::Cow;
use std::path::Path;

use crate::checkpoint::{Checkpoint, RawTensor, TensorInfo};
use crate::dtype::Dtype;
use crate::error::HubError;

/// The tensors of another checkpoint, those of real numbers as elements of one type: to save a quantised model as BF16, say.
///
/// Each is converted when it is read.
#[derive(Debug)]
pub struct Converted<'a> {
    from: &'a dyn Checkpoint,
    dtype: Dtype,
    tensors: Vec<TensorInfo>,
}

impl<'a> Converted<'a> {
    /// The checkpoint with elements of type `dtype`.
    ///
    /// # Panics
    /// If that is not F16, BF16, F32 or F64.
    pub fn new(from: &'a dyn Checkpoint, dtype: Dtype) -> Self {
        assert!(
            matches!(dtype, Dtype::F16 | Dtype::Bf16 | Dtype::F32 | Dtype::F64),
            "type {dtype}: expected F16, BF16, F32 or F64"
        );
        let mut tensors = from.tensors().to_vec();
        for tensor in &mut tensors {
            if tensor.dtype.is_real() {
                tensor.dtype = dtype;
            }
        }
        Self { from, dtype, tensors }
    }
}

impl Checkpoint for Converted<'_> {
    fn path(&self) -> &Path {
        self.from.path()
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn raw(&self, name: &str) -> Result<RawTensor<'_>, HubError> {
        let raw = self.from.raw(name)?;
        if !raw.dtype.is_real() || raw.dtype == self.dtype {
            return Ok(raw);
        }
        let numbers = self.from.read_f32(name)?;
        Ok(RawTensor {
            dtype: self.dtype,
            shape: raw.shape,
            bytes: Cow::Owned(self.dtype.of_f32(&numbers).unwrap_or_default()),
        })
    }
}
