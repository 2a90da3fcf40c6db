//! Normalisations of rows, each with its backward: [`rms_norm`] (Zhang and Sennrich 2019) and [`layer_norm`] (Ba, Kiros and
//! Hinton 2016).
//!
//! Rows are tokens. What comes of a row depends on that row alone, bit by bit, and gradients by the weights are sums over the rows
//! in an order that depends on their number alone. All levels of instructions give the same bits.

mod layer_norm;
mod rms_norm;

use rayon::prelude::*;

use crate::vectorized::PART;

pub use layer_norm::{layer_norm, layer_norm_backward};
pub use rms_norm::{rms_norm, rms_norm_backward};

/// Applies `forward` to rows of x and of y, some rows at a time, on several threads if there are enough.
fn each_part(width: usize, x: &[f32], y: &mut [f32], forward: impl Fn(&[f32], &mut [f32]) + Sync) {
    let part = width * (PART / width).max(1);
    if x.len() <= part {
        forward(x, y);
    } else {
        let parts = x.par_chunks(part).zip(y.par_chunks_mut(part));
        parts.for_each(|(x, y)| forward(x, y));
    }
}

/// Most blocks of rows of which the gradients by the weights are summed apart.
const BLOCKS: usize = 32;
/// Rows from which on it is worth it.
const ROWS: usize = 16;

/// Applies `backward` to blocks of rows of x, dy and dx, along with a place of `sums.len()` zeros to which it adds the block's gradients by
/// the weights; and adds up these, the first block first.
fn each_block(
    width: usize,
    [x, dy]: [&[f32]; 2],
    dx: &mut [f32],
    sums: &mut [&mut [f32]],
    backward: impl Fn([&[f32]; 2], &mut [f32], &mut [f32]) + Sync,
) {
    let rows = x.len() / width;
    if rows == 0 {
        return;
    }
    let block = width * rows.div_ceil(BLOCKS).max(ROWS);
    let size = width * sums.len();
    let mut partial = vec![0.0; x.len().div_ceil(block) * size];
    let blocks = x
        .par_chunks(block)
        .zip(dy.par_chunks(block))
        .zip(dx.par_chunks_mut(block));
    let blocks = blocks.zip(partial.par_chunks_mut(size));
    blocks.for_each(|(((x, dy), dx), partial)| backward([x, dy], dx, partial));
    for partial in partial.chunks_exact(size) {
        for (sum, partial) in sums.iter_mut().zip(partial.chunks_exact(width)) {
            for (sum, partial) in sum.iter_mut().zip(partial) {
                *sum += partial;
            }
        }
    }
}
