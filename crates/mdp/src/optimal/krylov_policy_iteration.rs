//! Policy iteration that solves for each policy's values only as far as it pays: inexact policy iteration with a
//! Krylov inner solver (Gargiani, Liao-McPherson, Zanelli and Lygeros 2022; for the name, the inexact Newton methods
//! of Dembo, Eisenstat and Steihaug 1982, since policy iteration is Newton's method on T v = v).
//!
//! Each iteration takes the policy greedy for v and adds Newton's correction d of that policy,
//! (I - gamma P_pi) d = T_pi v - v ([`super::correction`]): by Gauss-Seidel sweeps, and by BiCGSTAB where those crawl. What
//! else it does depends on how fast the chains mix, which two sweeps of value iteration show: fast where most states
//! move and the span of the residuals shrinks.
//!
//! - *Fast*: the error is soon nearly the same in all states. That part is added at once, before the sweeps, of which
//!   there are the fewer, the further the policy still is from the best.
//! - *Slow*, also where this turns out later: news has far to go. Better actions are followed as a front through the
//!   states that they concern ([`super::front`]), and the sweeps go in the flow of the policy, over the states that still
//!   move.
//!
//! Neither converges for certain: a correction in 32 bits may do harm, and policies may follow one another in circles.
//! Where the residual does not halve for a while, sweeps of value iteration take over for as long again, and twice as long
//! each time; those do converge.
//!
//! A Jacobi sweep gives the guaranteed bound and the answer. It alone decides the answer's accuracy: the corrections are
//! in 32 bits and stop early.

use rayon::prelude::*;

use super::Raw;
use super::correction::{self, Workspace};
use super::front::Front;
use super::policy_system::PolicySystem;
use super::progress::Progress;
use crate::bound::Residual;
use crate::error::MdpError;
use crate::model::Model;
use crate::sweep;

/// States whose rewards suggest the first values.
const SAMPLE: usize = 1000;

/// Sweeps of value iteration that show how fast the chains mix.
const TRIAL_SWEEPS: usize = 2;

/// Mixing is fast where the last of those sweeps shrinks the span at least by this factor and half of the states move by
/// more than this fraction of it.
const FAST: f64 = 0.85;
const MOVES: f64 = 0.1;

/// The most sweeps of the policy's equations for each policy.
const SWEEPS: usize = 20;

/// How far the correction's equations are solved: until the changes have shrunk to this fraction of the first.
const REDUCTION: f64 = 3e-3;

/// Where mixing is fast, only to this multiple of the square of the factor by which the last correction has shrunk the
/// residual, as long as that is more (the forcing terms of Eisenstat and Walker 1996, choice 2).
const FORCING: f64 = 0.2;

/// How far BiCGSTAB solves them, and the most matrix products that it spends.
const KRYLOV_REDUCTION: f32 = 0.1;
const MAX_STEPS: usize = 40;

/// Mixing is not fast after all where so many iterations have not shrunk the residual to this fraction.
const SLOW: f64 = 0.75;
const SLOW_ITERATIONS: usize = 3;

/// Fronts are followed where the last correction has not shrunk the residual to this fraction.
const STALLS: f64 = 0.1;

/// How far fronts are followed: until no state moves by more than this fraction of the residual.
const FRONT: f64 = 0.02;

/// A block of states sleeps while it moves by less than this fraction of the residual aimed at.
const ASLEEP: f64 = 1e-3;

/// States that wake and sleep together.
const SLEEPERS: usize = 16;

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

/// How fast the chains mix.
enum Mixing {
    Fast,
    /// With fronts where states have few predecessors.
    Slow(Option<Front>),
}

pub(super) fn solve<M: Model>(model: &M, progress: &mut Progress<'_>) -> Result<Raw, MdpError> {
    let rewards = best_rewards(model);
    let start = if progress.has_terminal() || rewards.is_empty() {
        0.0
    } else {
        initial_value(&rewards, progress.discount)
    };
    match solve_from(model, start, rewards, progress) {
        // Where the start is far greater than the values in the end, it costs digits that those would have had.
        Err(MdpError::BelowRounding { .. }) if start != 0.0 => solve_from(model, 0.0, best_rewards(model), progress),
        result => result,
    }
}

