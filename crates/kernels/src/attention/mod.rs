//! Scaled dot-product attention without a stored score matrix, forward and backward, and from caches of keys and values.
//!
//! Dao, Fu, Ermon, Rudra and Ré, FlashAttention, 2022 (Algorithms 1 and 4), and Dao, FlashAttention-2, 2023 (Algorithms 1
//! and 2): scores exist a tile of keys at a time. A query keeps the largest score m so far, the sum l of exp(score - m)
//! and the likewise weighted sum of values; where a tile brings a larger score, both sums shrink by exp(m - m'). The
//! backward pass computes the weights anew from the scores and the log-sum-exp m + ln(l). [`Attention`] has the options:
//! causal or not, grouped queries (Ainslie et al., GQA, 2023), a sliding window (Jiang et al., Mistral 7B, 2023), a cap
//! of the scores (Gemma Team, Gemma 2, 2024), and several sequences in one call, one behind the other.
//!
//! What a query gives depends on nothing but itself and the keys and values of its own sequence that it sees, bit by bit,
//! on one level of [`Instructions`]: not on the other sequences, on how a prompt is cut into calls of
//! [`Attention::attend`], on whether it is [`Attention::forward`] instead, or on the number of threads. For a score is one
//! chain over the head's entries, an entry of the output is one chain over the keys of a tile, in ascending order, and
//! tiles and spans of tiles begin at the same keys for every query. Spans are summed separately and merged in their
//! order, so that several threads can share one long cache (Dao et al., Flash-Decoding, 2023).
//!
//! ```
//! use etude_kernels::attention::{Attention, KeyValueCache};
//!
//! // Two heads that share keys and values of size 4, for three tokens.
//! let attention = Attention::new(2, 1, 4);
//! let queries: Vec<f32> = (0..24).map(|index| (index % 7) as f32 - 3.0).collect();
//! let (keys, values) = (&queries[..12], &queries[12..]);
//! let (mut outputs, mut log_sums) = ([0.0; 24], [0.0; 6]);
//! attention.forward(&queries, keys, values, &[0, 3], &mut outputs, &mut log_sums);
//! // The first token sees only itself.
//! assert_eq!(outputs[..4], values[..4]);
//!
//! // The same, two tokens and then one.
//! let mut cache = KeyValueCache::new(&attention, 3);
//! let mut again = [0.0; 24];
//! cache.append(&keys[..8], &values[..8]);
//! attention.attend(&queries[..16], &[(&cache, 2)], &mut again[..16]);
//! cache.append(&keys[8..], &values[8..]);
//! attention.attend(&queries[16..], &[(&cache, 1)], &mut again[16..]);
//! assert_eq!(again, outputs);
//! ```

#![expect(
    clippy::inline_always,
    reason = "the loops must take on the vector instructions of `Vectors::run`"
)]

mod attend;
mod backward;
mod block;
mod cache;
mod forward;
mod gradient;
mod lanes;
mod panels;
mod product;
mod softmax;
#[cfg(test)]
mod tests;
mod units;

use std::ops::Range;

pub use cache::KeyValueCache;
#[cfg(test)]
pub(crate) use lanes::{Kernel, Lanes, Vectors};

use crate::Instructions;

/// Keys in a tile. Tiles begin at multiples of it in every sequence.
const TILE: usize = 64;
/// Keys in a span, which is summed by itself: a few tiles.
const SPAN: usize = 4 * TILE;

/// Attention of queries [tokens, heads, head_size] over keys and values [tokens, key_value_heads, head_size], all
/// row-major.
///
/// Query head h has the keys and values of head h / (heads / key_value_heads). A score is scale q . k, then, with a soft
/// cap, cap tanh(score / cap); the output is the mean of the values weighted by the softmax of the scores of the keys that
/// the query sees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of the keys and values, of which `heads` is a multiple.
    pub key_value_heads: usize,
    /// Entries of a query, key or value in one head.
    pub head_size: usize,
    /// Factor of the scores.
    pub scale: f32,
    /// Whether a token sees none after itself.
    pub causal: bool,
    /// With a window w, a token at p sees only those at p - w + 1 to p, and if attention is not causal, to p + w - 1.
    pub window: Option<usize>,
    /// Scores stay between the negative and this.
    pub soft_cap: Option<f32>,
}

impl Attention {
    /// Causal attention over everything before, with the usual scale 1 / sqrt(head_size) and without a cap.
    pub fn new(heads: usize, key_value_heads: usize, head_size: usize) -> Self {
        Self {
            heads,
            key_value_heads,
            head_size,
            scale: 1.0 / (head_size as f32).sqrt(),
            causal: true,
            window: None,
            soft_cap: None,
        }
    }

    /// Writes the outputs [tokens, heads, head_size] into `to`, and the natural logarithm of the sum of the exponentials
    /// of each token's and head's scores [tokens, heads], which [`backward`](Self::backward) needs, into `log_sums`.
    ///
    /// `offsets` are the first tokens of the sequences and at last the number of tokens: [0, l1, l1 + l2, ...]. Sequences
    /// may be empty.
    ///
    /// # Panics
    /// A slice has another length than the shapes say, `heads` is no multiple of `key_value_heads`, one of the sizes or
    /// the window is 0, or `offsets` do not begin with 0, descend, or end elsewhere than at the number of tokens.
    pub fn forward(
        &self,
        queries: &[f32],
        keys: &[f32],
        values: &[f32],
        offsets: &[usize],
        to: &mut [f32],
        log_sums: &mut [f32],
    ) {
        let inputs = Inputs {
            queries,
            keys,
            values,
            offsets,
        };
        self.forward_with(Instructions::best(), inputs, to, log_sums);
    }

