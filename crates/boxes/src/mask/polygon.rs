//! Polygons as masks, by the rule of COCO's own code (`rleFrPoly` of pycocotools), which decides pixel by pixel.
//!
//! Corners are rounded to a grid five times as fine as the pixels, and edges are drawn on it, a point for each step
//! along their longer side. Where an edge crosses the middle of a column, all pixels from there on change sides, in the
//! order of the runs: those that have done so an odd number of times belong to the object.

use super::Mask;
use super::runs::Runs;
use crate::BoxError;
use crate::error::check_setting;

/// How much finer the grid is than the pixels.
const FINE: i64 = 5;
/// The middle of a pixel on that grid.
const MIDDLE: i64 = 2;
/// With larger coordinates pycocotools' integers overflow.
const LIMIT: f64 = 1e8;
/// So many toggles are kept before those that cancel are looked for.
const TOGGLES: usize = 1 << 16;

impl Mask {
    /// The union of polygons x1, y1, x2, y2, and so on, in a picture of this height and width. Where a polygon crosses
    /// itself, what is inside twice is outside. One with fewer than three corners is empty.
    ///
    /// ```
    /// use etude_boxes::mask::Mask;
    ///
    /// let mask = Mask::from_polygons(&[[1.0, 1.0, 3.0, 1.0, 3.0, 4.0, 1.0, 4.0]], [6, 5])?;
    /// assert_eq!((mask.area(), mask.bounding_box()), (6, [1, 1, 2, 3]));
    /// # Ok::<(), etude_boxes::BoxError>(())
    /// ```
    ///
    /// # Errors
    /// A polygon has an odd number of coordinates, or one that is not finite or beyond 1e8; or the picture has more
    /// than 2^32 - 1 pixels.
    pub fn from_polygons<P: AsRef<[f64]>>(polygons: &[P], size: [usize; 2]) -> Result<Self, BoxError> {
        let mut mask = Runs::new(size)?;
        mask.push(false, mask.pixels());
        let mut mask = mask.finish();
        for polygon in polygons {
            mask = mask.union(&one(polygon.as_ref(), size)?)?;
        }
        Ok(mask)
    }
}

fn one(polygon: &[f64], size: [usize; 2]) -> Result<Mask, BoxError> {
    let mut runs = Runs::new(size)?;
    let (coordinates, rest) = polygon.as_chunks::<2>();
    if !rest.is_empty() {
        let (found, each) = (polygon.len(), 2);
        return Err(BoxError::Flat { found, each });
    }
    for &coordinate in polygon {
        let holds = coordinate.abs() <= LIMIT;
        check_setting("a polygon's coordinate", coordinate, holds, "a number from -1e8 to 1e8")?;
    }
    if runs.pixels() == 0 {
        return Ok(runs.finish());
    }
    let [height, width] = size.map(|side| side as i64);
    let corners: Vec<[i64; 2]> = coordinates
        .iter()
        .map(|corner| corner.map(|x| (FINE as f64 * x + 0.5) as i64))
        .collect();
    let (mut toggles, mut room) = (Vec::new(), TOGGLES);
    for (&from, &to) in corners.iter().zip(corners.iter().cycle().skip(1)) {
        cross_columns(from, to, width, |column, y| {
            // The first pixel whose middle is at y or below.
            let row = -(MIDDLE - y).div_euclid(FINE);
            toggles.push((column * height + row.clamp(0, height)) as u32);
            if toggles.len() > room {
                cancel(&mut toggles);
                room = 2 * toggles.len() + TOGGLES;
            }
        });
    }
    cancel(&mut toggles);
    let (mut at, mut object) = (0, false);
    for toggle in toggles.into_iter().chain([runs.pixels()]) {
        runs.push(object, toggle - at);
        (at, object) = (toggle, !object);
    }
    Ok(runs.finish())
}

/// Sorts, and leaves one of those that come an odd number of times.
fn cancel(toggles: &mut Vec<u32>) {
    toggles.sort_unstable();
    let odd = toggles.chunk_by(|a, b| a == b).filter(|same| same.len() % 2 == 1);
    *toggles = odd.map(|same| same[0]).collect();
}

/// Shows each column of the picture whose middle an edge crosses, and the y at which it does so, on the fine grid: of
/// the two points to both sides of the middle, that of the upper one.
fn cross_columns(from: [i64; 2], to: [i64; 2], width: i64, mut cross: impl FnMut(i64, i64)) {
    let longer = usize::from((to[0] - from[0]).abs() < (to[1] - from[1]).abs());
    let [start, end] = if from[longer] > to[longer] {
        [to, from]
    } else {
        [from, to]
    };
    let steps = end[longer] - start[longer];
    let slope = (end[1 - longer] - start[1 - longer]) as f64 / steps as f64;
    // Where the edge is after so many steps along its longer side. As in C, towards zero.
    let across = |step: i64| (start[1 - longer] as f64 + slope * step as f64 + 0.5) as i64;
    let (low, high) = if longer == 0 {
        (start[0], end[0])
    } else {
        let ends = [across(0), across(steps)];
        (ends[0].min(ends[1]), ends[0].max(ends[1]))
    };
    // Columns with a step from their middle to the point on its right.
    let first = -(MIDDLE - low).div_euclid(FINE);
    let last = (high - 1 - MIDDLE).div_euclid(FINE);
    for column in first.max(0)..=last.min(width - 1) {
        let middle = FINE * column + MIDDLE;
        let y = if longer == 0 {
            let step = middle - start[0];
            across(step).min(across(step + 1))
        } else {
            let right = slope > 0.0;
            start[1] + first_step(steps, |step| (across(step) > middle) == right) - 1
        };
        cross(column, y);
    }
}

/// The first step from 1 to `steps` that has come as far, when the last one has.
fn first_step(steps: i64, has: impl Fn(i64) -> bool) -> i64 {
    let (mut before, mut after) = (0, steps);
    while after - before > 1 {
        let half = before.midpoint(after);
        if has(half) {
            after = half;
        } else {
            before = half;
        }
    }
    after
}
