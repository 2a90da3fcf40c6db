//! The grids of the book, what is known of them, and how they are drawn.
//!
//! Zhao, *Mathematical Foundations of Reinforcement Learning*, Springer 2025. The book prints values to one decimal; the digits
//! after it, and the floors of linear approximation, were computed once with NumPy from the definitions.

use etude_mdp::{GridRewards, GridWorld, GridWorldSpec};
use etude_rl::control::greedy_action;

use super::broken;
use crate::error::CommandError;
use crate::mdp::cell_kind;
use crate::report::{Directions, GridMap};

/// gamma, in all of these figures.
pub(super) const DISCOUNT: f64 = 0.9;
/// Rows, and columns.
pub(super) const SIDE: usize = 5;
pub(super) const CELLS: usize = SIDE * SIDE;
/// Up, right, down, left, stay.
pub(super) const ACTIONS: usize = 5;

/// Figure 8.6: the values of the uniform policy.
pub(super) const UNIFORM_VALUES: [f64; CELLS] = [
    -3.846_349, -3.813_770, -3.644_241, -3.120_936, -3.235_013, //
    -3.793_566, -3.847_257, -3.800_374, -3.106_296, -2.924_097, //
    -3.572_407, -3.896_461, -3.381_689, -3.194_384, -2.944_371, //
    -3.900_754, -3.615_859, -3.403_143, -2.897_616, -3.239_282, //
    -4.458_860, -4.160_776, -3.385_820, -3.363_440, -3.453_239,
];

/// The same as the book prints them.
pub(super) const PRINTED_UNIFORM_VALUES: [f64; CELLS] = [
    -3.8, -3.8, -3.6, -3.1, -3.2, //
    -3.8, -3.8, -3.8, -3.1, -2.9, //
    -3.6, -3.9, -3.4, -3.2, -2.9, //
    -3.9, -3.6, -3.4, -2.9, -3.2, //
    -4.5, -4.2, -3.4, -3.4, -3.5,
];

/// The optimal values of the grid of figure 7.4.
pub(super) const OPTIMAL_VALUES: [f64; CELLS] = [
    5.832, 5.58, 6.2, 6.48, 5.832, //
    6.48, 7.2, 8.0, 7.2, 6.48, //
    7.2, 8.0, 10.0, 8.0, 7.2, //
    8.0, 10.0, 10.0, 10.0, 8.0, //
    7.2, 9.0, 10.0, 9.0, 8.1,
];

/// What is earned.
pub(super) fn rewards(boundary: f64, forbidden: f64, target: f64, step: f64) -> GridRewards {
    GridRewards {
        boundary,
        forbidden,
        target,
        step,
    }
}

/// The grid of chapters 2 to 8, in which nothing ever ends.
pub(super) fn grid(rewards: GridRewards) -> Result<GridWorld, CommandError> {
    build(rewards, false)
}

/// The same grid as a task: from the top left cell to the target, where the episode ends.
pub(super) fn path_task(rewards: GridRewards) -> Result<GridWorld, CommandError> {
    build(rewards, true)
}

fn build(rewards: GridRewards, path: bool) -> Result<GridWorld, CommandError> {
    GridWorld::new(&GridWorldSpec {
        rows: SIDE,
        columns: SIDE,
        forbidden: vec![[2, 2], [2, 3], [3, 3], [4, 2], [4, 4], [5, 2]],
        targets: vec![[4, 3]],
        start: path.then_some([1, 1]),
        absorbing: path,
        rewards,
        ..GridWorldSpec::default()
    })
    .map_err(|error| broken(&error))
}

/// A map of values on a grid.
pub(super) fn map(caption: impl Into<String>, grid: &GridWorld, values: &[f64]) -> GridMap {
    let kinds: Vec<_> = (0..values.len()).map(|state| cell_kind(grid, state)).collect();
    GridMap::new(caption, grid.rows(), grid.columns(), values).kinds(kinds)
}

/// A map of the greatest action values and of the actions that have them. Nothing is drawn where all are equal, since nothing
/// has been learnt there.
pub(super) fn policy_map(caption: impl Into<String>, grid: &GridWorld, q: &[[f64; ACTIONS]]) -> GridMap {
    const DIRECTIONS: [Directions; ACTIONS] = [
        Directions::UP,
        Directions::RIGHT,
        Directions::DOWN,
        Directions::LEFT,
        Directions::STAY,
    ];
    let best = |q: &[f64; ACTIONS]| q[greedy_action(q)];
    let arrows = |q: &[f64; ACTIONS]| {
        let tied = |action: &usize| q[*action] >= best(q) - 1e-9;
        let chosen: Vec<usize> = (0..ACTIONS).filter(tied).collect();
        if chosen.len() == ACTIONS {
            return Directions::NONE;
        }
        (chosen.into_iter()).fold(Directions::NONE, |set, action| set | DIRECTIONS[action])
    };
    map(caption, grid, &q.iter().map(best).collect::<Vec<_>>()).arrows(q.iter().map(arrows).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use etude_mdp::policy_evaluation::{EvaluationOptions, evaluate};
    use etude_mdp::{Policy, silent};
    use etude_rl::control::KnownControl;

    use super::*;

    #[test]
    fn the_grid_is_the_one_of_the_figures() {
        let grid = grid(GridRewards::default()).unwrap();
        let uniform = Policy::uniform(&grid);
        let exact = evaluate(&grid, &uniform, DISCOUNT, &EvaluationOptions::default(), &mut silent).unwrap();
        let optimal = KnownControl::new(&grid, DISCOUNT).unwrap();
        for state in 0..CELLS {
            assert!((exact.values[state] - UNIFORM_VALUES[state]).abs() < 6e-7);
            assert!((optimal.values()[state] - OPTIMAL_VALUES[state]).abs() < 6e-3);
        }
    }
}
