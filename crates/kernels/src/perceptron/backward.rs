//! Backward through an [`Mlp`]; see `pass.rs` for the equations and the layout.

use std::ops::Range;

use super::activation::{Activation, differentiate};
use super::mlp::{Mlp, shapes};
use super::pass::{Half, Pass, join_lists, middle, share, transpose};
use super::product::{Matrix, Product, multiply_vector, nonzero_rows};

/// Outputs of a layer up to which the gradient of its weights is computed one by one.
const FEW: usize = 4;

impl Mlp {
    /// From the gradient of a loss by the outputs [rows, outputs], its gradient by the parameters, in their order; and, where
    /// it is asked for, by the inputs [rows, inputs]. Both overwrite what was there. `pass` holds the forward pass of the same
    /// `inputs` through the same parameters.
    ///
    /// # Panics
    /// A length is not that of the last forward pass, there was none, or `pass` is for layers of other sizes; or the gradient
    /// by the inputs is asked for where some of them are late.
    pub fn backward(
        &self,
        inputs: &[f32],
        output_gradient: &[f32],
        pass: &mut Pass,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
    ) {
        assert!(
            pass.rows > 0 && inputs.len() == self.inputs() * pass.rows,
            "inputs of the last forward pass"
        );
        assert_eq!(gradient.len(), self.parameters().len(), "gradient by the parameters");
        let wanted = Wanted {
            parameters: Some(gradient),
            seen: inputs,
            inputs: input_gradient.map(|gradient| (self.inputs(), gradient)),
        };
        self.go_back(output_gradient, pass, wanted);
    }

    /// The gradient by the last `count` inputs alone [rows, count], as [`backward`](Self::backward) would give it. What is late is
    /// wanted as a whole, and nothing else.
    ///
    /// # Panics
    /// As [`backward`](Self::backward), or there are inputs that are late, and their number is not `count`.
    pub fn backward_to_inputs(
        &self,
        output_gradient: &[f32],
        pass: &mut Pass,
        count: usize,
        input_gradient: &mut [f32],
    ) {
        let wanted = Wanted {
            parameters: None,
            seen: &[],
            inputs: Some((count, input_gradient)),
        };
        self.go_back(output_gradient, pass, wanted);
    }

