//! Weights of tiles of scores, and their slopes.

use std::ops::Range;

use super::TILE;
use super::lanes::{Kernel, Lanes};
use crate::exponential::{exp, exp_lanes, tanh_lanes};

/// The keys of all vectors in which a row sees some.
#[inline(always)]
fn whole_vectors<S: Lanes>(seen: &Range<usize>) -> Range<usize> {
    seen.start / S::F32_LANES * S::F32_LANES..seen.end.next_multiple_of(S::F32_LANES)
}

/// Turns scores [rows, [`TILE`]] into weights exp(score - largest), where the largest score is that of the keys so far.
pub(super) struct Soften<'a> {
    pub(super) scores: &'a mut [f32],
    /// Which keys of the tile each row sees. Of others no weight is written that has a meaning.
    pub(super) seen: &'a [Range<usize>],
    pub(super) soft_cap: Option<f32>,
    /// The largest score of each row so far.
    pub(super) largest: &'a mut [f32],
    /// The sum of the weights of each row so far.
    pub(super) sums: &'a mut [f32],
    /// What the sums and the outputs so far have to be multiplied with.
    pub(super) factors: &'a mut [f32],
}

impl Kernel for Soften<'_> {
    #[inline(always)]
    fn run<S: Lanes>(self, simd: S) {
        for (row, seen) in self.seen.iter().enumerate() {
            if seen.is_empty() {
                self.factors[row] = 1.0;
                continue;
            }
            let whole = whole_vectors::<S>(seen);
            let scores = &mut self.scores[row * TILE..][whole.clone()];
            if let Some(cap) = self.soft_cap {
                squash(simd, scores, cap);
            }
            // What is left out does not change the sum's bits, for it would add zeros.
            scores[..seen.start - whole.start].fill(f32::NEG_INFINITY);
            scores[seen.end - whole.start..].fill(f32::NEG_INFINITY);
            let (vectors, _) = S::as_mut_simd_f32s(scores);
            let mut largest = simd.splat_f32s(f32::NEG_INFINITY);
            for &vector in vectors.iter() {
                largest = simd.max_f32s(largest, vector);
            }
            let before = self.largest[row];
            let largest = before.max(simd.reduce_max_f32s(largest));
            let shift = simd.splat_f32s(largest);
            let mut sum = simd.splat_f32s(0.0);
            for vector in vectors {
                *vector = exp_lanes(simd, simd.sub_f32s(*vector, shift));
                sum = simd.add_f32s(sum, *vector);
            }
            let factor = exp(before - largest);
            self.largest[row] = largest;
            self.factors[row] = factor;
            self.sums[row] = self.sums[row] * factor + simd.reduce_sum_f32s(sum);
        }
    }
}

/// Turns scores [rows, [`TILE`]] into the softmax's weights, and the loss's slopes by the weights into those by the scores
/// before the cap.
pub(super) struct Weigh<'a> {
    pub(super) scores: &'a mut [f32],
    pub(super) slopes: &'a mut [f32],
    /// Which keys of the tile each row sees. Of others nothing is written that has a meaning.
    pub(super) seen: &'a [Range<usize>],
    pub(super) soft_cap: Option<f32>,
    /// Of each row, the log-sum-exp of its scores, and the mean of the slopes weighted as the values are.
    pub(super) log_sums: &'a [f32],
    pub(super) means: &'a [f32],
}

impl Kernel for Weigh<'_> {
    #[inline(always)]
    fn run<S: Lanes>(self, simd: S) {
        let rows = self
            .scores
            .chunks_exact_mut(TILE)
            .zip(self.slopes.chunks_exact_mut(TILE));
        for ((row, (scores, slopes)), seen) in rows.enumerate().zip(self.seen) {
            if seen.is_empty() {
                continue;
            }
            let whole = whole_vectors::<S>(seen);
            let (scores, slopes) = (&mut scores[whole.clone()], &mut slopes[whole]);
            if let Some(cap) = self.soft_cap {
                squash(simd, scores, cap);
            }
            let (log_sum, mean) = (simd.splat_f32s(self.log_sums[row]), simd.splat_f32s(self.means[row]));
            let (score_vectors, _) = S::as_mut_simd_f32s(scores);
            let (slope_vectors, _) = S::as_mut_simd_f32s(slopes);
            for (score, slope) in score_vectors.iter_mut().zip(slope_vectors) {
                let weight = exp_lanes(simd, simd.sub_f32s(*score, log_sum));
                let mut by_score = simd.mul_f32s(weight, simd.sub_f32s(*slope, mean));
                if let Some(cap) = self.soft_cap {
                    let tanh = simd.mul_f32s(*score, simd.splat_f32s(1.0 / cap));
                    let flatness = simd.sub_f32s(simd.splat_f32s(1.0), simd.mul_f32s(tanh, tanh));
                    by_score = simd.mul_f32s(by_score, flatness);
                }
                *score = weight;
                *slope = by_score;
            }
        }
    }
}

/// cap tanh(score / cap).
#[inline(always)]
fn squash<S: Lanes>(simd: S, scores: &mut [f32], cap: f32) {
    let (vectors, _) = S::as_mut_simd_f32s(scores);
    for vector in vectors {
        let share = simd.mul_f32s(*vector, simd.splat_f32s(1.0 / cap));
        *vector = simd.mul_f32s(tanh_lanes(simd, share), simd.splat_f32s(cap));
    }
}

/// The products of the rows of two matrices of `width` columns, each one chain of sums in as many lanes as there are.
pub(super) struct Dots<'a> {
    pub(super) left: &'a [f32],
    pub(super) right: &'a [f32],
    pub(super) width: usize,
    pub(super) to: &'a mut [f32],
}

impl Kernel for Dots<'_> {
    #[inline(always)]
    fn run<S: Lanes>(self, simd: S) {
        let rows = self
            .left
            .chunks_exact(self.width)
            .zip(self.right.chunks_exact(self.width));
        for (to, (left, right)) in self.to.iter_mut().zip(rows) {
            let (left, left_rest) = S::as_simd_f32s(left);
            let (right, right_rest) = S::as_simd_f32s(right);
            let mut sum = simd.mul_f32s(simd.partial_load_f32s(left_rest), simd.partial_load_f32s(right_rest));
            for (&left, &right) in left.iter().zip(right) {
                sum = simd.multiply_add(left, right, sum);
            }
            *to = simd.reduce_sum_f32s(sum);
        }
    }
}
