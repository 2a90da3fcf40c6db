//! State values of a policy (Zhao, *Mathematical Foundations of Reinforcement Learning*, chapter 2).
//!
//! The value of a state is the expected discounted return from it, and it satisfies the Bellman equation
//!
//! v(s) = sum over a of pi(a|s) \[ r(s, a) + gamma sum over s' of p(s'|s, a) v(s') \],
//!
//! or, with r_pi and P_pi the rewards and transitions of the chain that the policy makes of the model,
//!
//! v = r_pi + gamma P_pi v.
//!
//! The equation is linear and has one solution. [`evaluate`] finds it
//!
//! - in closed form, v = (I - gamma P_pi)^-1 r_pi, by a sparse LU factorisation;
//! - by iteration, v_{k+1} = r_pi + gamma P_pi v_k (Jacobi), whose error shrinks at least by gamma a sweep;
//! - by Gauss-Seidel, the same in place, states in an order that follows the policy;
//! - by BiCGSTAB, a Krylov method, preconditioned by an incomplete factorisation in that order; GMRES stands in where its
//!   short recurrences fail.
//!
//! Whatever the method, the answer is checked in the end against the Bellman equation itself, and carries its residual
//! and a guaranteed bound on its error. [`monte_carlo()`] estimates the same values from the definition of the return.

mod bicgstab;
mod blocks;
pub(crate) mod chain;
mod closed_form;
mod gauss_seidel;
mod gmres;
pub(crate) mod horizon;
mod incomplete_lu;
mod iterative;
mod method;
mod monte_carlo;
mod progress;
mod sweep_order;

use std::time::Instant;

pub use method::EvaluationMethod;
pub use monte_carlo::{MonteCarlo, MonteCarloOptions, StateEstimate, monte_carlo};
use serde::Serialize;

use crate::action_values::ActionValues;
use crate::discount::check_policy_discount;
use crate::error::MdpError;
use crate::iteration::OnIteration;
use crate::model::Model;
use crate::policy::Policy;
use chain::{Chain, System};
use progress::Progress;
use sweep_order::restore;

/// Up to so many states a direct solve takes milliseconds even where the factors fill in completely.
const SMALL: usize = 500;

/// How to evaluate a policy, and how well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvaluationOptions {
    /// The method.
    pub method: EvaluationMethod,
    /// The guaranteed bound on the sup-norm error to reach; positive.
    pub tolerance: f64,
    /// Iterations after which to give up; at least 1.
    pub max_iterations: usize,
}

impl Default for EvaluationOptions {
    /// The automatic choice, to 1e-9, in up to a million iterations.
    fn default() -> Self {
        Self {
            method: EvaluationMethod::Auto,
            tolerance: 1e-9,
            max_iterations: 1_000_000,
        }
    }
}

/// The values of a policy, and how far to trust them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The method used; never [`EvaluationMethod::Auto`].
    pub method: EvaluationMethod,
    /// Why this method.
    pub reason: String,
    /// v_pi(s), one entry a state; zero where it is terminal.
    pub values: Vec<f64>,
    /// q_pi(s, a).
    pub action_values: ActionValues,
    /// Iterations done: sweeps, Krylov steps, or solves with the factors.
    pub iterations: usize,
    /// ||T_pi v - v|| in the sup norm, computed from the model after the method has ended.
    pub residual: f64,
    /// A guaranteed bound on ||v_pi - v|| in the sup norm, rounding included.
    pub bound: f64,
    /// Iteration and sup norm of the residual, at each iteration that measured it.
    pub history: Vec<(usize, f64)>,
    /// Seconds of wall-clock time.
    pub seconds: f64,
}

/// Solves v = r_pi + gamma P_pi v to a guaranteed error. `on_iteration` is called whenever the residual is known.
///
/// # Errors
/// - [`MdpError::Setting`], [`MdpError::Discount`], [`MdpError::Policy`]: what was asked for makes no sense.
/// - [`MdpError::EndlessPolicy`], [`MdpError::UnboundedEpisode`]: the discount is 1 and the policy does not end, or
///   takes so long that no bound can be given.
/// - [`MdpError::NotConverged`]: `max_iterations` came first.
/// - [`MdpError::Stalled`]: the method gets no closer, short of the tolerance.
/// - [`MdpError::BelowRounding`]: the tolerance cannot be guaranteed in 64-bit arithmetic.
/// - [`MdpError::Factorisation`], [`MdpError::TooLarge`]: the problem is too large for the method.
/// - [`MdpError::Interrupted`]: `on_iteration` said so.
pub fn evaluate(
    model: &impl Model,
    policy: &Policy,
    discount: f64,
    options: &EvaluationOptions,
    on_iteration: OnIteration<'_>,
) -> Result<Evaluation, MdpError> {
    let start = Instant::now();
    options.check()?;
    policy.check_fits(model)?;
    check_policy_discount(model, policy, discount)?;
    let (method, reason) = options.method.choose(model.states());

    let by_name = Chain::new(model, policy)?;
    let mut progress = Progress::new(model, policy, &by_name, discount, method, options, on_iteration)?;
    let (chain, order) = by_name.in_sweep_order();
    // The methods run on the copy in sweep order; two chains at once would be the peak of memory.
    drop(by_name);
    let monitor = &mut |iteration, residual| progress.observe(iteration, residual);
    let system = System {
        chain: &chain,
        discount,
        right: &chain.reward,
    };
    let mut in_order = vec![0.0; model.states()];
    match method {
        EvaluationMethod::Auto | EvaluationMethod::ClosedForm => closed_form::solve(&system, &mut in_order, monitor),
        EvaluationMethod::Iterative => iterative::solve(&system, &mut in_order, monitor),
        EvaluationMethod::GaussSeidel => gauss_seidel::solve(&system, &mut in_order, monitor),
        EvaluationMethod::BiCgStab => bicgstab::solve(&system, &mut in_order, monitor),
    }?;
    let mut values = restore(&order, &in_order);
    let (residual, bound) = progress.certify(model, policy, &mut values)?;
    Ok(Evaluation {
        method,
        reason,
        action_values: ActionValues::from_values(model, discount, &values),
        values,
        iterations: progress.iterations,
        residual,
        bound,
        history: progress.history,
        seconds: start.elapsed().as_secs_f64(),
    })
}

impl EvaluationOptions {
    fn check(&self) -> Result<(), MdpError> {
        if !(self.tolerance > 0.0 && self.tolerance.is_finite()) {
            return Err(MdpError::setting("tolerance", self.tolerance, "a positive number"));
        }
        if self.max_iterations == 0 {
            return Err(MdpError::setting("max_iterations", self.max_iterations, "at least 1"));
        }
        Ok(())
    }
}
