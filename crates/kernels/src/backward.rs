//! Backward through an [`Mlp`]; see `pass.rs` for the equations and the layout.

use std::ops::Range;

use crate::activation::{Activation, differentiate};
use crate::mlp::{Mlp, shapes};
use crate::pass::{Half, Pass, join_lists, middle, share, transpose};
use crate::product::{Matrix, Product, multiply_vector, nonzero_rows};

/// Outputs of a layer up to which the gradient of its weights is computed one by one.
const FEW: usize = 4;

impl Mlp {
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
        let (rows, last) = (pass.rows, sizes.len() - 1);
        assert_eq!(pass.sizes, sizes, "layers of the pass");
        assert!(
            rows > 0 && inputs.len() == sizes[0] * rows,
            "inputs of the last forward pass"
        );
        assert_eq!(output_gradient.len(), sizes[last] * rows, "gradient by the outputs");
        assert_eq!(gradient.len(), self.parameters().len(), "gradient by the parameters");
        let by_outputs = &mut pass.gradient.entries[..output_gradient.len()];
        transpose(output_gradient, sizes[last], by_outputs);
        nonzero_rows(by_outputs, rows, 0, &mut pass.gradient.nonzero);
        let bias = gradient.len() - sizes[last];
        let outputs = &pass.features[last][..by_outputs.len()];
        differentiate(None, outputs, by_outputs, rows, &mut gradient[bias..]);

        let (mut parameters, mut gradient) = (self.parameters(), gradient);
        for (index, [before, after]) in shapes(sizes).enumerate().rev() {
            let start = parameters.len() - after * (before + 1);
            let (gradient_before, layer_gradient) = gradient.split_at_mut(start);
            let layer = LayerBackward {
                sizes: [before, after],
                rows,
                weight: &parameters[start..start + before * after],
                seen: &pass.features[index][..before * rows],
                by_sums: &pass.gradient.entries[..after * rows],
                nonzero: &pass.gradient.nonzero,
                all: &pass.all,
            };
            let middle_after = middle(after);
            let (first, second) = layer_gradient[..before * after].split_at_mut(middle_after * before);
            if index == 0 {
                share(
                    before * after * rows,
                    || layer.weight_gradient(0..middle_after, inputs, first),
                    || layer.weight_gradient(middle_after..after, inputs, second),
                );
                if let Some(input_gradient) = input_gradient {
                    layer.input_gradient(input_gradient);
                }
                return;
            }
            // A unit that ReLU has switched off for all rows passes nothing on.
            let passing = match self.activation() {
                Activation::Relu => &pass.nonzero[index],
                Activation::Tanh => &pass.all[..before],
            };
            let middle_before = middle(before);
            let sums_before = &mut pass.gradient_before.entries[..before * rows];
            let (first_before, second_before) = sums_before.split_at_mut(middle_before * rows);
            let bias = gradient_before.len() - before;
            let (first_bias, second_bias) = gradient_before[bias..].split_at_mut(middle_before);
            // Each thread makes its own X^T, so that neither waits for the other.
            let back = |outputs, weight_gradient, inputs: Range<usize>, sums: &mut [f32], bias, half: &mut Half| {
                let seen = layer.seen_by_rows(&mut half.seen);
                layer.weight_gradient(outputs, seen, weight_gradient);
                layer.pass_on(within(passing, &inputs), inputs.start, sums);
                layer.differentiate(self.activation(), inputs.start, sums, bias);
                nonzero_rows(sums, rows, inputs.start, &mut half.nonzero);
            };
            let [first_half, second_half] = &mut pass.halves;
            let (outputs, inputs) = (middle_after..after, middle_before..before);
            share(
                2 * before * after * rows,
                || {
                    back(
                        0..middle_after,
                        first,
                        0..middle_before,
                        first_before,
                        first_bias,
                        first_half,
                    );
                },
                || back(outputs, second, inputs, second_before, second_bias, second_half),
            );
            join_lists(&pass.halves, &mut pass.gradient_before.nonzero);
            std::mem::swap(&mut pass.gradient, &mut pass.gradient_before);
            (parameters, gradient) = (&parameters[..start], gradient_before);
        }
    }
}

