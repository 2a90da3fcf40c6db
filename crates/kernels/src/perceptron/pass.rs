//! Forward through an [`Mlp`], and the memory of passes forward and backward: three matrix products a layer and what is between
//! them.
//!
//! With X the inputs of a layer, one row a row of the batch, and D the gradient of the loss by its outputs Y:
//!
//! ```text
//! Y = f(X W^T + b)        dW = (D f')^T X        db = sum of the rows of D f'        dX = (D f') W
//! ```
//!
//! Behind ReLU much is zero. About half of the entries of X are, here and there: which ones is noted where they come up, and the first product
//! leaves them out. In D f' they are mostly the whole columns of units that are off for all rows, which the other two products leave
//! out.
//!
//! The rows of a batch are cut into two halves, for two threads, of which each goes through all layers with its own. Of dW each
//! thread has the rows of one half of the units. Sums go over all rows in their order in any case, so halves change no bit.

use super::activation::{Activation, activate};
use super::mlp::{Layer, Mlp};
use super::product::{Matrix, Product, SparseProduct, multiply_vector};
use super::rows::{Nonzero, Rows};
use crate::Instructions;
use crate::matrix::{self, Line, transpose};

/// Multiplications of a layer from which on they are shared between two threads: about a microsecond at a processor's peak.
const SHARED: usize = 1 << 16;

/// Rows of a batch up to which each is multiplied with the weights as they lie: turning these around first would take longer.
const FEW_ROWS: usize = 3;

/// Outputs of a layer up to which each is computed for itself.
const FEW_OUTPUTS: usize = 8;

/// Memory for passes of up to so many rows through networks of one shape. What all passes need is laid out beforehand, what only some do
/// by the first of these; later ones only write into it.
#[derive(Debug, Clone)]
pub struct Pass {
    pub(crate) sizes: Vec<usize>,
    /// Inputs that enter at the second layer.
    pub(crate) late: usize,
    /// How many rows there is memory for.
    pub(crate) capacity: usize,
    alone: bool,
    pub(crate) halves: [Half; 2],
    /// What the network gave, [rows, features].
    result: Vec<f32>,
    pub(crate) back: Option<Back>,
    /// 0, 1, 2 and so on: all features, or all rows.
    pub(crate) all: Vec<u32>,
}

/// One half of the rows.
#[derive(Debug, Clone)]
pub(crate) struct Half {
    /// Those of the last forward pass.
    pub(crate) rows: usize,
    /// What each layer saw, and what the last one gave, of that pass. Late inputs come after what the first layer gave.
    pub(crate) features: Vec<Features>,
    /// A few columns of W, as rows.
    weight: Rows,
}

/// Numbers of some units, [rows, units].
#[derive(Debug, Clone)]
pub(crate) struct Features {
    pub(crate) numbers: Rows,
    /// Up to date where the units are rectifiers.
    nonzero: Nonzero,
}

/// Memory of the way back. It is laid out by the first pass that goes it.
#[derive(Debug, Clone)]
pub(crate) struct Back {
    /// Gradients by the sums of a layer, D f', and by those of the layer before it; for either half of the rows.
    pub(crate) gradient: [Gradient; 2],
    pub(crate) gradient_before: [Gradient; 2],
    /// The transposed gradient by the weights of a layer that has few inputs, for either thread.
    pub(crate) by_weights: [Rows; 2],
    /// W^T of the inputs by which a gradient is wanted.
    pub(crate) weight_of_inputs: Rows,
}

/// A gradient by some units, [rows, units].
#[derive(Debug, Clone)]
pub(crate) struct Gradient {
    pub(crate) numbers: Rows,
    /// The units that are not zero in every row.
    pub(crate) nonzero: Vec<u32>,
}

impl Pass {
    /// For passes of up to `rows` rows through networks with layers of the sizes of `mlp`.
    pub fn new(mlp: &Mlp, rows: usize) -> Self {
        let (sizes, late) = (mlp.sizes(), mlp.late_inputs());
        let half = |rows: usize| Half {
            rows: 0,
            features: (sizes.iter().enumerate())
                .map(|(index, &size)| if index == 1 { size + late } else { size })
                .map(|units| Features {
                    numbers: Rows::new(rows, units),
                    nonzero: Nonzero::new(rows, units),
                })
                .collect(),
            weight: Rows::default(),
        };
        Self {
            sizes: sizes.to_vec(),
            late,
            capacity: rows,
            alone: false,
            halves: [half(rows), half(rows.div_ceil(2))],
            result: vec![0.0; mlp.outputs() * rows],
            back: None,
            all: (0..widest(sizes, late).max(rows) as u32).collect(),
        }
    }

    /// Whether the thread that calls goes through passes alone, since other threads have as much to do. Nothing else depends on it.
    pub fn set_alone(&mut self, alone: bool) {
        self.alone = alone;
    }
}

impl Back {
    /// For passes of up to `rows` rows through layers of up to `widest` units.
    pub(crate) fn new(rows: usize, widest: usize) -> Self {
        let gradients = || {
            [rows, rows.div_ceil(2)].map(|rows| Gradient {
                numbers: Rows::new(rows, widest),
                nonzero: Vec::with_capacity(widest),
            })
        };
        Self {
            gradient: gradients(),
            gradient_before: gradients(),
            by_weights: [Rows::default(), Rows::default()],
            weight_of_inputs: Rows::default(),
        }
    }
}

