//! Writing the equations of a policy's linear system ([`super::policy_system`]), all of them or those that have changed.

use super::policy_system::{LANES, NOWHERE, Part, Places, Rows};
use crate::model::Model;

/// Entries of a row up to which memory is set aside beforehand.
const SHORT_ROW: usize = 4;

/// What the equations are made from.
pub(super) struct Equations<'a, M> {
    pub(super) model: &'a M,
    pub(super) discount: f64,
    pub(super) policy: &'a [u32],
    pub(super) places: Option<&'a Places>,
}

impl<M: Model> Equations<'_, M> {
    /// The states at places `first..first + LANES`, with their lanes.
    fn lanes(&self, first: usize) -> impl Iterator<Item = (usize, usize)> {
        let count = self.places.map_or(self.policy.len(), |places| places.states.len());
        let state = move |place| self.places.map_or(place, |places| places.states[place] as usize);
        (first..(first + LANES).min(count)).map(state).enumerate()
    }

    /// Calls `visit` with the place and the weight of every successor of `state` but itself. Returns the scale of the
    /// equation. A terminal state has no successors: its value is zero and stays so.
    #[inline]
    fn for_each_entry(&self, state: usize, mut visit: impl FnMut(u32, f64)) -> f64 {
        let action = self.policy[state] as usize;
        if action >= self.model.actions(state) {
            return 0.0;
        }
        let mut stay = 0.0;
        self.model.successors(state, action, |next, probability| {
            if next as usize == state {
                stay += probability;
                return;
            }
            let column = match self.places {
                Some(places) => places.places.get(next as usize).copied().unwrap_or(NOWHERE),
                None => next,
            };
            if column != NOWHERE {
                visit(column, self.discount * probability);
            }
        });
        if stay > 0.0 {
            1.0 / (1.0 - self.discount * stay)
        } else {
            1.0
        }
    }

    /// Writes the equations of a part's states.
    pub(super) fn fill(&self, part: &mut Part, row_length: usize) {
        let Part {
            places,
            rows,
            actions,
            scales,
            ..
        } = part;
        let Rows {
            slices,
            columns,
            weights,
        } = rows;
        slices.clear();
        slices.push(0);
        columns.clear();
        weights.clear();
        actions.clear();
        scales.clear();
        // Exactly what short rows need: growing would double the memory.
        let entries = places.len() / LANES * row_length.min(SHORT_ROW);
        columns.reserve_exact(entries);
        weights.reserve_exact(entries);
        slices.reserve_exact(places.len() / LANES);
        for first in places.clone().step_by(LANES) {
            let begin = columns.len();
            let mut slice_scales = [0.0; LANES];
            for (lane, state) in self.lanes(first) {
                let mut entry = begin;
                let scale = self.for_each_entry(state, |column, weight| {
                    if entry == columns.len() {
                        columns.push([NOWHERE; LANES]);
                        weights.push([0.0; LANES]);
                    }
                    columns[entry][lane] = column;
                    weights[entry][lane] = weight as f32;
                    entry += 1;
                });
                if scale > 1.0 {
                    for weights in &mut weights[begin..entry] {
                        weights[lane] *= scale as f32;
                    }
                }
                slice_scales[lane] = scale as f32;
                actions.push(self.policy[state]);
            }
            scales.push(slice_scales);
            slices.push(columns.len() as u32);
        }
    }

    /// Writes again the equations of those states whose action is another one now. Returns false where one has no room.
    pub(super) fn renew(&self, part: &mut Part) -> bool {
        let Part {
            places,
            rows,
            actions,
            scales,
            ..
        } = part;
        let stored = actions.chunks_mut(LANES).zip(scales).enumerate();
        for (slice, (actions, scales)) in stored {
            for (lane, state) in self.lanes(places.start + slice * LANES) {
                if actions[lane] == self.policy[state] {
                    continue;
                }
                let entries = rows.slices[slice] as usize..rows.slices[slice + 1] as usize;
                let (columns, weights) = (&mut rows.columns[entries.clone()], &mut rows.weights[entries]);
                let mut entry = 0;
                let scale = self.for_each_entry(state, |column, weight| {
                    if let (Some(columns), Some(weights)) = (columns.get_mut(entry), weights.get_mut(entry)) {
                        (columns[lane], weights[lane]) = (column, weight as f32);
                    }
                    entry += 1;
                });
                if entry > columns.len() {
                    return false;
                }
                for columns in &mut columns[entry..] {
                    columns[lane] = NOWHERE;
                }
                for (index, weights) in weights.iter_mut().enumerate() {
                    weights[lane] = if index < entry {
                        weights[lane] * scale as f32
                    } else {
                        0.0
                    };
                }
                (actions[lane], scales[lane]) = (self.policy[state], scale as f32);
            }
        }
        true
    }

    /// b of a part's equations.
    pub(super) fn set_residual(&self, part: &mut Part, residual: impl Fn(usize) -> f64) {
        part.residual.clear();
        part.residual.reserve_exact(part.scales.len());
        for (first, scales) in part.places.clone().step_by(LANES).zip(&part.scales) {
            let mut b = [0.0; LANES];
            for (lane, state) in self.lanes(first) {
                b[lane] = residual(state) as f32 * scales[lane];
            }
            part.residual.push(b);
        }
    }
}
