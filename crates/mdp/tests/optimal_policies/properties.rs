//! Random models: every method against a dense reference solution, and what the theory says of any model.

use etude_mdp::optimal::{Method, solve};
use etude_mdp::{AffineRewards, GridRewards, GridWorld, GridWorldSpec, Mdp, MdpBuilder, Model, Next, silent};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::common::{
    backed_up, by_every_method, dense_optimal_values, dense_policy_iteration, dense_policy_values, distance, methods,
    near_best, optimal_actions, options,
};

/// Whether episodes end.
#[derive(Debug, Clone, Copy)]
enum Episodes {
    /// None does.
    Endless,
    /// Some transitions end the episode and some states are terminal.
    MayEnd,
    /// Every action may end the episode, so that every policy does.
    MustEnd,
}

/// An action before it is known how many states there are: reward, successors with weights, chance of the end.
type Action = (f64, Vec<(Index, f64)>, f64);

fn any_action(episodes: Episodes) -> impl Strategy<Value = Action> {
    // Some rewards are small integers, for ties.
    let reward = prop_oneof![-10.0..10.0, (-2_i8..=2).prop_map(f64::from)];
    let end = match episodes {
        Episodes::Endless => Just(0.0).boxed(),
        Episodes::MayEnd => prop_oneof![4 => Just(0.0), 1 => 0.0..1.0, 1 => Just(1.0)].boxed(),
        Episodes::MustEnd => prop_oneof![4 => 0.02..1.0, 1 => Just(1.0)].boxed(),
    };
    (reward, prop::collection::vec((any::<Index>(), 0.01..1.0), 1..=5), end)
}

/// Models of 1 to 30 states with 1 to 4 actions, none in a terminal state.
fn any_model(episodes: Episodes) -> impl Strategy<Value = Mdp> {
    let actions = prop::collection::vec(any_action(episodes), 1..=4);
    let of_state = match episodes {
        Episodes::MayEnd => prop_oneof![9 => actions, 1 => Just(Vec::new())].boxed(),
        _ => actions.boxed(),
    };
    prop::collection::vec(of_state, 1..=30).prop_map(|states| build(&states))
}

fn build(states: &[Vec<Action>]) -> Mdp {
    let mut builder = MdpBuilder::new(states.len());
    for (state, actions) in states.iter().enumerate() {
        if actions.is_empty() {
            builder.terminal(state);
        }
        for (action, (reward, successors, end)) in (0..).zip(actions) {
            let total: f64 = successors.iter().map(|(_, weight)| weight).sum();
            for (next, weight) in successors {
                let next = Next::State(next.index(states.len()));
                builder.transition(state, action, next, (1.0 - end) * weight / total, *reward);
            }
            builder.transition(state, action, Next::End, *end, *reward);
        }
    }
    builder.build().unwrap()
}

/// Models and discounts for which the optimal values are defined, 1 among them where every episode ends.
fn any_problem() -> impl Strategy<Value = (Mdp, f64)> {
    prop_oneof![
        2 => (any_model(Episodes::Endless), any_discount()),
        2 => (any_model(Episodes::MayEnd), any_discount()),
        1 => (any_model(Episodes::MustEnd), prop_oneof![Just(1.0), any_discount()]),
    ]
}

fn any_discount() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(0.9), Just(0.99), Just(0.999), 0.0..0.99]
}

fn any_values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-100.0..100.0, 30)
}

fn any_grid() -> impl Strategy<Value = GridWorldSpec> {
    let cells = prop::collection::vec(
        prop::collection::vec(prop::sample::select(vec!['.', '.', 'x', '#']), 6),
        1..6,
    );
    let rewards = (-2.0..0.0, -12.0..0.0, -1.0..2.0, -0.5..0.5);
    (
        cells,
        rewards,
        prop_oneof![Just(0.0), 0.0..=1.0],
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(cells, (boundary, forbidden, target, step), slip, stay, absorbing)| {
            let mut map: Vec<String> = cells.into_iter().map(String::from_iter).collect();
            map.push("..T...".to_owned());
            GridWorldSpec {
                map,
                rewards: GridRewards {
                    boundary,
                    forbidden,
                    target,
                    step,
                },
                slip,
                stay,
                absorbing,
                ..GridWorldSpec::default()
            }
        })
}

/// How far the dense reference may be from v* itself: values are at most 10 / (1 - gamma) with gamma up to 0.999, or 500
/// where the episode ends with probability 0.02 at least.
const REFERENCE_ERROR: f64 = 1e-9;

