//! Forward through an [`Mlp`], and the memory of passes forward and backward: three matrix products a layer and what is between
//! them.
//!
//! With X the inputs of a layer, one column a row of the batch, and D the gradient of the loss by its outputs Y:
//!
//! ```text
//! Y = f(W X + b)        dW = (D f') X^T        db = sum of the columns of D f'        dX = W^T (D f')
//! ```
//!
//! Matrices between layers are [features, rows], so that the rows of the batch lie side by side. Then W and W^T are both
//! multiplied as they lie in memory, and a unit that is off for all rows is a row of zeros, in Y as in D f'. Behind ReLU there
//! are many such rows: they are noted where they come up and left out of the products, of which the sums stay the same to the
//! last bit. (They hide a parameter that is not a number, if it is multiplied with nothing but zeros.)
//!
//! The units of a layer are cut into two halves, for two threads. Each half of W, and of all that belongs to it, is then
//! written by one thread.

use std::ops::Range;

use super::activation::activate;
use super::mlp::Mlp;
use super::product::{Matrix, Product, multiply_vector, nonzero_rows};

/// Multiplications of a layer from which on they are shared between two threads: about a microsecond at a processor's peak.
const SHARED: usize = 1 << 16;

/// Memory for passes of up to so many rows through networks of one shape. It is laid out once; passes only write into it.
#[derive(Debug, Clone)]
pub struct Pass {
    pub(crate) sizes: Vec<usize>,
    /// Inputs that enter at the second layer.
    pub(crate) late: usize,
    /// How many rows there is memory for.
    capacity: usize,
    /// Rows of the last forward pass.
    pub(crate) rows: usize,
    /// What each layer saw, and what the last one gave, [features, rows] of the last forward pass. Late inputs come after the
    /// others at first, and then after what the first layer gave.
    pub(crate) features: Vec<Vec<f32>>,
    /// Those of them that are not zero in every row.
    pub(crate) nonzero: Vec<Vec<u32>>,
    /// What the network gave, [rows, features].
    result: Vec<f32>,
    /// Gradients by the sums of a layer, D f', and by those of the layer before it.
    pub(crate) gradient: Gradient,
    pub(crate) gradient_before: Gradient,
    /// The gradient by the biases of a layer.
    pub(crate) bias_gradient: Vec<f32>,
    /// 0, 1, 2 and so on: all features, or all rows.
    pub(crate) all: Vec<u32>,
    pub(crate) halves: [Half; 2],
}

#[derive(Debug, Clone)]
pub(crate) struct Gradient {
    /// [features, rows].
    pub(crate) entries: Vec<f32>,
    /// The features that are not zero in every row.
    pub(crate) nonzero: Vec<u32>,
}

/// What one of two threads needs for itself.
#[derive(Debug, Clone)]
pub(crate) struct Half {
    /// What a layer saw, [rows, features].
    pub(crate) seen: Vec<f32>,
    /// Of the features of this half, those that are not zero in every row.
    pub(crate) nonzero: Vec<u32>,
}

impl Pass {
    /// For passes of up to `rows` rows through networks with layers of the sizes of `mlp`.
    pub fn new(mlp: &Mlp, rows: usize) -> Self {
        let (sizes, late) = (mlp.sizes(), mlp.late_inputs());
        let seen = |(index, &size): (usize, &usize)| if index < 2 { size + late } else { size };
        let seen: Vec<usize> = sizes.iter().enumerate().map(seen).collect();
        let widest = seen.iter().copied().max().unwrap_or(0);
        let gradient = Gradient {
            entries: vec![0.0; widest * rows],
            nonzero: Vec::with_capacity(widest),
        };
        let half = Half {
            seen: vec![0.0; widest * rows],
            nonzero: Vec::with_capacity(widest),
        };
        Self {
            sizes: sizes.to_vec(),
            late,
            capacity: rows,
            rows: 0,
            features: seen.iter().map(|size| vec![0.0; size * rows]).collect(),
            nonzero: seen.iter().map(|&size| Vec::with_capacity(size)).collect(),
            result: vec![0.0; mlp.outputs() * rows],
            gradient: gradient.clone(),
            gradient_before: gradient,
            bias_gradient: vec![0.0; widest],
            all: (0..widest.max(rows) as u32).collect(),
            halves: [half.clone(), half],
        }
    }
}

impl Mlp {
    /// Whether passes of `rows` rows share work between threads of the current Rayon pool.
    pub fn shares_work(&self, rows: usize) -> bool {
        self.layers().any(|layer| layer.weight.len() * rows >= SHARED)
    }

