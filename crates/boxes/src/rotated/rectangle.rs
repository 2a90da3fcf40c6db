//! One rotated box, ready to be reckoned with.

use super::boxes::AngleConvention;
use crate::Float;

/// A rotated box in 64 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rectangle {
    /// The centre.
    pub centre: [f64; 2],
    /// Width and height. Negative ones count as zero.
    pub size: [f64; 2],
    /// Cosine and sine of the angle by which it is turned clockwise, from x to y.
    pub turn: [f64; 2],
    /// Whether all numbers are finite and within their limits. Where they are not, this is an empty box at the origin.
    pub holds: bool,
}

impl Rectangle {
    /// cx, cy, w, h and the angle of a box.
    ///
    /// ```
    /// use etude_boxes::rotated::{AngleConvention, Rectangle};
    ///
    /// let quarter = Rectangle::new([5.0, 5.0, 4.0, 2.0, -90.0], AngleConvention::DETECTRON2);
    /// assert!(quarter.turn[0].abs() < 1e-15 && quarter.turn[1] == 1.0);
    /// ```
    pub fn new<T: Float>(numbers: [T; 5], convention: AngleConvention) -> Self {
        let holds = numbers.iter().all(|number| number.abs() <= T::LIMIT);
        let numbers = if holds { numbers } else { [T::zero(); 5] };
        let [cx, cy, w, h, angle] = numbers.map(T::to_64);
        let (sine, cosine) = (angle * convention.scale()).sin_cos();
        Self {
            centre: [cx, cy],
            size: [w, h],
            turn: [cosine, sine],
            holds,
        }
    }

    /// w h.
    ///
    /// ```
    /// use etude_boxes::rotated::{AngleConvention, Rectangle};
    ///
    /// assert_eq!(Rectangle::new([0.0, 0.0, 4.0, 2.0, 1.0], AngleConvention::MMCV).area(), 8.0);
    /// ```
    pub fn area(&self) -> f64 {
        self.size[0].max(0.0) * self.size[1].max(0.0)
    }

    /// The four corners, clockwise from the top left one of the box before it is turned.
    ///
    /// ```
    /// use etude_boxes::rotated::{AngleConvention, Rectangle};
    ///
    /// let corners = Rectangle::new([5.0, 5.0, 4.0, 2.0, 0.0], AngleConvention::MMCV).corners();
    /// assert_eq!(corners, [[3.0, 4.0], [7.0, 4.0], [7.0, 6.0], [3.0, 6.0]]);
    /// ```
    pub fn corners(&self) -> [[f64; 2]; 4] {
        let [x, y] = self.centre;
        let [w, h] = self.size.map(|side| side.max(0.0) / 2.0);
        let [cosine, sine] = self.turn;
        [[-w, -h], [w, -h], [w, h], [-w, h]].map(|[u, v]| [x + u * cosine - v * sine, y + u * sine + v * cosine])
    }

    /// The smallest upright box x1, y1, x2, y2 around it.
    ///
    /// ```
    /// use etude_boxes::rotated::{AngleConvention, Rectangle};
    ///
    /// let upright = Rectangle::new([5.0, 5.0, 4.0, 2.0, 90.0], AngleConvention::DETECTRON2).bounding_box();
    /// assert!(upright.iter().zip([4.0, 3.0, 6.0, 7.0]).all(|(a, b)| (a - b).abs() < 1e-12));
    /// ```
    pub fn bounding_box(&self) -> [f64; 4] {
        let [w, h] = self.size.map(|side| side.max(0.0) / 2.0);
        let [cosine, sine] = self.turn.map(f64::abs);
        let (x, y) = (w * cosine + h * sine, w * sine + h * cosine);
        let [cx, cy] = self.centre;
        [cx - x, cy - y, cx + x, cy + y]
    }

    /// This box as it looks from another one that is upright and has its centre at the origin.
    pub(super) fn seen_from(&self, other: &Self) -> Self {
        let offset = [self.centre[0] - other.centre[0], self.centre[1] - other.centre[1]];
        let [c, s] = other.turn;
        let turned = |[x, y]: [f64; 2]| [x * c + y * s, y * c - x * s];
        Self {
            centre: turned(offset),
            turn: turned(self.turn),
            ..*self
        }
    }
}
