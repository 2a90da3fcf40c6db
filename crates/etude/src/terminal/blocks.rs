//! Large maps: blocks of cells averaged until they fit, as half blocks of colour or as shades.

use crate::report::{CellKind, GridMap, number};

use super::colour::{Colour, RESET, Style};
use super::glyph;
use super::grid::Painter;

/// The most columns of text a map takes, so that a wide terminal is not flooded.
const WIDEST: usize = 100;
/// The most lines of text.
const TALLEST: usize = 50;
/// From low to high, where there is no colour.
const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];

/// What a large map shows by its sign.
const SIGNED: [(CellKind, &str); 3] = [
    (CellKind::Target, "target"),
    (CellKind::Start, "start"),
    (CellKind::Wall, "wall"),
];

/// A map that is too large for glyphs, with caption and key.
pub(super) fn blocks(map: &GridMap, style: Style) -> String {
    let width = style.width.clamp(1, WIDEST);
    let side = map.columns.div_ceil(width).max(map.rows.div_ceil(2 * TALLEST)).max(1);
    // A character is about twice as high as it is wide: one shade, or two half blocks.
    let plain = style.colour == Colour::None;
    let averaged = map.averaged(if plain { 2 * side } else { side }, side);
    let painter = Painter::new(&averaged, style.colour);
    let (range, lines): (String, String) = if plain {
        let range = painter.range().replace(" to ", " to █ ");
        (
            format!("· {range}"),
            (0..averaged.rows).map(|row| shades(&painter, row)).collect(),
        )
    } else {
        (
            painter.range(),
            (0..averaged.rows)
                .step_by(2)
                .map(|row| half_blocks(&painter, row))
                .collect(),
        )
    };
    let scale = if side == 1 {
        String::new()
    } else {
        format!(" (means of {side} columns)")
    };
    format!("{}{scale}\n{lines}{}", averaged.caption, painter.key(&range, &SIGNED))
}

/// Two rows of cells as one line of text: the upper one in front and the lower one behind, or the sign of either.
fn half_blocks(painter: &Painter<'_>, row: usize) -> String {
    let map = painter.map;
    let rows = || (row..map.rows).take(2);
    let cells = (0..map.columns).map(|column| {
        let kinds = rows().map(|row| map.kind(row, column));
        let sign = kinds
            .filter(|kind| matches!(kind, CellKind::Target | CellKind::Start))
            .map(glyph::sign)
            .next();
        let mut fills = rows().map(|row| map.fill(row, column, painter.colours));
        let (front, back) = (
            |colour| painter.colour.foreground(colour),
            |colour| painter.colour.background(colour),
        );
        match (fills.next().flatten(), fills.next().flatten(), sign) {
            (Some(fill), _, Some(sign)) | (None, Some(fill), Some(sign)) => {
                format!("{}{}{sign}", back(fill), front(fill.ink()))
            }
            (Some(upper), Some(lower), None) => format!("{}{}▀", front(upper), back(lower)),
            (Some(upper), None, None) => format!("{RESET}{}▀", front(upper)),
            (None, Some(lower), None) => format!("{RESET}{}▄", front(lower)),
            (None, None, sign) => format!("{RESET}{}", sign.unwrap_or(' ')),
        }
    });
    cells.collect::<String>() + RESET + "\n"
}

/// A row of cells as shades, with the signs of the special ones.
fn shades(painter: &Painter<'_>, row: usize) -> String {
    let map = painter.map;
    let (min, max) = map.range().unwrap_or((0.0, 0.0));
    let shade = |column: usize| match (map.kind(row, column), map.value(row, column)) {
        (kind @ (CellKind::Target | CellKind::Start | CellKind::Wall), _) => glyph::sign(kind),
        (_, Some(value)) => number::pick(&SHADES, number::fraction(value, min, max)),
        (_, None) => ' ',
    };
    (0..map.columns).map(shade).collect::<String>().trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::grid_map;
    use insta::assert_snapshot;

    #[test]
    fn large_maps_become_blocks() {
        let values: Vec<f64> = (0..200 * 100)
            .map(|i| f64::from(i % 200) + f64::from(i / 200))
            .collect();
        let mut kinds = vec![CellKind::Plain; values.len()];
        kinds[values.len() - 1] = CellKind::Target;
        let map = GridMap::new("A slope", 100, 200, values).kinds(kinds);
        assert_snapshot!(grid_map(&map, Style { width: 40, colour: Colour::None }), @r"
        A slope (means of 5 columns)
        ············░░░░░░░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓
        ··········░░░░░░░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓
        ········░░░░░░░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓▓▓
        ······░░░░░░░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓▓▓▓▓
        ····░░░░░░░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓▓▓▓▓██
        ··░░░░░░░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓▓▓▓▓████
        ░░░░░░░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓▓▓▓▓██████
        ░░░░░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓▓▓▓▓████████
        ░░░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓▓▓▓▓██████████
        ░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓▓▓▓▓███████████★
        · 6.5 to █ 291.5   ★ target
        ");
        let text = grid_map(
            &map,
            Style {
                colour: Colour::Ansi256,
                width: 4,
            },
        );
        assert_snapshot!(text.replace('\x1b', "␛"), @r"
        A slope (means of 50 columns)
        ␛[38;5;236m␛[48;5;60m▀␛[38;5;60m␛[48;5;67m▀␛[38;5;67m␛[48;5;78m▀␛[48;5;78m␛[38;5;233m★␛[0m
        49 ␛[38;5;236m█␛[38;5;238m█␛[38;5;60m█␛[38;5;60m█␛[38;5;61m█␛[38;5;67m█␛[38;5;73m█␛[38;5;73m█␛[38;5;78m█␛[38;5;114m█␛[38;5;149m█␛[38;5;227m█␛[0m 249   ★ target
        ");
    }
}
