//! Boxes one by one: formats, clipping, scaling, area, validity.

use super::{Boxes, Format};
use crate::error::check_length;
use crate::{BoxError, Float};

/// What kind of box four numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It has a positive width and height.
    Proper,
    /// It has no area: its width or height is zero and the other one is not negative.
    Empty,
    /// Its second corner lies before the first in x or in y. It has no area either, and meets no other box.
    Inverted,
    /// A corner is infinite, no number, or beyond [`Float::LIMIT`].
    NotFinite,
}

impl Validity {
    /// The kind of a box with these corners.
    ///
    /// ```
    /// use etude_boxes::Validity;
    ///
    /// assert_eq!(Validity::of([0.0, 0.0, 0.0, 5.0]), Validity::Empty);
    /// assert_eq!(Validity::of([3.0, 0.0, 0.0, 5.0]), Validity::Inverted);
    /// assert_eq!(Validity::of([3.0, f32::NAN, 5.0, 5.0]), Validity::NotFinite);
    /// ```
    pub fn of<T: Float>(corners: [T; 4]) -> Self {
        let [x1, y1, x2, y2] = corners;
        if !within_limits(corners) {
            Self::NotFinite
        } else if x2 < x1 || y2 < y1 {
            Self::Inverted
        } else if x2 == x1 || y2 == y1 {
            Self::Empty
        } else {
            Self::Proper
        }
    }
}

/// Whether all corners are numbers to reckon with.
#[inline(always)]
pub(crate) fn within_limits<T: Float>(corners: [T; 4]) -> bool {
    corners.iter().all(|corner| corner.abs() <= T::LIMIT)
}

/// The area w h of a box with these corners; zero for one that is [empty, inverted or not finite](Validity).
#[inline(always)]
pub(crate) fn area_of<T: Float>([x1, y1, x2, y2]: [T; 4]) -> T {
    let area = (x2 - x1).positive_part() * (y2 - y1).positive_part();
    if within_limits([x1, y1, x2, y2]) {
        area
    } else {
        T::zero()
    }
}

/// Writes `of` each box to `out`.
fn write<T: Float, U>(boxes: Boxes<'_, T>, out: &mut [U], of: impl Fn([T; 4]) -> U) -> Result<(), BoxError> {
    check_length("room for the result", out.len(), boxes.len())?;
    out.iter_mut()
        .zip(boxes.iter())
        .for_each(|(out, corners)| *out = of(corners));
    Ok(())
}

/// Writes the boxes in another format.
///
/// ```
/// use etude_boxes::{Boxes, Format, convert};
///
/// let mut out = [[0.0; 4]];
/// convert(Boxes::rows(&[[5.0, 5.0, 4.0, 2.0]], Format::Cxcywh), Format::Xyxy, &mut out)?;
/// assert_eq!(out, [[3.0, 4.0, 7.0, 6.0]]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There is not room for just so many boxes.
pub fn convert<T: Float>(boxes: Boxes<'_, T>, format: Format, out: &mut [[T; 4]]) -> Result<(), BoxError> {
    write(boxes, out, |corners| format.of_corners(corners))
}

/// Writes the part of each box that lies inside of a picture [0, width] x [0, height], in the format of the boxes. A
/// box outside becomes an empty one at the nearest edge. What is no number stays so.
///
/// ```
/// use etude_boxes::{Boxes, Format, clip};
///
/// let mut out = [[0.0; 4]; 2];
/// let boxes = [[-5.0, 10.0, 30.0, 70.0], [200.0, 10.0, 220.0, 20.0]];
/// clip(Boxes::rows(&boxes, Format::Xyxy), [100.0, 50.0], &mut out)?;
/// assert_eq!(out, [[0.0, 10.0, 30.0, 50.0], [100.0, 10.0, 100.0, 20.0]]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There is not room for just so many boxes.
pub fn clip<T: Float>(boxes: Boxes<'_, T>, [width, height]: [T; 2], out: &mut [[T; 4]]) -> Result<(), BoxError> {
    // Written so that the comparisons fail, and keep the number, where there is none.
    let within = |x: T, most: T| {
        let x = if x < T::zero() { T::zero() } else { x };
        if x > most { most } else { x }
    };
    write(boxes, out, |[x1, y1, x2, y2]| {
        let clipped = [
            within(x1, width),
            within(y1, height),
            within(x2, width),
            within(y2, height),
        ];
        boxes.format().of_corners(clipped)
    })
}

/// Writes each box with x times `factors[0]` and y times `factors[1]`, in the format of the boxes: from a resized
/// picture back to the first one, or from the unit square to pixels.
///
/// ```
/// use etude_boxes::{Boxes, Format, scale};
///
/// let mut out = [[0.0; 4]];
/// scale(Boxes::rows(&[[0.5, 0.5, 0.25, 0.5]], Format::Cxcywh), [640.0, 480.0], &mut out)?;
/// assert_eq!(out, [[320.0, 240.0, 160.0, 240.0]]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There is not room for just so many boxes.
pub fn scale<T: Float>(boxes: Boxes<'_, T>, factors: [T; 2], out: &mut [[T; 4]]) -> Result<(), BoxError> {
    let [x, y] = factors;
    write(boxes, out, |[x1, y1, x2, y2]| {
        boxes.format().of_corners([x1 * x, y1 * y, x2 * x, y2 * y])
    })
}

/// Writes the area w h of each box; zero for one that is [empty, inverted or not finite](Validity).
///
/// ```
/// use etude_boxes::{Boxes, Format, area};
///
/// let mut out = [0.0; 3];
/// area(Boxes::rows(&[[0.0, 0.0, 4.0, 2.0], [1.0, 1.0, 0.0, 0.0], [f64::NAN; 4]], Format::Xyxy), &mut out)?;
/// assert_eq!(out, [8.0, 0.0, 0.0]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There is not room for just so many areas.
pub fn area<T: Float>(boxes: Boxes<'_, T>, out: &mut [T]) -> Result<(), BoxError> {
    write(boxes, out, area_of)
}

/// Writes what kind of box each one is.
///
/// ```
/// use etude_boxes::{Boxes, Format, Validity, validity};
///
/// let mut out = [Validity::Empty; 2];
/// validity(Boxes::rows(&[[0.0, 0.0, 4.0, 2.0], [0.0, 0.0, 4.0, -2.0]], Format::Xywh), &mut out)?;
/// assert_eq!(out, [Validity::Proper, Validity::Inverted]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// There is not room for just so many kinds.
pub fn validity<T: Float>(boxes: Boxes<'_, T>, out: &mut [Validity]) -> Result<(), BoxError> {
    write(boxes, out, Validity::of)
}
