//! Numbers made of lines.

use super::scene::{Point, Rgb, Scene};

/// The width of a sign, where its height is 1; and how far the next one is.
const WIDTH: f64 = 0.6;
const ADVANCE: f64 = 0.88;

/// The lines of a sign, from point to point.
type Lines = &'static [&'static [Point]];

/// 0 to 9.
const DIGITS: [Lines; 10] = [
    &[&[
        [0.15, 0.0],
        [0.45, 0.0],
        [0.6, 0.18],
        [0.6, 0.82],
        [0.45, 1.0],
        [0.15, 1.0],
        [0.0, 0.82],
        [0.0, 0.18],
        [0.15, 0.0],
    ]],
    &[&[[0.1, 0.2], [0.36, 0.0], [0.36, 1.0]]],
    &[&[
        [0.0, 0.2],
        [0.15, 0.0],
        [0.45, 0.0],
        [0.6, 0.18],
        [0.6, 0.36],
        [0.0, 1.0],
        [0.6, 1.0],
    ]],
    &[
        &[
            [0.02, 0.1],
            [0.15, 0.0],
            [0.43, 0.0],
            [0.57, 0.15],
            [0.57, 0.33],
            [0.43, 0.47],
            [0.24, 0.47],
        ],
        &[
            [0.43, 0.47],
            [0.6, 0.62],
            [0.6, 0.84],
            [0.45, 1.0],
            [0.14, 1.0],
            [0.0, 0.88],
        ],
    ],
    &[&[[0.45, 1.0], [0.45, 0.0], [0.0, 0.7], [0.62, 0.7]]],
    &[&[
        [0.55, 0.0],
        [0.08, 0.0],
        [0.04, 0.42],
        [0.42, 0.42],
        [0.6, 0.58],
        [0.6, 0.83],
        [0.44, 1.0],
        [0.14, 1.0],
        [0.0, 0.88],
    ]],
    &[&[
        [0.54, 0.08],
        [0.43, 0.0],
        [0.16, 0.0],
        [0.0, 0.2],
        [0.0, 0.82],
        [0.15, 1.0],
        [0.45, 1.0],
        [0.6, 0.84],
        [0.6, 0.6],
        [0.45, 0.44],
        [0.14, 0.44],
        [0.0, 0.58],
    ]],
    &[&[[0.0, 0.0], [0.6, 0.0], [0.22, 1.0]]],
    &[
        &[
            [0.16, 0.46],
            [0.03, 0.32],
            [0.03, 0.14],
            [0.16, 0.0],
            [0.44, 0.0],
            [0.57, 0.14],
            [0.57, 0.32],
            [0.44, 0.46],
            [0.16, 0.46],
        ],
        &[
            [0.16, 0.46],
            [0.0, 0.62],
            [0.0, 0.84],
            [0.15, 1.0],
            [0.45, 1.0],
            [0.6, 0.84],
            [0.6, 0.62],
            [0.44, 0.46],
        ],
    ],
    &[&[
        [0.06, 0.92],
        [0.17, 1.0],
        [0.44, 1.0],
        [0.6, 0.8],
        [0.6, 0.18],
        [0.45, 0.0],
        [0.15, 0.0],
        [0.0, 0.16],
        [0.0, 0.4],
        [0.15, 0.56],
        [0.46, 0.56],
        [0.6, 0.42],
    ]],
];

/// An ace.
const ACE: Lines = &[&[[0.0, 1.0], [0.3, 0.0], [0.6, 1.0]], &[[0.1, 0.68], [0.5, 0.68]]];

/// Writes a number around `centre`.
pub(crate) fn number(scene: &mut Scene, number: u32, centre: Point, height: f64, colour: Rgb) {
    let text = number.to_string();
    let digits = text.bytes().map(|digit| DIGITS[usize::from(digit - b'0')]);
    write(scene, &digits.collect::<Vec<_>>(), centre, height, colour);
}

/// Writes an A around `centre`.
pub(crate) fn ace(scene: &mut Scene, centre: Point, height: f64, colour: Rgb) {
    write(scene, &[ACE], centre, height, colour);
}

fn write(scene: &mut Scene, signs: &[Lines], centre: Point, height: f64, colour: Rgb) {
    let width = ADVANCE * (signs.len() as f64 - 1.0) + WIDTH;
    for (index, sign) in signs.iter().enumerate() {
        let left = ADVANCE * index as f64 - width / 2.0;
        for line in *sign {
            let points = line
                .iter()
                .map(|[x, y]| [centre[0] + height * (left + x), centre[1] + height * (y - 0.5)]);
            scene.line(points.collect::<Vec<_>>(), 0.15 * height, colour);
        }
    }
}
