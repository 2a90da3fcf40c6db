//! Policy evaluation against the book, against SciPy's solutions, and against the definition of the return.

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use common::{by_every_method, distance, options, walk};
use etude_mdp::policy_evaluation::{EvaluationMethod, EvaluationOptions, MonteCarloOptions, evaluate, monte_carlo};
use etude_mdp::{Iteration, Mdp, MdpBuilder, MdpError, Next, Policy, silent};

const UP: u32 = 0;
const RIGHT: u32 = 1;
const DOWN: u32 = 2;
const LEFT: u32 = 3;

/// The book's grid worlds: up, right, down, left, stay; moves off the grid bounce and earn -1, `x` earns -1 to enter
/// or stay in, and `T` earns 1.
fn grid(map: &[&str]) -> Mdp {
    let rows: Vec<&[u8]> = map.iter().map(|row| row.as_bytes()).collect();
    let columns = rows[0].len();
    let mut builder = MdpBuilder::new(rows.len() * columns);
    for state in 0..rows.len() * columns {
        let (row, column) = (state / columns, state % columns);
        let moves = [
            row.checked_sub(1).map(|row| (row, column)),
            (column + 1 < columns).then_some((row, column + 1)),
            (row + 1 < rows.len()).then_some((row + 1, column)),
            column.checked_sub(1).map(|column| (row, column)),
            Some((row, column)),
        ];
        for (action, to) in (0..).zip(moves) {
            let (next_row, next_column) = to.unwrap_or((row, column));
            let reward = match (to, rows[next_row][next_column]) {
                (None, _) | (_, b'x') => -1.0,
                (_, b'T') => 1.0,
                _ => 0.0,
            };
            builder.transition(
                state,
                action,
                Next::State(next_row * columns + next_column),
                1.0,
                reward,
            );
        }
    }
    builder.build().unwrap()
}

fn book() -> Mdp {
    grid(&[".....", ".xx..", "..x..", ".xTx.", ".x..."])
}

#[test]
#[expect(clippy::unreadable_literal, reason = "as printed")]
fn uniform_policy_of_figure_8_6() {
    let table = [
        [-3.846349, -3.813770, -3.644241, -3.120936, -3.235013],
        [-3.793566, -3.847257, -3.800374, -3.106296, -2.924097],
        [-3.572407, -3.896461, -3.381689, -3.194384, -2.944371],
        [-3.900754, -3.615859, -3.403143, -2.897616, -3.239282],
        [-4.458860, -4.160776, -3.385820, -3.363440, -3.453239],
    ];
    let model = book();
    for evaluation in by_every_method(&model, &Policy::uniform(&model), 0.9, 1e-9) {
        assert!(
            distance(&evaluation.values, table.as_flattened()) <= 0.6e-6,
            "{}",
            evaluation.method
        );
    }
}

#[test]
fn always_right_of_figure_2_7() {
    let table = [
        [-6.6, -7.3, -8.1, -9.0, -10.0],
        [-8.5, -8.3, -8.1, -9.0, -10.0],
        [-7.5, -8.3, -8.1, -9.0, -10.0],
        [-7.5, -7.2, -9.1, -9.0, -10.0],
        [-7.6, -7.3, -8.1, -9.0, -10.0],
    ];
    let model = book();
    let right = Policy::deterministic(&model, vec![RIGHT; 25]).unwrap();
    for evaluation in by_every_method(&model, &right, 0.9, 1e-9) {
        assert!(
            distance(&evaluation.values, table.as_flattened()) <= 0.051,
            "{}",
            evaluation.method
        );
    }
}

