//! Zhao, *Mathematical Foundations of Reinforcement Learning*, chapters 3 and 4: the tables of the 5 x 5 grid, to six
//! digits, by every method, on the grid world and on its stored form.

use etude_mdp::optimal::{Method, finite_horizon, solve};
use etude_mdp::policy_evaluation::{EvaluationOptions, evaluate};
use etude_mdp::{
    AffineRewards, CellKind, GridRewards, GridWorld, GridWorldSpec, Mdp, MdpBuilder, Model, Next, Policy, silent,
};

use crate::common::{by_every_method, distance, methods, near_best, optimal_actions, options};

const STAY: u32 = 4;

/// Figure 3.4(a): gamma = 0.9, boundary and forbidden cells -1. The optimal policy goes through forbidden cells.
const BASELINE: [f64; 25] = [
    5.832, 5.58, 6.2, 6.48, 5.832, //
    6.48, 7.2, 8.0, 7.2, 6.48, //
    7.2, 8.0, 10.0, 8.0, 7.2, //
    8.0, 10.0, 10.0, 10.0, 8.0, //
    7.2, 9.0, 10.0, 9.0, 8.1,
];

/// Figure 3.4(b): gamma = 0.5. Minus the binary logarithm of the value: each step towards the target halves it, and
/// the way leads round the forbidden cells.
const SHORT_SIGHTED: [i32; 25] = [
    9, 8, 7, 6, 5, //
    10, 9, 6, 5, 4, //
    11, 12, -1, 4, 3, //
    12, -1, -1, -1, 2, //
    13, 0, -1, 0, 1,
];

/// Figure 3.4(c): gamma = 0. Only the next reward counts.
const BLIND: [f64; 25] = [
    0.0, 0.0, 0.0, 0.0, 0.0, //
    0.0, 0.0, 0.0, 0.0, 0.0, //
    0.0, 0.0, 1.0, 0.0, 0.0, //
    0.0, 1.0, 1.0, 1.0, 0.0, //
    0.0, 0.0, 1.0, 0.0, 0.0,
];

/// Figure 3.4(d): gamma = 0.9, forbidden cells -10. The optimal policy keeps out of them.
const HARSH: [f64; 25] = [
    3.486_784, 3.874_205, 4.304_672, 4.782_969, 5.314_410, //
    3.138_106, 3.486_784, 4.782_969, 5.314_410, 5.904_900, //
    2.824_295, 2.541_866, 10.0, 5.904_900, 6.561_000, //
    2.541_866, 10.0, 10.0, 10.0, 7.290_000, //
    2.287_679, 9.0, 10.0, 9.0, 8.100_000,
];

fn grid(forbidden_reward: f64) -> GridWorld {
    GridWorld::new(&GridWorldSpec {
        rows: 5,
        columns: 5,
        forbidden: vec![[2, 2], [2, 3], [3, 3], [4, 2], [4, 4], [5, 2]],
        targets: vec![[4, 3]],
        rewards: GridRewards {
            forbidden: forbidden_reward,
            ..GridRewards::default()
        },
        ..GridWorldSpec::default()
    })
    .unwrap()
}

/// Solves the grid by every method, as it is and stored, and compares the values with a table and the optimal actions
/// with those that the table implies.
fn check(forbidden_reward: f64, discount: f64, table: &[f64], sum: f64) {
    let grid = grid(forbidden_reward);
    check_model(&grid, discount, table, sum);
    check_model(&Mdp::store(&grid).unwrap(), discount, table, sum);
}

fn check_model(model: &impl Model, discount: f64, table: &[f64], sum: f64) {
    // The table has six digits, and no two actions that differ at all do so by less than 1e-5.
    let implied: Vec<_> = (0..model.states())
        .map(|state| near_best(model, state, discount, table, 1e-5))
        .collect();
    for solution in by_every_method(model, discount, 1e-9) {
        let method = solution.method;
        assert!(distance(&solution.values, table) <= 0.51e-6, "{method}");
        assert!((solution.values.iter().sum::<f64>() - sum).abs() < 1e-8, "{method}");
        assert_eq!(optimal_actions(model, &solution), implied, "{method}");
        for (action, optimal) in solution.policy.iter().zip(&implied) {
            assert!(optimal.contains(action), "{method}");
        }
    }
}

