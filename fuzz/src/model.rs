//! What must hold of every model that a reader accepts.

use etude_mdp::{Mdp, Model, TERMINAL};

/// Panics where an accepted model breaks a rule: probabilities that do not sum to one, a successor out of range, a
/// reward that is not finite.
pub fn check(mdp: &Mdp) {
    assert!(mdp.states() > 0);
    let most = mdp.max_successors();
    for state in 0..mdp.states() {
        for action in 0..mdp.actions(state) {
            assert!(mdp.reward(state, action).is_finite());
            let (mut count, mut sum) = (0, 0.0);
            mdp.successors(state, action, |next, probability| {
                assert!(next == TERMINAL || (next as usize) < mdp.states());
                assert!(probability > 0.0);
                sum += probability;
                count += 1;
            });
            assert!(count > 0 && count <= most);
            assert!((sum - 1.0).abs() < 1e-12, "state {state}, action {action}: {sum}");
        }
    }
}
