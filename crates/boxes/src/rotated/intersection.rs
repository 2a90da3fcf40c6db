//! The part of a rotated box that lies inside of an upright one around the origin: its area, and how that changes.

use super::rectangle::Rectangle;

/// The area of the intersection of `p` with |x| <= `half[0]`, |y| <= `half[1]`: each side cuts the polygon (Sutherland
/// and Hodgman, "Reentrant polygon clipping", Communications of the ACM 17(1), 1974).
pub(super) fn area(p: &Rectangle, half: [f64; 2]) -> f64 {
    let mut polygon = Polygon::new(p.corners());
    for (axis, limit) in half.into_iter().enumerate() {
        polygon = polygon.cut(axis, 1.0, limit).cut(axis, -1.0, limit);
    }
    polygon.area()
}

/// The area that two rotated boxes share.
pub(super) fn shared(p: &Rectangle, g: &Rectangle) -> f64 {
    // Half the sum of the sides is more than half a diagonal.
    let reach = |one: &Rectangle| one.size[0].max(0.0).midpoint(one.size[1].max(0.0));
    let apart = [0, 1].map(|axis| (p.centre[axis] - g.centre[axis]).abs());
    if apart[0].max(apart[1]) > reach(p) + reach(g) {
        return 0.0;
    }
    area(&p.seen_from(g), g.size.map(|side| side.max(0.0) / 2.0))
}

/// A convex polygon. A rectangle that is cut four times has eight corners at most; rounding might leave one more at
/// each cut.
struct Polygon {
    corners: [[f64; 2]; 12],
    count: usize,
}

impl Polygon {
    fn new(rectangle: [[f64; 2]; 4]) -> Self {
        let mut corners = [[0.0; 2]; 12];
        corners[..4].copy_from_slice(&rectangle);
        Self { corners, count: 4 }
    }

    fn push(&mut self, corner: [f64; 2]) {
        if let Some(next) = self.corners.get_mut(self.count) {
            *next = corner;
            self.count += 1;
        }
    }

    /// The part with sign x <= limit along an axis.
    fn cut(&self, axis: usize, sign: f64, limit: f64) -> Self {
        let corners = [[0.0; 2]; 12];
        let mut part = Self { corners, count: 0 };
        let Some(&last) = self.corners[..self.count].last() else {
            return part;
        };
        let mut before = last;
        for &corner in &self.corners[..self.count] {
            let (out_before, out) = (sign * before[axis] - limit, sign * corner[axis] - limit);
            if (out_before > 0.0) != (out > 0.0) {
                let share = out_before / (out_before - out);
                let mut crossing = [0, 1].map(|axis| before[axis] + share * (corner[axis] - before[axis]));
                crossing[axis] = sign * limit;
                part.push(crossing);
            }
            if out <= 0.0 {
                part.push(corner);
            }
            before = corner;
        }
        part
    }

    /// Half the sum of the cross products of neighbouring corners, as seen from the first one.
    fn area(&self) -> f64 {
        let [x, y] = self.corners[0];
        let seen = |index: usize| [self.corners[index][0] - x, self.corners[index][1] - y];
        let doubled: f64 = (2..self.count)
            .map(|index| {
                let ([a, b], [c, d]) = (seen(index - 1), seen(index));
                a * d - b * c
            })
            .sum();
        (doubled / 2.0).max(0.0)
    }
}

/// The slopes of [`area`] by the centre, the size and the angle of `p`.
///
/// A moving edge sweeps its length times its speed along the outward normal n: the slope is the integral of v . n over
/// those parts of p's edges that lie inside. All speeds here are linear along an edge, so that the middle of the part
/// stands for all of it. An edge on the other box's edge counts half, the mean of moving in and moving out.
pub(super) fn slopes(p: &Rectangle, half: [f64; 2]) -> [f64; 5] {
    let corners = p.corners();
    let [c, s] = p.turn;
    // The outward normals of the edges that end in each corner, and the axis of the size that moves them.
    let edges = [([-c, -s], 0), ([s, -c], 1), ([c, s], 0), ([-s, c], 1)];
    let mut slopes = [0.0; 5];
    for (index, (normal, side)) in edges.into_iter().enumerate() {
        let (start, end) = (corners[(index + 3) % 4], corners[index]);
        let Some((length, middle)) = inside(start, end, half) else {
            continue;
        };
        let arm = [middle[0] - p.centre[0], middle[1] - p.centre[1]];
        slopes[0] += length * normal[0];
        slopes[1] += length * normal[1];
        slopes[2 + side] += length / 2.0;
        slopes[4] += length * (arm[0] * normal[1] - arm[1] * normal[0]);
    }
    slopes
}

/// The length of the part of an edge that lies inside, or half of it for an edge on an edge, and its middle. (Liang and
/// Barsky, "A new concept and method for line clipping", ACM Transactions on Graphics 3(1), 1984.)
fn inside(start: [f64; 2], end: [f64; 2], half: [f64; 2]) -> Option<(f64, [f64; 2])> {
    /// What rounding leaves between two edges that are one, as a part of the sizes.
    const SAME: f64 = 1e-12;
    let along = [end[0] - start[0], end[1] - start[1]];
    let length = along[0].hypot(along[1]);
    let (mut from, mut to, mut weight) = (0.0_f64, 1.0_f64, 1.0);
    for axis in 0..2 {
        let near = SAME * (half[axis] + start[axis].abs() + length);
        let on = |sign: f64| {
            [start, end]
                .iter()
                .all(|point| (sign * point[axis] - half[axis]).abs() <= near)
        };
        if on(1.0) || on(-1.0) {
            weight = 0.5;
            continue;
        }
        for sign in [1.0, -1.0] {
            let (room, speed) = (half[axis] - sign * start[axis], sign * along[axis]);
            if speed > 0.0 {
                to = to.min(room / speed);
            } else if speed < 0.0 {
                from = from.max(room / speed);
            } else if room < 0.0 {
                return None;
            }
        }
    }
    let middle = [0, 1].map(|axis| start[axis] + from.midpoint(to) * along[axis]);
    (to > from).then_some((weight * (to - from) * length, middle))
}