#[test]
fn figure_3_4_a_baseline() {
    check(-1.0, 0.9, &BASELINE, 194.984);
}

#[test]
fn figure_3_4_b_short_sighted() {
    let table = SHORT_SIGHTED.map(|halvings| 0.5_f64.powi(halvings));
    check(-1.0, 0.5, &table, 13.111_450_195_3);
}

#[test]
fn figure_3_4_c_blind() {
    check(-1.0, 0.0, &BLIND, 5.0);
}

#[test]
fn figure_3_4_d_harsh() {
    check(-10.0, 0.9, &HARSH, 150.441_816_019_8);
}

/// The only difference that the book draws between the figures and their policies: whether forbidden cells are entered.
#[test]
fn only_the_baseline_enters_forbidden_cells() {
    for (forbidden_reward, discount, enters) in [(-1.0, 0.9, true), (-1.0, 0.5, false), (-10.0, 0.9, false)] {
        let grid = grid(forbidden_reward);
        for solution in by_every_method(&grid, discount, 1e-9) {
            let mut entered = false;
            for (state, actions) in optimal_actions(&grid, &solution).iter().enumerate() {
                for &action in actions {
                    grid.successors(state, action as usize, |next, _| {
                        entered |= grid.kind(next as usize) == CellKind::Forbidden;
                    });
                }
            }
            assert_eq!(entered, enters, "{}, discount {discount}", solution.method);
        }
    }
}

/// The sweeps of value iteration from zero until ||v_k - v_{k-1}|| < tolerance. (Truncated policy iteration to 1e-9
/// takes 198, 210, 220 and 230 sweeps with 1, 3, 5 and 10 for each policy where the first of several greedy actions is
/// taken; but that turns on ties, unlike value iteration, so it is not asserted.)
#[test]
fn sweeps_of_value_iteration() {
    for (forbidden_reward, table) in [(-1.0, &BASELINE), (-10.0, &HARSH)] {
        let values = finite_horizon(&grid(forbidden_reward), 0.9, 300, &[0.0; 25])
            .unwrap()
            .values;
        let changes: Vec<f64> = values.windows(2).map(|pair| distance(&pair[0], &pair[1])).collect();
        for (tolerance, sweeps) in [(1e-2, 45), (1e-3, 67), (1e-6, 133), (1e-9, 198), (1e-13, 286)] {
            let found = changes.iter().position(|&change| change < tolerance);
            assert_eq!(found, Some(sweeps - 1), "tolerance {tolerance}");
        }
        // ||v* - v_k|| <= gamma^k / (1 - gamma) ||v_1 - v_0||; the table is right to half a millionth.
        for (sweep, values) in values.iter().enumerate() {
            let bound = 0.9_f64.powi(sweep as i32) / (1.0 - 0.9) * changes[0];
            assert!(distance(values, table) <= bound + 0.5e-6);
        }
    }
}

#[test]
fn truncated_policy_iteration_with_one_sweep_is_value_iteration() {
    let grid = grid(-10.0);
    let history = |method| solve(&grid, 0.9, &options(method, 1e-9), &mut silent).unwrap().history;
    let truncated = Method::TruncatedPolicyIteration { sweeps: 1 };
    assert_eq!(history(Method::ValueIteration), history(truncated));
}

/// Policy iteration by hand, from `policy`: the values of every policy that it visits. `keep` decides whether an action
/// that is greedy already is kept or gives way to the first greedy one: the two ways to break ties take different
/// numbers of iterations (15 and 8 on the book's grid; the book shows 10) to the same values.
fn policy_iteration(model: &impl Model, mut policy: Vec<u32>, keep: bool) -> Vec<Vec<f64>> {
    let mut visited = Vec::new();
    loop {
        let pi = Policy::deterministic(model, policy.clone()).unwrap();
        let values = evaluate(model, &pi, 0.9, &EvaluationOptions::default(), &mut silent)
            .unwrap()
            .values;
        let greedy: Vec<u32> = (0..model.states())
            .map(|state| {
                let greedy = near_best(model, state, 0.9, &values, 1e-8);
                if keep && greedy.contains(&policy[state]) {
                    policy[state]
                } else {
                    greedy[0]
                }
            })
            .collect();
        visited.push(values);
        if greedy == policy {
            return visited;
        }
        policy = greedy;
    }
}