/// From v = `start` in all states, whose best rewards become the values T v in place.
fn solve_from<M: Model>(
    model: &M,
    start: f64,
    rewards: Vec<f64>,
    progress: &mut Progress<'_>,
) -> Result<Raw, MdpError> {
    let states = model.states();
    let mut values = rewards;
    for value in &mut values {
        *value += progress.discount * start;
    }
    let mut state = State {
        values,
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
    let shrinks = spans[1] <= FAST * spans[0] && !progress.has_terminal();
    let moving = || awake(&state.values, &state.backed_up, MOVES * spans[1]).len();
    let mixing = if shrinks && moving() > states / 2 {
        Mixing::Fast
    } else {
        Mixing::Slow(Front::new(model))
    };
    iterate(model, state, mixing, progress)
}

fn iterate<M: Model>(
    model: &M,
    mut state: State,
    mut mixing: Mixing,
    progress: &mut Progress<'_>,
) -> Result<Raw, MdpError> {
    let discount = progress.discount;
    let mut workspace = Workspace::default();
    let mut system = PolicySystem::new(progress.max_successors());
    let mut patience = Patience::new();
    let (mut before, mut slow) = (0.0, 0);
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
        let shrunk = if before > 0.0 { residual.sup() / before } else { 1.0 };
        slow += usize::from(shrunk > SLOW && before > 0.0);
        before = residual.sup();
        if slow == SLOW_ITERATIONS && matches!(mixing, Mixing::Fast) {
            mixing = Mixing::Slow(Front::new(model));
        }
        let State {
            values,
            backed_up,
            greedy,
        } = &mut state;
        let reduction = match &mut mixing {
            Mixing::Fast => {
                system.set_up(model, discount, greedy, values, backed_up, before);
                system.shift(common_error(values, backed_up, discount));
                (FORCING * shrunk * shrunk).max(REDUCTION)
            }
            Mixing::Slow(front) => {
                if let (Some(front), true) = (front, shrunk > STALLS) {
                    front.advance(model, discount, FRONT * before, values, backed_up, greedy);
                }
                let threshold = ASLEEP * progress.residual_target();
                system.arrange(model, greedy, &awake(values, backed_up, threshold));
                system.set_up(model, discount, greedy, values, backed_up, before);
                REDUCTION
            }
        };
        let (sweeps, crawls) = correction::sweeps(&mut system, reduction as f32, SWEEPS, &mut workspace);
        progress.sweeps += sweeps;
        if crawls {
            progress.sweeps += correction::bicgstab(&mut system, KRYLOV_REDUCTION, MAX_STEPS, &mut workspace);
        }
        system.correct(values);
    }
}

/// What the mean residual says is missing from v in all states alike: 1 / (1 - gamma) times that mean. (Not the
/// middle of MacQueen's bounds: after a policy has been evaluated the residuals are zero nearly everywhere and
/// positive in a few states, and sweeps would have to undo the middle.)
fn common_error(values: &[f64], backed_up: &[f64], discount: f64) -> f64 {
    let sums: Vec<f64> = backed_up
        .par_chunks(BLOCK)
        .zip(values.par_chunks(BLOCK))
        .map(|(after, before)| after.iter().zip(before).map(|(after, before)| after - before).sum())
        .collect();
    sums.iter().sum::<f64>() / (values.len() as f64 * (1.0 - discount))
}

/// The states of all blocks in which some state moves by more than `threshold`. Every state starts at the same value,
/// chosen so that it is right already wherever nothing of interest is within reach, and states that have found their
/// values stop moving: on a large map only the region that still changes costs anything.
fn awake(values: &[f64], backed_up: &[f64], threshold: f64) -> Vec<u32> {
    let blocks: Vec<bool> = values
        .par_chunks(SLEEPERS)
        .zip(backed_up.par_chunks(SLEEPERS))
        .map(|(before, after)| (before.iter().zip(after)).any(|(before, after)| (after - before).abs() > threshold))
        .collect();
    let mut awake = Vec::new();
    for (block, _) in blocks.into_iter().enumerate().filter(|&(_, moves)| moves) {
        let first = block * SLEEPERS;
        awake.extend(first as u32..(first + SLEEPERS).min(values.len()) as u32);
    }
    awake
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

    fn finish(self, residual: Residual, bound: f64) -> Raw {
        Raw {
            values: self.backed_up,
            greedy: self.greedy,
            residual,
            bound,
        }
    }
}

/// The best immediate reward of every state; zero in a terminal one.
fn best_rewards<M: Model>(model: &M) -> Vec<f64> {
    let best = |state| {
        (0..model.actions(state))
            .map(|action| model.reward(state, action))
            .reduce(f64::max)
    };
    (0..model.states())
        .into_par_iter()
        .map(|state| best(state).unwrap_or(0.0))
        .collect()
}

/// The value that all states start from: that of earning the middle one of the best immediate rewards for ever, over a
/// sample of the states. On a map where most cells earn the same, far from anything of interest it is the answer.
fn initial_value(rewards: &[f64], discount: f64) -> f64 {
    let mut sample: Vec<f64> = rewards
        .iter()
        .step_by(rewards.len().div_ceil(SAMPLE))
        .copied()
        .collect();
    let middle = sample.len() / 2;
    *sample.select_nth_unstable_by(middle, f64::total_cmp).1 / (1.0 - discount)
}
