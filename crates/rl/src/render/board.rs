//! Boards of cells, and who moves on them.

use std::f64::consts::PI;

use super::palette;
use super::scene::{Point, Rgb, Scene};
use crate::trigonometry::sin_cos;

/// The side of a cell, and what is left free around the board.
const SIDE: f64 = 100.0;
const MARGIN: f64 = 6.0;

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    Floor,
    Ice,
    Hole,
    Cliff,
    Forbidden,
    Wall,
    Start,
    Goal,
    /// Coloured by itself.
    Stop(Rgb),
}

/// Cells in rows.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    columns: usize,
    cells: Vec<Cell>,
}

impl Board {
    /// Rows of so many cells.
    pub(crate) fn new(columns: usize, cells: Vec<Cell>) -> Self {
        Self { columns, cells }
    }

    /// The middle of a cell.
    pub(crate) fn centre(&self, cell: usize) -> Point {
        [cell % self.columns, cell / self.columns].map(|place| MARGIN + SIDE * (place as f64 + 0.5))
    }

    /// The board with nobody on it.
    pub(crate) fn scene(&self) -> Scene {
        let rows = self.cells.len() / self.columns;
        let size = [self.columns, rows].map(|cells| 2.0 * MARGIN + SIDE * cells as f64);
        let mut scene = Scene::new(size, palette::RULE);
        for (index, cell) in self.cells.iter().enumerate() {
            draw_cell(&mut scene, *cell, self.centre(index));
        }
        scene
    }

    /// The board with the agent in a cell.
    pub(crate) fn with_agent(&self, cell: usize) -> Scene {
        let mut scene = self.scene();
        agent(&mut scene, self.centre(cell));
        scene
    }
}

/// Who acts.
pub(crate) fn agent(scene: &mut Scene, centre: Point) {
    scene
        .disc(centre, 29.0, palette::WHITE)
        .disc(centre, 25.0, palette::ORANGE);
}

fn draw_cell(scene: &mut Scene, cell: Cell, centre: Point) {
    let ground = match cell {
        Cell::Floor | Cell::Start | Cell::Goal => palette::WHITE,
        Cell::Ice | Cell::Hole => palette::ICE,
        Cell::Cliff => palette::RED,
        Cell::Forbidden => Rgb(0xfa, 0xe1, 0xdf),
        Cell::Wall => palette::SOFT,
        Cell::Stop(colour) => colour,
    };
    scene.rectangle(centre, [SIDE - 6.0; 2], 12.0, ground);
    let around = |[x, y]: Point| [centre[0] + x, centre[1] + y];
    match cell {
        Cell::Hole => {
            scene
                .disc(centre, 36.0, palette::WHITE)
                .disc(centre, 32.0, palette::WATER);
        }
        Cell::Cliff => {
            for y in [-28.0, -4.0, 20.0] {
                let points = [[-22.0, y], [0.0, y + 12.0], [22.0, y]].map(around);
                scene.line(points, 6.0, Rgb(0xe8, 0x8d, 0x89));
            }
        }
        Cell::Forbidden => {
            for side in [-1.0, 1.0] {
                let points = [[-16.0, -16.0 * side], [16.0, 16.0 * side]].map(around);
                scene.line(points, 7.0, palette::RED);
            }
        }
        Cell::Start => {
            scene.polygon([[-18.0, -24.0], [24.0, 0.0], [-18.0, 24.0]].map(around), palette::SOFT);
        }
        Cell::Goal => star(scene, centre),
        Cell::Floor | Cell::Ice | Cell::Wall | Cell::Stop(_) => {}
    }
}

/// Where to go.
fn star(scene: &mut Scene, centre: Point) {
    let corner = |index: u32| {
        let radius = if index.is_multiple_of(2) { 36.0 } else { 15.0 };
        let (sin, cos) = sin_cos(PI / 5.0 * f64::from(index));
        [centre[0] + radius * sin, centre[1] - radius * cos]
    };
    scene.polygon((0..10).map(corner).collect::<Vec<_>>(), palette::GREEN);
}
