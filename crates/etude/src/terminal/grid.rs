//! Value maps in the terminal: numbers and arrows where they fit, one glyph a cell where they do not, blocks of colour beyond.

use crate::report::colour::{ColourScale, Rgb};
use crate::report::number;
use crate::report::{CellKind, GridMap};

use super::blocks::blocks;
use super::colour::{Colour, RESET, Style};
use super::glyph;

/// The most rows of cells drawn with their numbers.
const NUMBERED_ROWS: usize = 12;
/// The most rows of cells drawn with one glyph each.
const GLYPH_ROWS: usize = 40;

/// Draws a map as text: the caption, the cells, and a key; every line ends in a newline and none is wider than `style.width`
/// characters, the caption apart.
///
/// With room, a cell holds its number and an arrow for each direction. With less, it holds three characters: its kind, its moves
/// as one glyph (an arrow, or `└` for "up or right"), and `·` if staying is as good. With less room still, blocks of cells are
/// averaged into half blocks of colour, or into shades where there is no colour.
pub fn grid_map(map: &GridMap, style: Style) -> String {
    let painter = Painter {
        map,
        colour: style.colour,
        colours: map.colour_scale(),
    };
    if let Some(labels) = painter.labels_that_fit(style.width) {
        format!(
            "{}\n{}{}",
            map.caption,
            painter.numbered(&labels),
            painter.key(style.width)
        )
    } else if 3 * map.columns <= style.width && map.rows <= GLYPH_ROWS {
        format!("{}\n{}{}", map.caption, painter.glyphs(), painter.key(style.width))
    } else {
        blocks(map, style)
    }
}

/// A map with the colours of its stream.
pub(super) struct Painter<'a> {
    pub(super) map: &'a GridMap,
    pub(super) colour: Colour,
    pub(super) colours: ColourScale,
}

impl Painter<'_> {
    /// The number of each cell, with as many decimals as the width has room for.
    fn labels_that_fit(&self, width: usize) -> Option<Vec<String>> {
        if self.map.rows > NUMBERED_ROWS {
            return None;
        }
        let (min, max) = self.map.range()?;
        let most = number::shared_decimals(min.abs().max(max.abs()))?;
        let rule = usize::from(self.plain());
        (0..=most).rev().find_map(|decimals| {
            let label = |value| number::with_decimals(value, Some(decimals));
            let labels: Vec<String> = self
                .map
                .cells()
                .map(|(row, column)| self.map.value(row, column).map_or(String::new(), label))
                .collect();
            ((numbered_width(&labels) + rule) * self.map.columns + rule <= width).then_some(labels)
        })
    }

    /// Cells of two lines: the number, then the sign and the arrows. Rules part the cells where colours do not.
    fn numbered(&self, labels: &[String]) -> String {
        let width = numbered_width(labels);
        let rule = |left: &str, middle: &str, right: &str| {
            let cells = vec!["─".repeat(width); self.map.columns];
            if self.plain() {
                format!("{left}{}{right}\n", cells.join(middle))
            } else {
                String::new()
            }
        };
        let line = |row: usize, text: &dyn Fn(usize) -> String| {
            let cells: Vec<String> = (0..self.map.columns)
                .map(|column| self.painted(row, column, width, &text(column)))
                .collect();
            if self.plain() {
                format!("│{}│\n", cells.join("│"))
            } else {
                cells.concat() + RESET + "\n"
            }
        };
        let rows = (0..self.map.rows).map(|row| {
            let number = |column| format!("{:^width$}", labels[row * self.map.columns + column]);
            let arrows = |column| {
                let sign = glyph::sign(self.map.kind(row, column));
                let arrows = glyph::arrows(self.map.directions(row, column));
                format!("{sign}{arrows:^inner$} ", inner = width - 2)
            };
            line(row, &number) + &line(row, &arrows)
        });
        let rows: Vec<String> = rows.collect();
        format!(
            "{}{}{}",
            rule("┌", "┬", "┐"),
            rows.join(&rule("├", "┼", "┤")),
            rule("└", "┴", "┘")
        )
    }

    /// Cells of three characters: the kind, then the directions.
    fn glyphs(&self) -> String {
        let line = |row: usize| {
            let cells = (0..self.map.columns).map(|column| {
                let sign = glyph::sign(self.map.kind(row, column));
                self.painted(
                    row,
                    column,
                    3,
                    &format!("{sign}{}", glyph::compact(self.map.directions(row, column))),
                )
            });
            let line: String = cells.collect();
            if self.plain() {
                line.trim_end().to_owned() + "\n"
            } else {
                line + RESET + "\n"
            }
        };
        (0..self.map.rows).map(line).collect()
    }

    /// A cell's text, `width` characters long, on the cell's colour; a wall is filled instead.
    fn painted(&self, row: usize, column: usize, width: usize, text: &str) -> String {
        match (self.map.kind(row, column), self.fill(row, column)) {
            (CellKind::Wall, _) if self.plain() => "#".repeat(width),
            (CellKind::Wall, Some(fill)) => format!("{}{}", self.colour.background(fill), " ".repeat(width)),
            (_, Some(fill)) if !self.plain() => {
                format!(
                    "{}{}{text}",
                    self.colour.background(fill),
                    self.colour.foreground(fill.ink())
                )
            }
            (_, None) if !self.plain() => format!("{RESET}{text}"),
            _ => text.to_owned(),
        }
    }

    /// The colour of a cell, `None` where there is no value to show.
    pub(super) fn fill(&self, row: usize, column: usize) -> Option<Rgb> {
        match self.map.kind(row, column) {
            CellKind::Wall => Some(Rgb::WALL),
            _ => self.map.value(row, column).map(|value| self.colours.colour(value)),
        }
    }

    /// The range of the values, as a bar where there are colours, and the signs of the kinds present.
    pub(super) fn key(&self, width: usize) -> String {
        let mut parts = Vec::new();
        if let Some((min, max)) = self.map.range() {
            let bar: String = self
                .colours
                .bar(min, max, 12.min(width))
                .map(|colour| self.colour.foreground(colour) + "█")
                .collect();
            let (min, max) = (number::short(min), number::short(max));
            parts.push(if self.plain() {
                format!("{min} to {max}")
            } else {
                format!("{min} {bar}{RESET} {max}")
            });
        }
        parts.extend(
            self.map
                .kinds_present()
                .map(|(kind, name)| format!("{} {name}", glyph::sign(kind))),
        );
        parts.join("   ") + "\n"
    }

    pub(super) fn plain(&self) -> bool {
        self.colour == Colour::None
    }
}

/// The width of a numbered cell: its longest number with a space on either side, and room for a sign and four arrows.
fn numbered_width(labels: &[String]) -> usize {
    labels
        .iter()
        .map(|label| label.chars().count())
        .max()
        .unwrap_or(0)
        .max(4)
        + 2
}
