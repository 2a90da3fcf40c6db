//! Crossing a lake whose ice has holes.

use crate::error::RlError;
use crate::render::board::{Board, Cell};
use crate::tabular::{Outcome, TabularModel};

/// Gymnasium's small lake: `S` is the start, `F` frozen, `H` a hole and `G` the goal.
pub const FROZEN_LAKE_4X4: [&str; 4] = ["SFFF", "FHFH", "FFFH", "HFFG"];

/// Gymnasium's large lake.
pub const FROZEN_LAKE_8X8: [&str; 8] = [
    "SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG",
];

/// The frozen lake on a map: 1 at the goal, nothing elsewhere, and the end in holes. Actions 0 to 3 go left, down, right
/// and up. On ice that is `slippery` a move succeeds with probability 1/3, and goes to either side otherwise.
///
/// # Errors
/// Rows of different lengths, an unknown letter, or no start.
pub fn frozen_lake(map: &[&str], slippery: bool) -> Result<TabularModel, RlError> {
    let rows = map.len();
    let columns = map.first().map_or(0, |row| row.len());
    let letters: Vec<u8> = map.iter().flat_map(|row| row.bytes()).collect();
    if let Some(row) = map.iter().find(|row| row.len() != columns) {
        let expected = format!(
            "row `{row}` has {} letters; expected {columns} as in the first",
            row.len()
        );
        return Err(RlError::Map(expected));
    }
    if let Some(&letter) = letters.iter().find(|letter| !b"SFHG".contains(letter)) {
        let letter = char::from(letter);
        return Err(RlError::Map(format!(
            "found `{letter}`; expected the letters S, F, H and G"
        )));
    }
    let first: Vec<u32> = (0..letters.len() as u32)
        .filter(|&cell| letters[cell as usize] == b'S')
        .collect();
    if first.is_empty() {
        return Err(RlError::Map("there is no start; expected a letter S".into()));
    }
    let ends = |cell: usize| matches!(letters[cell], b'G' | b'H');
    let outcomes = |cell: usize, action: usize| {
        if ends(cell) {
            let stays = Outcome {
                probability: 1.0,
                next: cell as u32,
                reward: 0.0,
                terminated: true,
            };
            return vec![stays];
        }
        let (row, column) = (cell / columns, cell % columns);
        let move_to = |direction: usize, probability: f64| {
            let next = match direction {
                0 => cell - usize::from(column > 0),
                1 => cell + if row + 1 < rows { columns } else { 0 },
                2 => cell + usize::from(column + 1 < columns),
                _ => cell - if row > 0 { columns } else { 0 },
            };
            Outcome {
                probability,
                next: next as u32,
                reward: if letters[next] == b'G' { 1.0 } else { 0.0 },
                terminated: ends(next),
            }
        };
        if slippery {
            // Gymnasium's numbers, to the last bit: what fails is what a third leaves of one, in halves.
            let succeeds = 1.0 / 3.0;
            let fails = (1.0 - succeeds) / 2.0;
            vec![
                move_to((action + 3) % 4, fails),
                move_to(action, succeeds),
                move_to((action + 1) % 4, fails),
            ]
        } else {
            vec![move_to(action, 1.0)]
        }
    };
    let cells = letters.iter().map(|letter| match letter {
        b'S' => Cell::Start,
        b'H' => Cell::Hole,
        b'G' => Cell::Goal,
        _ => Cell::Ice,
    });
    let board = Board::new(columns, cells.collect());
    let model = TabularModel::new(letters.len(), 4, first, outcomes);
    Ok(model
        .with_columns(columns)
        .with_picture(move |cell| board.with_agent(cell as usize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_that_make_no_lake_are_refused() {
        for (map, part) in [
            (&["SF", "F"][..], "row `F` has 1 letters; expected 2"),
            (&["SX"], "found `X`"),
            (&["FG"], "no start"),
            (&[], "no start"),
        ] {
            let error = frozen_lake(map, true).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
