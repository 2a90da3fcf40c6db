//! The linear system of one policy, for corrections: (I - gamma P_pi) d = T_pi v - v.
//!
//! The correction d takes v to v_pi. It needs to be right only to a digit or two, because the residual on the right
//! is computed afresh in 64-bit arithmetic each time (iterative refinement), so the system is stored and solved in
//! 32 bits: half the memory traffic, and the answer loses nothing.
//!
//! Each equation is divided by 1 - gamma p(s|s, pi), so that the diagonal is one. The states have *places*: their
//! numbers, or, where news has far to go, their order in the flow of the policy ([`crate::flow_order`]), in which one
//! Gauss-Seidel sweep carries it all the way. The places are divided into parts that threads sweep side by side, and
//! within a part the equations are stored [`LANES`] at a time, entry by entry, the shorter rows filled up (sliced
//! ELLPACK; Monakov, Lokhmotov and Avetisyan 2010): one loop over short rows costs more than the rows themselves.

use std::ops::Range;

use rayon::prelude::*;

use super::policy_equations::Equations;
use crate::flow_order::flow_order;
use crate::model::Model;

/// Equations of one slice.
pub(super) const LANES: usize = 8;

/// The column of an entry that only fills up a row. It is the place of no state, so zero is read there.
pub(super) const NOWHERE: u32 = u32::MAX;

/// The equations of one policy, d = b + W d, with W >= 0 and a zero diagonal, and an approximate solution.
pub(super) struct PolicySystem {
    /// The places of the states; none where they are their numbers.
    places: Option<Places>,
    parts: Vec<Part>,
    /// Whether the parts hold equations for these places.
    stored: bool,
    /// The corrections of all places, as of the last sweep.
    corrections: Vec<f32>,
    /// What residual and corrections are counted in.
    unit: f64,
    /// The most entries of a row.
    row_length: usize,
}

/// A renumbering of the states.
pub(super) struct Places {
    /// The state at each place.
    pub(super) states: Vec<u32>,
    /// The place of each state.
    pub(super) places: Vec<u32>,
}

/// The equations of consecutive places.
#[derive(Default)]
pub(super) struct Part {
    /// Whole slices, so that the last part may reach beyond the last state.
    pub(super) places: Range<usize>,
    pub(super) rows: Rows,
    /// The action whose equation is stored, place by place.
    pub(super) actions: Vec<u32>,
    /// 1 / (1 - gamma p(s|s, pi)), by which each equation is scaled.
    pub(super) scales: Vec<[f32; LANES]>,
    /// b, the scaled residual.
    pub(super) residual: Vec<[f32; LANES]>,
    /// The corrections of all places as this part knows them: its own are new, the others' of the sweep before.
    pub(super) view: Vec<f32>,
}

/// The rows of W, slice by slice.
#[derive(Default)]
pub(super) struct Rows {
    /// Where each slice's entries begin.
    pub(super) slices: Vec<u32>,
    pub(super) columns: Vec<[u32; LANES]>,
    pub(super) weights: Vec<[f32; LANES]>,
}

/// How much a sweep has changed the corrections.
#[derive(Clone, Copy, Default)]
pub(super) struct Change {
    /// The greatest change of one.
    pub(super) sup: f32,
    /// The sum of the squares of all changes.
    pub(super) squares: f64,
}

impl Change {
    fn join(self, other: Self) -> Self {
        Self {
            sup: self.sup.max(other.sup),
            squares: self.squares + other.squares,
        }
    }
}

impl Places {
    /// Places for `states` in the flow of a policy. The other states have none: their corrections are zero. `old` gives its
    /// memory.
    fn in_flow<M: Model>(model: &M, policy: &[u32], states: &[u32], old: Option<Self>) -> Self {
        let mut places = old.map_or_else(Vec::new, |old| old.places);
        places.clear();
        places.resize(policy.len(), NOWHERE);
        for (index, &state) in states.iter().enumerate() {
            places[state as usize] = index as u32;
        }
        let likeliest_successor = |&state: &u32| {
            let (state, action) = (state as usize, policy[state as usize] as usize);
            let mut likeliest = (0.0, NOWHERE);
            if action < model.actions(state) {
                model.successors(state, action, |next, probability| {
                    if probability > likeliest.0 && next as usize != state {
                        likeliest = (probability, next);
                    }
                });
            }
            places.get(likeliest.1 as usize).copied().unwrap_or(NOWHERE)
        };
        let likeliest: Vec<u32> = states.par_iter().map(likeliest_successor).collect();
        let mut order = flow_order(states.len(), |index| {
            let next = likeliest[index] as usize;
            (next < likeliest.len()).then_some(next)
        });
        for (place, index) in order.iter_mut().enumerate() {
            *index = states[*index as usize];
            places[*index as usize] = place as u32;
        }
        Self { states: order, places }
    }
}

