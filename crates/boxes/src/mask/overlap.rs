//! Two masks of the same picture.

use std::slice::Iter;

use rayon::prelude::*;

use super::Mask;
use super::runs::Runs;
use crate::BoxError;
use crate::error::check_length;

/// Writes the IoU of every detection with every target: `values` is [detections, targets], row by row. Of a target that
/// is a crowd, any part is as good as the whole: with it, there is [`Mask::part_within`] instead.
///
/// ```
/// use etude_boxes::mask::{Mask, pairwise};
///
/// let detections = [Mask::from_counts(&[0, 2, 4], [2, 3])?];
/// let targets = [Mask::from_counts(&[1, 4, 1], [2, 3])?, Mask::from_counts(&[0, 6], [2, 3])?];
/// let mut values = [0.0; 2];
/// pairwise(&detections, &targets, &[false, true], &mut values)?;
/// assert_eq!(values, [0.2, 1.0]);
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
///
/// # Errors
/// Masks are of pictures of different sizes, or there is not a flag for each target, or room for one value a pair.
pub fn pairwise(detections: &[Mask], targets: &[Mask], crowd: &[bool], values: &mut [f64]) -> Result<(), BoxError> {
    check_length("crowd flags", crowd.len(), targets.len())?;
    check_length("room for values", values.len(), detections.len() * targets.len())?;
    if let Some(first) = detections.first() {
        detections
            .iter()
            .chain(targets)
            .try_for_each(|mask| mask.check_size(first))?;
    }
    let columns: Vec<_> = targets.iter().map(|mask| (mask, mask.bounding_box())).collect();
    let rows = values.par_chunks_mut(targets.len().max(1)).zip(detections);
    rows.for_each(|(values, detection)| {
        let own = detection.bounding_box();
        for ((value, &crowd), (target, other)) in values.iter_mut().zip(crowd).zip(&columns) {
            *value = match (meet(own, *other), crowd) {
                (false, _) => 0.0,
                (true, false) => detection.iou_of(target),
                (true, true) => detection.part_of(target),
            };
        }
    });
    Ok(())
}

/// Whether two boxes x, y, width and height have a pixel in common.
fn meet(a: [u32; 4], b: [u32; 4]) -> bool {
    (0..2).all(|axis| a[axis] < b[axis] + b[axis + 2] && b[axis] < a[axis] + a[axis + 2])
}

impl Mask {
    /// The area of the intersection over that of the union; zero for two masks without pixels.
    ///
    /// # Errors
    /// The masks are of pictures of different sizes.
    pub fn iou(&self, other: &Self) -> Result<f64, BoxError> {
        self.check_size(other)?;
        Ok(self.iou_of(other))
    }

    /// The area of the intersection over that of this mask: what COCO's evaluation has for the IoU with a crowd.
    ///
    /// # Errors
    /// The masks are of pictures of different sizes.
    pub fn part_within(&self, crowd: &Self) -> Result<f64, BoxError> {
        self.check_size(crowd)?;
        Ok(self.part_of(crowd))
    }

    /// The pixels of either.
    ///
    /// ```
    /// use etude_boxes::mask::Mask;
    ///
    /// let (a, b) = (Mask::from_counts(&[0, 2, 4], [2, 3])?, Mask::from_counts(&[1, 4, 1], [2, 3])?);
    /// assert_eq!(a.union(&b)?.counts(), [0, 5, 1]);
    /// assert_eq!(a.intersection(&b)?.counts(), [1, 1, 4]);
    /// # Ok::<(), etude_boxes::BoxError>(())
    /// ```
    ///
    /// # Errors
    /// The masks are of pictures of different sizes.
    pub fn union(&self, other: &Self) -> Result<Self, BoxError> {
        self.merge(other, |a, b| a || b)
    }

    /// The pixels of both.
    ///
    /// # Errors
    /// The masks are of pictures of different sizes.
    pub fn intersection(&self, other: &Self) -> Result<Self, BoxError> {
        self.merge(other, |a, b| a && b)
    }

    fn merge(&self, other: &Self, belongs: impl Fn(bool, bool) -> bool) -> Result<Self, BoxError> {
        self.check_size(other)?;
        let mut runs = Runs::new(self.size())?;
        self.walk(other, |length, a, b| runs.push(belongs(a, b), length));
        Ok(runs.finish())
    }

    fn iou_of(&self, other: &Self) -> f64 {
        let inter = self.intersection_area(other);
        // As long as there is a common pixel, the union has one.
        let union = self.area() + (other.area() - inter);
        f64::from(inter) / f64::from(union.max(1))
    }

    fn part_of(&self, crowd: &Self) -> f64 {
        f64::from(self.intersection_area(crowd)) / f64::from(self.area().max(1))
    }

    fn intersection_area(&self, other: &Self) -> u32 {
        let mut area = 0;
        self.walk(other, |length, a, b| area += if a && b { length } else { 0 });
        area
    }

    /// Shows the pixels of both, so many at a time, and whether they belong to the one and to the other.
    fn walk(&self, other: &Self, mut visit: impl FnMut(u32, bool, bool)) {
        let (mut a, mut b) = (Cursor::new(self), Cursor::new(other));
        while a.has_pixels() && b.has_pixels() {
            let length = a.left.min(b.left);
            visit(length, a.object, b.object);
            a.left -= length;
            b.left -= length;
        }
    }

    fn check_size(&self, other: &Self) -> Result<(), BoxError> {
        let (found, expected) = (self.size(), other.size());
        if found == expected {
            Ok(())
        } else {
            Err(BoxError::MaskSizes { found, expected })
        }
    }
}

/// A place in a mask.
struct Cursor<'a> {
    runs: Iter<'a, u32>,
    /// What is left of the present run, and whether it belongs to the object.
    left: u32,
    object: bool,
}

impl<'a> Cursor<'a> {
    fn new(mask: &'a Mask) -> Self {
        // Before the first run, which is background.
        Self {
            runs: mask.counts.iter(),
            left: 0,
            object: true,
        }
    }

    /// Goes on to the next run where this one is over. False at the end.
    fn has_pixels(&mut self) -> bool {
        while self.left == 0 {
            let Some(&run) = self.runs.next() else {
                return false;
            };
            (self.left, self.object) = (run, !self.object);
        }
        true
    }
}