#[test]
fn two_by_two_examples_of_chapter_2() {
    let model = grid(&[".x", ".T"]);
    let from_first_state = |right: f64, down: f64| {
        let certain = |action: u32| (0..5).map(|a| if a == action { 1.0 } else { 0.0 }).collect();
        let rows = [
            vec![0.0, right, down, 0.0, 0.0],
            certain(DOWN),
            certain(RIGHT),
            certain(4),
        ];
        Policy::stochastic(&model, &rows).unwrap()
    };
    for (right, down, value) in [(0.0, 1.0, 9.0), (0.5, 0.5, 8.5), (1.0, 0.0, 8.0)] {
        for evaluation in by_every_method(&model, &from_first_state(right, down), 0.9, 1e-9) {
            assert!(
                distance(&evaluation.values, &[value, 10.0, 10.0, 10.0]) <= 1e-9,
                "{}",
                evaluation.method
            );
            if value < 8.2 {
                // Figure 3.2.
                assert!(distance(evaluation.action_values.of(0), &[6.2, 8.0, 9.0, 6.2, 7.2]) <= 1e-9);
            }
        }
    }
}

#[test]
fn two_states_of_figure_4_3() {
    // Left, stay and right, in a row of an empty cell and the target; the policy goes left.
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
    let policy = Policy::deterministic(&model, vec![0, 0]).unwrap();
    for evaluation in by_every_method(&model, &policy, 0.9, 1e-9) {
        assert!(distance(&evaluation.values, &[-10.0, -9.0]) <= 1e-9);
        assert!(distance(evaluation.action_values.of(0), &[-10.0, -9.0, -7.1]) <= 1e-8);
        assert!(distance(evaluation.action_values.of(1), &[-9.0, -7.1, -9.1]) <= 1e-8);
        if evaluation.method == EvaluationMethod::Iterative {
            // The sweeps (-1, 0), (-1.9, -0.9): after the second, the residual is the same in both states, and the
            // bounds close.
            assert!((evaluation.history[0].1 - 1.0).abs() < 1e-15 && (evaluation.history[1].1 - 0.9).abs() < 1e-15);
            assert_eq!(evaluation.iterations, 2);
        }
    }
}

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(".solution.json"));
    paths.sort();
    paths
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap())
        .collect()
}

#[test]
fn uniform_policies_agree_with_scipy() {
    let mut checked = 0;
    for folder in ["gymnasium", "published"] {
        for path in fixtures(folder) {
            let model = path.to_str().unwrap().replace(".solution.json", ".json");
            let model = etude_mdp::read::gymnasium::read(model.as_ref()).unwrap();
            let solutions: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            for solution in solutions["solutions"].as_array().unwrap() {
                let discount = solution["gamma"].as_f64().unwrap();
                let expected = numbers(&solution["uniform_values"]);
                for evaluation in by_every_method(&model, &Policy::uniform(&model), discount, 8e-9) {
                    let error = distance(&evaluation.values, &expected);
                    assert!(
                        error <= 1e-8,
                        "{}, {discount}, {}: {error:e}",
                        path.display(),
                        evaluation.method
                    );
                    checked += 1;
                }
            }
        }
    }
    assert!(checked >= 4 * 16, "{checked}");
}

#[test]
fn the_automatic_choice_goes_by_size() {
    for (states, expected) in [(10, EvaluationMethod::ClosedForm), (5000, EvaluationMethod::BiCgStab)] {
        let model = walk(states);
        let options = EvaluationOptions::default();
        let evaluation = evaluate(&model, &Policy::uniform(&model), 0.9, &options, &mut silent).unwrap();
        assert_eq!(evaluation.method, expected);
        assert!(
            evaluation.reason.starts_with(&format!("{states} states")),
            "{}",
            evaluation.reason
        );
    }
}

#[test]
fn simulated_returns_agree_with_the_equation() {
    let model = book();
    let policy = Policy::uniform(&model);
    let values = evaluate(&model, &policy, 0.9, &EvaluationOptions::default(), &mut silent)
        .unwrap()
        .values;
    let episodes = MonteCarloOptions {
        start: None,
        episodes: 2000,
        truncation_bias: 1e-3,
        seed: 3,
    };
    let estimates = monte_carlo(&model, &policy, 0.9, &episodes).unwrap();
    // 0.9^h * 10 <= 1e-3.
    assert_eq!(estimates.horizon, 88);
    let covered = estimates
        .estimates
        .iter()
        .filter(|estimate| {
            assert!((estimate.mean - values[estimate.state]).abs() <= 5.0 * estimate.standard_error + 1e-3);
            (estimate.interval[0]..=estimate.interval[1]).contains(&values[estimate.state])
        })
        .count();
    assert!(covered >= 21, "{covered} of 25");
}

