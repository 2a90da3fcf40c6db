//! Long work that people watch: how far a method has come, and Ctrl-C.

use std::ops::ControlFlow;

use etude_mdp::Iteration;

use crate::error::CommandError;
use crate::interrupt;
use crate::progress::Progress;

/// What a solver calls after each iteration: it moves `bar`, which counts to 100, by the share of the digits between
/// the first residual and `target` that are there, and passes Ctrl-C on. The bar goes when this is dropped.
pub(super) fn watch(bar: Progress, target: f64) -> impl FnMut(Iteration) -> ControlFlow<()> + Send {
    let mut first = None;
    move |iteration| {
        let residual = iteration.residual.max(f64::MIN_POSITIVE);
        let first = *first.get_or_insert(residual);
        let done = (first / residual).ln() / (first / target).ln().max(1.0);
        let message = format!("iteration {}, residual {:.1e}", iteration.index, iteration.residual);
        bar.set((100.0 * done).clamp(0.0, 100.0) as u64, message);
        if interrupt::interrupted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// The residual below which the error is certainly within `tolerance`, rounding aside.
pub(super) fn residual_target(tolerance: f64, gamma: f64) -> f64 {
    tolerance * (1.0 - gamma).max(f64::EPSILON)
}

/// Ends work that consists of several parts between two of them, where the user has asked for it.
pub(super) fn check() -> Result<(), CommandError> {
    if interrupt::interrupted() {
        Err(CommandError::failed_run("stopped on request"))
    } else {
        Ok(())
    }
}