impl Rows {
    /// W x for one slice, added to `sum`.
    #[expect(clippy::inline_always, reason = "a call for every slice costs a fifth of a sweep")]
    #[inline(always)]
    fn add_product(&self, slice: usize, x: &[f32], sum: &mut [f32; LANES]) {
        let entries = self.slices[slice] as usize..self.slices[slice + 1] as usize;
        for (columns, weights) in self.columns[entries.clone()].iter().zip(&self.weights[entries]) {
            let mut entry = [0.0; LANES];
            for lane in 0..LANES {
                entry[lane] = x.get(columns[lane] as usize).copied().unwrap_or(0.0);
            }
            for lane in 0..LANES {
                sum[lane] += weights[lane] * entry[lane];
            }
        }
    }

    /// One Gauss-Seidel sweep over x = b + W x, of the rows whose unknowns begin at `first`.
    fn sweep(&self, b: &[[f32; LANES]], x: &mut [f32], first: usize) -> Change {
        let (mut sup, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for (slice, b) in b.iter().enumerate() {
            let mut sum = *b;
            self.add_product(slice, x, &mut sum);
            let place = first + slice * LANES;
            let own = &mut x[place..place + LANES];
            for lane in 0..LANES {
                let change = (sum[lane] - own[lane]).abs();
                sup[lane] = if change > sup[lane] { change } else { sup[lane] };
                squares[lane] += change * change;
            }
            own.copy_from_slice(&sum);
        }
        Change {
            sup: sup.into_iter().fold(0.0, f32::max),
            squares: squares.into_iter().map(f64::from).sum(),
        }
    }
}

impl PolicySystem {
    /// A system without equations yet, whose rows will have `row_length` entries at most.
    pub(super) fn new(row_length: usize) -> Self {
        Self {
            places: None,
            parts: Vec::new(),
            stored: false,
            corrections: Vec::new(),
            unit: 1.0,
            row_length,
        }
    }

    /// From the next system on, only `states` have places, in the flow of `policy`.
    pub(super) fn arrange<M: Model>(&mut self, model: &M, policy: &[u32], states: &[u32]) {
        self.places = Some(Places::in_flow(model, policy, states, self.places.take()));
        self.stored = false;
    }

    /// Sets up the system of `policy` at `values`, with `backed_up` = T_pi `values`; all corrections are zero. Residual and
    /// corrections are counted in units of `unit`, about the size of the residual, so that 32 bits hold them.
    pub(super) fn set_up<M: Model>(
        &mut self,
        model: &M,
        discount: f64,
        policy: &[u32],
        values: &[f64],
        backed_up: &[f64],
        unit: f64,
    ) {
        self.unit = if unit > 0.0 && unit.is_finite() { unit } else { 1.0 };
        let (places, unit, row_length) = (self.places.as_ref(), self.unit, self.row_length);
        let count = places.map_or(values.len(), |places| places.states.len());
        let slices = count.div_ceil(LANES);
        self.corrections.clear();
        self.corrections.resize(slices * LANES, 0.0);
        let parts = crate::sweep::parts(count);
        self.parts.resize_with(parts, Part::default);
        let residual = |state: usize| (backed_up[state] - values[state]) / unit;
        let equations = Equations {
            model,
            discount,
            policy,
            places,
        };
        let stored = self.stored;
        self.parts.par_iter_mut().enumerate().for_each(|(index, part)| {
            if !(stored && equations.renew(part)) {
                part.places = LANES * (index * slices / parts)..LANES * ((index + 1) * slices / parts);
                equations.fill(part, row_length);
            }
            part.view.clear();
            part.view.resize(slices * LANES, 0.0);
            equations.set_residual(part, residual);
        });
        self.stored = true;
    }

    /// Places, and the few beyond the last state that fill up its slice.
    pub(super) fn len(&self) -> usize {
        self.corrections.len()
    }

    /// b, place by place.
    pub(super) fn copy_residual(&self, to: &mut [f32]) {
        self.for_each_part(to, |part, to| to.copy_from_slice(part.residual.as_flattened()));
    }

    /// One Gauss-Seidel sweep over d = b + W d.
    pub(super) fn sweep(&mut self) -> Change {
        let Self { parts, corrections, .. } = self;
        if let [part] = &mut parts[..] {
            return part.rows.sweep(&part.residual, &mut part.view, part.places.start);
        }
        let before = &corrections[..];
        let changes = parts
            .par_iter_mut()
            .map(|part| {
                let Range { start, end } = part.places;
                part.view[..start].copy_from_slice(&before[..start]);
                part.view[end..].copy_from_slice(&before[end..]);
                part.rows.sweep(&part.residual, &mut part.view, start)
            })
            .collect::<Vec<_>>();
        self.share();
        changes.into_iter().fold(Change::default(), Change::join)
    }

    /// Lets all parts know one another's corrections.
    fn share(&mut self) {
        let mut shared = std::mem::take(&mut self.corrections);
        self.for_each_part(&mut shared, |part, own| own.copy_from_slice(part.own()));
        self.corrections = shared;
    }

