//! Which of the boxes so far one may meet, without asking all of them.

use crate::Float;

/// Boxes by place and size.
///
/// A box of which the longer side is above 2^(k-1) and up to 2^k lies on level k, in the cell of its centre in a grid
/// of step 2^k / [`FINE`]. All cells are chains in one table of hashes, newest box first. Two boxes with an IoU above t
/// have sides that differ by no more than the factor t, and centres that are near: so only a few levels, and on each a
/// few cells, are looked at.
pub(super) struct Neighbours<T> {
    boxes: Vec<[T; 4]>,
    links: Vec<Link<T>>,
    /// The newest link of each chain.
    heads: Vec<u32>,
    levels: Vec<Level>,
}

/// A few boxes of a chain, which lie together in memory, and the link before them.
struct Link<T> {
    /// x1, y1, x2 and y2 of all of them. Where there are none yet, the first is repeated.
    corners: [[T; LINK]; 4],
    index: [u32; LINK],
    count: u32,
    next: u32,
}

/// Boxes in a link.
const LINK: usize = 4;

impl<T: Float> Link<T> {
    /// Which of the boxes share more than so much with another one, along each axis.
    #[inline(always)]
    fn near(&self, [x1, y1, x2, y2]: [T; 4], shared: [T; 2]) -> [bool; LINK] {
        let mut near = [false; LINK];
        for (lane, near) in near.iter_mut().enumerate() {
            let [u1, v1, u2, v2] = self.corners.map(|column| column[lane]);
            let (w, h) = (x2.smaller(u2) - x1.larger(u1), y2.smaller(v2) - y1.larger(v1));
            *near = w > shared[0] && h > shared[1];
        }
        near
    }
}

/// The boxes of about one size.
struct Level {
    exponent: i32,
    boxes: Vec<u32>,
}

const NONE: u32 = u32::MAX;

/// Cells along the side of the largest box of a level: fewer boxes are looked at with more, and more cells.
const FINE: f64 = 2.0;

/// Rounding in [`Float`] moves the IoU and the sides of boxes by less than this part.
const SLACK: f64 = 1e-5;

impl<T: Float> Neighbours<T> {
    /// Room for so many boxes.
    pub(super) fn new(count: usize) -> Self {
        Self {
            boxes: Vec::new(),
            links: Vec::new(),
            heads: vec![NONE; (2 * count).next_power_of_two()],
            levels: Vec::new(),
        }
    }

    /// How many boxes there are.
    pub(super) fn len(&self) -> usize {
        self.boxes.len()
    }

    /// One more box.
    pub(super) fn insert(&mut self, corners: [T; 4]) {
        let index = self.boxes.len() as u32;
        let place = Place::of(corners);
        self.boxes.push(corners);
        // A box without size meets nothing.
        if place.longer > 0.0 {
            let exponent = place.longer.log2().ceil() as i32;
            let at = self.levels.partition_point(|level| level.exponent < exponent);
            if self.levels.get(at).is_none_or(|level| level.exponent != exponent) {
                let boxes = Vec::new();
                self.levels.insert(at, Level { exponent, boxes });
            }
            self.levels[at].boxes.push(index);
            let step = f64::exp2(f64::from(exponent));
            let cell = place.centre.map(|x| cell(x, step));
            let chain = self.chain(exponent, cell);
            self.add_to_chain(chain, index, corners);
        }
    }

    /// Puts a box into the newest link of a chain, or into a new one if that is full.
    fn add_to_chain(&mut self, chain: usize, index: u32, corners: [T; 4]) {
        let next = self.heads[chain];
        match self.links.get_mut(next as usize) {
            Some(link) if (link.count as usize) < LINK => {
                let lane = link.count as usize;
                link.index[lane] = index;
                for (column, corner) in link.corners.iter_mut().zip(corners) {
                    column[lane] = corner;
                }
                link.count += 1;
            }
            _ => {
                self.heads[chain] = self.links.len() as u32;
                self.links.push(Link {
                    corners: corners.map(|corner| [corner; LINK]),
                    index: [index; LINK],
                    count: 1,
                    next,
                });
            }
        }
    }

