//! Zhao, *Mathematical Foundations of Reinforcement Learning*, chapters 2, 4 and 8, and Sutton and Barto: the values of
//! the policies that they show, by every method, on the grid world and on its stored form.

use etude_mdp::policy_evaluation::EvaluationMethod;
use etude_mdp::{GridRewards, GridWorld, GridWorldSpec, Mdp, MdpBuilder, Next, Policy};

use crate::common::{book, by_every_method, distance, grid};

const RIGHT: u32 = 1;
const DOWN: u32 = 2;

/// Evaluates a policy of a grid by every method, and compares with a table printed to six digits.
fn check(grid: &GridWorld, policy: &Policy, discount: f64, table: &[f64]) {
    let stored = Mdp::store(grid).unwrap();
    let evaluations = by_every_method(grid, policy, discount, 1e-9)
        .into_iter()
        .chain(by_every_method(&stored, policy, discount, 1e-9));
    for evaluation in evaluations {
        let error = distance(&evaluation.values, table);
        assert!(error <= 0.5e-6 + 1e-9, "{}: {error:e}", evaluation.method);
        assert!(evaluation.residual <= 1e-9, "{}", evaluation.method);
    }
}

#[test]
fn uniform_policy_of_figure_8_6() {
    let table = [
        [-3.846_349, -3.813_770, -3.644_241, -3.120_936, -3.235_013],
        [-3.793_566, -3.847_257, -3.800_374, -3.106_296, -2.924_097],
        [-3.572_407, -3.896_461, -3.381_689, -3.194_384, -2.944_371],
        [-3.900_754, -3.615_859, -3.403_143, -2.897_616, -3.239_282],
        [-4.458_860, -4.160_776, -3.385_820, -3.363_440, -3.453_239],
    ];
    let grid = book();
    check(&grid, &Policy::uniform(&grid), 0.9, table.as_flattened());
}

/// Actions as arrows, by row.
fn arrows(grid: &GridWorld, rows: [&str; 5]) -> Policy {
    let action = |arrow| GridWorld::ARROWS.iter().position(|&known| known == arrow).unwrap() as u32;
    Policy::deterministic(grid, rows.concat().chars().map(action).collect()).unwrap()
}

/// Two policies that differ in the top right and have the same values.
#[test]
fn good_policies_of_figure_2_7_a() {
    let table = [
        [3.486_784, 3.874_205, 4.304_672, 4.782_969, 5.314_410],
        [3.138_106, 3.486_784, 4.782_969, 5.314_410, 5.904_900],
        [2.824_295, 2.541_866, 10.0, 5.904_900, 6.561_000],
        [2.541_866, 10.0, 10.0, 10.0, 7.290_000],
        [2.287_679, 9.0, 10.0, 9.0, 8.100_000],
    ];
    let grid = book();
    for top in ["→→→→↓", "→→→↓↓"] {
        let policy = arrows(&grid, [top, "↑↑→→↓", "↑←↓→↓", "↑→○←↓", "↑→↑←←"]);
        check(&grid, &policy, 0.9, table.as_flattened());
    }
}

/// The book prints one digit. These are all: the last column bounces for ever, and the others are one step behind.
#[test]
fn always_right_of_figure_2_7_b() {
    let table = [
        [-6.561, -7.29, -8.1, -9.0, -10.0],
        [-8.461, -8.29, -8.1, -9.0, -10.0],
        [-7.461, -8.29, -8.1, -9.0, -10.0],
        [-7.471, -7.19, -9.1, -9.0, -10.0],
        [-7.561, -7.29, -8.1, -9.0, -10.0],
    ];
    let grid = book();
    check(&grid, &arrows(&grid, ["→→→→→"; 5]), 0.9, table.as_flattened());
}

/// Sutton and Barto, *Reinforcement Learning*, example 4.1: four by four cells that end the episode in two corners, and -1
/// a step, without discount.
#[test]
fn undiscounted_uniform_policy_of_sutton_and_barto() {
    let table = [
        [0.0, -14.0, -20.0, -22.0],
        [-14.0, -18.0, -20.0, -20.0],
        [-20.0, -20.0, -18.0, -14.0],
        [-22.0, -20.0, -14.0, 0.0],
    ];
    let grid = GridWorld::new(&GridWorldSpec {
        map: ["T...", "....", "....", "...T"].map(String::from).to_vec(),
        rewards: GridRewards {
            boundary: -1.0,
            forbidden: -1.0,
            target: -1.0,
            step: -1.0,
        },
        stay: false,
        absorbing: true,
        ..GridWorldSpec::default()
    })
    .unwrap();
    check(&grid, &Policy::uniform(&grid), 1.0, table.as_flattened());
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
