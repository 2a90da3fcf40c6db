//! Policy iteration that solves for each policy's values only as far as it pays: inexact policy iteration with a
//! Krylov inner solver (Gargiani, Liao-McPherson, Zanelli and Lygeros 2022; for the name, the inexact Newton methods
//! of Dembo, Eisenstat and Steihaug 1982, since policy iteration is Newton's method on T v = v).
//!
//! Each iteration improves the policy by sweeps over all states and then adds Newton's correction d of that policy,
//! (I - gamma P_pi) d = T_pi v - v ([`super::correction`]). How many sweeps, and how d is found, depends on how fast
//! the chains mix, which a few sweeps of value iteration show by the span of their residuals:
//!
//! - *Fast*: the error is soon nearly the same in all states. That part is added at once, and a few Gauss-Seidel sweeps
//!   of the policy's equations do for the rest.
//! - *Slow*: news has far to go. Gauss-Seidel sweeps of T in alternating directions carry it, BiCGSTAB finds d, and
//!   only over the states that still move ([`super::awake`]).
//!
//! Neither converges for certain: a correction in 32 bits may do harm, and policies may follow one another in circles.
//! Where the residual does not halve for a while, sweeps of value iteration take over for as long again, and twice as long
//! each time; those do converge.
//!
//! When the residual is small, one Jacobi sweep gives the guaranteed bound and the answer. It alone decides the
//! answer's accuracy: the corrections are in 32 bits and stop early.

use rayon::prelude::*;

use super::Raw;
use super::awake::Awake;
use super::correction::{self, Workspace};
use super::policy_system::PolicySystem;
use super::progress::Progress;
use crate::bound::Residual;
use crate::error::MdpError;
use crate::model::Model;
use crate::sweep::{self, Direction};

/// Sweeps of value iteration that show how fast the chains mix.
const TRIAL_SWEEPS: usize = 5;

/// Mixing is fast where the last of those sweeps shrinks the span at least by this factor.
const FAST: f64 = 0.85;

/// Sweeps of the policy's equations for each policy, where mixing is fast: few, and more once fewer than one in
/// SETTLED_WHERE_FAST of the actions still change.
const POLICY_SWEEPS: usize = 5;
const SETTLED_POLICY_SWEEPS: usize = 12;
const SETTLED_WHERE_FAST: usize = 50;

/// The most sweeps of T for each policy, where mixing is slow; one suffices where it changes fewer than one in SETTLED
/// of the actions.
const SLOW_SWEEPS: usize = 3;
const SETTLED: usize = 1000;

/// How far the correction's equations are solved, as a fraction of their right side.
const REDUCTION: f32 = 0.1;

/// The most matrix products spent on one correction. While policies still change much, more would be wasted; where a
/// correction ends here and the residual hardly shrinks, the limit is doubled.
const MAX_STEPS: usize = 20;

/// A block of states sleeps while it moves by less than this fraction of the residual aimed at.
const ASLEEP: f64 = 0.1;

/// Iterations in which the residual has to halve.
const PATIENCE: usize = 12;

/// A residual so many times the best diverges.
const DIVERGES: f64 = 1e4;

/// States of one partial sum; partial sums are added in order.
const BLOCK: usize = 8192;

/// The vectors of the iteration.
struct State {
    values: Vec<f64>,
    backed_up: Vec<f64>,
    greedy: Vec<u32>,
}

pub(super) fn solve<M: Model>(model: &M, progress: &mut Progress<'_>) -> Result<Raw, MdpError> {
    let start = initial_value(model, progress.discount);
    match solve_from(model, start, progress) {
        // Where the start is far greater than the values in the end, it costs digits that those would have had.
        Err(MdpError::BelowRounding { .. }) if start != 0.0 => solve_from(model, 0.0, progress),
        result => result,
    }
}

