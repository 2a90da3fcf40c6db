//! Value maps in the terminal: numbers and arrows where they fit, one glyph a cell where they do not, blocks of colour
//! beyond.

use crate::report::colour::{ColourScale, Rgb};
use crate::report::number;
use crate::report::{CellKind, GridMap};

use super::blocks::blocks;
use super::colour::{Colour, RESET, Style};
use super::glyph;

/// The most rows of cells drawn with their numbers.
const NUMBERED_ROWS: usize = 12;
/// The room that a sign and five arrows take.
const NARROWEST: usize = 5;
/// The most rows of cells drawn with one glyph each.
const GLYPH_ROWS: usize = 40;

/// Draws a map as text: the caption, the cells, and a key, each line with its newline. The cells take `style.width`
/// characters at most, and 50 lines.
///
/// With room, a cell holds its number and an arrow for each direction. With less, it holds three characters: its kind,
/// its moves as one glyph (an arrow, or `└` for "up or right"), and `·` if staying is as good. With less room still,
/// blocks of cells are averaged into half blocks of colour, or into shades where there is no colour.
pub fn grid_map(map: &GridMap, style: Style) -> String {
    let painter = Painter::new(map, style.colour);
    let body = if let Some((labels, width)) = painter.labels_that_fit(style.width) {
        painter.numbered(&labels, width)
    } else if 3 * map.columns <= style.width && map.rows <= GLYPH_ROWS {
        painter.glyphs()
    } else {
        return blocks(map, style);
    };
    format!(
        "{}\n{body}{}",
        map.caption,
        painter.key(&painter.range(), &CellKind::NAMED)
    )
}

/// A map with the colours of its stream.
pub(super) struct Painter<'a> {
    pub(super) map: &'a GridMap,
    pub(super) colour: Colour,
    pub(super) colours: ColourScale,
}

impl<'a> Painter<'a> {
    pub(super) fn new(map: &'a GridMap, colour: Colour) -> Self {
        let colours = map.colour_scale();
        Self { map, colour, colours }
    }

    /// The number of each cell, with as many decimals as `width` characters have room for, and the width of a cell.
    fn labels_that_fit(&self, width: usize) -> Option<(Vec<String>, usize)> {
        if self.map.rows > NUMBERED_ROWS {
            return None;
        }
        let (min, max) = self.map.range()?;
        let rule = usize::from(self.plain());
        let room = (width.saturating_sub(rule) / self.map.columns).saturating_sub(rule);
        // Asked first, because a long corridor has very many numbers, and tiny ones take long to write out.
        if room <= NARROWEST {
            return None;
        }
        let most = number::shared_decimals(min.abs().max(max.abs()));
        let decimals = most.map_or(vec![None], |most| (0..=most).rev().map(Some).collect());
        decimals.into_iter().find_map(|decimals| {
            let label = |value| number::with_decimals(value, decimals);
            let cells = self.map.cells();
            let labels: Vec<String> = cells
                .map(|(row, column)| self.map.value(row, column).map_or(String::new(), label))
                .collect();
            // A space beside the number at least and three at most; never too narrow for a sign and five arrows.
            let longest = labels
                .iter()
                .map(|label| label.chars().count())
                .max()
                .unwrap_or(0)
                .max(NARROWEST);
            (longest < room).then(|| (labels, room.min(longest + 3)))
        })
    }