/// A layer on the way back.
struct LayerBackward<'a> {
    /// Its inputs and outputs.
    sizes: [usize; 2],
    rows: usize,
    /// W.
    weight: &'a [f32],
    /// X, [inputs, rows].
    seen: &'a [f32],
    /// D f', [outputs, rows].
    by_sums: &'a [f32],
    /// The outputs for which it is not zero in every row.
    nonzero: &'a [u32],
    /// 0, 1, 2 and so on.
    all: &'a [u32],
}

impl LayerBackward<'_> {
    /// X^T, [rows, inputs], in someone's memory; empty where [`weight_gradient`](Self::weight_gradient) can do without.
    fn seen_by_rows<'a>(&self, memory: &'a mut [f32]) -> &'a [f32] {
        if self.sizes[1] <= FEW {
            return &[];
        }
        let memory = &mut memory[..self.seen.len()];
        transpose(self.seen, self.rows, memory);
        memory
    }

    /// dW = (D f') X^T for some outputs, of which there is memory for no others.
    fn weight_gradient(&self, outputs: Range<usize>, seen_by_rows: &[f32], gradient: &mut [f32]) {
        let inputs = self.sizes[0];
        let nonzero = within(self.nonzero, &outputs);
        zero_other_rows(gradient, inputs, outputs.start, nonzero);
        if self.sizes[1] <= FEW {
            for &output in nonzero {
                let output = output as usize;
                let row = &mut gradient[(output - outputs.start) * inputs..][..inputs];
                multiply_vector(self.seen, &self.by_sums[output * self.rows..][..self.rows], row);
            }
            return;
        }
        let product = Product {
            left: Matrix::new(self.by_sums, self.rows),
            right: seen_by_rows,
            columns: inputs,
            terms: &self.all[..self.rows],
        };
        product.write(nonzero, outputs.start, gradient);
    }

    /// dX = W^T (D f') for some inputs, and zero for the others from `first` on, as far as there is memory for them.
    fn pass_on(&self, inputs: &[u32], first: usize, gradient: &mut [f32]) {
        zero_other_rows(gradient, self.rows, first, inputs);
        let product = Product {
            left: Matrix::new(self.weight, self.sizes[0]).transposed(),
            right: self.by_sums,
            columns: self.rows,
            terms: self.nonzero,
        };
        product.write(inputs, first, gradient);
    }

    /// From the gradient by the outputs of the layer before, from number `first` on, that by its sums, and by its bias.
    fn differentiate(&self, activation: Activation, first: usize, gradient: &mut [f32], bias_gradient: &mut [f32]) {
        let outputs = &self.seen[first * self.rows..][..gradient.len()];
        differentiate(Some(activation), outputs, gradient, self.rows, bias_gradient);
    }

    /// The gradient by the inputs, [rows, inputs].
    fn input_gradient(&self, gradient: &mut [f32]) {
        let product = Product {
            left: Matrix::new(self.by_sums, self.rows).transposed(),
            right: self.weight,
            columns: self.sizes[0],
            terms: self.nonzero,
        };
        product.write(&self.all[..self.rows], 0, gradient);
    }
}

/// The part of a rising list that lies in a range.
fn within<'a>(list: &'a [u32], range: &Range<usize>) -> &'a [u32] {
    let place = |bound: usize| list.partition_point(|&entry| (entry as usize) < bound);
    &list[place(range.start)..place(range.end)]
}

/// Fills the rows of `matrix`, each of `columns` numbers, with zeros but for those in `kept`, which rise. The first row has the number
/// `first`.
fn zero_other_rows(matrix: &mut [f32], columns: usize, first: usize, kept: &[u32]) {
    let mut start = 0;
    for &row in kept {
        let row = (row as usize - first) * columns;
        matrix[start..row].fill(0.0);
        start = row + columns;
    }
    matrix[start..].fill(0.0);
}
