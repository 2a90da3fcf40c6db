//! Grid worlds: the book's grid, slips, walls, absorbing targets, wrong descriptions, and the stencil against the
//! transitions stored one by one.

#![expect(
    clippy::float_cmp,
    reason = "certain rewards are copied, and the stencil promises equal bits"
)]

use std::ops::Range;

use etude_mdp::{CellKind, GridRewards, GridWorld, GridWorldSpec, Mdp, Model};
use proptest::prelude::*;

const UP: usize = 0;
const RIGHT: usize = 1;
const DOWN: usize = 2;
const LEFT: usize = 3;
const STAY: usize = 4;

fn book(forbidden_reward: f64) -> GridWorldSpec {
    GridWorldSpec {
        rows: 5,
        columns: 5,
        forbidden: vec![[2, 2], [2, 3], [3, 3], [4, 2], [4, 4], [5, 2]],
        targets: vec![[4, 3]],
        rewards: GridRewards {
            forbidden: forbidden_reward,
            ..GridRewards::default()
        },
        ..GridWorldSpec::default()
    }
}

fn drawn(map: &[&str]) -> GridWorldSpec {
    GridWorldSpec {
        map: map.iter().map(|&row| row.to_owned()).collect(),
        ..GridWorldSpec::default()
    }
}

fn grid(spec: &GridWorldSpec) -> GridWorld {
    GridWorld::new(spec).unwrap()
}

fn successors(model: &impl Model, state: usize, action: usize) -> Vec<(u32, f64)> {
    let mut found = Vec::new();
    model.successors(state, action, |next, probability| found.push((next, probability)));
    found
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-12
}

#[test]
fn the_grid_of_the_book() {
    let grid = grid(&book(-10.0));
    assert_eq!((grid.rows(), grid.columns(), grid.states()), (5, 5, 25));
    assert_eq!(grid.kind(grid.state(3, 2)), CellKind::Target);
    assert_eq!(grid.kind(grid.state(3, 1)), CellKind::Forbidden);
    assert!(!grid.has_terminal());

    let corner = grid.state(0, 0);
    assert_eq!(
        (grid.reward(corner, UP), successors(&grid, corner, UP)),
        (-1.0, vec![(0, 1.0)])
    );
    assert_eq!(
        (grid.reward(corner, RIGHT), successors(&grid, corner, RIGHT)),
        (0.0, vec![(1, 1.0)])
    );
    assert_eq!(
        (grid.reward(corner, DOWN), successors(&grid, corner, DOWN)),
        (0.0, vec![(5, 1.0)])
    );
    assert_eq!(
        (grid.reward(corner, LEFT), successors(&grid, corner, LEFT)),
        (-1.0, vec![(0, 1.0)])
    );
    assert_eq!(
        (grid.reward(corner, STAY), successors(&grid, corner, STAY)),
        (0.0, vec![(0, 1.0)])
    );

    let target = grid.state(3, 2);
    assert_eq!(grid.reward(target, STAY), 1.0);
    assert_eq!(grid.reward(target, UP), -10.0);
    assert_eq!(grid.reward(grid.state(3, 1), RIGHT), 1.0);
    assert_eq!(grid.reward(grid.state(3, 1), STAY), -10.0);
}

#[test]
fn its_optimal_values_are_the_books() {
    // The sums over all cells of the tables for gamma = 0.9.
    for (forbidden_reward, sum) in [(-1.0, 194.984), (-10.0, 150.441_816_019_8)] {
        let grid = grid(&book(forbidden_reward));
        let mut values = vec![0.0; 25];
        for _ in 0..400 {
            values = backup_block(&grid, 0..25, 0.9, &values).0;
        }
        let found: f64 = values.iter().sum();
        assert!((found - sum).abs() < 1e-3, "{found} instead of {sum}");
        assert!(close(values[17], 10.0), "the target is not absorbing: {}", values[17]);
    }
}

#[test]
fn a_map_says_the_same_as_lists() {
    let map = GridWorldSpec {
        rewards: book(-10.0).rewards,
        ..drawn(&["S....", ".xx..", "..x..", ".xTx.", ".x..."])
    };
    let lists = GridWorldSpec {
        start: Some([1, 1]),
        ..book(-10.0)
    };
    assert_eq!(grid(&map), grid(&lists));
    assert_eq!(grid(&map).start(), Some(0));
}

#[test]
fn a_slip_goes_to_either_side() {
    let spec = GridWorldSpec {
        slip: 0.2,
        rewards: GridRewards {
            boundary: -2.0,
            forbidden: -10.0,
            target: 5.0,
            step: -0.5,
        },
        ..drawn(&["...", ".xT", "..."])
    };
    let grid = grid(&spec);
    let at = |row, column| grid.state(row, column) as u32;

    let centre = grid.state(1, 1);
    let ways = [(at(0, 1), 0.8), (at(1, 2), 0.1), (at(1, 0), 0.1)];
    assert_eq!(successors(&grid, centre, UP), ways);
    assert!(close(grid.reward(centre, UP), 0.8 * -0.5 + 0.1 * 5.0 + 0.1 * -0.5));
    assert_eq!(successors(&grid, centre, STAY), [(at(1, 1), 1.0)]);
    assert_eq!(grid.reward(centre, STAY), -10.0);

    // In a corner, both the move and one of its slips bounce: one successor for the two.
    let bounces = successors(&grid, 0, LEFT);
    assert_eq!(bounces.len(), 2);
    assert_eq!((bounces[0].0, bounces[1].0), (at(0, 0), at(1, 0)));
    assert!(close(bounces[0].1, 0.9) && close(bounces[1].1, 0.1));
    assert!(close(grid.reward(0, LEFT), 0.9 * -2.0 + 0.1 * -0.5));
}