    /// Adds the same to all corrections.
    pub(super) fn shift(&mut self, by: f64) {
        let by = (by / self.unit) as f32;
        for part in &mut self.parts {
            part.view[part.places.clone()].iter_mut().for_each(|d| *d += by);
        }
        self.corrections.iter_mut().for_each(|d| *d += by);
    }

    /// Two sweeps, and then the rest of the geometric series that their changes begin: each two sweeps more change `rate`
    /// times as much as the two before.
    pub(super) fn extrapolate(&mut self, rate: f32, before: &mut Vec<f32>) {
        before.clear();
        before.resize(self.len(), 0.0);
        self.for_each_part(before, |part, before| before.copy_from_slice(part.own()));
        self.sweep();
        self.sweep();
        let factor = rate / (1.0 - rate);
        self.parts.par_iter_mut().for_each(|part| {
            let places = part.places.clone();
            for (now, before) in part.view[places.clone()].iter_mut().zip(&before[places]) {
                *now += factor * (*now - before);
            }
        });
        self.share();
    }

    /// Takes these corrections.
    pub(super) fn set(&mut self, corrections: &[f32]) {
        self.corrections.copy_from_slice(corrections);
        for part in &mut self.parts {
            part.view.copy_from_slice(corrections);
        }
    }

    /// `y = (I - W) x`.
    pub(super) fn apply(&self, x: &[f32], y: &mut [f32]) {
        self.for_each_part(y, |part, y| {
            let own = &x[part.places.clone()];
            let (y, _) = y.as_chunks_mut::<LANES>();
            for ((slice, y), own) in y.iter_mut().enumerate().zip(own.as_chunks::<LANES>().0) {
                let mut sum = [0.0; LANES];
                part.rows.add_product(slice, x, &mut sum);
                for lane in 0..LANES {
                    y[lane] = own[lane] - sum[lane];
                }
            }
        });
    }

    /// `z` = M^-1 r, with M the lower triangle of each part's own equations: a Gauss-Seidel sweep from zero. Overwrites the
    /// corrections.
    pub(super) fn precondition(&mut self, r: &[f32], z: &mut [f32]) {
        self.parts.par_iter_mut().for_each(|part| {
            part.view.fill(0.0);
            let (b, _) = r[part.places.clone()].as_chunks::<LANES>();
            part.rows.sweep(b, &mut part.view, part.places.start);
        });
        self.for_each_part(z, |part, z| z.copy_from_slice(part.own()));
    }

    /// Adds the corrections to `values`, unless some are not finite.
    pub(super) fn correct(&self, values: &mut [f64]) {
        if !self
            .parts
            .par_iter()
            .all(|part| part.own().iter().all(|d| d.is_finite()))
        {
            return;
        }
        let Some(places) = &self.places else {
            self.for_each_part(values, |part, values| {
                for (value, &d) in values.iter_mut().zip(part.own()) {
                    *value += self.unit * f64::from(d);
                }
            });
            return;
        };
        for part in &self.parts {
            for (&state, &d) in places.states[part.places.start..].iter().zip(part.own()) {
                values[state as usize] += self.unit * f64::from(d);
            }
        }
    }

    /// Runs `work` on each part and its slice of `vector`, in parallel. What fills up the last slice may be missing there.
    fn for_each_part<T: Send>(&self, vector: &mut [T], work: impl Fn(&Part, &mut [T]) + Sync) {
        let mut slices = Vec::with_capacity(self.parts.len());
        let mut rest = vector;
        for part in &self.parts {
            let (own, others) = rest.split_at_mut(part.places.len().min(rest.len()));
            rest = others;
            slices.push((part, own));
        }
        slices.into_par_iter().for_each(|(part, own)| work(part, own));
    }
}

impl Part {
    /// The corrections of this part's places.
    fn own(&self) -> &[f32] {
        &self.view[self.places.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GridWorld, GridWorldSpec};

    /// A slippery grid of `side` x `side` cells.
    fn grid(side: usize) -> GridWorld {
        let mut map = vec!["..x..".repeat(side / 5); side];
        map[side / 2].replace_range(1..2, "T");
        GridWorld::new(&GridWorldSpec {
            map,
            slip: 0.2,
            ..GridWorldSpec::default()
        })
        .unwrap()
    }

    #[test]
    fn equations_of_the_next_policy_are_written_over_those_of_the_last() {
        // In one part and in two.
        for side in [20, 150] {
            let model = grid(side);
            let states = model.states();
            let policy = |factor: usize| (0..states).map(|state| (factor * state % 5) as u32).collect::<Vec<_>>();
            let (values, backed_up) = (vec![0.0; states], vec![1.0; states]);
            let corrections = |policies: &[Vec<u32>]| {
                let mut system = PolicySystem::new(model.max_successors());
                for policy in policies {
                    system.set_up(&model, 0.9, policy, &values, &backed_up, 1.0);
                }
                for _ in 0..3 {
                    system.sweep();
                }
                system.share();
                system.corrections
            };
            assert_eq!(corrections(&[policy(3), policy(7)]), corrections(&[policy(7)]));
        }
    }
}
