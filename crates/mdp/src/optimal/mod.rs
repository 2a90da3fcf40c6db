//! Optimal policies: the Bellman optimality equation v = max over pi of (r_pi + gamma P_pi v) and five ways to its
//! unique solution v* (Zhao, chapters 3 and 4).
//!
//! | method | one iteration | source |
//! |---|---|---|
//! | [`Method::ValueIteration`] | v <- T v | Zhao, algorithm 4.1 |
//! | [`Method::GaussSeidel`] | the same in place, in alternating directions | Puterman, section 6.3.3 |
//! | [`Method::PolicyIteration`] | v <- v_pi; pi greedy for v | Zhao, algorithm 4.2 |
//! | [`Method::TruncatedPolicyIteration`] | j times v <- T_pi v; pi greedy for v | Zhao, algorithm 4.3 |
//! | [`Method::KrylovPolicyIteration`] | v nearly v_pi, by a Krylov method if need be; pi greedy | Gargiani et al. 2022 |
//!
//! All of them stop on the same guaranteed bound (`bound.rs`), never on a bare difference of iterates.

mod correction;
mod finite_horizon;
mod front;
mod krylov_policy_iteration;
mod method;
mod policy_equations;
mod policy_iteration;
mod policy_system;
mod progress;
mod solution;
mod truncated_policy_iteration;
mod value_iteration;

use std::time::Instant;

pub use finite_horizon::{FiniteHorizon, finite_horizon};
pub use method::Method;
pub use solution::Solution;

use crate::bound::{ErrorBound, Residual};
use crate::discount::{check_discount, longest_episode};
use crate::error::MdpError;
use crate::iteration::OnIteration;
use crate::model::Model;
use progress::Progress;

/// What to solve by, and how far.
#[derive(Debug, Clone, PartialEq)]
pub struct SolveOptions {
    /// The method; [`Method::Auto`] chooses.
    pub method: Method,
    /// The greatest sup-norm error of the values that may remain; positive.
    pub tolerance: f64,
    /// The most iterations before giving up.
    pub max_iterations: usize,
}

impl Default for SolveOptions {
    fn default() -> Self {
        Self {
            method: Method::Auto,
            tolerance: 1e-9,
            max_iterations: 1_000_000,
        }
    }
}

/// What a method hands back: T v, the policy greedy for v, and the guarantee.
struct Raw {
    values: Vec<f64>,
    greedy: Vec<u32>,
    residual: Residual,
    bound: f64,
}

/// Solves the Bellman optimality equation to within `options.tolerance` of v* in every state.
///
/// # Errors
/// A discount out of range, or 1 where some policy never ends; a tolerance that is not positive or lies below what
/// rounding allows; no convergence within `options.max_iterations`; an interruption by `on_iteration`.
///
/// ```
/// use etude_mdp::{MdpBuilder, Next, silent, optimal::{SolveOptions, solve}};
///
/// // Stay in a state that earns 1 a step, or leave one that earns nothing.
/// let mut builder = MdpBuilder::new(2);
/// builder.transition(0, 0, Next::State(0), 1.0, 0.0);
/// builder.transition(0, 1, Next::State(1), 1.0, 1.0);
/// builder.transition(1, 0, Next::State(1), 1.0, 1.0);
/// let solution = solve(&builder.build()?, 0.9, &SolveOptions::default(), &mut silent)?;
/// assert!((solution.values[0] - 10.0).abs() <= solution.bound);
/// assert_eq!(solution.policy, [1, 0]);
/// # Ok::<(), etude_mdp::MdpError>(())
/// ```
pub fn solve<M: Model>(
    model: &M,
    discount: f64,
    options: &SolveOptions,
    on_iteration: OnIteration<'_>,
) -> Result<Solution, MdpError> {
    let started = Instant::now();
    if !(options.tolerance > 0.0 && options.tolerance.is_finite()) {
        let found = options.tolerance.to_string();
        return Err(MdpError::Setting {
            name: "tolerance",
            found,
            expected: "a positive number",
        });
    }
    check_discount(model, discount)?;
    let horizon = if discount < 1.0 {
        None
    } else {
        Some(longest_episode(model)?)
    };
    let (method, reason) = options.method.resolve(discount, options.tolerance);
    let bounds = ErrorBound::new(model, discount, horizon);
    let mut progress = Progress::new(method, discount, bounds, options, on_iteration);
    // Inside the thread pool from here on: each parallel loop entered from outside would cost a thread's waking.
    let raw = rayon::scope(|_| match method {
        Method::ValueIteration => value_iteration::jacobi(model, &mut progress),
        Method::GaussSeidel => value_iteration::gauss_seidel(model, &mut progress),
        Method::PolicyIteration => policy_iteration::solve(model, &mut progress),
        Method::TruncatedPolicyIteration { sweeps } => truncated_policy_iteration::solve(model, sweeps, &mut progress),
        Method::KrylovPolicyIteration | Method::Auto => krylov_policy_iteration::solve(model, &mut progress),
    })?;
    Ok(Solution {
        method,
        reason,
        discount,
        values: raw.values,
        policy: raw.greedy,
        iterations: progress.iterations,
        sweeps: progress.sweeps,
        residual: raw.residual.sup(),
        bound: raw.bound,
        history: progress.history,
        seconds: started.elapsed().as_secs_f64(),
    })
}
