//! The characters that stand for cell kinds and sets of directions.

use crate::report::{CellKind, Directions};

/// The sign of a cell's kind, a space for a plain cell.
pub(super) fn sign(kind: CellKind) -> char {
    match kind {
        CellKind::Plain => ' ',
        CellKind::Target => '★',
        CellKind::Forbidden => '×',
        CellKind::Start => '▸',
        CellKind::Wall => '#',
    }
}

/// One arrow for each direction of a set, `·` for staying: `↑→`.
pub(super) fn arrows(directions: Directions) -> String {
    let arrows = Directions::NAMED.into_iter().zip(['↑', '→', '↓', '←', '·']);
    arrows
        .filter(|((direction, _), _)| directions.contains(*direction))
        .map(|(_, arrow)| arrow)
        .collect()
}

/// A set of directions in two characters: its moves, then `·` if staying is as good.
///
/// One move is an arrow. Several are the box-drawing piece whose arms leave the cell in just those directions, `└` for
/// up and right: there is a piece for every set, and none can be mistaken for an arrow.
pub(super) fn compact(directions: Directions) -> String {
    let stay = directions.contains(Directions::STAY);
    let moves = directions.without(Directions::STAY);
    let has = |direction| moves.contains(direction);
    let piece = match (
        has(Directions::UP),
        has(Directions::RIGHT),
        has(Directions::DOWN),
        has(Directions::LEFT),
    ) {
        (false, false, false, false) => return if stay { "· " } else { "  " }.to_owned(),
        (true, false, false, false) => '↑',
        (false, true, false, false) => '→',
        (false, false, true, false) => '↓',
        (false, false, false, true) => '←',
        (true, true, false, false) => '└',
        (false, true, true, false) => '┌',
        (false, false, true, true) => '┐',
        (true, false, false, true) => '┘',
        (true, false, true, false) => '│',
        (false, true, false, true) => '─',
        (true, true, true, false) => '├',
        (false, true, true, true) => '┬',
        (true, false, true, true) => '┤',
        (true, true, false, true) => '┴',
        (true, true, true, true) => '┼',
    };
    format!("{piece}{}", if stay { '·' } else { ' ' })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_its_own_glyph() {
        let sets: Vec<Directions> = (0..32u8)
            .map(|bits| {
                let chosen = Directions::NAMED
                    .into_iter()
                    .enumerate()
                    .filter(|(i, _)| bits >> i & 1 == 1);
                chosen.fold(Directions::NONE, |set, (_, (direction, _))| set | direction)
            })
            .collect();
        let glyphs: std::collections::BTreeSet<String> = sets.iter().map(|set| compact(*set)).collect();
        assert_eq!(glyphs.len(), 32);
        assert!(glyphs.iter().all(|glyph| glyph.chars().count() == 2));
    }

    #[test]
    fn arrows_are_listed_in_order() {
        assert_eq!(arrows(Directions::STAY | Directions::LEFT | Directions::UP), "↑←·");
    }
}
