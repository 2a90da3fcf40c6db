//! The most steps that an undiscounted episode takes on average, which with discount 1 bounds errors.

use crate::error::MdpError;
use crate::model::{Model, value_of};
use crate::policy::Policy;
use crate::policy_evaluation::chain::Chain;
use crate::policy_evaluation::horizon::{self, bound_from, expected_steps};

/// An upper bound on the expected number of steps to the end, from any state, under any policy.
///
/// With discount 1 it takes the place of 1 / (1 - gamma): |v* - v| <= ||T v - v|| times the bound, where T is the
/// Bellman optimality operator, and likewise for one policy.
///
/// *Why.* Let W >= 0 satisfy W >= 1 + P_a W for all actions a. Then for any policy, taking the inequality into
/// itself, W >= 1 + P 1 + ... + P^k 1 + P^(k+1) W, whose terms sum to the expected number of steps; so W bounds it.
/// Now let e = |v* - v| and let a be greedy for v* where v* >= v, for v elsewhere. There e <= |T v - v| + P_a e, so
/// that e <= ||T v - v|| W by the same expansion.
///
/// *How.* W is the optimal value of the model in which every step earns 1, and policy iteration finds the policy that
/// puts off the end the longest. Its expected steps w need not be exact: c = min over s, a of w - P_a w is measured,
/// and where it is positive, W = w / c satisfies the inequality.
///
/// # Errors
/// [`MdpError::UnboundedEpisode`] where some policy does not end, or only after more steps than 64-bit arithmetic can
/// count this way; [`MdpError::TooLarge`] where the chain of a policy is too large.
pub fn longest_episode(model: &impl Model) -> Result<f64, MdpError> {
    const ROUNDS: usize = 100;
    const CLOSE_ENOUGH: f64 = 0.99;
    let terms = model.max_successors();
    let mut steps = vec![0.0; model.states()];
    let mut bound = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (slack, lingering) = most_steps(model, &steps);
        bound = bound.min(bound_from(&steps, slack, terms));
        if slack >= CLOSE_ENOUGH {
            break;
        }
        let policy = Policy::deterministic(model, lingering)?;
        let residual;
        (steps, residual) = expected_steps(&Chain::new(model, &policy)?, 1.0);
        if residual.norm() > 1.0 - CLOSE_ENOUGH {
            break;
        }
        let terminal = |state: &usize| model.actions(*state) == 0;
        (0..steps.len()).filter(terminal).for_each(|state| steps[state] = 0.0);
    }
    finite(bound)
}

/// As [`longest_episode`], under one policy, which asks less of the model and gives a smaller bound.
///
/// # Errors
/// As [`longest_episode`], and [`MdpError::Policy`] where the policy is not one of the model.
pub fn longest_episode_under(model: &impl Model, policy: &Policy) -> Result<f64, MdpError> {
    policy.check_fits(model)?;
    finite(horizon::longest_episode(&Chain::new(model, policy)?, 1.0))
}

fn finite(bound: f64) -> Result<f64, MdpError> {
    if bound.is_finite() {
        Ok(bound)
    } else {
        Err(MdpError::UnboundedEpisode)
    }
}

/// The smallest w(s) - sum p(s'|s, a) w(s') over states and actions, and in each state the action of the smallest.
fn most_steps(model: &impl Model, steps: &[f64]) -> (f64, Vec<u32>) {
    let mut slack = f64::INFINITY;
    let of_state = |state: usize| {
        let mut most = (f64::NEG_INFINITY, 0);
        for action in 0..model.actions(state) {
            let mut after = 0.0;
            model.successors(state, action, |next, probability| {
                after += probability * value_of(steps, next);
            });
            if after > most.0 {
                most = (after, action as u32);
            }
        }
        slack = slack.min(steps[state] - most.0);
        most.1
    };
    let lingering = (0..model.states()).map(of_state).collect();
    (slack, lingering)
}

#[cfg(test)]
mod tests {
    use super::super::tests::model;
    use super::*;

    #[test]
    fn the_longest_episode_is_that_of_the_most_lingering_policy() {
        // Action 0 ends with probability 1/2 a step; action 1, with 1/4, by way of state 1.
        let model = model(
            2,
            &[
                (0, 0, &[Some(0), None]),
                (0, 1, &[Some(1)]),
                (1, 0, &[Some(0), Some(0), Some(0), None]),
            ],
        );
        // s0 = 1 + s1 and s1 = 1 + 3/4 s0, so s0 = 8.
        let longest = longest_episode(&model).unwrap();
        assert!((8.0..8.1).contains(&longest), "{longest}");
        let shorter = longest_episode_under(&model, &Policy::deterministic(&model, vec![0, 0]).unwrap()).unwrap();
        // s1 = 1 + 3/4 * 2.
        assert!((2.5..2.51).contains(&shorter), "{shorter}");
    }

    #[test]
    fn an_episode_without_end_has_no_bound() {
        let model = model(1, &[(0, 0, &[None]), (0, 1, &[Some(0)])]);
        assert!(matches!(longest_episode(&model), Err(MdpError::UnboundedEpisode)));
        assert!(longest_episode_under(&model, &Policy::uniform(&model)).is_ok());
    }
}