fn solve_from<M: Model>(model: &M, start: f64, progress: &mut Progress<'_>) -> Result<Raw, MdpError> {
    let states = model.states();
    let mut state = State {
        values: vec![start; states],
        backed_up: vec![0.0; states],
        greedy: vec![0; states],
    };
    let mut spans = [f64::INFINITY; 2];
    for _ in 0..TRIAL_SWEEPS {
        let residual = state.sweep(model, progress);
        if let Some(bound) = progress.certify(residual, &mut state.backed_up)? {
            return Ok(state.finish(residual, bound));
        }
        std::mem::swap(&mut state.values, &mut state.backed_up);
        spans = [spans[1], residual.high - residual.low];
    }
    if spans[1] <= FAST * spans[0] && !model.has_terminal() {
        fast(model, state, progress)
    } else {
        slow(model, state, progress)
    }
}

fn fast<M: Model>(model: &M, mut state: State, progress: &mut Progress<'_>) -> Result<Raw, MdpError> {
    let everything = Awake::all(model.states());
    let mut corrections = vec![0.0; model.states()];
    let mut workspace = Workspace::default();
    let mut system: Option<PolicySystem> = None;
    let mut policy: Vec<u32> = Vec::new();
    let mut patience = Patience::new();
    loop {
        let residual = state.sweep(model, progress);
        if let Some(bound) = progress.certify(residual, &mut state.backed_up)? {
            return Ok(state.finish(residual, bound));
        }
        let sweeps = patience.ends(residual.sup(), &mut state.values);
        if sweeps > 0 {
            if let Some((residual, bound)) = state.iterate(model, sweeps, progress)? {
                return Ok(state.finish(residual, bound));
            }
            continue;
        }
        // T v - v, which the sweep has computed, is T_pi v - v for the greedy policy: only its chain may be new.
        let switched = state.greedy.iter().zip(&policy).filter(|(new, old)| new != old).count();
        let settled = !policy.is_empty() && switched < model.states() / SETTLED_WHERE_FAST;
        let sweeps = if settled { SETTLED_POLICY_SWEEPS } else { POLICY_SWEEPS };
        let mut now = match system.take() {
            Some(known) if switched == 0 => known,
            old => {
                policy.clone_from(&state.greedy);
                PolicySystem::new(model, progress.discount, &policy, &state.values, &everything, old).0
            }
        };
        now.set_residual(&state.values, &state.backed_up);
        let common = state.common_error(progress.discount);
        correction::gauss_seidel(&now, &mut corrections, common as f32, sweeps, &mut workspace);
        progress.sweeps += sweeps;
        everything.add(&mut state.values, &corrections);
        system = Some(now);
    }
}

fn slow<M: Model>(model: &M, mut state: State, progress: &mut Progress<'_>) -> Result<Raw, MdpError> {
    let (discount, target) = (progress.discount, progress.residual_target());
    let mut awake = Awake::none(model.states());
    let mut corrections = Vec::new();
    let mut workspace = Workspace::default();
    let mut system = None;
    let mut direction = Direction::Backward;
    let (mut max_steps, mut steps, mut before) = (MAX_STEPS, 0, f64::INFINITY);
    let mut patience = Patience::new();
    loop {
        let State {
            values,
            backed_up,
            greedy,
        } = &mut state;
        for _ in 0..SLOW_SWEEPS {
            let (_, switched) = sweep::gauss_seidel(model, discount, direction, values, backed_up, greedy);
            awake.note_sweep(backed_up, values, ASLEEP * target);
            direction = direction.reverse();
            progress.sweeps += 1;
            if switched < model.states() / SETTLED {
                break;
            }
        }
        awake.renumber();
        let (now, residual) = PolicySystem::new(model, discount, greedy, values, &awake, system.take());
        let small = residual.sup().min(residual.high - residual.low) <= 10.0 * target;
        if small || progress.is_rounding(residual) || awake.count() == 0 {
            let residual = state.sweep(model, progress);
            if let Some(bound) = progress.certify(residual, &mut state.backed_up)? {
                return Ok(state.finish(residual, bound));
            }
        } else {
            progress.iterate(residual)?;
        }
        let sweeps = patience.ends(residual.sup(), &mut state.values);
        if sweeps > 0 {
            if let Some((residual, bound)) = state.iterate(model, sweeps, progress)? {
                return Ok(state.finish(residual, bound));
            }
            system = Some(now);
            continue;
        }
        if steps >= max_steps - 1 && residual.sup() > 0.5 * before {
            max_steps *= 2;
        }
        before = residual.sup();
        corrections.clear();
        corrections.resize(awake.count(), 0.0);
        steps = correction::bicgstab(&now, &mut corrections, REDUCTION, max_steps, &mut workspace);
        progress.sweeps += steps;
        awake.correct(&mut state.values, &corrections, ASLEEP * target);
        system = Some(now);
    }
}