    /// The outputs [rows, outputs] for `inputs` [rows, inputs]. `pass` keeps what [`backward`](Self::backward) needs.
    ///
    /// # Panics
    /// `pass` is for layers of other sizes or for fewer rows, or `inputs` is not a whole number of rows, of which there is one
    /// at least.
    pub fn forward<'a>(&self, inputs: &[f32], pass: &'a mut Pass) -> &'a [f32] {
        let (sizes, late) = (self.sizes(), self.late_inputs());
        let (rows, last) = (inputs.len() / self.inputs(), sizes.len() - 1);
        assert_eq!((&*pass.sizes, pass.late), (sizes, late), "layers of the pass");
        assert!(
            0 < rows && rows <= pass.capacity && inputs.len() == rows * self.inputs(),
            "{} inputs in a pass of up to {} rows of {}",
            inputs.len(),
            pass.capacity,
            self.inputs()
        );
        pass.rows = rows;
        let transposed = &mut pass.features[0][..inputs.len()];
        transpose(inputs, self.inputs(), transposed);
        nonzero_rows(&transposed[..sizes[0] * rows], rows, 0, &mut pass.nonzero[0]);
        for (index, layer) in self.layers().enumerate() {
            let (seen, given) = pass.features.split_at_mut(index + 1);
            let seen_and_late = &seen[index];
            let seen = &seen_and_late[..layer.inputs * rows];
            let (nonzero, nonzero_given) = pass.nonzero.split_at_mut(index + 1);
            let (terms, all) = (&nonzero[index], &pass.all);
            let activation = (index + 1 < last).then_some(self.activation());
            let give = |units: Range<usize>, given: &mut [f32], nonzero: &mut Vec<u32>| {
                let weight = &layer.weight[units.start * layer.inputs..units.end * layer.inputs];
                if rows == 1 {
                    multiply_vector(weight, seen, given);
                } else {
                    Product {
                        left: Matrix::new(weight, layer.inputs),
                        right: seen,
                        columns: rows,
                        terms,
                    }
                    .write(&all[..units.len()], 0, given);
                }
                activate(activation, given, rows, &layer.bias[units.clone()]);
                nonzero_rows(given, rows, units.start, nonzero);
            };
            let middle = middle(layer.outputs);
            let (first, second) = given[0][..layer.outputs * rows].split_at_mut(middle * rows);
            let [first_half, second_half] = &mut pass.halves;
            share(
                layer.weight.len() * rows,
                || give(0..middle, first, &mut first_half.nonzero),
                || give(middle..layer.outputs, second, &mut second_half.nonzero),
            );
            join_lists(&pass.halves, &mut nonzero_given[0]);
            if index == 0 && late > 0 {
                let enters = &seen_and_late[sizes[0] * rows..][..late * rows];
                given[0][layer.outputs * rows..][..late * rows].copy_from_slice(enters);
                nonzero_given[0].extend((layer.outputs as u32..).take(late));
            }
        }
        let result = &mut pass.result[..self.outputs() * rows];
        transpose(&pass.features[last][..result.len()], rows, result);
        result
    }
}

/// Where the units of a layer are cut into halves: after a whole number of tiles.
pub(crate) fn middle(units: usize) -> usize {
    (units / 2).next_multiple_of(8).min(units)
}

/// Does the halves of a task, on two threads where it is worth it.
pub(crate) fn share(multiplications: usize, first: impl FnOnce() + Send, second: impl FnOnce() + Send) {
    if multiplications < SHARED {
        first();
        second();
    } else {
        rayon::join(first, second);
    }
}

/// What both halves have noted, into one list.
pub(crate) fn join_lists(halves: &[Half; 2], list: &mut Vec<u32>) {
    list.clear();
    for half in halves {
        list.extend_from_slice(&half.nonzero);
    }
}

/// Rows of `matrix`, each of `columns` numbers, become columns.
pub(crate) fn transpose(matrix: &[f32], columns: usize, transposed: &mut [f32]) {
    /// As many rows at a time, so that numbers which will lie side by side are written together.
    const WIDTH: usize = 8;
    let rows = matrix.len() / columns;
    let mut blocks = matrix.chunks_exact(WIDTH * columns);
    let mut first = 0;
    for block in &mut blocks {
        for column in 0..columns {
            let to = &mut transposed[column * rows + first..][..WIDTH];
            for (row, to) in to.iter_mut().enumerate() {
                *to = block[row * columns + column];
            }
        }
        first += WIDTH;
    }
    for (row, entries) in (first..).zip(blocks.remainder().chunks_exact(columns)) {
        for (column, &entry) in entries.iter().enumerate() {
            transposed[column * rows + row] = entry;
        }
    }
}