#[test]
fn policy_iteration_from_staying_everywhere_improves_every_state() {
    let grid = grid(-10.0);
    for keep in [false, true] {
        let visited = policy_iteration(&grid, vec![STAY; 25], keep);
        // Figure 4.4(a): -100 in the six forbidden cells and 10 in the target.
        assert!((visited[0].iter().sum::<f64>() + 590.0).abs() < 1e-6);
        for pair in visited.windows(2) {
            assert!(
                pair[0]
                    .iter()
                    .zip(&pair[1])
                    .all(|(before, after)| *after >= before - 1e-8)
            );
        }
        assert!(distance(visited.last().unwrap(), &HARSH) <= 0.51e-6);
    }
}

/// Theorem 3.6: r -> a r + b with a > 0 turns v* into a v* + b / (1 - gamma) and leaves the optimal policies alone.
#[test]
fn affine_rewards_leave_the_optimal_policies_alone() {
    let grid = grid(-1.0);
    let baseline = &by_every_method(&grid, 0.9, 1e-9)[0];
    for (scale, shift) in [(2.5, 3.0), (0.01, -7.0), (1.0, 100.0), (40.0, 0.0)] {
        let expected: Vec<f64> = BASELINE
            .iter()
            .map(|value| scale * value + shift / (1.0 - 0.9))
            .collect();
        let model = AffineRewards::new(&grid, scale, shift);
        for solution in by_every_method(&model, 0.9, 1e-9) {
            assert!(distance(&solution.values, &expected) <= 2e-9, "{}", solution.method);
            assert_eq!(optimal_actions(&model, &solution), optimal_actions(&grid, baseline));
        }
    }
}

/// Figure 4.3: an empty cell and the target beside it; left, stay and right.
#[test]
fn two_states_of_figure_4_3() {
    let mut builder = MdpBuilder::new(2);
    for (state, action, next, reward) in [
        (0, 0, 0, -1.0),
        (0, 1, 0, 0.0),
        (0, 2, 1, 1.0),
        (1, 0, 0, 0.0),
        (1, 1, 1, 1.0),
        (1, 2, 1, -1.0),
    ] {
        builder.transition(state, action, Next::State(next), 1.0, reward);
    }
    let model = builder.build().unwrap();
    for solution in by_every_method(&model, 0.9, 1e-9) {
        assert!(distance(&solution.values, &[10.0, 10.0]) <= 1e-9, "{}", solution.method);
        assert_eq!(optimal_actions(&model, &solution), [[2], [1]]);
        let action_values = solution.action_values(&model);
        assert!(distance(action_values.of(0), &[8.0, 9.0, 10.0]) <= 1e-9);
        assert!(distance(action_values.of(1), &[9.0, 10.0, 8.0]) <= 1e-9);
    }
    // From "always left", one improvement is enough.
    let visited = policy_iteration(&model, vec![0, 0], false);
    assert_eq!(visited.len(), 2);
    assert!(distance(&visited[0], &[-10.0, -9.0]) <= 1e-9);
    assert!(distance(&visited[1], &[10.0, 10.0]) <= 1e-9);
}

#[test]
fn methods_are_told_apart_by_name() {
    for method in methods() {
        assert_eq!(method.to_string().parse::<Method>().unwrap(), method);
    }
    for name in [
        "",
        "value",
        "value-iteration:3",
        "truncated-policy-iteration:0",
        "truncated-policy-iteration:x",
    ] {
        assert!(
            name.parse::<Method>()
                .unwrap_err()
                .to_string()
                .contains(&format!("`{name}`"))
        );
    }
}
