//! What every solver asks of a model: successors, expected rewards, and the Bellman backup built from them.

/// The successor that stands for the end of the episode. Its value is zero and it is no state of the model.
pub const TERMINAL: u32 = u32::MAX;

/// A finite Markov decision process.
///
/// The stored form is [`Mdp`](crate::Mdp). An implicit model, such as [`GridWorld`](crate::GridWorld), computes its
/// transitions when asked, so that it can be solved without storing them.
///
/// States are `0..states()`. Actions of a state are `0..actions(state)`; a state without actions is terminal and has
/// value zero. A transition to [`TERMINAL`] ends the episode.
pub trait Model: Sync {
    /// Number of states, |S|.
    fn states(&self) -> usize;

    /// Number of actions in `state`, |A(s)|; zero where the state is terminal.
    fn actions(&self, state: usize) -> usize;

    /// The expected immediate reward r(s, a).
    fn reward(&self, state: usize, action: usize) -> f64;

    /// Calls `visit(s', p(s'|s, a))` for every successor, [`TERMINAL`] included. Probabilities sum to one; a
    /// successor may come more than once.
    fn successors(&self, state: usize, action: usize, visit: impl FnMut(u32, f64));

    /// The label that users know the action by: its index, unless the model says otherwise.
    fn action_label(&self, state: usize, action: usize) -> u32 {
        let _ = state;
        action as u32
    }

    /// q(s, a) = r(s, a) + gamma sum p(s'|s, a) v(s'), with `values` of length |S|.
    #[inline]
    fn action_value(&self, state: usize, action: usize, discount: f64, values: &[f64]) -> f64 {
        let mut expected = 0.0;
        self.successors(state, action, |next, probability| {
            expected += probability * value_of(values, next);
        });
        self.reward(state, action) + discount * expected
    }

    /// The Bellman optimality backup of one state: max over a of q(s, a), and the first action that attains it.
    /// A terminal state gives `(0, 0)`.
    #[inline]
    fn backup(&self, state: usize, discount: f64, values: &[f64]) -> (f64, u32) {
        let actions = self.actions(state);
        if actions == 0 {
            return (0.0, 0);
        }
        let mut best = (f64::NEG_INFINITY, 0);
        for action in 0..actions {
            let value = self.action_value(state, action, discount, values);
            if value > best.0 {
                best = (value, action as u32);
            }
        }
        best
    }

    /// The Bellman optimality backup of the states from `first` on, one for each entry of `backed_up`. `greedy`
    /// receives the first maximising action. A model overrides this where it can do better than state by state.
    fn backup_block(&self, first: usize, discount: f64, values: &[f64], backed_up: &mut [f64], greedy: &mut [u32]) {
        for (offset, (value, action)) in backed_up.iter_mut().zip(greedy).enumerate() {
            (*value, *action) = self.backup(first + offset, discount, values);
        }
    }

    /// An upper bound on the number of successors that one (state, action) visits. It enters the rounding error.
    fn max_successors(&self) -> usize;

    /// Whether the episode can end: some state is terminal or some transition leads to [`TERMINAL`].
    fn has_terminal(&self) -> bool;
}

/// v(s'), which is zero for [`TERMINAL`]. The lookup that checks the bound is the one that finds the end.
#[inline]
pub(crate) fn value_of(values: &[f64], next: u32) -> f64 {
    values.get(next as usize).copied().unwrap_or(0.0)
}