/// How long it is since the residual last halved.
struct Patience {
    best: f64,
    since: usize,
    sweeps: usize,
}

impl Patience {
    fn new() -> Self {
        Self {
            best: f64::INFINITY,
            since: 0,
            sweeps: PATIENCE,
        }
    }

    /// Notes the residual of an iteration. Returns how many sweeps of value iteration are due: none while it halves. Values
    /// whose residual has grown out of hand begin again from zero.
    fn ends(&mut self, residual: f64, values: &mut [f64]) -> usize {
        self.since += 1;
        let diverges = residual.is_nan() || residual > DIVERGES * self.best;
        if diverges {
            values.fill(0.0);
            self.since = PATIENCE;
        }
        if !diverges && residual <= 0.5 * self.best {
            (self.best, self.since) = (residual, 0);
        }
        if self.since < PATIENCE {
            return 0;
        }
        self.since = 0;
        self.sweeps *= 2;
        self.sweeps
    }
}

impl State {
    /// Value iteration: `sweeps` times v <- T v, or until the tolerance is guaranteed, with the residual and the bound.
    fn iterate<M: Model>(
        &mut self,
        model: &M,
        sweeps: usize,
        progress: &mut Progress<'_>,
    ) -> Result<Option<(Residual, f64)>, MdpError> {
        for _ in 0..sweeps {
            let residual = self.sweep(model, progress);
            if let Some(bound) = progress.certify(residual, &mut self.backed_up)? {
                return Ok(Some((residual, bound)));
            }
            std::mem::swap(&mut self.values, &mut self.backed_up);
        }
        Ok(None)
    }

    /// T v and the policy greedy for v.
    fn sweep<M: Model>(&mut self, model: &M, progress: &mut Progress<'_>) -> Residual {
        progress.sweeps += 1;
        sweep::jacobi(
            model,
            progress.discount,
            &self.values,
            &mut self.backed_up,
            &mut self.greedy,
        )
    }

    /// What the mean residual says is missing from v in all states alike: 1 / (1 - gamma) times that mean. (Not the
    /// middle of MacQueen's bounds: after a policy has been evaluated the residuals are zero nearly everywhere and
    /// positive in a few states, and sweeps would have to undo the middle.)
    fn common_error(&self, discount: f64) -> f64 {
        let sums: Vec<f64> = self
            .backed_up
            .par_chunks(BLOCK)
            .zip(self.values.par_chunks(BLOCK))
            .map(|(after, before)| after.iter().zip(before).map(|(after, before)| after - before).sum())
            .collect();
        sums.iter().sum::<f64>() / (self.values.len() as f64 * (1.0 - discount))
    }

    fn finish(self, residual: Residual, bound: f64) -> Raw {
        Raw {
            values: self.backed_up,
            greedy: self.greedy,
            residual,
            bound,
        }
    }
}

/// The value that all states start from: that of earning the middle one of the best immediate rewards for ever. On a
/// map where most cells earn the same, far from anything of interest it is the answer.
fn initial_value<M: Model>(model: &M, discount: f64) -> f64 {
    let best_reward = |state| {
        (0..model.actions(state))
            .map(|a| model.reward(state, a))
            .reduce(f64::max)
    };
    if model.has_terminal() {
        return 0.0;
    }
    let mut best: Vec<f64> = (0..model.states()).into_par_iter().filter_map(best_reward).collect();
    if best.is_empty() {
        return 0.0;
    }
    let middle = best.len() / 2;
    *best.select_nth_unstable_by(middle, f64::total_cmp).1 / (1.0 - discount)
}
