//! What both mountain cars look like.

use crate::render::{Point, Scene, palette, placed};
use crate::trigonometry::sin_cos;

/// The positions between which the hills are drawn; cars cannot go further.
const SHOWN: [f64; 2] = [-1.2, 0.6];

/// Straight pieces that make up the hills.
const PIECES: u32 = 60;

/// A car between two hills, with a flag where it should go. The hills have the height 0.45 sin 3x + 0.55 at the position x.
pub(super) fn hills(position: f64, goal: f64) -> Scene {
    let mut scene = Scene::new([600.0, 400.0], palette::PAPER);
    let scale = 600.0 / (SHOWN[1] - SHOWN[0]);
    let ground = |x: f64| -> Point {
        let height = 0.45 * sin_cos(3.0 * x).0 + 0.55;
        [scale * (x - SHOWN[0]), 390.0 - scale * height]
    };
    let mut outline: Vec<Point> = (0..=PIECES)
        .map(|piece| SHOWN[0] + f64::from(piece) / f64::from(PIECES) * (SHOWN[1] - SHOWN[0]))
        .map(ground)
        .collect();
    let surface = outline.clone();
    outline.extend([[600.0, 400.0], [0.0, 400.0]]);
    scene.polygon(outline, palette::GRASS).line(surface, 3.0, palette::INK);

    let [x, y] = ground(goal);
    let top = y - 52.0;
    scene.line([[x, y], [x, top]], 3.0, palette::INK);
    scene.polygon([[x, top], [x + 28.0, top + 9.0], [x, top + 18.0]], palette::GREEN);

    // Downwards is positive, so that the slope of the picture is the opposite of the hill's.
    let slope = -1.35 * sin_cos(3.0 * position).1;
    let length = (1.0 + slope * slope).sqrt();
    let turn = (slope / length, 1.0 / length);
    let body = [
        [-40.0, -14.0],
        [-40.0, -32.0],
        [-22.0, -32.0],
        [-11.0, -50.0],
        [15.0, -50.0],
        [25.0, -32.0],
        [40.0, -29.0],
        [40.0, -14.0],
    ];
    let at = ground(position);
    scene.polygon(placed(body, turn, at), palette::ORANGE);
    let window = [[-12.0, -32.0], [-6.0, -43.0], [11.0, -43.0], [16.0, -32.0]];
    scene.polygon(placed(window, turn, at), palette::PAPER);
    for wheel in placed([[-23.0, -13.0], [23.0, -13.0]], turn, at) {
        scene.disc(wheel, 12.0, palette::INK).disc(wheel, 5.0, palette::RULE);
    }
    scene
}
