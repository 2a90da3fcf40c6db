//! What every method keeps while it runs: counts, history, limits and the test for the end.

use super::{Method, SolveOptions};
use crate::bound::{ErrorBound, Residual};
use crate::error::MdpError;
use crate::iteration::{Iteration, OnIteration};

pub(super) struct Progress<'a> {
    pub(super) discount: f64,
    pub(super) iterations: usize,
    /// Passes over the transitions of all states or of one policy.
    pub(super) sweeps: usize,
    /// The sup norm of the residual, iteration by iteration.
    pub(super) history: Vec<f64>,
    method: Method,
    bounds: ErrorBound,
    tolerance: f64,
    max_iterations: usize,
    on_iteration: OnIteration<'a>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(
        method: Method,
        discount: f64,
        bounds: ErrorBound,
        options: &SolveOptions,
        on_iteration: OnIteration<'a>,
    ) -> Self {
        let SolveOptions {
            tolerance,
            max_iterations,
            ..
        } = *options;
        let (iterations, sweeps, history) = (0, 0, Vec::new());
        Self {
            discount,
            iterations,
            sweeps,
            history,
            method,
            bounds,
            tolerance,
            max_iterations,
            on_iteration,
        }
    }

    /// Whether episodes may end.
    pub(super) fn has_terminal(&self) -> bool {
        self.bounds.has_terminal()
    }

    /// The most successors of a state and action.
    pub(super) fn max_successors(&self) -> usize {
        self.bounds.max_successors()
    }

    /// The sup norm of the residual at which the bound certainly meets the tolerance.
    pub(super) fn residual_target(&self) -> f64 {
        self.bounds.residual_target(self.tolerance)
    }

    /// Whether rounding alone may leave such a residual, so that iterating further gains nothing.
    pub(super) fn is_rounding(&self, residual: Residual) -> bool {
        self.bounds.is_rounding(residual)
    }

    /// A residual that rounding alone may leave.
    pub(super) fn residual_rounding(&self, residual: Residual) -> f64 {
        self.bounds.residual_rounding(residual)
    }

    /// Counts an iteration whose residual does not speak for all states, or for another operator than T.
    pub(super) fn iterate(&mut self, residual: Residual) -> Result<(), MdpError> {
        self.count(residual, f64::INFINITY)
    }

    /// Counts an iteration that has computed `backed_up` = T v with this residual. Where that guarantees the
    /// tolerance, moves `backed_up` to the middle of its bounds and returns the bound.
    pub(super) fn certify(&mut self, residual: Residual, backed_up: &mut [f64]) -> Result<Option<f64>, MdpError> {
        let (shift, bound) = self.bounds.centred(residual);
        let tolerance = self.tolerance;
        let mut rounding = self.bounds.unavoidable_rounding(residual);
        // A residual no greater than its own rounding says all that it can, unless all states share a large error: values
        // without it are rounded less.
        if bound > tolerance && shift.abs() <= bound && bound.is_finite() && self.is_rounding(residual) {
            rounding = bound;
        }
        if rounding >= tolerance {
            return Err(MdpError::BelowRounding { tolerance, rounding });
        }
        self.count(residual, bound)?;
        if bound > self.tolerance {
            return Ok(None);
        }
        if shift != 0.0 {
            for value in backed_up {
                *value += shift;
            }
        }
        Ok(Some(bound))
    }

    fn count(&mut self, residual: Residual, bound: f64) -> Result<(), MdpError> {
        let tolerance = self.tolerance;
        self.iterations += 1;
        self.history.push(residual.sup());
        let report = Iteration {
            index: self.iterations,
            residual: residual.sup(),
            bound,
        };
        if (self.on_iteration)(report).is_break() {
            return Err(MdpError::Interrupted(self.iterations));
        }
        if bound > tolerance && self.iterations >= self.max_iterations {
            let (method, iterations) = (self.method.name(), self.iterations);
            return Err(MdpError::NotConverged {
                method,
                iterations,
                bound,
                tolerance,
            });
        }
        Ok(())
    }
}
