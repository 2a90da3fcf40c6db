//! The memory of Burn's CPU backend as slices.

use burn::backend::TensorMetadata;
use burn::backend::autodiff::{NodeId, grads::Gradients};
use burn::backend::flex::FlexTensor;
use burn::backend::{DispatchDevice, Flex};
use burn::tensor::{DType, Shape, Tensor, TensorData};

use crate::matrix::Matrix;

/// Whether the kernels of this crate can read the tensor: f32 on the CPU backend, with or without autodiff.
pub(super) fn reads<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32
        && matches!(
            tensor.device().without_autodiff().as_dispatch(),
            DispatchDevice::Flex(_)
        )
}

/// The tensor in row-major order: itself, not a copy, where it already is.
pub(super) fn row_major(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// The numbers of a row-major tensor.
pub(super) fn numbers(tensor: &FlexTensor) -> &[f32] {
    assert!(tensor.is_contiguous(), "row-major order");
    let start = tensor.layout().start_offset();
    &tensor.storage()[start..start + tensor.layout().num_elements()]
}

/// A row-major tensor as a matrix: its last dimension is the columns.
pub(super) fn rows(tensor: &FlexTensor) -> Matrix<'_> {
    let shape = tensor.shape();
    let (columns, rest) = shape.split_last().map_or((1, &[][..]), |(last, rest)| (*last, rest));
    Matrix::new(numbers(tensor), rest.iter().product(), columns)
}

/// The numbers of a row-major tensor, to be changed in place. They are copied first if another tensor has them too.
pub(super) fn numbers_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    assert!(tensor.is_contiguous(), "row-major order");
    let (start, length) = (tensor.layout().start_offset(), tensor.layout().num_elements());
    &mut tensor.storage_mut()[start..start + length]
}

/// A tensor of these numbers, which are moved, not copied.
pub(super) fn from_numbers(numbers: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape))
}

/// A tensor that `fill` writes; it finds zeros.
pub(super) fn filled(shape: Shape, fill: impl FnOnce(&mut [f32])) -> FlexTensor {
    let mut numbers = vec![0.0; shape.num_elements()];
    fill(&mut numbers);
    from_numbers(numbers, shape)
}

/// The shape with another last dimension.
pub(super) fn with_last(shape: &Shape, last: usize) -> Shape {
    let mut dimensions = shape.to_vec();
    if let Some(dimension) = dimensions.last_mut() {
        *dimension = last;
    }
    Shape::from(dimensions)
}

/// Adds to the gradient of an input, where it has one.
pub(super) fn register(gradients: &mut Gradients, input: Option<NodeId>, gradient: FlexTensor) {
    if let Some(id) = input {
        gradients.register::<Flex>(id, gradient);
    }
}
