//! Keys side by side, so that lanes run over keys.

use super::TILE;

/// Columns that are filled at a time, so that neither side strays over many cache lines.
const COLUMNS: usize = 8;

/// Writes vectors that begin `stride` apart, at most [`TILE`] of them, into the columns of a panel [size, [`TILE`]]. The
/// other columns become zero.
pub(super) fn fill(panel: &mut [f32], vectors: &[f32], stride: usize, count: usize) {
    let size = panel.len() / TILE;
    if count < TILE {
        panel.fill(0.0);
    }
    let (whole, rest) = (count / COLUMNS * COLUMNS, count % COLUMNS);
    for first in (0..whole).step_by(COLUMNS) {
        let from: [&[f32]; COLUMNS] = std::array::from_fn(|column| &vectors[(first + column) * stride..][..size]);
        for (entry, row) in panel.chunks_exact_mut(TILE).enumerate() {
            let columns: [f32; COLUMNS] = std::array::from_fn(|column| from[column][entry]);
            row[first..first + COLUMNS].copy_from_slice(&columns);
        }
    }
    for column in whole..whole + rest {
        put(panel, column, &vectors[column * stride..][..size]);
    }
}

/// Writes `vector` into one column of a panel.
pub(super) fn put(panel: &mut [f32], column: usize, vector: &[f32]) {
    for (row, &entry) in panel.chunks_exact_mut(TILE).zip(vector) {
        row[column] = entry;
    }
}