    /// Writes the gradients by the queries, keys and values into `d_queries`, `d_keys` and `d_values`, given that by the
    /// outputs [tokens, heads, head_size] and what [`forward`](Self::forward) has written for the same inputs.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one tensor of the operation, as in every library"
    )]
    pub fn backward(
        &self,
        queries: &[f32],
        keys: &[f32],
        values: &[f32],
        offsets: &[usize],
        outputs: &[f32],
        log_sums: &[f32],
        d_outputs: &[f32],
        d_queries: &mut [f32],
        d_keys: &mut [f32],
        d_values: &mut [f32],
    ) {
        let inputs = Inputs {
            queries,
            keys,
            values,
            offsets,
        };
        let results = Results {
            outputs,
            log_sums,
            d_outputs,
        };
        self.backward_with(Instructions::best(), inputs, results, [d_queries, d_keys, d_values]);
    }

    /// Writes into `to` the outputs [rows, heads, head_size] of `queries` of the same shape. A sequence is its cache and
    /// how many of the rows belong to it; these are the queries of the last tokens in the cache, whose keys and values
    /// have been appended before.
    ///
    /// A prompt in pieces, one token at a time or all at once gives the same bits as [`forward`](Self::forward), where
    /// attention is causal; where it is not, a query sees what is in the cache already.
    ///
    /// # Panics
    /// A slice has another length than the shapes say, a cache was made for other heads or sizes, or it has fewer tokens
    /// than its sequence has rows.
    pub fn attend(&self, queries: &[f32], sequences: &[(&KeyValueCache, usize)], to: &mut [f32]) {
        self.attend_with(Instructions::best(), queries, sequences, to);
    }

    /// Query heads that share keys and values.
    fn group(&self) -> usize {
        self.heads / self.key_value_heads
    }

    /// Keys that the query at `position` sees, of `length` ones.
    fn keys_of(&self, position: usize, length: usize) -> Range<usize> {
        let window = self.window.unwrap_or(usize::MAX);
        let last = if self.causal {
            position + 1
        } else {
            position.saturating_add(window)
        };
        (position + 1).saturating_sub(window)..last.min(length)
    }

    /// Queries that see the key at `position`, of `length` ones.
    fn queries_of(&self, position: usize, length: usize) -> Range<usize> {
        let window = self.window.unwrap_or(usize::MAX);
        let first = if self.causal {
            position
        } else {
            (position + 1).saturating_sub(window)
        };
        first..position.saturating_add(window).min(length)
    }

    fn check(&self) {
        assert!(
            self.heads > 0 && self.key_value_heads > 0 && self.head_size > 0,
            "sizes of attention must not be 0: {self:?}"
        );
        assert!(
            self.heads.is_multiple_of(self.key_value_heads),
            "heads must be a multiple of key_value_heads: {self:?}"
        );
        assert!(self.window != Some(0), "through a window of 0 nothing is seen");
    }

    /// Checks the shapes of `inputs` and returns the number of tokens.
    fn check_inputs(&self, inputs: Inputs<'_>) -> usize {
        self.check();
        let offsets = inputs.offsets;
        assert!(offsets.first() == Some(&0), "offsets must begin with 0");
        assert!(offsets.is_sorted(), "offsets must not descend");
        let tokens = offsets[offsets.len() - 1];
        let width = self.key_value_heads * self.head_size;
        assert_eq!(
            inputs.queries.len(),
            tokens * self.heads * self.head_size,
            "length of the queries"
        );
        assert_eq!(inputs.keys.len(), tokens * width, "length of the keys");
        assert_eq!(inputs.values.len(), tokens * width, "length of the values");
        tokens
    }
}

/// What [`Attention::forward`] gets.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    queries: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    offsets: &'a [usize],
}

impl Inputs<'_> {
    /// The tokens of each sequence.
    fn sequences(&self) -> impl Iterator<Item = Range<usize>> {
        self.offsets.windows(2).map(|pair| pair[0]..pair[1])
    }
}

/// What [`Attention::backward`] gets besides.
#[derive(Clone, Copy)]
struct Results<'a> {
    outputs: &'a [f32],
    log_sums: &'a [f32],
    d_outputs: &'a [f32],
}

/// Cuts the rows of `entries`, [tokens, heads, width], into one list of rows for each head.
fn rows_of_heads(entries: &mut [f32], heads: usize, width: usize) -> Vec<Vec<&mut [f32]>> {
    let tokens = entries.len() / (heads * width);
    let mut rows: Vec<Vec<&mut [f32]>> = (0..heads).map(|_| Vec::with_capacity(tokens)).collect();
    for (index, row) in entries.chunks_exact_mut(width).enumerate() {
        rows[index % heads].push(row);
    }
    rows
}
