//! Walking along a cliff.

use crate::render::board::{Board, Cell};
use crate::tabular::{Outcome, TabularModel};

const ROWS: usize = 4;
const COLUMNS: usize = 12;
const START: usize = 3 * COLUMNS;
const GOAL: usize = ROWS * COLUMNS - 1;

/// The cliff walk (Sutton and Barto, example 6.6): from one end of a cliff to the other, -1 for every step, and -100 and back
/// to the start for falling off. Actions 0 to 3 go up, right, down and left. Where it is `slippery`, a move goes to either
/// side with probability 1/3 each.
pub fn cliff_walking(slippery: bool) -> TabularModel {
    let model = TabularModel::new(ROWS * COLUMNS, 4, vec![START as u32], |cell, action| {
        let (row, column) = (cell / COLUMNS, cell % COLUMNS);
        let move_to = move |direction: usize, probability: f64| {
            let next = match direction {
                0 => cell - if row > 0 { COLUMNS } else { 0 },
                1 => cell + usize::from(column + 1 < COLUMNS),
                2 => cell + if row + 1 < ROWS { COLUMNS } else { 0 },
                _ => cell - usize::from(column > 0),
            };
            let falls = (START + 1..GOAL).contains(&next);
            Outcome {
                probability,
                next: if falls { START } else { next } as u32,
                reward: if falls { -100.0 } else { -1.0 },
                terminated: next == GOAL,
            }
        };
        if slippery {
            let directions = [(action + 3) % 4, action, (action + 1) % 4];
            directions.map(|direction| move_to(direction, 1.0 / 3.0)).to_vec()
        } else {
            vec![move_to(action, 1.0)]
        }
    });
    let cells = (0..ROWS * COLUMNS).map(|cell| match cell {
        START => Cell::Start,
        GOAL => Cell::Goal,
        _ if cell > START => Cell::Cliff,
        _ => Cell::Floor,
    });
    let board = Board::new(COLUMNS, cells.collect());
    model
        .with_columns(COLUMNS)
        .with_picture(move |cell| board.with_agent(cell as usize))
}
