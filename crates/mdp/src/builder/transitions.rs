//! Transitions as they come, 20 bytes each and 16 for each run of the same state and action.

use std::ops::Range;

/// Transitions in the order in which they came, those of one state and action in runs.
#[derive(Debug, Default)]
pub(super) struct Transitions {
    pub(super) runs: Vec<Run>,
    pub(super) next: Vec<u32>,
    pub(super) probability: Vec<f64>,
    pub(super) reward: Vec<f64>,
}

/// Consecutive transitions of one state and action.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) state: u32,
    pub(super) action: u32,
    begin: u32,
    end: u32,
}

impl Run {
    /// Where they are.
    pub(super) fn places(&self) -> Range<usize> {
        self.begin as usize..self.end as usize
    }
}

impl Transitions {
    pub(super) fn len(&self) -> usize {
        self.next.len()
    }

    /// Appends one. Indices of more than 32 bits are left to the check of the length.
    pub(super) fn push(&mut self, state: u32, action: u32, next: u32, probability: f64, reward: f64) {
        let begin = self.next.len() as u32;
        let end = begin.wrapping_add(1);
        self.next.push(next);
        self.probability.push(probability);
        self.reward.push(reward);
        match self.runs.last_mut() {
            Some(last) if (last.state, last.action) == (state, action) => last.end = end,
            _ => self.runs.push(Run {
                state,
                action,
                begin,
                end,
            }),
        }
    }

    /// Sorts them by state, action and successor; equals keep their order. States and actions that came in order, as they
    /// do from most files, are left where they are, which takes no memory.
    pub(super) fn sort(&mut self) {
        let row = |run: &Run| (run.state, run.action);
        if !self.runs.is_sorted_by(|a, b| row(a) < row(b)) {
            self.runs.sort_by_key(row);
            let mut sorted = Self {
                runs: Vec::with_capacity(self.runs.len()),
                next: Vec::with_capacity(self.len()),
                probability: Vec::with_capacity(self.len()),
                reward: Vec::with_capacity(self.len()),
            };
            for run in &self.runs {
                for place in run.places() {
                    let (next, probability, reward) = (self.next[place], self.probability[place], self.reward[place]);
                    sorted.push(run.state, run.action, next, probability, reward);
                }
            }
            *self = sorted;
        }
        let mut row = Vec::new();
        for run in &self.runs {
            let places = run.places();
            if self.next[places.clone()].is_sorted() {
                continue;
            }
            row.clear();
            row.extend(
                places
                    .clone()
                    .map(|place| (self.next[place], self.probability[place], self.reward[place])),
            );
            row.sort_by_key(|&(next, ..)| next);
            for (place, &(next, probability, reward)) in places.zip(&row) {
                (self.next[place], self.probability[place], self.reward[place]) = (next, probability, reward);
            }
        }
    }
}
