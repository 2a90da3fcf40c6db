//! A matrix of weights in the form in which it is multiplied.

use etude_kernels::matrix::PackedMatrix;
use etude_kernels::quantized::QuantizedMatrix;

/// Weights [outputs, inputs].
#[derive(Debug)]
pub enum Weight {
    /// As f32 or bf16, in panels.
    Packed(PackedMatrix),
    /// As the blocks of a GGUF file, in another order.
    Quantized(QuantizedMatrix),
}

impl Weight {
    /// `rows` [n, inputs] times the transpose, into `to` [n, outputs].
    pub(super) fn multiply(&self, rows: &[f32], to: &mut [f32]) {
        match self {
            Self::Packed(matrix) => matrix.multiply(rows, to),
            Self::Quantized(matrix) => matrix.multiply(rows, to),
        }
    }

    /// Writes one row, [inputs].
    pub(super) fn row(&self, index: usize, to: &mut [f32]) {
        match self {
            Self::Packed(matrix) => matrix.row(index, to),
            Self::Quantized(matrix) => matrix.row(index, to),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Packed(matrix) => matrix.bytes(),
            Self::Quantized(matrix) => matrix.bytes(),
        }
    }
}

/// y = W x + b.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weight: Weight,
    pub(super) bias: Option<Vec<f32>>,
}

impl Linear {
    /// `rows` [n, inputs] into `to` [n, outputs].
    pub(super) fn forward(&self, rows: &[f32], to: &mut [f32]) {
        self.weight.multiply(rows, to);
        if let Some(bias) = &self.bias {
            for row in to.chunks_exact_mut(bias.len()) {
                row.iter_mut().zip(bias).for_each(|(entry, bias)| *entry += bias);
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.weight.bytes() + self.bias.as_ref().map_or(0, |bias| bias.len() * size_of::<f32>())
    }
}
