//! The linear system of one policy, for corrections: (I - gamma P_pi) d = T_pi v - v.
//!
//! The correction d takes v to v_pi. It needs to be right only to a digit or two, because the residual on the right
//! is computed afresh in 64-bit arithmetic each time (iterative refinement), so the system is stored and solved in
//! 32 bits: half the memory traffic, and the answer loses nothing.
//!
//! Each equation is divided by 1 - gamma p(s|s, pi), so that the diagonal is one. The states are divided into parts
//! that threads solve side by side; a part's preconditioner sees its own states only (block Jacobi).

use std::ops::Range;

use rayon::prelude::*;

use super::awake::Awake;
use super::incomplete_lu::IncompleteLu;
use crate::bound::Residual;
use crate::model::{Model, value_of};

/// The equations of one policy over the awake states, d = b + W d, with W >= 0 and a zero diagonal.
#[derive(Default)]
pub(super) struct PolicySystem {
    pub(super) parts: Vec<Part>,
    /// b, the scaled residual.
    pub(super) residual: Vec<f32>,
}

/// The equations of consecutive awake states.
#[derive(Default)]
pub(super) struct Part {
    pub(super) states: Range<usize>,
    /// Couplings within the part: columns are relative to its first state and sorted.
    pub(super) inner: Rows,
    /// Couplings to the other parts: columns are awake indices.
    pub(super) outer: Rows,
    /// 1 / (1 - gamma p(s|s, pi)), what each equation is multiplied by.
    scale: Vec<f32>,
}

/// Sparse rows.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) starts: Vec<u32>,
    pub(super) columns: Vec<u32>,
    pub(super) weights: Vec<f32>,
}

impl Rows {
    fn clear(&mut self) {
        self.starts.clear();
        self.columns.clear();
        self.weights.clear();
        self.starts.push(0);
    }

    fn end_row(&mut self) {
        self.starts.push(self.columns.len() as u32);
    }

    /// Puts the last row, not ended yet, in the order of its columns. Rows are short: insertion sort.
    fn sort_last_row(&mut self) {
        let begin = self.starts.last().map_or(0, |&start| start as usize);
        for end in begin + 1..self.columns.len() {
            let mut at = end;
            while at > begin && self.columns[at - 1] > self.columns[at] {
                self.columns.swap(at - 1, at);
                self.weights.swap(at - 1, at);
                at -= 1;
            }
        }
    }

    #[inline]
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
        let range = self.starts[row] as usize..self.starts[row + 1] as usize;
        self.columns[range.clone()]
            .iter()
            .copied()
            .zip(self.weights[range].iter().copied())
    }
}

impl PolicySystem {
    /// Sets up the system of `policy` at `values`; returns it with the range of the residual T_pi v - v. `old` gives
    /// its memory.
    pub(super) fn new<M: Model>(
        model: &M,
        discount: f64,
        policy: &[u32],
        values: &[f64],
        awake: &Awake,
        old: Option<Self>,
    ) -> (Self, Residual) {
        let count = awake.count();
        let Self {
            parts: mut old_parts,
            mut residual,
        } = old.unwrap_or_default();
        residual.clear();
        residual.resize(count, 0.0);
        let ranges = crate::sweep::parts(count);
        old_parts.resize_with(ranges.len(), Part::default);
        let mut tasks = Vec::with_capacity(ranges.len());
        let mut rest = &mut residual[..];
        for (states, part) in ranges.into_iter().zip(old_parts) {
            let (own, others) = rest.split_at_mut(states.len());
            rest = others;
            tasks.push((Part { states, ..part }, own));
        }
        let (parts, ranges): (Vec<Part>, Vec<Residual>) = tasks
            .into_par_iter()
            .map(|(mut part, residual)| {
                let range = part.fill(model, discount, policy, values, awake, residual);
                (part, range)
            })
            .unzip();
        let range = ranges.into_iter().fold(Residual::NONE, Residual::join);
        (Self { parts, residual }, range)
    }

    /// Puts T v - v on the right side, where all states are awake and the policy is greedy for v.
    pub(super) fn set_residual(&mut self, values: &[f64], backed_up: &[f64]) {
        let mut residual = std::mem::take(&mut self.residual);
        self.for_each_part(&mut residual, |_, part, residual| {
            let states = part.states.clone();
            let differences = backed_up[states.clone()]
                .iter()
                .zip(&values[states])
                .map(|(after, before)| after - before);
            for ((residual, difference), scale) in residual.iter_mut().zip(differences).zip(&part.scale) {
                *residual = difference as f32 * scale;
            }
        });
        self.residual = residual;
    }

