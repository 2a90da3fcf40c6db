//! Large maps: blocks of cells averaged until they fit, as half blocks of colour or as shades.

use crate::report::{CellKind, GridMap, number};

use super::colour::{RESET, Style};
use super::glyph;
use super::grid::Painter;

/// The most columns of text a map takes, so that a wide terminal is not flooded.
const WIDEST: usize = 100;
/// From low to high, where there is no colour.
const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];

/// A map that is too large for glyphs, with caption and key.
pub(super) fn blocks(map: &GridMap, style: Style) -> String {
    let side = map.columns.div_ceil(style.width.clamp(1, WIDEST)).max(1);
    // A character is about twice as high as it is wide: one shade, or two half blocks.
    let plain = style.colour == super::Colour::None;
    let averaged = map.averaged(if plain { 2 * side } else { side }, side);
    let painter = Painter {
        map: &averaged,
        colour: style.colour,
        colours: averaged.colour_scale(),
    };
    let lines: String = if plain {
        (0..averaged.rows).map(|row| shades(&painter, row)).collect()
    } else {
        (0..averaged.rows)
            .step_by(2)
            .map(|row| half_blocks(&painter, row))
            .collect()
    };
    let scale = if side == 1 {
        String::new()
    } else {
        format!(" (means of {side} columns)")
    };
    format!("{}{scale}\n{lines}{}", averaged.caption, painter.key(style.width))
}

/// Two rows of cells as one line of text: the upper one in front, the lower one behind.
fn half_blocks(painter: &Painter<'_>, row: usize) -> String {
    let fill = |row: usize, column: usize| {
        if row < painter.map.rows {
            painter.fill(row, column)
        } else {
            None
        }
    };
    let front = |colour| painter.colour.foreground(colour);
    let cells = (0..painter.map.columns).map(|column| match (fill(row, column), fill(row + 1, column)) {
        (Some(upper), Some(lower)) => format!("{}{}▀", front(upper), painter.colour.background(lower)),
        (Some(upper), None) => format!("{RESET}{}▀", front(upper)),
        (None, Some(lower)) => format!("{RESET}{}▄", front(lower)),
        (None, None) => format!("{RESET} "),
    });
    cells.collect::<String>() + RESET + "\n"
}

/// A row of cells as shades, with the signs of the special ones.
fn shades(painter: &Painter<'_>, row: usize) -> String {
    let (min, max) = painter.map.range().unwrap_or((0.0, 0.0));
    let shade = |column: usize| match (painter.map.kind(row, column), painter.map.value(row, column)) {
        (kind @ (CellKind::Target | CellKind::Start | CellKind::Wall), _) => glyph::sign(kind),
        (_, Some(value)) => number::pick(&SHADES, number::fraction(value, min, max)),
        (_, None) => ' ',
    };
    (0..painter.map.columns)
        .map(shade)
        .collect::<String>()
        .trim_end()
        .to_owned()
        + "\n"
}