proptest! {
    // Each case runs ten methods, some of them for thousands of sweeps.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_method_gives_the_dense_solution_within_its_bound(
        (model, discount) in any_problem(), tolerance in prop_oneof![Just(1e-7), 1e-3..10.0],
    ) {
        let reference = dense_optimal_values(&model, discount);
        for solution in by_every_method(&model, discount, tolerance) {
            let error = distance(&solution.values, &reference);
            prop_assert!(error <= solution.bound + REFERENCE_ERROR, "{}: {:e}", solution.method, error);
            // The bound holds as well for what the greedy policy really earns.
            let earned = dense_policy_values(&model, &solution.policy, discount);
            let error = distance(&solution.values, &earned);
            prop_assert!(error <= solution.bound + REFERENCE_ERROR, "{}: {:e} earned", solution.method, error);
        }
    }

    #[test]
    fn methods_agree_within_the_sum_of_their_bounds((model, discount) in any_problem(), tolerance in 1e-8..1.0) {
        let solutions = by_every_method(&model, discount, tolerance);
        for (index, one) in solutions.iter().enumerate() {
            for other in &solutions[..index] {
                prop_assert!(
                    distance(&one.values, &other.values) <= one.bound + other.bound,
                    "{} and {}", one.method, other.method
                );
            }
        }
    }

    #[test]
    fn optimal_actions_are_all_named_and_no_bad_ones((model, discount) in any_problem(), tolerance in 1e-7..1.0) {
        let reference = dense_optimal_values(&model, discount);
        for solution in by_every_method(&model, discount, tolerance) {
            for (state, named) in optimal_actions(&model, &solution).iter().enumerate() {
                let optimal = near_best(&model, state, discount, &reference, 0.0);
                prop_assert!(optimal.iter().all(|action| named.contains(action)), "{}", solution.method);
                // Two values within 2 gamma bound of one another, each within gamma bound of the truth.
                let margin = 4.0 * discount * solution.bound + REFERENCE_ERROR;
                let near = near_best(&model, state, discount, &reference, margin);
                prop_assert!(named.iter().all(|action| near.contains(action)), "{}", solution.method);
            }
        }
    }

    #[test]
    fn terminal_states_are_worth_nothing(model in any_model(Episodes::MayEnd), discount in any_discount()) {
        for solution in by_every_method(&model, discount, 1e-6) {
            for state in (0..model.states()).filter(|&state| model.actions(state) == 0) {
                prop_assert_eq!(solution.values[state].to_bits(), 0);
                prop_assert!(solution.action_values(&model).of(state).is_empty());
            }
        }
    }

    #[test]
    fn backups_contract_by_the_discount((model, discount) in any_problem(), v in any_values(), w in any_values()) {
        let (v, w) = (&v[..model.states()], &w[..model.states()]);
        let after = distance(&backed_up(&model, discount, v), &backed_up(&model, discount, w));
        prop_assert!(after <= discount * distance(v, w) + 1e-12);
    }

    #[test]
    fn residuals_of_value_iteration_shrink_by_the_discount((model, discount) in any_problem()) {
        let solution = solve(&model, discount, &options(Method::ValueIteration, 1e-6), &mut silent).unwrap();
        for pair in solution.history.windows(2) {
            prop_assert!(pair[1] <= discount * pair[0] + 1e-11);
        }
        prop_assert!(solution.contraction().is_none_or(|factor| factor <= discount + 1e-6));
    }

    #[test]
    fn policy_iteration_improves_every_state_every_time((model, discount) in any_problem(), start in any::<Index>()) {
        let start = (0..model.states()).map(|state| start.index(model.actions(state).max(1)) as u32).collect();
        let visited = dense_policy_iteration(&model, discount, start);
        for pair in visited.windows(2) {
            let (before, after) = (&pair[0].1, &pair[1].1);
            prop_assert!(before.iter().zip(after).all(|(before, after)| *after >= before - REFERENCE_ERROR));
        }
        let (_, last) = visited.last().unwrap();
        prop_assert!(distance(last, &backed_up(&model, discount, last)) <= REFERENCE_ERROR);
    }

    /// Theorem 3.6 of the book.
    #[test]
    fn affine_rewards_give_affine_values(
        model in any_model(Episodes::Endless), discount in any_discount(), scale in 0.01..10.0, shift in -10.0..10.0,
    ) {
        // A state that nothing but staying for nothing is left of counts as the end, and no shift changes its value.
        prop_assume!(!model.has_terminal());
        let affine = AffineRewards::new(&model, scale, shift);
        let pairs = by_every_method(&model, discount, 1e-6).into_iter().zip(by_every_method(&affine, discount, 1e-6));
        for (plain, mapped) in pairs {
            let expected: Vec<f64> = plain.values.iter().map(|v| scale * v + shift / (1.0 - discount)).collect();
            let allowed = scale * plain.bound + mapped.bound + REFERENCE_ERROR;
            let error = distance(&mapped.values, &expected);
            prop_assert!(error <= allowed, "{}: {:e}, allowed {:e}", plain.method, error, allowed);
        }
    }

    #[test]
    fn grid_worlds_and_their_stored_forms_agree(spec in any_grid(), discount in any_discount()) {
        let grid = GridWorld::new(&spec).unwrap();
        let stored = Mdp::store(&grid).unwrap();
        let pairs = by_every_method(&grid, discount, 1e-7).into_iter().zip(by_every_method(&stored, discount, 1e-7));
        for (implicit, stored) in pairs {
            let allowed = implicit.bound + stored.bound;
            prop_assert!(distance(&implicit.values, &stored.values) <= allowed, "{}", implicit.method);
        }
    }

    /// What the error says can be asked for can be had, and nothing far below it.
    #[test]
    fn the_least_tolerance_named_is_reached((model, discount) in any_problem()) {
        for method in methods() {
            let solve = |tolerance| solve(&model, discount, &options(method, tolerance), &mut silent);
            match solve(1e-300) {
                Ok(exact) => prop_assert!(exact.values.iter().all(|value| *value == 0.0), "{}", method),
                Err(etude_mdp::MdpError::BelowRounding { rounding, .. }) => {
                    // Later iterates may be greater than the first, and their rounding with them.
                    let mut tolerance = 2.0 * rounding;
                    while let Err(error) = solve(tolerance) {
                        let etude_mdp::MdpError::BelowRounding { rounding, .. } = error else {
                            panic!("{method}: {error}");
                        };
                        tolerance = 2.0 * rounding;
                    }
                }
                Err(error) => panic!("{method}: {error}"),
            }
        }
    }
}