#[test]
fn nobody_enters_a_wall() {
    let grid = grid(&drawn(&["S#T", "..."]));
    assert_eq!(
        (grid.reward(0, RIGHT), successors(&grid, 0, RIGHT)),
        (-1.0, vec![(0, 1.0)])
    );
    assert_eq!((grid.actions(1), grid.has_terminal()), (0, true));
    let (values, greedy) = backup_block(&grid, 0..6, 0.9, &[9.0; 6]);
    assert_eq!((values[1], greedy[1]), (0.0, 0));
}

#[test]
fn an_absorbing_target_ends_the_episode() {
    let spec = GridWorldSpec {
        absorbing: true,
        stay: false,
        ..drawn(&["..T"])
    };
    let grid = grid(&spec);
    assert_eq!([0, 1, 2].map(|state| grid.actions(state)), [4, 4, 0]);
    assert!(grid.has_terminal());
    let mut values = vec![0.0; 3];
    for _ in 0..3 {
        values = backup_block(&grid, 0..3, 0.5, &values).0;
    }
    assert_eq!(values, [0.5, 1.0, 0.0]);
}

#[test]
fn a_strip_ends_where_the_next_begins() {
    let columns = 2100;
    let spec = GridWorldSpec {
        rows: 4,
        columns,
        slip: 0.3,
        forbidden: (1..=columns).filter(|c| c % 7 == 3).map(|c| [1 + c % 4, c]).collect(),
        walls: vec![[2, 1022], [3, 1023], [2, 1], [2, columns], [1, 1024]],
        targets: vec![[3, 2044], [2, 2045]],
        ..GridWorldSpec::default()
    };
    let grid = grid(&spec);
    let values: Vec<f64> = (0..grid.states()).map(|state| (state * 37 % 101) as f64).collect();
    for block in [
        0..4 * columns,
        1000..1100,
        columns - 1..columns + 1,
        columns - 1..columns,
        2000..5000,
    ] {
        equals_state_by_state(&grid, block, 0.95, &values).unwrap();
    }
}

