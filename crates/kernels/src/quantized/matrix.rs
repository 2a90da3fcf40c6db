//! A matrix of weights that stay quantised.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

use super::activations::{BLOCK, TILE, WORDS, tile_rows};
use super::block::{Block, check};
use super::block_type::BlockType;
use super::panel::LANES;
use super::path::Path;
use super::portable::Place;
use crate::memory::Memory;
use crate::{Instructions, KernelError};

/// Nanoseconds of work that make it worth while to share it with another thread.
const SHARE: usize = 4000;
/// Bytes of weights that come from memory in a nanosecond, and products of a weight that are made in one.
const BYTES: usize = 32;
const PRODUCTS: usize = 150;
/// Numbers of rows that are worth sharing to quantise them, which takes some tenths of a nanosecond each.
const MANY: usize = 1 << 15;
/// Words of activations that remain in the second-level cache while all weights pass by.
const CACHED: usize = 1 << 16;

/// Weights of a linear layer, in blocks as a file of GGUF has them, for products with rows of f32.
///
/// The blocks are rearranged once so that sixteen outputs are computed side by side; they take the same memory as in the file
/// (2 bits in 100 more where scales are nested in scales with minima). A product takes the rows as bytes: for every 32 numbers a scale, the
/// largest of them over 127, and integers of -127 to 127. Sums of products of integers are exact, and their products with the scales are
/// added in f32 in the order of the inputs. An output thus depends on nothing but its weights and its row: not on other rows,
/// not on the number of threads, and not on the processor.
#[derive(Debug, Clone)]
pub struct QuantizedMatrix {
    block_type: BlockType,
    outputs: usize,
    inputs: usize,
    /// Panels of sixteen outputs, one after another; the last is filled up with zeros.
    panels: Memory,
}

impl QuantizedMatrix {
    /// The matrix [outputs, inputs], whose rows of blocks lie one after another in `blocks`.
    ///
    /// # Errors
    ///
    /// Where the inputs are not a whole number of blocks, or `blocks` are not as many bytes as such a matrix has.
    pub fn new(block_type: BlockType, blocks: &[u8], outputs: usize, inputs: usize) -> Result<Self, KernelError> {
        check(block_type, blocks, outputs, inputs)?;
        let layout = block_type.layout();
        let panel = inputs / block_type.block_len() * layout.group();
        let mut panels = Memory::zeroed(outputs.div_ceil(LANES) * panel);
        if panel > 0 {
            let row = inputs / block_type.block_len() * block_type.block_bytes();
            panels
                .par_chunks_exact_mut(panel)
                .zip(blocks.par_chunks(LANES * row))
                .for_each(|(panel, rows)| {
                    for (lane, row) in rows.chunks_exact(row).enumerate() {
                        let blocks = row.chunks_exact(block_type.block_bytes());
                        for (group, block) in panel.chunks_exact_mut(layout.group()).zip(blocks) {
                            layout.put_block(group, lane, &Block::read(block_type, block));
                        }
                    }
                });
        }
        Ok(Self {
            block_type,
            outputs,
            inputs,
            panels,
        })
    }

    /// Type of the blocks.
    pub fn block_type(&self) -> BlockType {
        self.block_type
    }

    /// Numbers in a row of a product.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Numbers in a row that is multiplied.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Memory of the weights in bytes.
    pub fn bytes(&self) -> usize {
        self.panels.len()
    }

    /// Writes the weights of one output, `[inputs]`, the same numbers as [`dequantize`](super::dequantize) gives.
    ///
    /// # Panics
    ///
    /// Where there is no such output, or `to` has another length.
    pub fn row(&self, output: usize, to: &mut [f32]) {
        assert!(
            output < self.outputs,
            "row {output} of a matrix with {} outputs",
            self.outputs
        );
        assert_eq!(to.len(), self.inputs, "numbers of a row");
        let layout = self.block_type.layout();
        let groups = self.panel(output / LANES).chunks_exact(layout.group());
        for (group, to) in groups.zip(to.chunks_exact_mut(self.block_type.block_len())) {
            layout.take_block(group, output % LANES).write(layout, to);
        }
    }

