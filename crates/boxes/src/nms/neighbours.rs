//! Which of the boxes so far one may meet, without asking all of them.

use crate::Float;

/// Boxes by place and size.
///
/// Boxes whose widths have the same power of two, and whose heights have too, make a level. There each lies in the cell
/// of its centre, in a grid whose steps are the largest sides of the level. All cells are chains in one table
/// of hashes, newest box first. Two boxes with an IoU above t have widths, heights and areas that differ by no more
/// than the factor t, and centres that are near: so only a few levels, and on each a few cells, are looked at.
pub(super) struct Neighbours<T> {
    /// How many boxes there are.
    count: u32,
    links: Vec<Link<T>>,
    /// The newest link of each chain.
    heads: Vec<u32>,
    /// By the octave of the width, and for each by that of the height.
    widths: Vec<(i32, Vec<Level<T>>)>,
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
    /// A link with one box.
    fn new(index: u32, corners: [T; 4], next: u32) -> Self {
        Self {
            corners: corners.map(|corner| [corner; LINK]),
            index: [index; LINK],
            count: 1,
            next,
        }
    }

    /// The index of the last box that has come.
    #[inline(always)]
    fn newest(&self) -> u32 {
        self.index[self.count as usize - 1]
    }

    /// Takes a box up where there is room.
    fn add(&mut self, index: u32, corners: [T; 4]) -> bool {
        let lane = self.count as usize;
        if lane == LINK {
            return false;
        }
        self.index[lane] = index;
        for (column, corner) in self.corners.iter_mut().zip(corners) {
            column[lane] = corner;
        }
        self.count += 1;
        true
    }

    /// Shows the boxes that may meet another one, the newest first, until one is taken.
    #[inline(always)]
    fn any(&self, like: &Like<T>, taken: &mut impl FnMut(u32, [T; 4]) -> bool) -> bool {
        let ([x1, y1, x2, y2], [least_w, least_h]) = (like.corners, like.shared);
        // What each shares with it beyond the least, along the axis where that is less: a loop that becomes vector
        // instructions.
        let mut beyond = [T::zero(); LINK];
        for (lane, beyond) in beyond.iter_mut().enumerate() {
            let [u1, v1, u2, v2] = self.corners.map(|column| column[lane]);
            let (w, h) = (x2.smaller(u2) - x1.larger(u1), y2.smaller(v2) - y1.larger(v1));
            *beyond = (w - least_w).smaller(h - least_h);
        }
        let most = beyond.into_iter().fold(T::zero(), T::larger);
        most > T::zero()
            && (0..LINK.min(self.count as usize)).rev().any(|lane| {
                beyond[lane] > T::zero()
                    && self.index[lane] >= like.since
                    && taken(self.index[lane], self.corners.map(|column| column[lane]))
            })
    }
}

/// The box whose neighbours are asked for.
struct Like<T> {
    corners: [T; 4],
    place: Place,
    /// What is less than what boxes share with it along each axis.
    shared: [T; 2],
    least: f64,
    since: u32,
}

/// The boxes of about one size.
struct Level<T> {
    octaves: [i32; 2],
    /// All of them, from the oldest to the newest.
    links: Vec<Link<T>>,
}

const NONE: u32 = u32::MAX;

/// Rounding in [`Float`] moves the IoU and the sides of boxes by less than this part.
const SLACK: f64 = 1e-5;

impl<T: Float> Neighbours<T> {
    /// Room for so many boxes.
    pub(super) fn new(count: usize) -> Self {
        Self {
            count: 0,
            links: Vec::new(),
            heads: vec![NONE; (2 * count).next_power_of_two()],
            widths: Vec::new(),
        }
    }

    /// How many boxes there are.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// One more box.
    pub(super) fn insert(&mut self, corners: [T; 4]) {
        let index = self.count;
        self.count += 1;
        let place = Place::of(corners);
        // A box without area meets nothing.
        if place.has_area() {
            let octaves = place.sides.map(octave);
            let all = &mut self.level(octaves).links;
            if !all.last_mut().is_some_and(|link| link.add(index, corners)) {
                all.push(Link::new(index, corners, NONE));
            }
            let cell = [0, 1].map(|axis| cell(place.centre[axis], largest(octaves[axis])));
            let chain = self.chain(octaves, cell);
            let newest = self.heads[chain];
            let link = self.links.get_mut(newest as usize);
            if !link.is_some_and(|link| link.add(index, corners)) {
                self.heads[chain] = self.links.len() as u32;
                self.links.push(Link::new(index, corners, newest));
            }
        }
    }

