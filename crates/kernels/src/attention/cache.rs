//! Keys and values of the tokens of one sequence, kept for the queries to come.

use super::block::Keys;
use super::{Attention, TILE, panels};

/// Memory for the keys and values of one sequence, laid out beforehand as [`Attention::attend`] reads it.
///
/// Pages of memory that no token has reached yet are not occupied on systems that hand out zeroed pages lazily.
#[derive(Debug, Clone)]
pub struct KeyValueCache {
    key_value_heads: usize,
    head_size: usize,
    /// A multiple of [`TILE`].
    slots: usize,
    capacity: usize,
    len: usize,
    /// Panels [head, tile, entry, key in the tile].
    keys: Vec<f32>,
    /// [head, slot, entry].
    values: Vec<f32>,
}

impl KeyValueCache {
    /// An empty cache for at most `capacity` tokens.
    ///
    /// # Panics
    /// One of the sizes of `attention` is 0 or `heads` is no multiple of `key_value_heads`.
    pub fn new(attention: &Attention, capacity: usize) -> Self {
        attention.check();
        let &Attention {
            key_value_heads,
            head_size,
            ..
        } = attention;
        let slots = capacity.next_multiple_of(TILE);
        let entries = key_value_heads * slots * head_size;
        Self {
            key_value_heads,
            head_size,
            slots,
            capacity,
            len: 0,
            keys: vec![0.0; entries],
            values: vec![0.0; entries],
        }
    }

    /// Tokens in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tokens that it has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes that it occupies when it is full.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.keys[..]) + size_of_val(&self.values[..])
    }

    /// Adds the keys and values [tokens, key_value_heads, head_size] of the next tokens.
    ///
    /// # Panics
    /// The slices differ in length, hold no whole number of tokens, or hold more than there is room for.
    pub fn append(&mut self, keys: &[f32], values: &[f32]) {
        let (size, width) = (self.head_size, self.key_value_heads * self.head_size);
        assert_eq!(keys.len(), values.len(), "lengths of keys and values");
        assert!(
            keys.len().is_multiple_of(width),
            "{} entries are no whole number of tokens of {width}",
            keys.len()
        );
        let count = keys.len() / width;
        assert!(
            count <= self.capacity - self.len,
            "{count} more tokens than the {} in a cache for {}",
            self.len,
            self.capacity
        );
        for head in 0..self.key_value_heads {
            for token in 0..count {
                let from = token * width + head * size..token * width + (head + 1) * size;
                let slot = head * self.slots + self.len + token;
                let panel = &mut self.keys[slot / TILE * TILE * size..][..TILE * size];
                panels::put(panel, slot % TILE, &keys[from.clone()]);
                self.values[slot * size..(slot + 1) * size].copy_from_slice(&values[from]);
            }
        }
        self.len += count;
    }

    /// Forgets all tokens but the first `len`; nothing if there are no more.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Forgets all tokens.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Whether it was made for the heads and sizes of `attention`.
    pub(super) fn fits(&self, attention: &Attention) -> bool {
        self.key_value_heads == attention.key_value_heads && self.head_size == attention.head_size
    }

    /// The keys and values of one head.
    pub(super) fn head(&self, head: usize) -> Keys<'_> {
        let length = self.slots * self.head_size;
        Keys {
            panels: &self.keys[head * length..][..length],
            values: &self.values[head * length..][..length],
            stride: self.head_size,
            length: self.len,
        }
    }
}
