//! What a cart on a rail looks like.

use crate::render::{Point, Scene, palette};

/// How many units of a scene make a metre.
pub(super) const SCALE: f64 = 100.0;
const WIDTH: f64 = 560.0;
/// How far from the middle the cart may come before the picture moves along.
const MOST_POSITION: f64 = 2.2;

/// A cart on an endless rail with a mark at every metre, of which the green one is where it should be. Returns the scene
/// and the place on the cart where a pole is hinged, at `axle` units below the upper edge.
pub(super) fn cart_on_rail(position: f64, height: f64, axle: f64) -> (Scene, Point) {
    let mut scene = Scene::new([WIDTH, height], palette::PAPER);
    let camera = position - position.clamp(-MOST_POSITION, MOST_POSITION);
    let across = |place: f64| WIDTH / 2.0 + SCALE * (place - camera);
    let track = axle + 38.0;
    scene.line([[0.0, track], [WIDTH, track]], 4.0, palette::SOFT);
    for mark in -3..=3 {
        let mark = camera.round() + f64::from(mark);
        let colour = if mark == 0.0 { palette::GREEN } else { palette::SOFT };
        let (mark, length) = (across(mark), if mark == 0.0 { 16.0 } else { 8.0 });
        scene.line([[mark, track], [mark, track + length]], 4.0, colour);
    }
    let cart = across(position);
    for wheel in [cart - 22.0, cart + 22.0] {
        scene.disc([wheel, track - 11.0], 9.0, palette::INK);
    }
    scene.rectangle([cart, axle + 8.0], [84.0, 34.0], 8.0, palette::BLUE);
    (scene, [cart, axle])
}
