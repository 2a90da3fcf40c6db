//! Forward and backward through an [`Mlp`], as three matrix products a layer and what is between them.
//!
//! With X the inputs of a layer, one column a row of the batch, and D the gradient of the loss by its outputs Y:
//!
//! ```text
//! Y = f(W X + b)        dW = (D f') X^T        db = sum of the columns of D f'        dX = W^T (D f')
//! ```
//!
//! Matrices between layers are [features, rows], so that the rows of the batch lie side by side. Then W and W^T are both
//! multiplied as they lie in memory. With [rows, features], W would first have to be copied into the order of the
//! registers at every forward pass, which for a batch of 32 takes longer than the product itself.

use crate::activation::{activate, differentiate};
use crate::mlp::{Mlp, shapes};
use crate::product::{Matrix, multiply};

/// Memory for passes of up to so many rows through networks of one shape. It is laid out once; passes only write into it, and
/// nothing else is allocated but what the crate `gemm` takes for a moment where it has to reorder a matrix.
#[derive(Debug, Clone)]
pub struct Pass {
    sizes: Vec<usize>,
    /// How many rows there is memory for.
    capacity: usize,
    /// Rows of the last forward pass.
    rows: usize,
    /// What each layer gave, [features, rows] of the last forward pass.
    outputs: Vec<Vec<f32>>,
    /// What the network gave, [rows, features].
    result: Vec<f32>,
    /// Gradients by the outputs of a layer and by those of the layer before it, [features, rows].
    gradient: Vec<f32>,
    gradient_before: Vec<f32>,
}

impl Pass {
    /// For passes of up to `rows` rows through networks with layers of the sizes of `mlp`.
    pub fn new(mlp: &Mlp, rows: usize) -> Self {
        let widths = &mlp.sizes()[1..];
        let widest = widths.iter().max().map_or(0, |width| width * rows);
        Self {
            sizes: mlp.sizes().to_vec(),
            capacity: rows,
            rows: 0,
            outputs: widths.iter().map(|width| vec![0.0; width * rows]).collect(),
            result: vec![0.0; widths.last().map_or(0, |width| width * rows)],
            gradient: vec![0.0; widest],
            gradient_before: vec![0.0; widest],
        }
    }
}

impl Mlp {
    /// The outputs [rows, outputs] for `inputs` [rows, inputs]. `pass` keeps what [`backward`](Self::backward) needs.
    ///
    /// # Panics
    /// `pass` is for layers of other sizes or for fewer rows, or `inputs` is not a whole number of rows, of which there is one
    /// at least.
    pub fn forward<'a>(&self, inputs: &[f32], pass: &'a mut Pass) -> &'a [f32] {
        let sizes = self.sizes();
        let (rows, last) = (inputs.len() / sizes[0], sizes.len() - 2);
        assert_eq!(pass.sizes, sizes, "layers of the pass");
        assert!(
            0 < rows && rows <= pass.capacity,
            "{rows} rows in a pass of up to {}",
            pass.capacity
        );
        pass.rows = rows;
        let mut below = Matrix::new(inputs, sizes[0]).transposed();
        for (index, (layer, outputs)) in self.layers().zip(&mut pass.outputs).enumerate() {
            let outputs = &mut outputs[..layer.outputs * rows];
            multiply(Matrix::new(layer.weight, layer.inputs), below, outputs);
            activate((index < last).then_some(self.activation()), outputs, layer.bias);
            below = Matrix::new(outputs, rows);
        }
        let result = &mut pass.result[..sizes[last + 1] * rows];
        transpose(&pass.outputs[last][..result.len()], rows, result);
        result
    }

    /// From the gradient of a loss by the outputs [rows, outputs], its gradient by the parameters, in their order; and, where
    /// it is asked for, by the inputs [rows, inputs]. Both overwrite what was there. `pass` holds the forward pass of the same
    /// `inputs` through the same parameters.
    ///
    /// # Panics
    /// A length is not that of the last forward pass, there was none, or `pass` is for layers of other sizes.
    pub fn backward(
        &self,
        inputs: &[f32],
        output_gradient: &[f32],
        pass: &mut Pass,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
    ) {
        let sizes = self.sizes();
        let (rows, last) = (pass.rows, sizes.len() - 2);
        assert_eq!(pass.sizes, sizes, "layers of the pass");
        assert!(
            rows > 0 && inputs.len() == sizes[0] * rows,
            "inputs of the last forward pass"
        );
        assert_eq!(output_gradient.len(), sizes[last + 1] * rows, "gradient by the outputs");
        assert_eq!(gradient.len(), self.parameters().len(), "gradient by the parameters");
        transpose(
            output_gradient,
            sizes[last + 1],
            &mut pass.gradient[..output_gradient.len()],
        );
        let (mut parameters, mut gradient) = (self.parameters(), gradient);
        for (index, [before, after]) in shapes(sizes).enumerate().rev() {
            let start = parameters.len() - after * (before + 1);
            let (other_gradients, layer_gradient) = gradient.split_at_mut(start);
            let (weight_gradient, bias_gradient) = layer_gradient.split_at_mut(before * after);
            let by_outputs = &mut pass.gradient[..after * rows];
            let outputs = &pass.outputs[index][..after * rows];
            differentiate(
                (index < last).then_some(self.activation()),
                outputs,
                by_outputs,
                bias_gradient,
            );
            let by_outputs = Matrix::new(by_outputs, rows);
            let weight = Matrix::new(&parameters[start..start + before * after], before);
            if index == 0 {
                multiply(by_outputs, Matrix::new(inputs, before), weight_gradient);
                if let Some(input_gradient) = input_gradient {
                    multiply(by_outputs.transposed(), weight, input_gradient);
                }
                return;
            }
            let below = Matrix::new(&pass.outputs[index - 1][..before * rows], rows);
            multiply(by_outputs, below.transposed(), weight_gradient);
            multiply(
                weight.transposed(),
                by_outputs,
                &mut pass.gradient_before[..before * rows],
            );
            std::mem::swap(&mut pass.gradient, &mut pass.gradient_before);
            (parameters, gradient) = (&parameters[..start], other_gradients);
        }
    }
}

/// Rows of `matrix`, each of `columns` numbers, become columns.
fn transpose(matrix: &[f32], columns: usize, transposed: &mut [f32]) {
    let rows = matrix.len() / columns;
    for (row, numbers) in matrix.chunks_exact(columns).enumerate() {
        for (column, &number) in numbers.iter().enumerate() {
            transposed[column * rows + row] = number;
        }
    }
}
