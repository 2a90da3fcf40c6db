//! What a user writes to describe a grid world, and the checks that turn it into one.

use std::hint::select_unpredictable;

use serde::Deserialize;

use crate::error::MdpError;
use crate::grid_world::{CellKind, GridWorld};
use crate::model::TERMINAL;

/// The description of a grid world, as it stands in a recipe.
///
/// The cells are given in one of two ways. Either as a size and lists of cells, each `[row, column]` **counted from 1,
/// as in the book**, with `[1, 1]` in the top left corner:
///
/// ```toml
/// rows = 5
/// columns = 5
/// forbidden = [[2, 2], [2, 3], [3, 3], [4, 2], [4, 4], [5, 2]]
/// targets = [[4, 3]]
/// rewards = { boundary = -1, forbidden = -10, target = 1, step = 0 }
/// ```
///
/// or as a `map`, drawn with `.` for a plain cell, `x` for a forbidden one, `T` for a target, `#` for a wall, and `S`
/// for the plain cell in which an episode starts:
///
/// ```toml
/// map = [
///     "S....",
///     ".xx..",
///     "..x..",
///     ".xTx.",
///     ".x...",
/// ]
/// ```
///
/// What is left out has the value of [`GridWorldSpec::default`]: moves that never slip, `stay` among the actions, and
/// targets that do not end the episode, as in the book.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GridWorldSpec {
    /// Number of rows, at least 1; 0 where there is a map.
    pub rows: usize,
    /// Number of columns, at least 1; 0 where there is a map.
    pub columns: usize,
    /// Forbidden cells, `[row, column]` from 1.
    pub forbidden: Vec<[usize; 2]>,
    /// Targets, `[row, column]` from 1.
    pub targets: Vec<[usize; 2]>,
    /// Walls, `[row, column]` from 1.
    pub walls: Vec<[usize; 2]>,
    /// Where an episode starts, `[row, column]` from 1. It matters to simulation only.
    pub start: Option<[usize; 2]>,
    /// The rows of the grid from the top, one character a cell.
    pub map: Vec<String>,
    /// What is earned.
    pub rewards: GridRewards,
    /// The probability in [0, 1] that a move slips; it then goes to either side with equal chances.
    pub slip: f64,
    /// Whether `stay` is among the actions.
    pub stay: bool,
    /// Whether reaching a target ends the episode.
    pub absorbing: bool,
}

impl Default for GridWorldSpec {
    fn default() -> Self {
        Self {
            rows: 0,
            columns: 0,
            forbidden: Vec::new(),
            targets: Vec::new(),
            walls: Vec::new(),
            start: None,
            map: Vec::new(),
            rewards: GridRewards::default(),
            slip: 0.0,
            stay: true,
            absorbing: false,
        }
    }
}

/// What is earned in a grid world. The defaults are those of the book's first example: -1, -1, 1 and 0.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GridRewards {
    /// For bouncing off the edge of the grid or a wall.
    pub boundary: f64,
    /// For entering a forbidden cell, or staying in it.
    pub forbidden: f64,
    /// For entering a target, or staying in it.
    pub target: f64,
    /// For entering a plain cell, or staying in it.
    pub step: f64,
}

impl Default for GridRewards {
    fn default() -> Self {
        Self {
            boundary: -1.0,
            forbidden: -1.0,
            target: 1.0,
            step: 0.0,
        }
    }
}

impl GridRewards {
    /// The reward for entering a cell; not a number for a wall, which cannot be entered.
    ///
    /// Selects rather than a `match`, which would become a jump table, and no loop with a jump table is vectorised.
    #[expect(
        clippy::inline_always,
        reason = "it must take on the vector instructions of its caller"
    )]
    #[inline(always)]
    pub(super) fn entering(&self, kind: CellKind) -> f64 {
        let reward = select_unpredictable(kind == CellKind::Forbidden, self.forbidden, self.step);
        let reward = select_unpredictable(kind == CellKind::Target, self.target, reward);
        select_unpredictable(kind == CellKind::Wall, f64::NAN, reward)
    }
}

impl GridWorldSpec {
    /// Checks everything and builds the grid world.
    pub(super) fn build(&self) -> Result<GridWorld, MdpError> {
        for (field, reward) in [
            ("rewards.boundary", self.rewards.boundary),
            ("rewards.forbidden", self.rewards.forbidden),
            ("rewards.target", self.rewards.target),
            ("rewards.step", self.rewards.step),
        ] {
            if !reward.is_finite() {
                return Err(wrong(field, format!("found {reward}; expected a finite number")));
            }
        }
        if !(0.0..=1.0).contains(&self.slip) {
            let found = format!("found {}; expected a probability, a number in [0, 1]", self.slip);
            return Err(wrong("slip", found));
        }
        let cells = if self.map.is_empty() {
            self.read_lists()?
        } else {
            self.read_map()?
        };
        Ok(GridWorld {
            columns: cells.columns,
            kinds: cells.kinds,
            start: cells.start,
            rewards: self.rewards,
            slip: self.slip,
            actions: if self.stay { 5 } else { 4 },
            absorbing: self.absorbing,
        })
    }