    fn go_back(&self, output_gradient: &[f32], pass: &mut Pass, wanted: Wanted<'_>) {
        let Wanted {
            mut parameters,
            seen,
            mut inputs,
        } = wanted;
        let (sizes, late) = (self.sizes(), self.late_inputs());
        let (rows, last) = (pass.rows, sizes.len() - 1);
        assert_eq!((&*pass.sizes, pass.late), (sizes, late), "layers of the pass");
        assert!(rows > 0, "there was no forward pass");
        assert_eq!(output_gradient.len(), sizes[last] * rows, "gradient by the outputs");
        if let Some((count, gradient)) = &inputs {
            assert!(late == 0 || *count == late, "{count} inputs, of which {late} are late");
            assert!(
                *count <= self.inputs() && gradient.len() == count * rows,
                "gradient by the inputs"
            );
        }
        take_outputs(output_gradient, pass);

        let mut start = self.parameters().len();
        for (index, [before, after]) in shapes(sizes, late).enumerate().rev() {
            start -= after * (before + 1);
            let mut weight_gradient = parameters.as_mut().map(|gradient| {
                let (weight, bias) = gradient[start..][..after * (before + 1)].split_at_mut(before * after);
                bias.copy_from_slice(&pass.bias_gradient[..after]);
                weight
            });
            let layer = LayerBackward {
                sizes: [before, after],
                rows,
                weight: &self.parameters()[start..start + before * after],
                seen: &pass.features[index][..before * rows],
                by_sums: &pass.gradient.entries[..after * rows],
                nonzero: &pass.gradient.nonzero,
                all: &pass.all,
            };
            // Late inputs are the last ones of the second layer, and others the last ones of the first.
            if index == usize::from(late > 0)
                && let Some((count, gradient)) = &mut inputs
            {
                layer.input_gradient(*count, &mut pass.gradient_before.entries, gradient);
                if weight_gradient.is_none() {
                    return;
                }
            }
            let middle_after = middle(after);
            let mut halves = weight_gradient
                .as_mut()
                .map(|gradient| gradient.split_at_mut(middle_after * before));
            let (first, second) = match &mut halves {
                Some((first, second)) => (Some(&mut **first), Some(&mut **second)),
                None => (None, None),
            };
            let [first_half, second_half] = &mut pass.halves;
            // Each thread makes its own X^T, so that neither waits for the other.
            let weigh = |outputs, gradient: Option<&mut [f32]>, half: &mut Half| {
                if let Some(gradient) = gradient {
                    let seen = if index == 0 && late == 0 {
                        seen
                    } else {
                        layer.seen_by_rows(&mut half.seen)
                    };
                    layer.weight_gradient(outputs, seen, gradient);
                }
            };
            if index == 0 {
                share(
                    before * after * rows,
                    || weigh(0..middle_after, first, first_half),
                    || weigh(middle_after..after, second, second_half),
                );
                return;
            }
            // A unit that ReLU has switched off for all rows passes nothing on.
            let units = sizes[index];
            let passing = match self.activation() {
                Activation::Relu => &pass.nonzero[index],
                Activation::Tanh => &pass.all[..units],
            };
            let middle_before = middle(units);
            let (first_before, second_before) =
                pass.gradient_before.entries[..units * rows].split_at_mut(middle_before * rows);
            let (first_bias, second_bias) = pass.bias_gradient[..units].split_at_mut(middle_before);
            let pass_on = |inputs: Range<usize>, sums: &mut [f32], bias: &mut [f32], half: &mut Half| {
                layer.pass_on(within(passing, &inputs), inputs.start, sums);
                layer.differentiate(self.activation(), inputs.start, sums, bias);
                nonzero_rows(sums, rows, inputs.start, &mut half.nonzero);
            };
            share(
                2 * before * after * rows,
                || {
                    weigh(0..middle_after, first, first_half);
                    pass_on(0..middle_before, first_before, first_bias, first_half);
                },
                || {
                    weigh(middle_after..after, second, second_half);
                    pass_on(middle_before..units, second_before, second_bias, second_half);
                },
            );
            join_lists(&pass.halves, &mut pass.gradient_before.nonzero);
            std::mem::swap(&mut pass.gradient, &mut pass.gradient_before);
        }
    }
}

/// Transposes the gradient by the outputs, which is the one by the sums of the last layer.
fn take_outputs(output_gradient: &[f32], pass: &mut Pass) {
    let (rows, last) = (pass.rows, pass.sizes.len() - 1);
    let outputs = pass.sizes[last];
    let by_outputs = &mut pass.gradient.entries[..output_gradient.len()];
    transpose(output_gradient, outputs, by_outputs);
    nonzero_rows(by_outputs, rows, 0, &mut pass.gradient.nonzero);
    let given = &pass.features[last][..by_outputs.len()];
    differentiate(None, given, by_outputs, rows, &mut pass.bias_gradient[..outputs]);
}

/// The gradients that are asked for.
struct Wanted<'a> {
    /// Those by the parameters,
    parameters: Option<&'a mut [f32]>,
    /// for which the inputs of the forward pass are needed.
    seen: &'a [f32],
    /// Those by so many of the last inputs.
    inputs: Option<(usize, &'a mut [f32])>,
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

    /// The gradient by the last `count` inputs, [rows, count], through someone's memory.
    fn input_gradient(&self, count: usize, memory: &mut [f32], gradient: &mut [f32]) {
        let first = self.sizes[0] - count;
        let memory = &mut memory[..gradient.len()];
        self.pass_on(&self.all[first..self.sizes[0]], first, memory);
        transpose(memory, self.rows, gradient);
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