    /// Writes the products of `rows` [n, inputs] with the weights of each output, `to` [n, outputs]: x W^T.
    ///
    /// A number in a row that is infinite or no number makes all outputs of this row no numbers.
    ///
    /// # Panics
    ///
    /// Where `rows` and `to` are not the same number of whole rows.
    pub fn multiply(&self, rows: &[f32], to: &mut [f32]) {
        self.multiply_with(Instructions::best(), rows, to);
    }

    fn multiply_with(&self, instructions: Instructions, rows: &[f32], to: &mut [f32]) {
        thread_local! {
            /// Memory of the quantised rows, kept for the next product.
            static WORDS_OF_ROWS: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
        }

        if self.inputs == 0 || self.outputs == 0 {
            assert!(rows.is_empty() || self.inputs > 0, "rows of no inputs");
            to.fill(0.0);
            return;
        }
        let count = rows.len() / self.inputs;
        assert_eq!(count * self.inputs, rows.len(), "whole rows of {} inputs", self.inputs);
        assert_eq!(
            count * self.outputs,
            to.len(),
            "numbers of {count} rows of {} outputs",
            self.outputs
        );
        if count == 0 {
            return;
        }

        let path = Path::new(instructions, self.block_type);
        let row_words = self.inputs / BLOCK * WORDS;
        // Taken away meanwhile: while this thread waits for others, it may begin with another product.
        let mut words = WORDS_OF_ROWS.take();
        if words.len() < count * row_words {
            words.resize(count * row_words, 0);
        }
        let tiles = &mut words[..count * row_words];
        if rows.len() <= MANY {
            path.quantize(rows, self.inputs, tiles);
        } else {
            tiles
                .par_chunks_mut(TILE * row_words)
                .zip(rows.par_chunks(TILE * self.inputs))
                .for_each(|(tile, rows)| path.quantize(rows, self.inputs, tile));
        }
        let product = Product {
            matrix: self,
            path,
            words: tiles,
            to: Shared(to.as_mut_ptr()),
        };
        product.share(0..self.outputs.div_ceil(LANES), 0..count);
        WORDS_OF_ROWS.set(words);
    }

    /// Bytes of a panel.
    fn panel_bytes(&self) -> usize {
        self.inputs / self.block_type.block_len() * self.block_type.layout().group()
    }

    fn panel(&self, index: usize) -> &[u8] {
        let bytes = self.panel_bytes();
        &self.panels[index * bytes..][..bytes]
    }
}

/// Where threads write different tiles.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

#[expect(unsafe_code, reason = "threads write different tiles of a matrix")]
// SAFETY: it is used in `Product::compute` alone, by each thread for panels and rows of its own.
unsafe impl Send for Shared {}
#[expect(unsafe_code, reason = "threads write different tiles of a matrix")]
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// A product whose rows have been quantised.
struct Product<'a> {
    matrix: &'a QuantizedMatrix,
    path: Path,
    words: &'a [u32],
    /// As many numbers as all rows have outputs.
    to: Shared,
}