#[test]
fn simulated_returns_agree_with_the_equation_without_discount() {
    let model = walk(8);
    let policy = Policy::uniform(&model);
    let episodes = MonteCarloOptions {
        start: Some(0),
        episodes: 4000,
        truncation_bias: 1e-3,
        seed: 1,
    };
    let estimates = monte_carlo(&model, &policy, 1.0, &episodes).unwrap();
    let [estimate] = estimates.estimates[..] else {
        panic!("one state was asked for")
    };
    assert!(
        (estimate.interval[0]..=estimate.interval[1]).contains(&-72.0),
        "{estimate:?}"
    );
}

fn error(discount: f64, options: &EvaluationOptions) -> MdpError {
    let model = book();
    evaluate(&model, &Policy::uniform(&model), discount, options, &mut silent).unwrap_err()
}

#[test]
fn what_cannot_be_done_is_said() {
    let default = EvaluationOptions::default();
    assert!(matches!(error(1.0, &default), MdpError::EndlessPolicy { state: 0 }));
    assert!(matches!(error(1.5, &default), MdpError::Discount(_)));
    for tolerance in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            error(0.9, &EvaluationOptions { tolerance, ..default }),
            MdpError::Setting { .. }
        ));
    }
    assert!(matches!(
        error(
            0.9,
            &EvaluationOptions {
                max_iterations: 0,
                ..default
            }
        ),
        MdpError::Setting { .. }
    ));
    let too_few = EvaluationOptions {
        max_iterations: 3,
        ..options(EvaluationMethod::Iterative, 1e-9)
    };
    assert!(matches!(
        error(0.9, &too_few),
        MdpError::NotConverged { iterations: 3, .. }
    ));
    for method in EvaluationMethod::ALL {
        let MdpError::BelowRounding { rounding, .. } = error(0.9, &options(method, 1e-15)) else {
            panic!("{method} claims an error below rounding")
        };
        let model = book();
        let feasible = options(method, 2.0 * rounding);
        evaluate(&model, &Policy::uniform(&model), 0.9, &feasible, &mut silent).unwrap();
    }
    assert!(matches!(
        error(1.0 - f64::EPSILON / 2.0, &default),
        MdpError::BelowRounding { .. }
    ));
    let model = book();
    let other = Policy::uniform(&walk(3));
    assert!(matches!(
        evaluate(&model, &other, 0.9, &default, &mut silent),
        Err(MdpError::Policy(_))
    ));
    assert!(
        "newton"
            .parse::<EvaluationMethod>()
            .unwrap_err()
            .to_string()
            .contains("method is newton")
    );
}

#[test]
fn an_evaluation_can_be_interrupted() {
    let model = book();
    let mut seen = Vec::new();
    let mut stop_at_three = |iteration: Iteration| {
        seen.push(iteration.index);
        if iteration.index == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let options = options(EvaluationMethod::Iterative, 1e-9);
    let result = evaluate(&model, &Policy::uniform(&model), 0.9, &options, &mut stop_at_three);
    assert!(matches!(result, Err(MdpError::Interrupted(3))));
    assert_eq!(seen, [1, 2, 3]);
}

#[test]
fn what_solve_prints_can_be_evaluated() {
    let model = book();
    let labels = [UP, LEFT].repeat(13);
    let json = serde_json::json!({ "method": "policy-iteration", "values": [0.0], "policy": &labels[..25] });
    let policy = Policy::parse(&model, Path::new("solution.json"), json.to_string().as_bytes()).unwrap();
    assert_eq!(policy, Policy::deterministic(&model, labels[..25].to_vec()).unwrap());
}