#[test]
fn wrong_descriptions_name_the_field_and_the_cell() {
    let error = |spec: GridWorldSpec| GridWorld::new(&spec).unwrap_err().to_string();
    let cases = [
        (
            GridWorldSpec {
                targets: vec![[6, 1]],
                ..book(-1.0)
            },
            "grid world, `targets`: no cell (6, 1); expected [row, column] with rows from 1 to 5 and columns from 1 to 5",
        ),
        (
            GridWorldSpec {
                walls: vec![[0, 1]],
                ..book(-1.0)
            },
            "grid world, `walls`: no cell (0, 1); expected [row, column] with rows from 1 to 5 and columns from 1 to 5",
        ),
        (
            GridWorldSpec {
                targets: vec![[2, 2]],
                ..book(-1.0)
            },
            "grid world, `targets`: cell (2, 2) is forbidden already; a cell is of one kind only",
        ),
        (
            GridWorldSpec {
                walls: vec![[4, 3]],
                ..book(-1.0)
            },
            "grid world, `walls`: cell (4, 3) is a target already; a cell is of one kind only",
        ),
        (
            GridWorldSpec {
                walls: vec![[1, 1]],
                start: Some([1, 1]),
                ..book(-1.0)
            },
            "grid world, `start`: cell (1, 1) is a wall; start in a cell that can be entered",
        ),
        (
            GridWorldSpec::default(),
            "grid world, `rows`: found 0; expected at least 1, or a `map` whose rows have at least one cell",
        ),
        (
            drawn(&[""]),
            "grid world, `columns`: found 0; expected at least 1, or a `map` whose rows have at least one cell",
        ),
        (
            GridWorldSpec {
                columns: 2,
                ..drawn(&[".."])
            },
            "grid world, `columns`: found beside a `map`, which says it already; give one of the two",
        ),
        (
            drawn(&["...", ".."]),
            "grid world, `map`: row 2 has 2 cells; expected 3, as in row 1",
        ),
        (
            drawn(&["..", ".o"]),
            "grid world, `map`: cell (2, 2) is 'o'; expected '.' (plain), 'x' (forbidden), 'T' (target), '#' (wall) or 'S' (start)",
        ),
        (
            drawn(&["S.", ".S"]),
            "grid world, `map`: cell (2, 2) is a second 'S'; expected one at most",
        ),
        (
            GridWorldSpec {
                slip: 1.5,
                ..book(-1.0)
            },
            "grid world, `slip`: found 1.5; expected a probability, a number in [0, 1]",
        ),
        (
            book(f64::NAN),
            "grid world, `rewards.forbidden`: found NaN; expected a finite number",
        ),
        (
            GridWorldSpec {
                rows: usize::MAX,
                columns: 3,
                ..GridWorldSpec::default()
            },
            "18446744073709551615 cells are too many: indices are 32 bits wide, so at most 4294967294",
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(error(spec), expected);
    }
}

#[test]
fn recipes_know_no_other_field() {
    let read = |text| serde_json::from_str::<GridWorldSpec>(text);
    let spec = read(r#"{"rows": 5, "columns": 5, "targets": [[4, 3]], "rewards": {"forbidden": -10}}"#).unwrap();
    assert_eq!(
        (spec.rewards.forbidden, spec.rewards.boundary, spec.stay),
        (-10.0, -1.0, true)
    );
    assert!(
        read(r#"{"row": 5}"#)
            .unwrap_err()
            .to_string()
            .contains("unknown field `row`")
    );
    assert!(read(r#"{"rewards": {"goal": 5}}"#).is_err());
}

/// The backup of the states of `block`.
fn backup_block(model: &impl Model, block: Range<usize>, discount: f64, values: &[f64]) -> (Vec<f64>, Vec<u32>) {
    let (mut backed_up, mut greedy) = (vec![f64::NAN; block.len()], vec![u32::MAX; block.len()]);
    model.backup_block(block.start, discount, values, &mut backed_up, &mut greedy);
    (backed_up, greedy)
}

/// The stencil gives what the actions' values give, bit for bit, and so does the backup of one state.
fn equals_state_by_state(
    grid: &GridWorld,
    block: Range<usize>,
    discount: f64,
    values: &[f64],
) -> Result<(), TestCaseError> {
    let (backed_up, greedy) = backup_block(grid, block.clone(), discount, values);
    for (state, found) in block.zip(backed_up.into_iter().zip(greedy)) {
        let q = (0..grid.actions(state)).map(|action| grid.action_value(state, action, discount, values));
        let best = q
            .zip(0..)
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        prop_assert_eq!(found, best.unwrap_or((0.0, 0)), "state {}", state);
        prop_assert_eq!(found, grid.backup(state, discount, values), "state {}", state);
    }
    Ok(())
}

prop_compose! {
    fn any_grid()(rows in 1..9_usize, columns in 1..40_usize)(
        cells in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!['.', '.', 'x', 'T', '#']), columns), rows),
        slip in prop_oneof![Just(0.0), Just(1.0), Just(2.0 / 3.0), 0.0..1.0],
        rewards in prop::array::uniform4(-10.0..10.0),
        stay in any::<bool>(),
        absorbing in any::<bool>(),
    ) -> GridWorld {
        let [boundary, forbidden, target, step] = rewards;
        let rewards = GridRewards { boundary, forbidden, target, step };
        let map = cells.into_iter().map(|row| row.into_iter().collect()).collect();
        grid(&GridWorldSpec { map, slip, rewards, stay, absorbing, ..GridWorldSpec::default() })
    }
}

fn any_values_and_block(grid: GridWorld) -> impl Strategy<Value = (GridWorld, Vec<f64>, Range<usize>)> {
    let states = grid.states();
    let values = prop::collection::vec(-100.0..100.0, states);
    (Just(grid), values, 0..=states, 0..=states).prop_map(|(grid, values, a, b)| (grid, values, a.min(b)..a.max(b)))
}

proptest! {
    #[test]
    fn the_stencil_equals_the_stored_model(
        (grid, values, block) in any_grid().prop_flat_map(any_values_and_block),
        discount in 0.0..=1.0,
    ) {
        equals_state_by_state(&grid, block.clone(), discount, &values)?;

        // The stored model adds the same numbers in another order: a few units in the last place of the largest.
        let stored = Mdp::store(&grid).unwrap();
        let tolerance = 16.0 * f64::EPSILON * 110.0;
        let (backed_up, greedy) = backup_block(&grid, block.clone(), discount, &values);
        let (expected, _) = backup_block(&stored, block.clone(), discount, &values);
        for (index, state) in block.enumerate() {
            prop_assert!((backed_up[index] - expected[index]).abs() <= tolerance);
            if grid.actions(state) > 0 {
                let q = stored.action_value(state, greedy[index] as usize, discount, &values);
                prop_assert!((q - expected[index]).abs() <= tolerance);
            }
        }
    }

    #[test]
    fn probabilities_sum_to_one_over_distinct_successors(grid in any_grid()) {
        for state in 0..grid.states() {
            for action in 0..grid.actions(state) {
                let ways = successors(&grid, state, action);
                prop_assert!(ways.len() <= grid.max_successors());
                prop_assert!((ways.iter().map(|way| way.1).sum::<f64>() - 1.0).abs() <= f64::EPSILON);
                for (index, way) in ways.iter().enumerate() {
                    prop_assert!(way.1 > 0.0 && grid.kind(way.0 as usize) != CellKind::Wall);
                    prop_assert!(ways[..index].iter().all(|other| other.0 != way.0));
                }
            }
        }
    }
}
