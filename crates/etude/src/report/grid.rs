//! The data of a value map: one number a cell, what kind of cell it is, and the best directions in it.

use std::ops::{BitOr, BitOrAssign};

use super::colour::{ColourScale, Rgb};

/// What a cell of a grid is, beside its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CellKind {
    /// Nothing special.
    #[default]
    Plain,
    /// May be entered, at a cost.
    Forbidden,
    /// Where the agent should go.
    Target,
    /// Cannot be entered; its value is not drawn.
    Wall,
    /// Where an episode starts.
    Start,
}

impl CellKind {
    /// The kinds that a legend explains, with their names.
    pub(crate) const NAMED: [(Self, &'static str); 4] = [
        (Self::Target, "target"),
        (Self::Forbidden, "forbidden"),
        (Self::Start, "start"),
        (Self::Wall, "wall"),
    ];

    /// The word for a kind, empty for a plain cell.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMED
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }
}

/// A set of directions on a grid, joined by `|`, so that every optimal action of a cell can be drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directions(u8);

impl Directions {
    /// No direction: nothing is drawn.
    pub const NONE: Self = Self(0);
    /// Towards the row above.
    pub const UP: Self = Self(1);
    /// Towards the next column.
    pub const RIGHT: Self = Self(2);
    /// Towards the row below.
    pub const DOWN: Self = Self(4);
    /// Towards the previous column.
    pub const LEFT: Self = Self(8);
    /// Remaining in the cell.
    pub const STAY: Self = Self(16);

