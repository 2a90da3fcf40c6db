//! Long work that people watch: how far a method has come, and Ctrl-C.

use std::ops::ControlFlow;

use etude_mdp::Iteration;

use crate::error::CommandError;
use crate::interrupt;
use crate::progress::Progress;

/// What a solver calls after each iteration: it moves `bar`, which counts to 100, by the share of the digits asked for
/// that are there, and passes Ctrl-C on. The bar goes when this is dropped.
pub(super) fn watch(bar: Progress, tolerance: f64, gamma: f64) -> impl FnMut(Iteration) -> ControlFlow<()> + Send {
    // The bound may come down long before the residual does, and a method may know no bound before its end.
    let mut bound = Digits::to(tolerance);
    let mut residual = Digits::to(tolerance * (1.0 - gamma).max(f64::EPSILON));
    move |iteration| {
        let done = bound.done(iteration.bound).max(residual.done(iteration.residual));
        let message = format!("iteration {}, residual {:.1e}", iteration.index, iteration.residual);
        bar.set((100.0 * done) as u64, message);
        if interrupt::interrupted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// How much of the way from its first finite value to a target a quantity has come, counted in digits.
struct Digits {
    first: Option<f64>,
    target: f64,
}

impl Digits {
    fn to(target: f64) -> Self {
        Self { first: None, target }
    }

    /// From 0 to 1.
    fn done(&mut self, value: f64) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        let value = value.max(f64::MIN_POSITIVE);
        let first = *self.first.get_or_insert(value);
        ((first / value).ln() / (first / self.target).ln().max(1.0)).clamp(0.0, 1.0)
    }
}

/// Ends work that consists of several parts between two of them, where the user has asked for it.
pub(super) fn check() -> Result<(), CommandError> {
    if interrupt::interrupted() {
        Err(CommandError::failed_run("stopped on request"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_counted_from_the_first_value_to_the_target() {
        let mut digits = Digits::to(1e-6);
        for (value, done) in [
            (f64::INFINITY, 0.0),
            (1.0, 0.0),
            (1e-3, 0.5),
            (f64::INFINITY, 0.0),
            (1e-6, 1.0),
            (0.0, 1.0),
            (10.0, 0.0),
        ] {
            assert!((digits.done(value) - done).abs() < 1e-12, "{value}");
        }
    }
}
