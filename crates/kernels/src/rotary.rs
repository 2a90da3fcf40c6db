//! Rotary position embeddings (Su et al. 2021, equation 34), with the pairs of GPT-NeoX and Hugging Face: entry i of a head turns with
//! entry i + size / 2.
//!
//! Angles are products in 32 bits of a position and a frequency, as transformers computes them; so they are the same beyond
//! the contexts where such a product is exact. All levels of instructions give the same bits.

use rayon::prelude::*;

use crate::Instructions;
use crate::vectorized::{PART, vectorized};

/// Cosines and sines of the angles of every position, times the attention factor.
#[derive(Debug, Clone, PartialEq)]
pub struct RotaryTable {
    /// Pairs of a head.
    pairs: usize,
    positions: usize,
    /// For each position, the cosines of all pairs and then their sines.
    entries: Vec<f32>,
}

impl RotaryTable {
    /// For the positions 0, 1, ..., `positions` - 1, and heads of twice as many entries as there are `frequencies` (radians a
    /// position; scaled already where the model does so). `attention_factor` multiplies cosines and sines, as YaRN (Peng et al.
    /// 2023) wants it; elsewhere it is 1.
    pub fn new(frequencies: &[f32], attention_factor: f32, positions: usize) -> Self {
        /// Positions that one thread takes at a time.
        const SHARE: usize = 64;
        let pairs = frequencies.len();
        let mut entries = vec![0.0; positions * 2 * pairs];
        if pairs > 0 {
            let shares = entries.par_chunks_mut(SHARE * 2 * pairs).enumerate();
            shares.for_each(|(share, entries)| {
                for (index, entries) in entries.chunks_exact_mut(2 * pairs).enumerate() {
                    let position = (share * SHARE + index) as f32;
                    let (cosines, sines) = entries.split_at_mut(pairs);
                    for ((cosine, sine), frequency) in cosines.iter_mut().zip(sines).zip(frequencies) {
                        // In 64 bits, so that all mathematical libraries round to the same number.
                        let angle = f64::from(position * frequency);
                        *cosine = angle.cos() as f32 * attention_factor;
                        *sine = angle.sin() as f32 * attention_factor;
                    }
                }
            });
        }
        Self {
            pairs,
            positions,
            entries,
        }
    }

    /// How many positions it has.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Entries of the heads that it is for.
    pub fn head_size(&self) -> usize {
        2 * self.pairs
    }

    /// The cosines of one position [size / 2].
    ///
    /// # Panics
    /// It has no such position.
    pub fn cosines(&self, position: usize) -> &[f32] {
        &self.of_position(position)[..self.pairs]
    }

    /// The sines of one position [size / 2].
    ///
    /// # Panics
    /// It has no such position.
    pub fn sines(&self, position: usize) -> &[f32] {
        &self.of_position(position)[self.pairs..]
    }

    fn of_position(&self, position: usize) -> &[f32] {
        assert!(
            position < self.positions,
            "position {position} in a rotary table of {} positions",
            self.positions
        );
        &self.entries[position * 2 * self.pairs..][..2 * self.pairs]
    }
}

/// Turns the pairs of each head of `x` [tokens, heads, size] by the angles of its token's position: a <- a cos - b sin and
/// b <- b cos + a sin.
///
/// # Panics
/// The length of `x` is not that of as many tokens as there are `positions`; or the table lacks a position.
pub fn rotate(x: &mut [f32], heads: usize, positions: &[u32], table: &RotaryTable) {
    rotate_tokens(Instructions::best(), x, heads, positions, table, 1.0);
}

/// The transpose of [`rotate`], which takes gradients back: it turns the other way.
///
/// # Panics
/// As in [`rotate`].
pub fn rotate_back(x: &mut [f32], heads: usize, positions: &[u32], table: &RotaryTable) {
    rotate_tokens(Instructions::best(), x, heads, positions, table, -1.0);
}

/// `direction` is 1 or -1.
fn rotate_tokens(
    instructions: Instructions,
    x: &mut [f32],
    heads: usize,
    positions: &[u32],
    table: &RotaryTable,
    direction: f32,
) {
    let token = heads * table.head_size();
    assert_eq!(
        x.len(),
        positions.len() * token,
        "x: tokens times heads times their size"
    );
    if x.is_empty() {
        return;
    }
    let part = (PART / token).max(1);
    let parts = x.par_chunks_mut(part * token).zip(positions.par_chunks(part));
    parts.for_each(|(x, positions)| rotate_part(instructions, x, positions, table, direction));
}

vectorized! {
    fn rotate_part(x: &mut [f32], positions: &[u32], table: &RotaryTable, direction: f32) {
        let token = x.len() / positions.len();
        for (x, &position) in x.chunks_exact_mut(token).zip(positions) {
            let position = position as usize;
            let (cosines, sines) = (table.cosines(position), table.sines(position));
            for head in x.chunks_exact_mut(table.head_size()) {
                let (first, second) = head.split_at_mut(table.pairs);
                let pairs = first.iter_mut().zip(second);
                for ((a, b), (cosine, sine)) in pairs.zip(cosines.iter().zip(sines)) {
                    let sine = direction * sine;
                    (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectorized::testing::{assert_same_at_every_level, numbers};

    #[test]
    fn every_level_gives_the_same_bits() {
        for [tokens, heads, pairs] in [[1, 1, 1], [5, 3, 13], [700, 2, 32]] {
            let table = RotaryTable::new(&numbers(pairs, 1), 1.5, 100);
            let positions: Vec<u32> = (0..tokens as u32).map(|token| token * 37 % 100).collect();
            let x = numbers(tokens * heads * 2 * pairs, 2);
            assert_same_at_every_level(|instructions| {
                let mut x = x.clone();
                rotate_tokens(instructions, &mut x, heads, &positions, &table, -1.0);
                x
            });
        }
    }

    #[test]
    fn a_quarter_turn_takes_the_first_of_a_pair_to_the_second() {
        let table = RotaryTable::new(&[std::f32::consts::FRAC_PI_2, 0.0], 1.0, 4);
        let mut x = [1.0, 2.0, 0.0, 3.0, 1.0, 2.0, 0.0, 3.0];
        rotate(&mut x, 1, &[1, 2], &table);
        for (found, expected) in x.into_iter().zip([0.0, 2.0, 1.0, 3.0, -1.0, 2.0, 0.0, 3.0]) {
            assert!((found - expected).abs() < 1e-6_f32, "{x:?}");
        }
    }

    #[test]
    #[should_panic(expected = "position 4 in a rotary table of 4 positions")]
    fn a_position_beyond_the_table_is_refused() {
        rotate(&mut [0.0; 2], 1, &[4], &RotaryTable::new(&[1.0], 1.0, 4));
    }
}
