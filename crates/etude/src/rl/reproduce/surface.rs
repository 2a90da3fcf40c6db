//! Values as surfaces over the grid, seen from above one corner, as the book draws them.

use std::fmt::Write as _;

use super::book::SIDE;
use crate::report::Picture;
use crate::report::colour::ColourScale;

/// The side of a panel, in the drawing's units.
const PANEL: (f64, f64) = (260.0, 236.0);
/// Half the width of the floor, half its depth, and the height of the walls.
const FLOOR: (f64, f64, f64) = (112.0, 50.0, 92.0);

/// A function over the grid.
pub(super) struct Surface {
    pub(super) title: String,
    pub(super) note: String,
    /// Its values on `side` times `side` points, row by row.
    pub(super) heights: Vec<f64>,
    pub(super) side: usize,
}

/// Surfaces side by side on one scale, each with the exact value of every cell as a dot: filled where it lies above the surface,
/// hollow where it lies below.
pub(super) fn picture(caption: &str, surfaces: &[Surface], exact: &[f64]) -> Picture {
    let all = || surfaces.iter().flat_map(|surface| &surface.heights).chain(exact);
    let low = all().copied().fold(f64::INFINITY, f64::min);
    let high = all().copied().fold(f64::NEG_INFINITY, f64::max);
    let (width, height) = (PANEL.0 * surfaces.len() as f64, PANEL.1);
    // Writing to a `String` cannot fail.
    let mut svg = format!("<svg viewBox=\"0 0 {width} {height}\" xmlns=\"http://www.w3.org/2000/svg\">");
    for (index, surface) in surfaces.iter().enumerate() {
        let _ = write!(svg, "<g transform=\"translate({} 0)\">", PANEL.0 * index as f64);
        Drawing { surface, low, high }.draw(exact, &mut svg);
        svg.push_str("</g>");
    }
    svg.push_str("</svg>");
    Picture::svg(caption, svg)
}

struct Drawing<'a> {
    surface: &'a Surface,
    low: f64,
    high: f64,
}

impl Drawing<'_> {
    /// Where a point lies on paper; row and column from 0 to 1.
    fn place(&self, row: f64, column: f64, height: f64) -> (f64, f64) {
        let (half, depth, walls) = FLOOR;
        let raised = (height - self.low) / (self.high - self.low).max(f64::MIN_POSITIVE);
        let floor = PANEL.1 - 2.0 * depth - 14.0;
        (
            PANEL.0 / 2.0 + (column - row) * half,
            floor + (column + row) * depth - raised * walls,
        )
    }

    fn draw(&self, exact: &[f64], svg: &mut String) {
        let Surface {
            title,
            note,
            heights,
            side,
        } = self.surface;
        let centre = PANEL.0 / 2.0;
        let _ = write!(
            svg,
            "<text x=\"{centre}\" y=\"18\" text-anchor=\"middle\" font-size=\"14\" font-weight=\"600\">{title}</text>\
             <text x=\"{centre}\" y=\"36\" text-anchor=\"middle\" font-size=\"12.5\" style=\"fill:var(--soft)\">{note}</text>"
        );
        self.floor(svg);
        let colours = ColourScale::spanning(self.low, self.high);
        let at = |row: usize, column: usize| {
            let share = |place: usize| place as f64 / (side - 1) as f64;
            self.place(share(row), share(column), heights[row * side + column])
        };
        // From the far corner to the near one, so that what is nearer covers what is behind it.
        for diagonal in 0..2 * (side - 1) {
            for row in diagonal.saturating_sub(side - 2)..=diagonal.min(side - 2) {
                let column = diagonal - row;
                let corners = [
                    (row, column),
                    (row, column + 1),
                    (row + 1, column + 1),
                    (row + 1, column),
                ];
                let height = corners
                    .map(|(row, column)| heights[row * side + column])
                    .iter()
                    .sum::<f64>()
                    / 4.0;
                let path: Vec<String> = corners
                    .map(|(row, column)| at(row, column))
                    .iter()
                    .map(|(x, y)| format!("{x:.1} {y:.1}"))
                    .collect();
                let _ = write!(
                    svg,
                    "<path d=\"M{}Z\" fill=\"{}\" stroke=\"#000\" stroke-opacity=\".22\" stroke-width=\".5\" \
                     stroke-linejoin=\"round\"/>",
                    path.join("L"),
                    colours.colour(height).hex()
                );
            }
        }
        self.dots(exact, svg);
    }

    /// The floor with its cells.
    fn floor(&self, svg: &mut String) {
        for place in 0..SIDE {
            let share = place as f64 / (SIDE - 1) as f64;
            for [(a, b), (c, d)] in [[(share, 0.0), (share, 1.0)], [(0.0, share), (1.0, share)]] {
                let ((x, y), (to_x, to_y)) = (self.place(a, b, self.low), self.place(c, d, self.low));
                let _ = write!(
                    svg,
                    "<path d=\"M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}\" style=\"stroke:var(--line)\"/>"
                );
            }
        }
    }

    /// The exact values, each tied to the surface.
    fn dots(&self, exact: &[f64], svg: &mut String) {
        let side = self.surface.side;
        for (cell, &value) in exact.iter().enumerate() {
            let (row, column) = (cell / SIDE, cell % SIDE);
            // The cells are among the points of the surface.
            let every = (side - 1) / (SIDE - 1);
            let height = self.surface.heights[row * every * side + column * every];
            let share = |place: usize| place as f64 / (SIDE - 1) as f64;
            let (x, y) = self.place(share(row), share(column), value);
            let (_, foot) = self.place(share(row), share(column), height);
            let fill = if value >= height { "var(--ink)" } else { "var(--paper)" };
            let _ = write!(
                svg,
                "<path d=\"M{x:.1} {y:.1}V{foot:.1}\" style=\"stroke:var(--ink)\" stroke-width=\"1\"/>\
                 <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\" style=\"fill:{fill};stroke:var(--ink)\"/>"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use maud::Render as _;

    use super::*;

    #[test]
    fn a_surface_lies_within_its_panel() {
        let side = 2 * (SIDE - 1) + 1;
        let surface = Surface {
            title: "a".into(),
            note: "b".into(),
            heights: (0..side * side).map(|index| -(index as f64)).collect(),
            side,
        };
        let exact: Vec<f64> = (0..SIDE * SIDE).map(|cell| -(cell as f64)).collect();
        let drawing = Drawing {
            surface: &surface,
            low: -80.0,
            high: 0.0,
        };
        for (row, column, height) in [(0.0, 0.0, 0.0), (1.0, 1.0, -80.0), (1.0, 0.0, 0.0), (0.0, 1.0, -80.0)] {
            let (x, y) = drawing.place(row, column, height);
            assert!(
                (10.0..PANEL.0 - 10.0).contains(&x) && (25.0..PANEL.1 - 5.0).contains(&y),
                "{x} {y}"
            );
        }
        let page = picture("c", &[surface], &exact).render().into_string();
        assert_eq!(page.matches("Z\" fill").count(), (side - 1) * (side - 1));
        assert_eq!(page.matches("<circle").count(), SIDE * SIDE);
    }
}