    /// The five directions in the order in which they are drawn and named.
    pub(crate) const NAMED: [(Self, &'static str); 5] = [
        (Self::UP, "up"),
        (Self::RIGHT, "right"),
        (Self::DOWN, "down"),
        (Self::LEFT, "left"),
        (Self::STAY, "stay"),
    ];

    /// Whether every direction of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set without the directions of `other`.
    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Directions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Directions {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// A grid of values drawn as a colour map, with cell kinds and policy arrows where given.
///
/// The same map goes to the report ([`Section::item`](super::Section::item)) and to the terminal
/// ([`terminal::grid_map`](crate::terminal::grid_map)). A value that is not finite is drawn as an empty cell.
///
/// ```
/// use etude::report::{CellKind, Directions, GridMap};
///
/// let map = GridMap::new("A corridor", 1, 3, [0.81, 0.9, 1.0])
///     .kinds([CellKind::Start, CellKind::Plain, CellKind::Target])
///     .arrows([Directions::RIGHT, Directions::RIGHT, Directions::STAY]);
/// ```
#[derive(Clone, Debug)]
pub struct GridMap {
    pub(crate) caption: String,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    values: Vec<f64>,
    /// Empty where every cell is plain.
    kinds: Vec<CellKind>,
    /// Empty where no arrow is drawn.
    arrows: Vec<Directions>,
    /// What the ends of the colour scale stand for, where that is not the range of the values.
    ends: Option<(f64, f64)>,
}

impl GridMap {
    /// A map of `rows` × `columns` values, given row by row from the top left.
    ///
    /// # Panics
    /// When the number of values is not `rows * columns`.
    pub fn new(caption: impl Into<String>, rows: usize, columns: usize, values: impl Into<Vec<f64>>) -> Self {
        let values = values.into();
        assert_eq!(
            values.len(),
            rows * columns,
            "a {rows} x {columns} map needs one value a cell"
        );
        Self {
            caption: caption.into(),
            rows,
            columns,
            values,
            kinds: Vec::new(),
            arrows: Vec::new(),
            ends: None,
        }
    }

    /// Colours the values on a scale from `low` to `high`, so that several maps can be compared. Values beyond an end take its
    /// colour.
    pub fn ends(mut self, low: f64, high: f64) -> Self {
        self.ends = Some((low, high));
        self
    }

    /// Says what kind each cell is, in the order of the values.
    ///
    /// # Panics
    /// When there is not one kind a cell.
    pub fn kinds(mut self, kinds: impl Into<Vec<CellKind>>) -> Self {
        self.kinds = kinds.into();
        assert_eq!(self.kinds.len(), self.values.len(), "a map needs one kind a cell");
        self
    }

    /// Gives the directions to draw in each cell, in the order of the values.
    ///
    /// # Panics
    /// When there is not one set of directions a cell.
    pub fn arrows(mut self, arrows: impl Into<Vec<Directions>>) -> Self {
        self.arrows = arrows.into();
        assert_eq!(
            self.arrows.len(),
            self.values.len(),
            "a map needs one set of directions a cell"
        );
        self
    }

    /// Every cell as (row, column), row by row.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (usize, usize)> {
        let columns = self.columns;
        (0..self.rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
    }

    /// The value of a cell, unless it is a wall or not finite.
    pub(crate) fn value(&self, row: usize, column: usize) -> Option<f64> {
        let value = self.values[row * self.columns + column];
        (value.is_finite() && self.kind(row, column) != CellKind::Wall).then_some(value)
    }

    /// The kind of a cell.
    pub(crate) fn kind(&self, row: usize, column: usize) -> CellKind {
        self.kinds.get(row * self.columns + column).copied().unwrap_or_default()
    }

    /// The directions drawn in a cell; none in a wall.
    pub(crate) fn directions(&self, row: usize, column: usize) -> Directions {
        match self.kind(row, column) {
            CellKind::Wall => Directions::NONE,
            _ => self
                .arrows
                .get(row * self.columns + column)
                .copied()
                .unwrap_or_default(),
        }
    }

    /// The smallest and the largest value drawn, `None` where there is none.
    pub(crate) fn range(&self) -> Option<(f64, f64)> {
        let drawn = self.cells().filter_map(|(row, column)| self.value(row, column));
        drawn.fold(None, |range, value| {
            let (min, max) = range.unwrap_or((value, value));
            Some((value.min(min), value.max(max)))
        })
    }

    /// What the ends of the colour scale stand for, `None` where no value is drawn.
    pub(crate) fn colour_ends(&self) -> Option<(f64, f64)> {
        self.range().map(|range| self.ends.unwrap_or(range))
    }

    /// The colours of the values drawn.
    pub(crate) fn colour_scale(&self) -> ColourScale {
        let (min, max) = self.colour_ends().unwrap_or((0.0, 0.0));
        ColourScale::spanning(min, max)
    }

    /// The colour of a cell on a scale, `None` where there is no value to show.
    pub(crate) fn fill(&self, row: usize, column: usize, colours: ColourScale) -> Option<Rgb> {
        match self.kind(row, column) {
            CellKind::Wall => Some(Rgb::WALL),
            _ => self.value(row, column).map(|value| colours.colour(value)),
        }
    }

    /// Whether any cell is of this kind.
    pub(crate) fn has(&self, kind: CellKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// The map with blocks of `height` × `width` cells averaged into one, without arrows.
    ///
    /// A block shows the target or the start that it holds, and is a wall or forbidden where more than half of it is.
    pub(crate) fn averaged(&self, height: usize, width: usize) -> Self {
        let (rows, columns) = (self.rows.div_ceil(height), self.columns.div_ceil(width));
        let blocks = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let (values, kinds): (Vec<f64>, Vec<CellKind>) = blocks
            .map(|(row, column)| {
                let cells = (row * height..((row + 1) * height).min(self.rows))
                    .flat_map(|r| (column * width..((column + 1) * width).min(self.columns)).map(move |c| (r, c)));
                self.merge(cells)
            })
            .unzip();
        let kinds = if self.kinds.is_empty() { Vec::new() } else { kinds };
        Self {
            caption: self.caption.clone(),
            rows,
            columns,
            values,
            kinds,
            arrows: Vec::new(),
            ends: self.ends,
        }
    }

    /// The mean value and the ruling kind of some cells.
    fn merge(&self, cells: impl Iterator<Item = (usize, usize)>) -> (f64, CellKind) {
        let (mut count, mut drawn, mut mean) = (0usize, 0usize, 0.0);
        let (mut walls, mut forbidden, mut target, mut start) = (0usize, 0usize, false, false);
        for (row, column) in cells {
            count += 1;
            match self.kind(row, column) {
                CellKind::Wall => walls += 1,
                CellKind::Forbidden => forbidden += 1,
                CellKind::Target => target = true,
                CellKind::Start => start = true,
                CellKind::Plain => {}
            }
            if let Some(value) = self.value(row, column) {
                drawn += 1;
                mean += (value - mean) / drawn as f64;
            }
        }
        let kind = match () {
            () if target => CellKind::Target,
            () if start => CellKind::Start,
            () if 2 * walls > count => CellKind::Wall,
            () if 2 * forbidden > count => CellKind::Forbidden,
            () => CellKind::Plain,
        };
        (if drawn == 0 { f64::NAN } else { mean }, kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_form_sets() {
        let corner = Directions::UP | Directions::RIGHT;
        assert!(corner.contains(Directions::UP) && !corner.contains(Directions::DOWN));
        assert_eq!(corner.without(Directions::UP), Directions::RIGHT);
    }

    #[test]
    fn walls_and_missing_values_are_left_out_of_the_range() {
        let kinds = [CellKind::Plain, CellKind::Wall, CellKind::Plain];
        let map = GridMap::new("", 1, 3, [1.0, 99.0, f64::NAN]).kinds(kinds);
        assert_eq!(map.range(), Some((1.0, 1.0)));
        assert_eq!(GridMap::new("", 0, 0, []).range(), None);
    }

    #[test]
    fn maps_can_share_their_colours() {
        let [first, second] = [[1.0, 2.0], [2.0, 9.0]].map(|values| GridMap::new("", 1, 2, values).ends(0.0, 10.0));
        let colour = |map: &GridMap, column| map.fill(0, column, map.colour_scale());
        assert_eq!(colour(&first, 1), colour(&second, 0));
        assert_ne!(colour(&first, 0), colour(&second, 0));
    }

    #[test]
    fn averaging_keeps_targets_and_the_mean() {
        let mut kinds = vec![CellKind::Plain; 6];
        kinds[5] = CellKind::Target;
        let map = GridMap::new("", 2, 3, [1.0, 2.0, 5.0, 3.0, 6.0, 7.0])
            .kinds(kinds)
            .averaged(2, 2);
        assert_eq!((map.rows, map.columns), (1, 2));
        assert_eq!((map.value(0, 0), map.value(0, 1)), (Some(3.0), Some(6.0)));
        assert_eq!((map.kind(0, 0), map.kind(0, 1)), (CellKind::Plain, CellKind::Target));
    }
}
