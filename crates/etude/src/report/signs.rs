//! The signs of a value map: policy arrows, and what marks targets, forbidden cells, starts and walls.

use maud::{Markup, html};

use super::colour::Rgb;
use super::grid::{CellKind, Directions, GridMap};

/// An arrow that points up from the centre of a cell's arrows, where others may start too.
const RAY: &str = "M0 0V-18M-5-13L0-18L5-13";
/// An arrow that points up and stands alone.
const ARROW: &str = "M0 11V-11M-5.5-5.5L0-11L5.5-5.5";

/// Every direction of a set, from one centre: arrows, and a dot for staying.
pub(super) fn rose(directions: Directions) -> Markup {
    let turns = [
        (Directions::UP, 0),
        (Directions::RIGHT, 90),
        (Directions::DOWN, 180),
        (Directions::LEFT, 270),
    ];
    let alone = turns.iter().any(|(direction, _)| *direction == directions);
    let path = if alone { ARROW } else { RAY };
    html! {
        @for (_, angle) in turns.into_iter().filter(|(direction, _)| directions.contains(*direction)) {
            path.arrow d=(path) transform=[(angle != 0).then(|| format!("rotate({angle})"))] {}
        }
        @if directions.contains(Directions::STAY) { circle.stay r="5" {} }
    }
}

/// What tells a special cell from a plain one without its colour: a frame, and a sign in the corner.
pub(super) struct Mark {
    /// The style sheet's class for the frame.
    pub(super) frame: &'static str,
    /// A path around the origin, filled or drawn as a line.
    path: &'static str,
    filled: bool,
}

impl Mark {
    pub(super) fn of(kind: CellKind) -> Option<Self> {
        let (frame, path, filled) = match kind {
            CellKind::Plain | CellKind::Wall => return None,
            CellKind::Target => (
                "",
                "M0-6.5L1.7-2.1 6.2-2 2.6.8 3.9 5.3 0 2.7-3.9 5.3-2.6.8-6.2-2-1.7-2.1Z",
                true,
            ),
            CellKind::Forbidden => ("dashes", "M-4-4L4 4M4-4L-4 4", false),
            CellKind::Start => ("dots", "M-3.5-5L5 0-3.5 5Z", true),
        };
        Some(Self { frame, path, filled })
    }

    pub(super) fn sign(&self, transform: &str) -> Markup {
        html! { path class=(if self.filled { "sign" } else { "crossed" }) d=(self.path) transform=(transform) {} }
    }
}

/// The kinds of a map with their signs, so that nobody must guess. A map without room for signs shows no forbidden
/// cells.
pub(super) fn legend(map: &GridMap, forbidden: bool) -> Markup {
    let drawn = |kind| map.has(kind) && (forbidden || kind != CellKind::Forbidden);
    let kinds: Vec<(CellKind, &str)> = CellKind::NAMED.into_iter().filter(|(kind, _)| drawn(*kind)).collect();
    html! {
        @if !kinds.is_empty() {
            ul.legend {
                @for (kind, name) in kinds {
                    li {
                        svg.swatch viewBox="0 0 22 22" aria-hidden="true" {
                            @if let Some(mark) = Mark::of(kind) {
                                rect class={ "frame " (mark.frame) } x="1" y="1" width="20" height="20" rx="3" {}
                                (mark.sign("translate(11 11)"))
                            } @else {
                                rect x="1" y="1" width="20" height="20" rx="3" fill=(Rgb::WALL.hex()) {}
                            }
                        }
                        (name)
                    }
                }
            }
        }
    }
}