    /// `y = (I - W) x`, part by part.
    pub(super) fn apply(&self, x: &[f32], y: &mut [f32]) {
        self.for_each_part(y, |_, part, y| {
            let own = &x[part.states.clone()];
            for (row, (y, own_x)) in y.iter_mut().zip(own).enumerate() {
                let mut sum = *own_x;
                for (column, weight) in part.inner.row(row) {
                    sum -= weight * own[column as usize];
                }
                for (column, weight) in part.outer.row(row) {
                    sum -= weight * x[column as usize];
                }
                *y = sum;
            }
        });
    }

    /// One Gauss-Seidel sweep over d = b + W d; `before` is scratch.
    pub(super) fn gauss_seidel(&self, d: &mut [f32], before: &mut Vec<f32>) {
        before.clear();
        before.extend_from_slice(d);
        let before = &before[..];
        self.for_each_part(d, |_, part, d| {
            for (row, b) in self.residual[part.states.clone()].iter().enumerate() {
                let mut sum = *b;
                for (column, weight) in part.inner.row(row) {
                    sum += weight * d[column as usize];
                }
                for (column, weight) in part.outer.row(row) {
                    sum += weight * before[column as usize];
                }
                d[row] = sum;
            }
        });
    }

    /// Solves every part's incomplete factors for its slice of `z`, in place.
    pub(super) fn solve_parts(&self, factors: &[IncompleteLu], z: &mut [f32]) {
        self.for_each_part(z, |index, part, z| factors[index].solve(&part.inner, z));
    }

    /// Runs `work` on each part, its index and its slice of `vector`, in parallel.
    fn for_each_part(&self, vector: &mut [f32], work: impl Fn(usize, &Part, &mut [f32]) + Sync) {
        let mut slices = Vec::with_capacity(self.parts.len());
        let mut rest = vector;
        for part in &self.parts {
            let (own, others) = rest.split_at_mut(part.states.len());
            rest = others;
            slices.push((part, own));
        }
        slices
            .into_par_iter()
            .enumerate()
            .for_each(|(index, (part, own))| work(index, part, own));
    }

    /// The incomplete factors of every part.
    pub(super) fn factorise(&self, old: Vec<IncompleteLu>) -> Vec<IncompleteLu> {
        let mut old: Vec<Option<IncompleteLu>> = old.into_iter().map(Some).collect();
        old.resize_with(self.parts.len(), || None);
        self.parts
            .par_iter()
            .zip(old)
            .map(|(part, old)| IncompleteLu::new(&part.inner, old))
            .collect()
    }
}

impl Part {
    /// Writes the equations of this part's states and their scaled residuals.
    fn fill<M: Model>(
        &mut self,
        model: &M,
        discount: f64,
        policy: &[u32],
        values: &[f64],
        awake: &Awake,
        scaled: &mut [f32],
    ) -> Residual {
        let Self {
            states,
            inner,
            outer,
            scale: scales,
        } = self;
        scales.clear();
        inner.clear();
        outer.clear();
        let mut residual = Residual::NONE;
        for (index, scaled) in states.clone().zip(scaled) {
            let state = awake.state(index);
            let action = policy[state] as usize;
            if action >= model.actions(state) {
                // A terminal state: its value is zero and stays so.
                residual.join_state(0.0, 0.0);
                scales.push(0.0);
                inner.end_row();
                outer.end_row();
                continue;
            }
            let (mut expected, mut stay) = (0.0, 0.0);
            model.successors(state, action, |next, probability| {
                expected += probability * value_of(values, next);
                if next as usize == state {
                    stay += probability;
                }
            });
            let backed_up = model.reward(state, action) + discount * expected;
            residual.join_state(values[state], backed_up);
            let scale = 1.0 / (1.0 - discount * stay);
            scales.push(scale as f32);
            *scaled = ((backed_up - values[state]) * scale) as f32;
            model.successors(state, action, |next, probability| {
                let Some(column) = awake.index(next) else { return };
                if next as usize == state {
                    return;
                }
                let rows = if states.contains(&column) {
                    &mut *inner
                } else {
                    &mut *outer
                };
                rows.columns.push(if states.contains(&column) {
                    column - states.start
                } else {
                    column
                } as u32);
                rows.weights.push((discount * probability * scale) as f32);
            });
            inner.sort_last_row();
            inner.end_row();
            outer.end_row();
        }
        residual
    }
}
