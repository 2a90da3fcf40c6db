//! Drawing a value map for the page: numbers and arrows where cells are few, arrows alone where they are more, colours
//! alone where they are many, and averages of blocks beyond that, so that a page stays small whatever the grid.

use std::collections::BTreeMap;

use maud::{Markup, Render, html};

use super::colour::{ColourScale, Rgb};
use super::grid::{CellKind, Directions, GridMap};
use super::signs::{Mark, legend, rose};
use super::{figure, number};

/// The most cells along a side of the drawing; larger maps are averaged.
const MOST: usize = 100;
/// How far from its centre a sign reaches.
const SIGN: f64 = 7.0;
/// The side of the square on which a cell is designed.
const CELL: f64 = 76.0;

impl Render for GridMap {
    fn render(&self) -> Markup {
        let longer = self.rows.max(self.columns);
        if longer <= MOST {
            return Drawing::new(self).figure(&self.caption);
        }
        let block = longer.div_ceil(MOST);
        let caption = format!("{} (means of {block} × {block} cells)", self.caption);
        Drawing::new(&self.averaged(block, block)).figure(&caption)
    }
}

/// How much of a cell there is room for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Numbers,
    Arrows,
    Colours,
}

/// A map with what its size and its range decide for all cells.
struct Drawing<'a> {
    map: &'a GridMap,
    detail: Detail,
    /// The side of a cell in CSS pixels.
    side: f64,
    colours: ColourScale,
    decimals: Option<usize>,
}

impl<'a> Drawing<'a> {
    fn new(map: &'a GridMap) -> Self {
        let (detail, side) = match (map.rows, map.columns) {
            (..=20, ..=12) => (Detail::Numbers, CELL),
            (..=40, ..=40) => (Detail::Arrows, 28.0),
            (rows, columns) => (Detail::Colours, (600.0 / rows.max(columns) as f64).min(8.0)),
        };
        let (min, max) = map.range().unwrap_or((0.0, 0.0));
        let decimals = number::shared_decimals(min.abs().max(max.abs()));
        Self {
            map,
            detail,
            side,
            colours: map.colour_scale(),
            decimals,
        }
    }

    fn figure(&self, caption: &str) -> Markup {
        let (width, height) = (self.side * self.map.columns as f64, self.side * self.map.rows as f64);
        // Numbers stay readable on a telephone: the map scrolls within its figure rather than shrink further.
        let least = if self.detail == Detail::Numbers {
            48 * self.map.columns
        } else {
            0
        };
        let range = self
            .map
            .range()
            .map(|(min, max)| (number::short(min), number::short(max)));
        let summary = format!(
            "{caption}: {} rows and {} columns{}",
            self.map.rows,
            self.map.columns,
            range.map_or(String::new(), |(min, max)| format!(", values from {min} to {max}"))
        );
        let content = html! {
            svg viewBox={ "0 0 " (width) " " (height) } style={ "width:" (width) "px;min-width:" (least) "px" }
                role="img" aria-label=(summary) {
                @if self.detail == Detail::Colours {
                    (self.colours_only())
                } @else {
                    @for (row, column) in self.map.cells() { (self.cell(row, column)) }
                }
            }
            (self.colour_bar())
            (legend(self.map, self.detail != Detail::Colours))
        };
        figure("map", caption, &content)
    }

    /// One cell with its colour, mark, arrows and number, and everything in words for a pointer that rests on it.
    fn cell(&self, row: usize, column: usize) -> Markup {
        let fill = self.map.fill(row, column, self.colours);
        let ink = fill.map_or("ink-plain", |colour| {
            if colour.ink() == Rgb::WHITE {
                "ink-light"
            } else {
                "ink-dark"
            }
        });
        let arrows = self.map.directions(row, column);
        let numbered = self.detail == Detail::Numbers;
        let value = self.map.value(row, column).filter(|_| numbered);
        let (x, y) = (column as f64 * self.side, row as f64 * self.side);
        let scale = if numbered {
            String::new()
        } else {
            format!(" scale({:.3})", self.side / CELL)
        };
        html! {
            g class=(ink) transform={ "translate(" (x) " " (y) ")" (scale) } {
                title { (self.spoken(row, column)) }
                rect.missing[fill.is_none()] x="1" y="1" width="74" height="74" rx="5" fill=[fill.map(Rgb::hex)] {}
                @if let Some(mark) = Mark::of(self.map.kind(row, column)) {
                    rect class={ "frame " (mark.frame) } x="4" y="4" width="68" height="68" rx="3" {}
                    @if numbered { (mark.sign("translate(15 15)")) }
                }
                @if arrows != Directions::NONE {
                    @let place = if numbered { "translate(38 29)" } else { "translate(38 38) scale(1.7)" };
                    g transform=(place) { (rose(arrows)) }
                }
                @if let Some(value) = value {
                    @let y = if arrows == Directions::NONE { 38 } else { 59 };
                    text.value x="38" y=(y) dy=".35em" text-anchor="middle" {
                        (number::typeset(&number::with_decimals(value, self.decimals)))
                    }
                }
            }
        }
    }