    /// Cells of two lines: the number, then the sign and the arrows. Rules part the cells where colours do not.
    fn numbered(&self, labels: &[String], width: usize) -> String {
        let rule = |left: &str, middle: &str, right: &str| {
            let cells = vec!["─".repeat(width); self.map.columns];
            if self.plain() {
                format!("{left}{}{right}\n", cells.join(middle))
            } else {
                String::new()
            }
        };
        let line = |row: usize, text: &dyn Fn(usize) -> String| {
            let cells = (0..self.map.columns).map(|column| self.painted(row, column, width, &text(column)));
            let cells: Vec<String> = cells.collect();
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
                format!("{sign}{arrows:^inner$}", inner = width - 1)
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
        match (self.map.kind(row, column), self.map.fill(row, column, self.colours)) {
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

    /// The range of the values, with a bar between its ends where there are colours.
    pub(super) fn range(&self) -> String {
        let Some((min, max)) = self.map.range() else {
            return String::new();
        };
        let (low, high) = (number::short(min), number::short(max));
        let bar = self
            .colours
            .bar(min, max, 12)
            .map(|colour| self.colour.foreground(colour) + "█");
        match (min < max, self.plain()) {
            (false, _) => low,
            (true, true) => format!("{low} to {high}"),
            (true, false) => format!("{low} {}{RESET} {high}", bar.collect::<String>()),
        }
    }

    /// A line that explains the colours and the signs of some kinds, as far as they are present.
    pub(super) fn key(&self, range: &str, kinds: &[(CellKind, &str)]) -> String {
        let present = kinds.iter().filter(|(kind, _)| self.map.has(*kind));
        let signs = present.map(|(kind, name)| match kind {
            CellKind::Wall if !self.plain() => format!("{}█{RESET} {name}", self.colour.foreground(Rgb::WALL)),
            _ => format!("{} {name}", glyph::sign(*kind)),
        });
        let parts: Vec<String> = std::iter::once(range.to_owned()).chain(signs).collect();
        parts.join("   ") + "\n"
    }

    pub(super) fn plain(&self) -> bool {
        self.colour == Colour::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Directions;
    use insta::assert_snapshot;

    const PLAIN: Style = Style {
        colour: Colour::None,
        width: 80,
    };

    /// A map of nine cells with one of each kind.
    fn nine() -> GridMap {
        use CellKind::{Forbidden, Plain, Start, Target, Wall};
        let (up, right, down, left, stay) = (
            Directions::UP,
            Directions::RIGHT,
            Directions::DOWN,
            Directions::LEFT,
            Directions::STAY,
        );
        GridMap::new(
            "Nine cells",
            3,
            3,
            [7.29, 8.1, 9.0, 6.561, -10.0, 10.0, 7.29, 0.0, f64::NAN],
        )
        .kinds([Start, Plain, Plain, Plain, Forbidden, Target, Plain, Wall, Plain])
        .arrows([
            right,
            right,
            down,
            up | right,
            right,
            stay,
            up,
            left,
            up | right | down | left | stay,
        ])
    }

    #[test]
    fn numbers_and_arrows_in_plain_text() {
        assert_snapshot!(grid_map(&nine(), PLAIN), @r"
        Nine cells
        ┌─────────┬─────────┬─────────┐
        │  7.29   │  8.10   │  9.00   │
        │▸   →    │    →    │    ↓    │
        ├─────────┼─────────┼─────────┤
        │  6.56   │ -10.00  │  10.00  │
        │    ↑→   │×   →    │★   ·    │
        ├─────────┼─────────┼─────────┤
        │  7.29   │#########│         │
        │    ↑    │#########│  ↑→↓←·  │
        └─────────┴─────────┴─────────┘
        -10 to 10   ★ target   × forbidden   ▸ start   # wall
        ");
    }

    #[test]
    fn glyphs_where_numbers_do_not_fit() {
        assert_snapshot!(grid_map(&nine(), Style { width: 12, ..PLAIN }), @r"
        Nine cells
        ▸→  →  ↓
         └ ×→ ★·
         ↑ ### ┼·
        -10 to 10   ★ target   × forbidden   ▸ start   # wall
        ");
    }

    #[test]
    fn colours_behind_numbers() {
        let map = GridMap::new("Two cells", 1, 2, [0.0, 1.0]).arrows([Directions::RIGHT, Directions::STAY]);
        let text = grid_map(
            &map,
            Style {
                colour: Colour::TrueColour,
                width: 80,
            },
        );
        assert_snapshot!(text.replace('\x1b', "␛"), @r"
        Two cells
        ␛[48;2;54;20;83m␛[38;2;255;255;255m  0.00  ␛[48;2;240;236;82m␛[38;2;16;18;24m  1.00  ␛[0m
        ␛[48;2;54;20;83m␛[38;2;255;255;255m    →   ␛[48;2;240;236;82m␛[38;2;16;18;24m    ·   ␛[0m
        0 ␛[38;2;54;20;83m█␛[38;2;60;42;107m█␛[38;2;64;63;133m█␛[38;2;62;87;148m█␛[38;2;54;111;161m█␛[38;2;50;135;165m█␛[38;2;52;159;163m█␛[38;2;68;181;156m█␛[38;2;100;200;142m█␛[38;2;136;217;124m█␛[38;2;191;227;107m█␛[38;2;240;236;82m█␛[0m 1
        ");
        let text = grid_map(
            &map,
            Style {
                colour: Colour::Ansi256,
                width: 80,
            },
        );
        assert_snapshot!(text.replace('\x1b', "␛"), @r"
        Two cells
        ␛[48;5;236m␛[38;5;231m  0.00  ␛[48;5;227m␛[38;5;233m  1.00  ␛[0m
        ␛[48;5;236m␛[38;5;231m    →   ␛[48;5;227m␛[38;5;233m    ·   ␛[0m
        0 ␛[38;5;236m█␛[38;5;238m█␛[38;5;60m█␛[38;5;60m█␛[38;5;61m█␛[38;5;67m█␛[38;5;73m█␛[38;5;73m█␛[38;5;78m█␛[38;5;114m█␛[38;5;149m█␛[38;5;227m█␛[0m 1
        ");
    }

    #[test]
    fn no_size_or_width_is_refused() {
        for (rows, columns) in [(0, 0), (1, 0), (0, 3), (1, 1), (3, 500), (500, 3)] {
            let map = GridMap::new("", rows, columns, vec![1.0; rows * columns]);
            for width in [0, 1, 7, 80, 1000] {
                for colour in [Colour::None, Colour::Ansi256, Colour::TrueColour] {
                    let text = grid_map(&map, Style { colour, width });
                    let cells = text.lines().skip(1).take(text.lines().count() - 2);
                    assert!(cells.clone().count() <= 50 && text.ends_with('\n'));
                    if colour == Colour::None {
                        assert!(
                            cells
                                .map(|line| line.chars().count())
                                .all(|length| length <= width.max(1))
                        );
                    }
                }
            }
        }
    }
}