    fn read_lists(&self) -> Result<Cells, MdpError> {
        let mut cells = Cells::plain(self.rows, self.columns)?;
        for (field, kind, listed) in [
            ("forbidden", CellKind::Forbidden, &self.forbidden),
            ("targets", CellKind::Target, &self.targets),
            ("walls", CellKind::Wall, &self.walls),
        ] {
            for &cell in listed {
                let state = cells.state(field, cell)?;
                let earlier = std::mem::replace(&mut cells.kinds[state], kind);
                if earlier != CellKind::Plain && earlier != kind {
                    let clash = if earlier == CellKind::Target {
                        "a target"
                    } else {
                        "forbidden"
                    };
                    let [row, column] = cell;
                    let detail = format!("cell ({row}, {column}) is {clash} already; a cell is of one kind only");
                    return Err(wrong(field, detail));
                }
            }
        }
        if let Some(cell) = self.start {
            let state = cells.state("start", cell)?;
            if cells.kinds[state] == CellKind::Wall {
                let [row, column] = cell;
                let detail = format!("cell ({row}, {column}) is a wall; start in a cell that can be entered");
                return Err(wrong("start", detail));
            }
            cells.start = Some(state);
        }
        Ok(cells)
    }

    fn read_map(&self) -> Result<Cells, MdpError> {
        for (field, given) in [
            ("rows", self.rows != 0),
            ("columns", self.columns != 0),
            ("forbidden", !self.forbidden.is_empty()),
            ("targets", !self.targets.is_empty()),
            ("walls", !self.walls.is_empty()),
            ("start", self.start.is_some()),
        ] {
            if given {
                return Err(wrong(
                    field,
                    "found beside a `map`, which says it already; give one of the two".to_owned(),
                ));
            }
        }
        let columns = self.map[0].chars().count();
        let mut cells = Cells::plain(self.map.len(), columns)?;
        for (row, line) in self.map.iter().enumerate() {
            let found = line.chars().count();
            if found != columns {
                let detail = format!("row {} has {found} cells; expected {columns}, as in row 1", row + 1);
                return Err(wrong("map", detail));
            }
            for (column, sign) in line.chars().enumerate() {
                let state = row * columns + column;
                cells.kinds[state] = match sign {
                    '.' | 'S' => CellKind::Plain,
                    'x' => CellKind::Forbidden,
                    'T' => CellKind::Target,
                    '#' => CellKind::Wall,
                    _ => {
                        let expected = "'.' (plain), 'x' (forbidden), 'T' (target), '#' (wall) or 'S' (start)";
                        let cell = format!("cell ({}, {})", row + 1, column + 1);
                        return Err(wrong("map", format!("{cell} is {sign:?}; expected {expected}")));
                    }
                };
                if sign == 'S' && cells.start.replace(state).is_some() {
                    let detail = format!(
                        "cell ({}, {}) is a second 'S'; expected one at most",
                        row + 1,
                        column + 1
                    );
                    return Err(wrong("map", detail));
                }
            }
        }
        Ok(cells)
    }
}

/// The cells of a grid while they are read.
struct Cells {
    rows: usize,
    columns: usize,
    kinds: Vec<CellKind>,
    start: Option<usize>,
}

impl Cells {
    fn plain(rows: usize, columns: usize) -> Result<Self, MdpError> {
        for (field, count) in [("rows", rows), ("columns", columns)] {
            if count == 0 {
                let detail = "found 0; expected at least 1, or a `map` whose rows have at least one cell".to_owned();
                return Err(wrong(field, detail));
            }
        }
        let count = rows.saturating_mul(columns);
        if count >= TERMINAL as usize {
            return Err(MdpError::TooLarge { what: "cells", count });
        }
        Ok(Self {
            rows,
            columns,
            kinds: vec![CellKind::Plain; count],
            start: None,
        })
    }

    /// The state of a cell that counts from 1.
    fn state(&self, field: &'static str, [row, column]: [usize; 2]) -> Result<usize, MdpError> {
        if (1..=self.rows).contains(&row) && (1..=self.columns).contains(&column) {
            return Ok((row - 1) * self.columns + column - 1);
        }
        let (rows, columns) = (self.rows, self.columns);
        let expected = format!("expected [row, column] with rows from 1 to {rows} and columns from 1 to {columns}");
        Err(wrong(field, format!("no cell ({row}, {column}); {expected}")))
    }
}

fn wrong(field: &'static str, detail: String) -> MdpError {
    MdpError::Grid { field, detail }
}