    /// A cell in words: `row 2, column 3, target: 10 (stay)`.
    fn spoken(&self, row: usize, column: usize) -> String {
        let kind = match self.map.kind(row, column) {
            CellKind::Plain => String::new(),
            kind => format!(", {}", kind.name()),
        };
        let value = self
            .map
            .value(row, column)
            .map_or(String::new(), |value| format!(": {value}"));
        let arrows = self.map.directions(row, column);
        let named = Directions::NAMED
            .into_iter()
            .filter(|(direction, _)| arrows.contains(*direction));
        let names: Vec<&str> = named.map(|(_, name)| name).collect();
        let names = if names.is_empty() {
            String::new()
        } else {
            format!(" ({})", names.join(" or "))
        };
        format!("row {}, column {}{kind}{value}{names}", row + 1, column + 1)
    }

    /// A large map: one path a colour, made of runs of equal cells, with signs on targets and starts.
    fn colours_only(&self) -> Markup {
        let mut paths: BTreeMap<Rgb, String> = BTreeMap::new();
        for row in 0..self.map.rows {
            let fills: Vec<Option<Rgb>> = (0..self.map.columns)
                .map(|column| self.map.fill(row, column, self.colours))
                .collect();
            let mut column = 0;
            for run in fills.chunk_by(|a, b| a == b) {
                if let Some(colour) = run[0] {
                    let length = run.len();
                    let path = format!("M{column} {row}h{length}v1h-{length}z");
                    paths.entry(colour).or_default().push_str(&path);
                }
                column += run.len();
            }
        }
        let signed = |(row, column): (usize, usize)| {
            let kind = Some(self.map.kind(row, column)).filter(|kind| *kind != CellKind::Forbidden)?;
            Some((row, column, kind.name(), Mark::of(kind)?))
        };
        html! {
            g.runs transform={ "scale(" (self.side) ")" } shape-rendering="crispEdges" {
                @for (colour, path) in &paths { path color=(colour.hex()) d=(path) {} }
            }
            // A map with very many targets shows them well enough by their values.
            @for (row, column, name, mark) in self.map.cells().filter_map(signed).take(100) {
                @let (x, y) = (self.within(column, self.map.columns), self.within(row, self.map.rows));
                g.haloed {
                    title { (name) }
                    (mark.sign(&format!("translate({x:.1} {y:.1})")))
                }
            }
        }
    }

    /// The middle of a cell along a side of some cells, moved so far inwards that a sign there is not cut off.
    fn within(&self, index: usize, count: usize) -> f64 {
        ((index as f64 + 0.5) * self.side)
            .min(count as f64 * self.side - SIGN)
            .max(SIGN)
    }

    /// The colours from the smallest to the largest value, with zero marked where the values take both signs.
    fn colour_bar(&self) -> Markup {
        let Some((min, max)) = self.map.colour_ends() else {
            return html! {};
        };
        let stops: Vec<String> = self.colours.bar(min, max, 17).map(Rgb::hex).collect();
        let zero = -min / (max - min);
        // Near an end the mark for zero would run into that end's own number.
        let marked = self.colours.is_diverging() && (0.2..0.8).contains(&zero);
        html! {
            div.bar {
                div.colours style={ "background:linear-gradient(to right," (stops.join(",")) ")" } {}
                div.ends {
                    span { (number::typeset(&number::short(min))) }
                    @if marked { span.zero style={ "left:" (format!("{:.1}", 100.0 * zero)) "%" } { "0" } }
                    @if max > min { span { (number::typeset(&number::short(max))) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_map_shows_numbers_arrows_and_words() {
        let map = GridMap::new("c", 1, 2, [-0.5, 1.0])
            .kinds([CellKind::Forbidden, CellKind::Target])
            .arrows([Directions::RIGHT | Directions::DOWN, Directions::STAY]);
        let page = map.render().into_string();
        assert!(page.contains("row 1, column 1, forbidden: -0.5 (right or down)"));
        assert_eq!(page.matches("<path class=\"arrow\"").count(), 2);
        assert!(page.contains("−0.50") && page.contains(">1.00<"));
    }

    #[test]
    fn a_million_cells_make_a_small_picture() {
        let values: Vec<f64> = (0..1_000_000).map(|i| f64::from(i % 1009 * 7919 % 10007)).collect();
        let mut kinds = vec![CellKind::Plain; 1_000_000];
        kinds[123_456] = CellKind::Target;
        let page = GridMap::new("c", 1000, 1000, values)
            .kinds(kinds)
            .render()
            .into_string();
        assert!(page.len() < 400_000, "{} bytes", page.len());
        assert!(page.contains("means of 10 × 10 cells") && page.contains("class=\"haloed\""));
    }

    #[test]
    fn maps_without_values_are_drawn() {
        GridMap::new("c", 0, 0, []).render();
        let walls = GridMap::new("c", 1, 2, [0.0, f64::NAN])
            .kinds([CellKind::Wall, CellKind::Plain])
            .render()
            .into_string();
        assert!(walls.contains("missing") && !walls.contains("NaN"));
    }
}
