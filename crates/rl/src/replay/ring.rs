//! Where the transitions lie.

use serde::{Deserialize, Serialize};

use super::{Minibatch, ReplayOptions};

/// Rows of equal length, the oldest of which gives way to a new one when there is no more room.
///
/// A row is one transition: reward, observation, action, next observation, discount. It lies in one piece, so that drawing
/// it touches one or two cache lines where observations are small. Observations that are pixels lie elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ring {
    capacity: usize,
    observation: usize,
    action: usize,
    /// Shape `[len, width]`.
    rows: Vec<f32>,
    /// The row that is written next.
    next: usize,
}

impl Ring {
    pub(super) fn new(options: &ReplayOptions) -> Self {
        let mut ring = Self {
            capacity: options.capacity,
            observation: options.numbers(),
            action: options.action,
            rows: Vec::new(),
            next: 0,
        };
        ring.rows.reserve_exact(ring.capacity * ring.width());
        ring
    }

    fn width(&self) -> usize {
        2 * self.observation + self.action + 2
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len() / self.width()
    }

    /// Writes a row, whose observation and action together are `start`, and says which one.
    pub(super) fn push(&mut self, reward: f32, start: &[f32], next: &[f32], discount: f32) -> usize {
        let (index, width) = (self.next, self.width());
        self.next = (index + 1) % self.capacity;
        if index == self.len() {
            self.rows.push(reward);
            self.rows.extend_from_slice(start);
            self.rows.extend_from_slice(next);
            self.rows.push(discount);
        } else {
            let row = &mut self.rows[index * width..(index + 1) * width];
            row[0] = reward;
            row[1..=start.len()].copy_from_slice(start);
            row[1 + start.len()..width - 1].copy_from_slice(next);
            row[width - 1] = discount;
        }
        index
    }

    /// Writes the rows that `into.indices` says into the rest of it.
    pub(super) fn gather(&self, into: &mut Minibatch) {
        let (d, a, width) = (self.observation, self.action, self.width());
        let ends = into.rewards.iter_mut().zip(&mut into.discounts);
        // Most rows are not in the cache. This loop is so short that the processor fetches many of them at a time, from both
        // ends; the next one would have waited for row after row.
        for (&index, (reward, discount)) in into.indices.iter().zip(ends) {
            let first = index as usize * width;
            (*reward, *discount) = (self.rows[first], self.rows[first + width - 1]);
        }
        for (place, &index) in into.indices.iter().enumerate() {
            let first = index as usize * width + 1;
            let row = &self.rows[first..first + width - 2];
            into.observations[place * d..][..d].copy_from_slice(&row[..d]);
            into.actions[place * a..][..a].copy_from_slice(&row[d..d + a]);
            into.next_observations[place * d..][..d].copy_from_slice(&row[d + a..]);
        }
    }

    /// Sets memory aside as [`new`](Self::new) does, and says whether what was read is such a ring.
    pub(super) fn restore(&mut self, options: &ReplayOptions) -> bool {
        let fits =
            (self.capacity, self.observation, self.action) == (options.capacity, options.numbers(), options.action);
        let numbers = (self.observation.checked_mul(2)).and_then(|numbers| {
            numbers
                .checked_add(self.action)?
                .checked_add(2)?
                .checked_mul(self.capacity)
        });
        fits && numbers.is_some_and(|numbers| {
            self.rows.len() <= numbers
                && self.rows.len().is_multiple_of(self.width())
                && self.next < self.capacity
                && (self.len() == self.capacity || self.next == self.len())
                && self.rows.try_reserve_exact(numbers - self.rows.len()).is_ok()
        })
    }
}
