//! Which discounts a model and a policy allow, and how long an undiscounted episode can last.

mod longest_episode;

pub use longest_episode::{longest_episode, longest_episode_under};

use crate::error::MdpError;
use crate::model::{Model, TERMINAL};
use crate::policy::Policy;

/// Checks that the optimal values of `model` are defined for this discount: that it lies in [0, 1], and that where it
/// is 1 every policy reaches the end of the episode, from every state, with probability one.
///
/// A policy that does not end stays for ever within some set of states. So the largest set in which every state has
/// an action that cannot leave it is computed, by striking off states until none is left to strike off; every policy
/// ends if and only if the set is empty. The time is proportional to the number of transitions, times the actions of
/// a state in the worst case.
///
/// # Errors
/// [`MdpError::Discount`], or [`MdpError::Improper`] with a state of that set and an action that cannot leave it.
pub fn check_discount(model: &impl Model, discount: f64) -> Result<(), MdpError> {
    check_range(discount)?;
    if discount < 1.0 {
        return Ok(());
    }
    match endless_state(model) {
        None => Ok(()),
        Some((state, action)) => Err(MdpError::Improper {
            state,
            action: model.action_label(state, action),
        }),
    }
}

/// Checks that the values of `policy` are defined for this discount: that it lies in [0, 1], and that where it is 1
/// the policy is proper.
pub(crate) fn check_policy_discount(model: &impl Model, policy: &Policy, discount: f64) -> Result<(), MdpError> {
    check_range(discount)?;
    if discount < 1.0 {
        Ok(())
    } else {
        check_proper(model, policy)
    }
}

/// Checks that under `policy` the episode ends with probability one from every state. In a finite model that is so
/// where the end can be reached from every state.
///
/// # Errors
/// [`MdpError::EndlessPolicy`] with a state from which it cannot.
pub fn check_proper(model: &impl Model, policy: &Policy) -> Result<(), MdpError> {
    let successors = |state: usize, visit: &mut dyn FnMut(u32)| {
        policy.for_each(state, |action, _| visit_possible(model, state, action, visit));
    };
    let predecessors = Predecessors::new(model.states(), successors);
    let ends_at_once = |state: usize| {
        let mut ends = model.actions(state) == 0;
        successors(state, &mut |next| ends |= next == TERMINAL);
        ends
    };
    let mut ends: Vec<bool> = (0..model.states()).map(ends_at_once).collect();
    let mut reached: Vec<usize> = (0..ends.len()).filter(|&state| ends[state]).collect();
    while let Some(state) = reached.pop() {
        for &before in predecessors.of(state) {
            if !std::mem::replace(&mut ends[before as usize], true) {
                reached.push(before as usize);
            }
        }
    }
    match ends.iter().position(|ends| !ends) {
        None => Ok(()),
        Some(state) => Err(MdpError::EndlessPolicy { state }),
    }
}

pub(crate) fn check_range(discount: f64) -> Result<(), MdpError> {
    if (0.0..=1.0).contains(&discount) {
        Ok(())
    } else {
        Err(MdpError::Discount(discount))
    }
}

/// A state and the index of an action from which the end can be avoided for ever, if there are any.
fn endless_state(model: &impl Model) -> Option<(usize, usize)> {
    let predecessors = Predecessors::new(model.states(), |state, visit| {
        (0..model.actions(state)).for_each(|action| visit_possible(model, state, action, visit));
    });
    let mut inside: Vec<bool> = (0..model.states()).map(|state| model.actions(state) > 0).collect();
    // Each state is examined, and again whenever one that it leads to has been struck off.
    let mut to_examine: Vec<u32> = (0..model.states() as u32).collect();
    while let Some(state) = to_examine.pop() {
        if inside[state as usize] && staying_action(model, state as usize, &inside).is_none() {
            inside[state as usize] = false;
            let before = predecessors.of(state as usize).iter();
            to_examine.extend(before.filter(|&&before| inside[before as usize]));
        }
    }
    let state = inside.iter().position(|&inside| inside)?;
    Some((state, staying_action(model, state, &inside)?))
}

/// An action of `state` all of whose successors are inside.
fn staying_action(model: &impl Model, state: usize, inside: &[bool]) -> Option<usize> {
    (0..model.actions(state)).find(|&action| {
        let mut stays = true;
        visit_possible(model, state, action, &mut |next| {
            stays &= inside.get(next as usize).is_some_and(|&inside| inside);
        });
        stays
    })
}

/// Visits the successors of positive probability.
fn visit_possible(model: &impl Model, state: usize, action: usize, visit: &mut dyn FnMut(u32)) {
    model.successors(state, action, |next, probability| {
        if probability > 0.0 {
            visit(next);
        }
    });
}

/// The states that lead to each state, in compressed rows.
struct Predecessors {
    starts: Vec<usize>,
    states: Vec<u32>,
}

