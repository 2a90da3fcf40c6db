//! Backward through an [`Mlp`]; see `pass.rs` for the equations and the layout.

use std::ops::Range;

use super::activation::{Activation, differentiate};
use super::mlp::{Mlp, shapes};
use super::pass::{Back, Gradient, Half, Pass, middle_unit, share, widest};
use super::product::{Matrix, Product, multiply_vector};
use super::rows::{Rows, nonzero_columns};
use crate::Instructions;
use crate::matrix::{self, transpose};

/// Inputs of a layer up to which the gradient of its weights is computed transposed: its rows are longer then, and fewer.
const FEW_INPUTS: usize = 32;

impl Mlp {
    /// From the gradient of a loss by the outputs [rows, outputs], its gradient by the parameters, in their order; and, where
    /// it is asked for, by the inputs [rows, inputs]. Both overwrite what was there. `pass` holds the forward pass of these rows
    /// through the same parameters.
    ///
    /// # Panics
    /// A length is not that of the last forward pass, there was none, or `pass` is for layers of other sizes; or the gradient
    /// by the inputs is asked for where some of them are late.
    pub fn backward(
        &self,
        output_gradient: &[f32],
        pass: &mut Pass,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
    ) {
        assert_eq!(gradient.len(), self.parameters().len(), "gradient by the parameters");
        let inputs = input_gradient.map(|gradient| (self.inputs(), gradient));
        self.go_back(output_gradient, pass, Some(gradient), inputs);
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
        self.go_back(output_gradient, pass, None, Some((count, input_gradient)));
    }

    /// The gradients that are asked for: those by the parameters, and those by so many of the last inputs.
    fn go_back(
        &self,
        output_gradient: &[f32],
        pass: &mut Pass,
        mut parameters: Option<&mut [f32]>,
        mut inputs: Option<(usize, &mut [f32])>,
    ) {
        let (sizes, late) = (self.sizes(), self.late_inputs());
        let (rows, last) = (pass.halves.iter().map(|half| half.rows).sum::<usize>(), sizes.len() - 1);
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
        let Pass {
            halves,
            back,
            all,
            capacity,
            ..
        } = pass;
        let back = back.get_or_insert_with(|| Back::new(*capacity, widest(sizes, late)));
        take_outputs(output_gradient, sizes[last], halves, &mut back.gradient);

        let shares = halves[1].rows > 0;
        let mut start = self.parameters().len();
        for (index, [before, after]) in shapes(sizes, late).enumerate().rev() {
            start -= after * (before + 1);
            // Late inputs are the last ones of the second layer, and others the last ones of the first.
            let wanted = inputs.take_if(|_| index == usize::from(late > 0));
            let goes_on = index > 0 && (parameters.is_some() || inputs.is_some());
            let Back {
                gradient,
                gradient_before,
                by_weights,
                weight_of_inputs,
            } = &mut *back;
            let layer = LayerBackward {
                sizes: [before, after],
                weight: &self.parameters()[start..start + before * after],
                halves,
                seen: index,
                by_sums: gradient,
                all,
            };
            if let Some((count, gradient)) = wanted {
                layer.input_gradient(count, weight_of_inputs, gradient);
            }
            let middle = middle_unit(after);
            let [of_first, of_second] = match &mut parameters {
                Some(gradient) => {
                    let (weight, bias) = gradient[start..][..after * (before + 1)].split_at_mut(before * after);
                    let (weights, biases) = (weight.split_at_mut(middle * before), bias.split_at_mut(middle));
                    [Some((weights.0, biases.0)), Some((weights.1, biases.1))]
                }
                None => [None, None],
            };
            let pass_on = |half: usize, before: &mut Gradient| {
                if goes_on {
                    layer.pass_on(half, sizes[index], self.activation(), before);
                }
            };
            let [first_before, second_before] = gradient_before;
            let [first_memory, second_memory] = by_weights;
            share(
                shares,
                || {
                    layer.weigh(0..middle, of_first, first_memory);
                    pass_on(0, first_before);
                },
                || {
                    layer.weigh(middle..after, of_second, second_memory);
                    pass_on(1, second_before);
                },
            );
            if !goes_on {
                return;
            }
            std::mem::swap(gradient, gradient_before);
        }
    }
}

