//! The grid worlds that `etude_mdp` solves, to be acted in.

use etude_mdp::{CellKind, GridWorld, Model, TERMINAL};

use crate::render::board::{Board, Cell};
use crate::tabular::{Outcome, TabularModel};

/// The chances of a [`GridWorld`]: the very model that is solved exactly. Episodes begin in the grid's start, and in any cell
/// that has actions where it has none; a cell without actions, such as a target that is absorbing, ends them.
pub fn grid_world(grid: &GridWorld) -> TabularModel {
    let states = grid.states();
    let acts = |state: usize| grid.actions(state) > 0;
    let first = grid.start().map_or_else(
        || (0..states).filter(|&state| acts(state)).collect(),
        |start| vec![start],
    );
    let actions = (0..states).map(|state| grid.actions(state)).max().unwrap_or(0);
    let model = TabularModel::new(
        states,
        actions,
        first.into_iter().map(|state| state as u32).collect(),
        |state, action| {
            let stays = Outcome {
                probability: 1.0,
                next: state as u32,
                reward: 0.0,
                terminated: true,
            };
            let mut outcomes = Vec::new();
            if action < grid.actions(state) {
                let reward = grid.reward(state, action);
                grid.successors(state, action, |next, probability| {
                    // Where the model says that the episode ends and not where, the agent is seen where it was.
                    let ended = next == TERMINAL;
                    outcomes.push(Outcome {
                        probability,
                        next: if ended { state as u32 } else { next },
                        reward,
                        terminated: ended || !acts(next as usize),
                    });
                });
            } else {
                // Nothing leads to a cell without actions but the end of an episode.
                outcomes.push(stays);
            }
            outcomes
        },
    );
    let cells = (0..states).map(|state| match grid.kind(state) {
        CellKind::Plain if grid.start() == Some(state) => Cell::Start,
        CellKind::Plain => Cell::Floor,
        CellKind::Forbidden => Cell::Forbidden,
        CellKind::Target => Cell::Goal,
        CellKind::Wall => Cell::Wall,
    });
    let board = Board::new(grid.columns(), cells.collect());
    model
        .with_columns(grid.columns())
        .with_picture(move |cell| board.with_agent(cell as usize))
}

#[cfg(test)]
mod tests {
    use etude_mdp::GridWorldSpec;

    use super::*;
    use crate::env::Env;
    use crate::tabular::Tabular;

    #[test]
    fn a_target_ends_the_episode_where_it_is_absorbing_and_not_where_it_is_not() {
        for absorbing in [true, false] {
            let spec = GridWorldSpec {
                map: vec!["S.T".into()],
                absorbing,
                ..GridWorldSpec::default()
            };
            let mut env = Tabular::new(grid_world(&GridWorld::new(&spec).unwrap()));
            let mut observation = [f32::NAN];
            env.reset(Some(1), &mut observation);
            assert_eq!(observation[0] as u8, 0);
            // To the right, twice.
            let first = env.step(&[1.0], &mut observation);
            assert_eq!((first.reward, first.terminated, observation[0] as u8), (0.0, false, 1));
            let second = env.step(&[1.0], &mut observation);
            assert_eq!(
                (second.reward, second.terminated, second.truncated),
                (1.0, absorbing, false)
            );
        }
    }

    #[test]
    fn it_is_worth_what_the_grid_is_worth() {
        use etude_mdp::optimal::{SolveOptions, solve};
        use etude_mdp::silent;
        for absorbing in [true, false] {
            let spec = GridWorldSpec {
                map: vec!["S.#.".into(), "..x.".into(), "...T".into()],
                slip: 0.2,
                absorbing,
                ..GridWorldSpec::default()
            };
            let grid = GridWorld::new(&spec).unwrap();
            let options = SolveOptions::default();
            let mdp = grid_world(&grid).to_mdp().unwrap();
            let ours = solve(&mdp, 0.9, &options, &mut silent).unwrap().values;
            let theirs = solve(&grid, 0.9, &options, &mut silent).unwrap().values;
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
            }
        }
    }
}