impl Predecessors {
    /// Two passes over `successors(state, visit)`: one counts, one fills.
    fn new(states: usize, successors: impl Fn(usize, &mut dyn FnMut(u32))) -> Self {
        // Counted two places behind, so that the filling moves each start to where the next row begins.
        let mut starts = vec![0; states + 2];
        let each_edge = |visit: &mut dyn FnMut(usize, u32)| {
            let mut last = vec![u32::MAX; states];
            for state in 0..states as u32 {
                successors(state as usize, &mut |next| {
                    let seen = last.get_mut(next as usize);
                    if seen.is_some_and(|last| std::mem::replace(last, state) != state) {
                        visit(next as usize, state);
                    }
                });
            }
        };
        each_edge(&mut |next, _| starts[next + 2] += 1);
        for state in 2..starts.len() {
            starts[state] += starts[state - 1];
        }
        let mut predecessors = vec![0; starts[states + 1]];
        each_edge(&mut |next, state| {
            predecessors[starts[next + 1]] = state;
            starts[next + 1] += 1;
        });
        Self {
            starts,
            states: predecessors,
        }
    }

    fn of(&self, state: usize) -> &[u32] {
        &self.states[self.starts[state]..self.starts[state + 1]]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Mdp, MdpBuilder, Next};

    /// A state, an action, and its equally likely successors, of which `None` is the end.
    pub(super) type Action<'a> = (usize, u32, &'a [Option<usize>]);

    pub(super) fn model(states: usize, actions: &[Action<'_>]) -> Mdp {
        let mut builder = MdpBuilder::new(states);
        for &(state, action, successors) in actions {
            for next in successors {
                let next = next.map_or(Next::End, Next::State);
                builder.transition(state, action, next, 1.0 / successors.len() as f64, 1.0);
            }
        }
        builder.build().unwrap()
    }

    #[test]
    fn a_discount_outside_the_unit_interval_is_refused() {
        let model = model(1, &[(0, 0, &[Some(0)])]);
        for discount in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(
                matches!(check_discount(&model, discount), Err(MdpError::Discount(_))),
                "{discount}"
            );
        }
        for discount in [0.0, 0.5, 1.0 - f64::EPSILON] {
            check_discount(&model, discount).unwrap();
        }
    }

    #[test]
    fn without_discount_every_policy_must_end() {
        // From 1, action 20 may come back through 0 or go on; from 2 the end is sure.
        let proper: [Action<'_>; 4] = [
            (0, 0, &[Some(1)]),
            (1, 10, &[Some(2)]),
            (1, 20, &[Some(0), Some(2)]),
            (2, 0, &[None]),
        ];
        check_discount(&model(3, &proper), 1.0).unwrap();
        let cycle: [Action<'_>; 4] = [
            (0, 0, &[Some(1)]),
            (1, 10, &[Some(2)]),
            (1, 20, &[Some(0)]),
            (2, 0, &[None]),
        ];
        let error = check_discount(&model(3, &cycle), 1.0).unwrap_err();
        assert!(matches!(error, MdpError::Improper { state: 0, action: 0 }), "{error}");
        let stay: [Action<'_>; 2] = [(0, 7, &[None]), (0, 9, &[Some(0)])];
        let error = check_discount(&model(1, &stay), 1.0).unwrap_err();
        assert!(matches!(error, MdpError::Improper { state: 0, action: 9 }), "{error}");
    }

    #[test]
    fn for_one_policy_it_is_enough_that_it_ends() {
        let model = model(2, &[(0, 0, &[Some(1)]), (1, 10, &[Some(0), None]), (1, 20, &[Some(0)])]);
        check_proper(&model, &Policy::uniform(&model)).unwrap();
        check_proper(&model, &Policy::deterministic(&model, vec![0, 0]).unwrap()).unwrap();
        let endless = Policy::deterministic(&model, vec![0, 1]).unwrap();
        let error = check_proper(&model, &endless).unwrap_err();
        assert!(matches!(error, MdpError::EndlessPolicy { state: 0 }), "{error}");
    }

    proptest! {
        /// Against the definition: for small models, every deterministic policy in turn.
        #[test]
        fn the_checks_agree_with_trying_every_policy(
            successors in prop::collection::vec(prop::collection::vec(0_usize..5, 1..3), 8),
        ) {
            let actions: Vec<_> = successors
                .iter()
                .map(|next| next.iter().map(|&next| (next < 4).then_some(next)).collect::<Vec<_>>())
                .collect();
            let actions: Vec<_> = (0..8).map(|pair| (pair / 2, (pair % 2) as u32, &actions[pair][..])).collect();
            let model = model(4, &actions);
            let policies = (0..16_u32).map(|bits| {
                Policy::deterministic(&model, (0..4).map(|state| bits >> state & 1).collect()).unwrap()
            });
            let all_end = policies.clone().all(|policy| check_proper(&model, &policy).is_ok());
            prop_assert_eq!(check_discount(&model, 1.0).is_ok(), all_end);
            if all_end {
                let longest = longest_episode(&model).unwrap();
                let most = policies.map(|policy| longest_episode_under(&model, &policy).unwrap()).fold(0.0, f64::max);
                prop_assert!(longest >= most / 1.002 && longest <= 1.02 * most, "{} {}", longest, most);
            }
        }
    }
}