    /// Shows the boxes from `since` on that may have an IoU above `least` with this one, until one is taken. Some may
    /// be shown twice.
    #[inline(always)]
    pub(super) fn any(
        &self,
        corners: [T; 4],
        least: f64,
        since: u32,
        mut taken: impl FnMut(u32, [T; 4]) -> bool,
    ) -> bool {
        let place = Place::of(corners);
        if place.longer <= 0.0 || place.shorter <= 0.0 {
            return false;
        }
        // What boxes share, along each axis, is more than this.
        let shared = place.sides.map(|side| T::of(least * side * (1.0 - SLACK)));
        // The levels of sides that fit.
        let fewest = (place.longer * least * (1.0 - SLACK)).log2().ceil();
        let most = (place.longer / least * (1.0 + SLACK)).log2().ceil();
        for level in &self.levels {
            let exponent = f64::from(level.exponent);
            if exponent < fewest || exponent > most {
                continue;
            }
            let step = f64::exp2(exponent);
            let [columns, rows] = [0, 1].map(|axis| place.cells(axis, step, least));
            let count = |cells: [i64; 2]| cells[1] as f64 - cells[0] as f64 + 1.0;
            if count(columns) * count(rows) > level.boxes.len() as f64 {
                let recent = level.boxes.iter().rev().take_while(|&&index| index >= since);
                if recent.copied().any(|index| taken(index, self.boxes[index as usize])) {
                    return true;
                }
                continue;
            }
            for row in rows[0]..=rows[1] {
                for column in columns[0]..=columns[1] {
                    let mut next = self.heads[self.chain(level.exponent, [column, row])];
                    while let Some(link) = self.links.get(next as usize) {
                        let near = link.near(corners, shared);
                        if near != [false; LINK] {
                            for lane in (0..LINK.min(link.count as usize)).rev() {
                                let recent = near[lane] && link.index[lane] >= since;
                                if recent && taken(link.index[lane], link.corners.map(|column| column[lane])) {
                                    return true;
                                }
                            }
                        }
                        next = if link.index[0] >= since { link.next } else { NONE };
                    }
                }
            }
        }
        false
    }

    /// The chain of a cell.
    #[inline(always)]
    fn chain(&self, exponent: i32, [column, row]: [i64; 2]) -> usize {
        let mixed = (column as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ (row as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
            ^ (exponent as u64).wrapping_mul(0x1656_67b1_9e37_79f9);
        let spread = mixed.wrapping_mul(0xff51_afd7_ed55_8ccd);
        (spread >> 32) as usize & (self.heads.len() - 1)
    }
}

/// Where a box is, in 64 bits.
struct Place {
    centre: [f64; 2],
    sides: [f64; 2],
    longer: f64,
    shorter: f64,
}

impl Place {
    #[inline(always)]
    fn of<T: Float>(corners: [T; 4]) -> Self {
        let [x1, y1, x2, y2] = corners.map(T::to_64);
        let (w, h) = (x2 - x1, y2 - y1);
        Self {
            centre: [x1.midpoint(x2), y1.midpoint(y2)],
            sides: [w, h],
            longer: w.max(h),
            shorter: w.min(h),
        }
    }

    /// The first and the last cell, along one axis, of centres of boxes up to `step` large with which the IoU may be
    /// above `least`. Intervals of lengths a and b that share more than t max(a, b) have centres less than (a + b) / 2
    /// - t max(a, b) apart.
    #[inline(always)]
    fn cells(&self, axis: usize, step: f64, least: f64) -> [i64; 2] {
        let (centre, side) = (self.centre[axis], self.sides[axis]);
        let reach = (side.midpoint(step) - least * side) + SLACK * (side + step) + 4.0 * f64::EPSILON * centre.abs();
        [centre - reach, centre + reach].map(|x| cell(x, step))
    }
}

/// The cell of a coordinate, on a level of boxes up to `step` large.
#[inline(always)]
fn cell(x: f64, step: f64) -> i64 {
    (x / step * FINE).floor() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_came_since_are_shown() {
        let mut neighbours = Neighbours::new(30);
        (0..30).for_each(|k| neighbours.insert([0.0, 0.0, 10.0, 9.0 + f64::from(k) / 30.0]));
        for since in 0..30 {
            let mut shown = Vec::new();
            let taken = neighbours.any([0.0, 0.0, 10.0, 10.0], 0.5, since, |index, _| {
                shown.push(index);
                false
            });
            shown.sort_unstable();
            shown.dedup();
            assert!(!taken);
            assert_eq!(shown, (since..30).collect::<Vec<_>>());
        }
    }
}