/// The units of the widest layer.
pub(crate) fn widest(sizes: &[usize], late: usize) -> usize {
    sizes.iter().copied().max().unwrap_or(0) + late
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
        let rows = inputs.len() / self.inputs();
        assert_eq!((&*pass.sizes, pass.late), (sizes, late), "layers of the pass");
        assert!(
            0 < rows && rows <= pass.capacity && inputs.len() == rows * self.inputs(),
            "{} inputs in a pass of up to {} rows of {}",
            inputs.len(),
            pass.capacity,
            self.inputs()
        );
        // Each half transposes W for itself: not so where one thread does both.
        let shares = !pass.alone && self.shares_work(rows) && rayon::current_num_threads() > 1;
        // Rows are multiplied in groups of up to eight.
        let middle = if shares {
            (rows / 2).next_multiple_of(8).min(rows)
        } else {
            rows
        };
        let (first_inputs, second_inputs) = inputs.split_at(middle * self.inputs());
        let result = &mut pass.result[..rows * self.outputs()];
        let (first_result, second_result) = result.split_at_mut(middle * self.outputs());
        let ([first, second], all) = (&mut pass.halves, &pass.all);
        share(
            shares,
            || self.forward_half(first_inputs, all, first, first_result),
            || self.forward_half(second_inputs, all, second, second_result),
        );
        result
    }

    /// All layers for one half of the rows.
    fn forward_half(&self, inputs: &[f32], all: &[u32], half: &mut Half, result: &mut [f32]) {
        let (sizes, late) = (self.sizes(), self.late_inputs());
        let rows = inputs.len() / self.inputs();
        half.rows = rows;
        if rows == 0 {
            return;
        }
        let inputs = inputs.chunks_exact(self.inputs());
        for (to, row) in half.features[0].numbers.rows_mut(rows, sizes[0]).zip(inputs.clone()) {
            to.copy_from_slice(&row[..sizes[0]]);
        }
        for (index, layer) in self.layers().enumerate() {
            let (seen, given) = half.features.split_at_mut(index + 1);
            let (seen, given) = (&seen[index], &mut given[0]);
            if rows <= FEW_ROWS {
                let seen = seen.numbers.numbers().chunks_exact(seen.numbers.stride());
                for (to, row) in given.numbers.rows_mut(rows, layer.outputs).zip(seen) {
                    multiply_vector(Matrix::new(layer.weight, layer.inputs), &row[..layer.inputs], to, 1);
                }
            } else if layer.outputs <= FEW_OUTPUTS {
                let stride = given.numbers.stride();
                let to = &mut given.numbers.numbers_mut()[..rows * stride];
                for (unit, weight) in layer.weight.chunks_exact(layer.inputs).enumerate() {
                    multiply_vector(Matrix::from(&seen.numbers), weight, &mut to[unit..], stride);
                }
            } else {
                let sparse = index > 0 && self.activation() == Activation::Relu;
                multiply(&layer, seen, sparse, all, rows, &mut half.weight, &mut given.numbers);
            }
            let activation = (index + 2 < sizes.len()).then_some(self.activation());
            activate(activation, &mut given.numbers, rows, layer.bias);
            let late = if index == 0 { late } else { 0 };
            if late > 0 {
                let units = given.numbers.rows_mut(rows, layer.outputs + late);
                for (to, row) in units.zip(inputs.clone()) {
                    to[layer.outputs..].copy_from_slice(&row[sizes[0]..]);
                }
            }
            if activation == Some(Activation::Relu) {
                given.nonzero.note(&given.numbers, rows, layer.outputs + late);
            }
        }
        let outputs = self.outputs();
        let given = half.features[sizes.len() - 1].numbers.rows_mut(rows, outputs);
        for (to, row) in result.chunks_exact_mut(outputs).zip(given) {
            to.copy_from_slice(row);
        }
    }
}

/// X W^T for some rows, through memory for a few columns of W: turned around and used at once, they need not leave the cache.
fn multiply(
    layer: &Layer<'_>,
    seen: &Features,
    sparse: bool,
    all: &[u32],
    rows: usize,
    weight: &mut Rows,
    to: &mut Rows,
) {
    weight.make_room(Nonzero::ENTRIES, layer.outputs);
    let weight_stride = weight.stride();
    let matrix = matrix::Matrix::new(layer.weight, layer.outputs, layer.inputs);
    for (block, terms) in all[..layer.inputs].chunks(Nonzero::ENTRIES).enumerate() {
        let first = block * Nonzero::ENTRIES;
        let columns = matrix.block(0, layer.outputs, first, terms.len());
        transpose(Instructions::best(), columns, weight.numbers_mut(), weight_stride);
        if sparse {
            SparseProduct {
                left: &seen.numbers,
                nonzero: &seen.nonzero,
                block,
                right: weight,
                shape: [rows, layer.outputs],
            }
            .add(to);
        } else {
            let stride = to.stride();
            Product {
                left: Matrix::from(&seen.numbers).skip_columns(first),
                right: Matrix::from(&*weight),
                terms: &all[..terms.len()],
                rows: &all[..rows],
                first: 0,
                columns: layer.outputs.next_multiple_of(Line::UNITS),
            }
            .write(to.numbers_mut(), stride, block > 0);
        }
    }
}

/// Where units are cut into halves.
pub(crate) fn middle_unit(units: usize) -> usize {
    (units / 2).next_multiple_of(Line::UNITS).min(units)
}

/// Does the halves of a task, on two threads where that is worth it.
pub(crate) fn share(shares: bool, first: impl FnOnce() + Send, second: impl FnOnce() + Send) {
    if shares {
        rayon::join(first, second);
    } else {
        first();
        second();
    }
}