impl Product<'_> {
    /// Computes the outputs of some panels for some rows, which begin with a tile, on this thread and on others that have nothing to do.
    fn share(&self, panels: Range<usize>, rows: Range<usize>) {
        let weights = panels.len() * LANES * self.matrix.inputs;
        let work = weights * rows.len() / PRODUCTS + panels.len() * self.matrix.panel_bytes() / BYTES;
        let tiles = rows.len().div_ceil(TILE);
        if work < 2 * SHARE || panels.len().max(tiles) < 2 {
            self.compute(panels, rows);
        } else if panels.len() >= 2 * tiles || tiles < 2 {
            let middle = panels.start + panels.len() / 2;
            rayon::join(
                || self.share(panels.start..middle, rows.clone()),
                || self.share(middle..panels.end, rows.clone()),
            );
        } else {
            let middle = rows.start + tiles / 2 * TILE;
            rayon::join(
                || self.share(panels.clone(), rows.start..middle),
                || self.share(panels.clone(), middle..rows.end),
            );
        }
    }

    fn compute(&self, panels: Range<usize>, rows: Range<usize>) {
        let QuantizedMatrix { outputs, inputs, .. } = *self.matrix;
        let row_words = inputs / BLOCK * WORDS;
        let many = (CACHED / row_words / TILE).max(1) * TILE;
        for first in rows.clone().step_by(many) {
            let end = rows.end.min(first + many);
            for index in panels.clone() {
                let panel = self.matrix.panel(index);
                let mut row = first;
                while row < end {
                    let tile = tile_rows(end - row);
                    let words = &self.words[row * row_words..(row + tile) * row_words];
                    #[expect(unsafe_code, reason = "threads write different tiles of a matrix")]
                    // SAFETY: `to` has `outputs` numbers in each row, rows and panels are within it, and nobody else has these.
                    unsafe {
                        let place = Place {
                            to: self.to.0.add(row * outputs + index * LANES),
                            outputs: outputs - index * LANES,
                            stride: outputs,
                        };
                        self.path.tile(tile, panel, words, place);
                    }
                    row += tile;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use half::f16;
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A matrix of random bits, with all codes and all factors of scales, and rows for it.
    fn draw(block_type: BlockType, outputs: usize, inputs: usize, rows: usize) -> (QuantizedMatrix, Vec<f32>) {
        let mut random = ChaCha8Rng::seed_from_u64(outputs as u64);
        let mut blocks = vec![0; outputs * inputs / block_type.block_len() * block_type.block_bytes()];
        random.fill_bytes(&mut blocks);
        // Of two outputs, the largest codes and the smallest ones.
        let row = inputs / block_type.block_len() * block_type.block_bytes();
        for (row, byte) in blocks.chunks_exact_mut(row).zip([0xff, 0x80]) {
            row.fill(byte);
        }
        for block in blocks.chunks_exact_mut(block_type.block_bytes()) {
            let mut scale = || f16::from_f32(random.random_range(-1.0..1.0)).to_le_bytes();
            match block_type {
                BlockType::Q6_K => block[208..210].copy_from_slice(&scale()),
                _ => block[..2].copy_from_slice(&scale()),
            }
            if block_type.layout().has_minimum() {
                block[2..4].copy_from_slice(&scale());
            }
        }
        let matrix = QuantizedMatrix::new(block_type, &blocks, outputs, inputs).unwrap();
        // The largest codes of both signs come up in half of the blocks.
        let numbers = (0..rows * inputs).map(|index| match index / 32 % 4 {
            0 => 1.0,
            1 => -1.0,
            _ => random.random_range(-1.0..1.0),
        });
        (matrix, numbers.collect())
    }

    fn bits_of_product(matrix: &QuantizedMatrix, instructions: Instructions, rows: &[f32]) -> Vec<u32> {
        let mut to = vec![f32::NAN; rows.len() / matrix.inputs * matrix.outputs];
        matrix.multiply_with(instructions, rows, &mut to);
        bytemuck::cast_vec(to)
    }

    #[test]
    fn all_instructions_give_the_same_bits() {
        for block_type in BlockType::ALL {
            for (outputs, blocks) in [(1, 1), (7, 2), (16, 3), (24, 1), (41, 2)] {
                let inputs = blocks * block_type.block_len();
                for rows in [1, 2, 3, 4, 5, 8, 12, 29] {
                    let (matrix, rows) = draw(block_type, outputs, inputs, rows);
                    let expected = bits_of_product(&matrix, Instructions::Portable, &rows);
                    for instructions in Instructions::available() {
                        let found = bits_of_product(&matrix, instructions, &rows);
                        assert!(
                            found == expected,
                            "{block_type}, {outputs} x {inputs}, with {instructions}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn many_rows_and_any_threads_give_the_same_bits_as_one_row_and_one_thread() {
        for block_type in [BlockType::Q4_1, BlockType::Q6_K] {
            for (outputs, inputs, rows) in [(1000, 768, 1), (200, 512, 31), (40, 256, 200)] {
                let (matrix, rows) = draw(block_type, outputs, inputs, rows);
                let best = Instructions::best();
                let alone: Vec<u32> = rows
                    .chunks(inputs)
                    .flat_map(|row| bits_of_product(&matrix, best, row))
                    .collect();
                for threads in [1, 2, 3, 7] {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    let found = pool.install(|| bits_of_product(&matrix, best, &rows));
                    assert!(found == alone, "{block_type}, {outputs} x {inputs}, {threads} threads");
                }
            }
        }
    }
}