    /// A level, which may be new.
    fn level(&mut self, octaves: [i32; 2]) -> &mut Level<T> {
        let at = self.widths.iter().position(|&(octave, _)| octave == octaves[0]);
        let at = at.unwrap_or_else(|| {
            self.widths.push((octaves[0], Vec::new()));
            self.widths.len() - 1
        });
        let levels = &mut self.widths[at].1;
        let at = levels.iter().position(|level| level.octaves == octaves);
        let at = at.unwrap_or_else(|| {
            let links = Vec::new();
            levels.push(Level { octaves, links });
            levels.len() - 1
        });
        &mut levels[at]
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
        if !place.has_area() {
            return false;
        }
        // The octaves of sides that fit.
        let [widths, heights] = place.sides.map(|side| {
            let (shortest, longest) = (side * least * (1.0 - SLACK), side / least * (1.0 + SLACK));
            octave(shortest)..=octave(longest)
        });
        let like = Like {
            corners,
            shared: place.sides.map(|side| T::of(least * side * (1.0 - SLACK))),
            place,
            least,
            since,
        };
        for (octave, levels) in &self.widths {
            if !widths.contains(octave) {
                continue;
            }
            for level in levels {
                if heights.contains(&level.octaves[1]) && self.any_of_level(level, &like, &mut taken) {
                    return true;
                }
            }
        }
        false
    }

    /// The same on one level.
    #[inline(always)]
    fn any_of_level(&self, level: &Level<T>, like: &Like<T>, taken: &mut impl FnMut(u32, [T; 4]) -> bool) -> bool {
        let steps = level.octaves.map(largest);
        let [columns, rows] = [0, 1].map(|axis| like.place.cells(axis, steps[axis], like.least));
        let count = |cells: [i64; 2]| cells[1] as f64 - cells[0] as f64 + 1.0;
        // To find a cell takes as long as to look at two links.
        if 2.0 * count(columns) * count(rows) > level.links.len() as f64 {
            let recent = level.links.iter().rev();
            let mut recent = recent.take_while(|link| link.newest() >= like.since);
            return recent.any(|link| link.any(like, taken));
        }
        for row in rows[0]..=rows[1] {
            for column in columns[0]..=columns[1] {
                let mut next = self.heads[self.chain(level.octaves, [column, row])];
                while let Some(link) = self.links.get(next as usize)
                    && link.newest() >= like.since
                {
                    if link.any(like, taken) {
                        return true;
                    }
                    next = link.next;
                }
            }
        }
        false
    }

    /// The chain of a cell.
    #[inline(always)]
    fn chain(&self, [width, height]: [i32; 2], [column, row]: [i64; 2]) -> usize {
        let mixed = (column as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ (row as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
            ^ (u64::from(width as u32) << 32 | u64::from(height as u32)).wrapping_mul(0x1656_67b1_9e37_79f9);
        let spread = mixed.wrapping_mul(0xff51_afd7_ed55_8ccd);
        (spread >> 32) as usize & (self.heads.len() - 1)
    }
}

/// Where a box is, in 64 bits.
struct Place {
    centre: [f64; 2],
    sides: [f64; 2],
}

impl Place {
    #[inline(always)]
    fn of<T: Float>(corners: [T; 4]) -> Self {
        let [x1, y1, x2, y2] = corners.map(T::to_64);
        Self {
            centre: [x1.midpoint(x2), y1.midpoint(y2)],
            sides: [x2 - x1, y2 - y1],
        }
    }

    #[inline(always)]
    fn has_area(&self) -> bool {
        self.sides[0] > 0.0 && self.sides[1] > 0.0
    }

    /// The first and the last cell, along one axis, of centres of boxes with a side from `largest` / 2 to `largest`
    /// with which the IoU may be above `least`. Intervals of lengths a and b that share more than t max(a, b) have
    /// centres less than (a + b) / 2 - t max(a, b) apart. Of all b that is most for the nearest to a where t is 1/2 or
    /// more, and else for the largest.
    #[inline(always)]
    fn cells(&self, axis: usize, largest: f64, least: f64) -> [i64; 2] {
        let (centre, side) = (self.centre[axis], self.sides[axis]);
        let other = if least < 0.5 {
            largest
        } else {
            side.clamp(largest / 2.0, largest)
        };
        let reach = side.midpoint(other) - least * side.max(other);
        let reach = reach + SLACK * (side + largest) + 4.0 * f64::EPSILON * centre.abs();
        [centre - reach, centre + reach].map(|x| cell(x, largest))
    }
}

/// The power of two of a side that is not negative: the exponent of its representation. A side of -0 is one of 0.
#[inline(always)]
fn octave(side: f64) -> i32 {
    (side.abs().to_bits() >> 52) as i32
}

/// What all sides of an octave are below.
#[inline(always)]
fn largest(octave: i32) -> f64 {
    f64::from_bits((octave as u64 + 1) << 52)
}

/// The cell of a coordinate, on a level of boxes up to `largest` large.
#[inline(always)]
fn cell(x: f64, largest: f64) -> i64 {
    (x / largest).floor() as i64
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
