//! Rewards under an affine map.

use crate::model::Model;

/// A model with rewards a r + b in place of r.
///
/// Where no episode ends, its optimal policies for a > 0 are those of the model itself, and its optimal values are
/// a v* + b / (1 - gamma) (Zhao, theorem 3.6).
#[derive(Debug, Clone, Copy)]
pub struct AffineRewards<'a, M> {
    model: &'a M,
    scale: f64,
    shift: f64,
}

impl<'a, M: Model> AffineRewards<'a, M> {
    /// `model` with rewards `scale` r + `shift`.
    pub fn new(model: &'a M, scale: f64, shift: f64) -> Self {
        Self { model, scale, shift }
    }
}

impl<M: Model> Model for AffineRewards<'_, M> {
    fn states(&self) -> usize {
        self.model.states()
    }

    fn actions(&self, state: usize) -> usize {
        self.model.actions(state)
    }

    fn reward(&self, state: usize, action: usize) -> f64 {
        self.scale * self.model.reward(state, action) + self.shift
    }

    fn successors(&self, state: usize, action: usize, visit: impl FnMut(u32, f64)) {
        self.model.successors(state, action, visit);
    }

    fn action_label(&self, state: usize, action: usize) -> u32 {
        self.model.action_label(state, action)
    }

    fn max_successors(&self) -> usize {
        self.model.max_successors()
    }

    fn has_terminal(&self) -> bool {
        self.model.has_terminal()
    }
}
