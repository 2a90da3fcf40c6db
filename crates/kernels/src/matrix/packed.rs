//! Weights that are packed once.

use half::bf16;

use super::buffer::Line;
use super::kernel::Kernel;
use super::multiply::{Panels, multiply_packed, pack};
use super::view::Matrix;
use crate::{Instructions, Precision};

/// Weights of a linear layer, [outputs, inputs] as Hugging Face stores them, in the order in which products read them.
///
/// A product reads all of them once, from one end to the other, for each few dozen rows: with the one to eight rows of decoding
/// it is as fast as memory is.
#[derive(Debug)]
pub struct PackedMatrix {
    kernel: &'static Kernel,
    panels: Vec<Line>,
    outputs: usize,
    inputs: usize,
}

impl PackedMatrix {
    /// Packs `entries`, [outputs, inputs] row by row.
    ///
    /// # Panics
    /// There are not `outputs` times `inputs` entries.
    pub fn new(entries: &[f32], outputs: usize, inputs: usize, precision: Precision) -> Self {
        Self::for_kernel(Kernel::new(Instructions::best(), precision), entries, outputs, inputs)
    }

    pub(super) fn for_kernel(kernel: &'static Kernel, entries: &[f32], outputs: usize, inputs: usize) -> Self {
        let mut packed = Self::zeros(kernel, outputs, inputs);
        if !packed.panels.is_empty() {
            let weights = Matrix::new(entries, outputs, inputs).transposed();
            pack(kernel, weights, bytemuck::cast_slice_mut(&mut packed.panels));
        }
        packed
    }

    /// Packs `entries`, [outputs, inputs] row by row, for [`Precision::Bf16`].
    ///
    /// # Panics
    /// There are not `outputs` times `inputs` entries.
    pub fn from_bf16(entries: &[bf16], outputs: usize, inputs: usize) -> Self {
        Self::for_kernel_from_bf16(
            Kernel::new(Instructions::best(), Precision::Bf16),
            entries,
            outputs,
            inputs,
        )
    }

    pub(super) fn for_kernel_from_bf16(
        kernel: &'static Kernel,
        entries: &[bf16],
        outputs: usize,
        inputs: usize,
    ) -> Self {
        assert_eq!(
            entries.len(),
            outputs * inputs,
            "entries of {outputs} outputs and {inputs} inputs"
        );
        let mut packed = Self::zeros(kernel, outputs, inputs);
        let panel = kernel.width * kernel.units(inputs);
        if panel == 0 {
            return packed;
        }
        let panels: &mut [u32] = bytemuck::cast_slice_mut(&mut packed.panels);
        let mut exact = Vec::with_capacity(kernel.width * inputs);
        for (entries, panel) in entries.chunks(kernel.width * inputs).zip(panels.chunks_mut(panel)) {
            exact.clear();
            exact.extend(entries.iter().map(|entry| entry.to_f32()));
            let weights = Matrix::new(&exact, entries.len() / inputs, inputs).transposed();
            pack(kernel, weights, panel);
        }
        packed
    }

    fn zeros(kernel: &'static Kernel, outputs: usize, inputs: usize) -> Self {
        Self {
            kernel,
            panels: Line::zeros(outputs.next_multiple_of(kernel.width) * kernel.units(inputs)),
            outputs,
            inputs,
        }
    }

    /// `to` = x W^T: of each of the `rows`, [n, inputs], the outputs, [n, outputs].
    ///
    /// # Panics
    /// There are not as many numbers as so many inputs and outputs need.
    pub fn multiply(&self, rows: &[f32], to: &mut [f32]) {
        let count = rows
            .len()
            .checked_div(self.inputs)
            .or(to.len().checked_div(self.outputs));
        let right = Panels {
            entries: bytemuck::cast_slice(&self.panels),
            units: self.kernel.units(self.inputs),
            columns: self.outputs,
        };
        multiply_packed(
            self.kernel,
            Matrix::new(rows, count.unwrap_or(0), self.inputs),
            right,
            to,
        );
    }

    /// The weights of output `index`, `[inputs]`, as products take them. Of a table of embeddings they are one of them.
    ///
    /// # Panics
    /// There is no such output, or `to` has another length.
    pub fn row(&self, index: usize, to: &mut [f32]) {
        assert!(index < self.outputs, "output {index} of {}", self.outputs);
        assert_eq!(to.len(), self.inputs, "inputs");
        let panels: &[u32] = bytemuck::cast_slice(&self.panels);
        let Kernel { width, terms, .. } = *self.kernel;
        let panel = index / width * width * self.kernel.units(self.inputs);
        let units = panels[panel..].iter().skip(index % width).step_by(width);
        for (to, unit) in to.chunks_mut(terms).zip(units) {
            match to {
                [low, high] => [*low, *high] = [unit << 16, unit & 0xffff_0000].map(f32::from_bits),
                [one] => *one = f32::from_bits(if terms == 2 { unit << 16 } else { *unit }),
                _ => {}
            }
        }
    }

    /// How many outputs there are.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// How many inputs there are.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Bytes of memory that the weights take.
    pub fn bytes(&self) -> usize {
        size_of_val(self.panels.as_slice())
    }
}