/// Takes the gradient by the outputs, which is the one by the sums of the last layer.
fn take_outputs(output_gradient: &[f32], outputs: usize, halves: &[Half; 2], gradient: &mut [Gradient; 2]) {
    let (first, second) = output_gradient.split_at(halves[0].rows * outputs);
    for ((from, half), to) in [first, second].into_iter().zip(halves).zip(gradient) {
        for (row, to) in from.chunks_exact(outputs).zip(to.numbers.rows_mut(half.rows, outputs)) {
            to.copy_from_slice(row);
        }
        nonzero_columns(&to.numbers, half.rows, outputs, &mut to.nonzero);
    }
}

/// A layer on the way back.
struct LayerBackward<'a> {
    /// Its inputs and outputs.
    sizes: [usize; 2],
    /// W.
    weight: &'a [f32],
    /// The halves of the rows, and which features of them are X.
    halves: &'a [Half; 2],
    seen: usize,
    /// D f', for either half.
    by_sums: &'a [Gradient; 2],
    /// 0, 1, 2 and so on.
    all: &'a [u32],
}

impl LayerBackward<'_> {
    /// The gradients by the rows of W and by the biases of some outputs, if they are wanted: dW = (D f')^T X.
    fn weigh(&self, outputs: Range<usize>, wanted: Option<(&mut [f32], &mut [f32])>, memory: &mut Rows) {
        let [inputs, all_outputs] = self.sizes;
        let count = outputs.len();
        let Some((weight, bias)) = wanted.filter(|_| count > 0) else {
            return;
        };
        bias.fill(0.0);
        let few = inputs <= FEW_INPUTS.min(all_outputs);
        if few {
            memory.make_room(inputs, count);
        }
        let stride = memory.stride();
        for (index, (half, by_sums)) in self.halves.iter().zip(self.by_sums).enumerate() {
            if half.rows == 0 {
                continue;
            }
            by_sums.numbers.sum_rows(half.rows, outputs.start, bias);
            let seen = Matrix::from(&half.features[self.seen].numbers);
            let terms = &self.all[..half.rows];
            if few {
                Product {
                    left: seen.transposed(),
                    right: Matrix::from(&by_sums.numbers).skip_columns(outputs.start),
                    terms,
                    rows: &self.all[..inputs],
                    first: 0,
                    columns: count,
                }
                .write(memory.numbers_mut(), stride, index > 0);
                continue;
            }
            let rows = within(&by_sums.nonzero, &outputs);
            if index == 0 {
                zero_other_rows(weight, inputs, outputs.start, rows);
            }
            Product {
                left: Matrix::from(&by_sums.numbers).transposed(),
                right: seen,
                terms,
                rows,
                first: outputs.start,
                columns: inputs,
            }
            .write(weight, inputs, index > 0);
        }
        if few {
            for (input, row) in memory.rows_mut(inputs, count).enumerate() {
                for (to, entry) in weight[input..].iter_mut().step_by(inputs).zip(row) {
                    *to = *entry;
                }
            }
        }
    }

    /// dX = (D f') W of one half of the rows, for the first `units` inputs, and from it the gradient by their sums.
    fn pass_on(&self, half: usize, units: usize, activation: Activation, before: &mut Gradient) {
        let (half, by_sums) = (&self.halves[half], &self.by_sums[half]);
        let product = Product {
            left: Matrix::from(&by_sums.numbers),
            right: Matrix::new(self.weight, self.sizes[0]),
            terms: &by_sums.nonzero,
            rows: &self.all[..half.rows],
            first: 0,
            columns: units,
        };
        let stride = before.numbers.stride();
        product.write(before.numbers.numbers_mut(), stride, false);
        let outputs = &half.features[self.seen].numbers;
        differentiate(activation, outputs, &mut before.numbers, half.rows, units);
        nonzero_columns(&before.numbers, half.rows, units, &mut before.nonzero);
    }

    /// The gradient by the last `count` inputs [rows, count], through someone's memory.
    fn input_gradient(&self, count: usize, memory: &mut Rows, gradient: &mut [f32]) {
        let [inputs, outputs] = self.sizes;
        memory.make_room(count, outputs);
        let stride = memory.stride();
        let columns = matrix::Matrix::new(self.weight, outputs, inputs).block(0, outputs, inputs - count, count);
        transpose(Instructions::best(), columns, memory.numbers_mut(), stride);
        let halves = gradient.split_at_mut(self.halves[0].rows * count);
        for (to, by_sums) in [halves.0, halves.1].into_iter().zip(self.by_sums) {
            for (input, column) in memory.numbers().chunks_exact(stride).enumerate().take(count) {
                // There may be no rows in this half.
                if let Some(to) = to.get_mut(input..) {
                    multiply_vector(Matrix::from(&by_sums.numbers), &column[..outputs], to, count);
                }
            }
        }
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
