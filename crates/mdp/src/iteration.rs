//! What an iterative method reports while it runs.

use std::ops::ControlFlow;

/// One iteration of a method, as told to the caller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Iteration {
    /// How many iterations are done, from 1.
    pub index: usize,
    /// The sup norm of the Bellman residual, ||T v - v||, before this iteration's update.
    pub residual: f64,
    /// A guaranteed bound on the sup-norm error of the values, infinite where none is known yet.
    pub bound: f64,
}

/// Called after each iteration; `ControlFlow::Break` ends the method with
/// [`MdpError::Interrupted`](crate::MdpError::Interrupted).
pub type OnIteration<'a> = &'a mut (dyn FnMut(Iteration) -> ControlFlow<()> + Send);

/// For callers that only want the answer.
pub fn silent(_: Iteration) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
