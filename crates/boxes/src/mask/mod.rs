//! Masks, run by run: which pixels of a picture belong to an object.
//!
//! | what | where |
//! |---|---|
//! | [`Mask::encode`], [`Mask::decode`], [`Mask::area`], [`Mask::bounding_box`] | `mod.rs` |
//! | [`Mask::from_compressed`], [`Mask::to_compressed`]: COCO's strings | `compressed.rs` |
//! | [`Mask::from_polygons`] | `polygon.rs` |
//! | [`pairwise`], [`Mask::iou`], [`Mask::part_within`], [`Mask::union`], [`Mask::intersection`] | `overlap.rs` |
//!
//! All are equal to pycocotools, where that has an answer. What is no mask, such as runs that do not fill their
//! picture, is an error. However large a picture, a mask of it takes memory for its runs only, and [`Mask::decode`]
//! writes into memory that the caller has.

mod compressed;
mod overlap;
mod polygon;
mod runs;

pub use overlap::pairwise;
use runs::Runs;

use crate::BoxError;
use crate::error::check_length;

/// A mask of a picture as COCO has it (Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014): the lengths
/// of its runs, down the first column, then the second. The first run is background, then they take turns.
///
/// No run but the first is empty, so that equal masks are equal.
///
/// ```
/// use etude_boxes::mask::Mask;
///
/// let pixels = [false, true, true, false, true, true]; // two rows of three
/// let mask = Mask::encode(&pixels, [2, 3])?;
/// assert_eq!(mask.counts(), [2, 4]);
/// assert_eq!(mask.area(), 4);
/// assert_eq!(mask.bounding_box(), [1, 0, 2, 2]);
/// assert_eq!(mask.to_compressed(), "24");
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mask {
    height: u32,
    width: u32,
    counts: Vec<u32>,
}

impl Mask {
    /// Of pixels row by row, in a picture of this height and width.
    ///
    /// # Errors
    /// There are not height x width pixels, or more than 2^32 - 1.
    pub fn encode(pixels: &[bool], size: [usize; 2]) -> Result<Self, BoxError> {
        let [height, width] = size;
        check_length("pixels", pixels.len(), height.saturating_mul(width))?;
        let mut runs = Runs::new(size)?;
        // Where rows are of no height, there are no columns either.
        for column in 0..width.min(pixels.len()) {
            for pixel in pixels[column..].iter().step_by(width) {
                runs.push(*pixel, 1);
            }
        }
        Ok(runs.finish())
    }

    /// Of the lengths of its runs, the first of background, in a picture of this height and width.
    ///
    /// # Errors
    /// The runs have not height x width pixels, or these are more than 2^32 - 1.
    ///
    /// ```
    /// use etude_boxes::mask::Mask;
    ///
    /// assert_eq!(Mask::from_counts(&[2, 1, 0, 3], [2, 3])?.counts(), [2, 4]);
    /// let error = Mask::from_counts(&[2, 5], [2, 3]).unwrap_err();
    /// assert_eq!(error.to_string(), "runs of a mask: found 7 pixels, expected 2 x 3 = 6");
    /// # Ok::<(), etude_boxes::BoxError>(())
    /// ```
    pub fn from_counts(counts: &[u32], size: [usize; 2]) -> Result<Self, BoxError> {
        let mut runs = Runs::new(size)?;
        let found = counts.iter().map(|&count| u64::from(count)).sum();
        runs.check(found)?;
        for (index, &count) in counts.iter().enumerate() {
            runs.push(index % 2 == 1, count);
        }
        Ok(runs.finish())
    }

    /// Height and width of the picture.
    pub fn size(&self) -> [usize; 2] {
        [self.height as usize, self.width as usize]
    }

    /// The lengths of its runs.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Writes its pixels row by row.
    ///
    /// ```
    /// use etude_boxes::mask::Mask;
    ///
    /// let mut pixels = [false; 6];
    /// Mask::from_counts(&[2, 4], [2, 3])?.decode(&mut pixels)?;
    /// assert_eq!(pixels, [false, true, true, false, true, true]);
    /// # Ok::<(), etude_boxes::BoxError>(())
    /// ```
    ///
    /// # Errors
    /// There is not room for height x width pixels.
    pub fn decode(&self, pixels: &mut [bool]) -> Result<(), BoxError> {
        let [height, width] = self.size();
        check_length("room for pixels", pixels.len(), height * width)?;
        pixels.fill(false);
        for [start, end] in self.spans() {
            let (mut row, mut column) = (start as usize % height, start as usize / height);
            for _ in start..end {
                pixels[row * width + column] = true;
                row += 1;
                if row == height {
                    (row, column) = (0, column + 1);
                }
            }
        }
        Ok(())
    }

    /// How many pixels belong to the object.
    pub fn area(&self) -> u32 {
        self.counts.iter().skip(1).step_by(2).sum()
    }

    /// x, y, width and height of the smallest box around its pixels, all zero where there is none.
    pub fn bounding_box(&self) -> [u32; 4] {
        let height = self.height;
        let [mut left, mut top, mut right, mut bottom] = [self.width, height, 0, 0];
        for [start, end] in self.spans() {
            let (first, last) = (start / height, (end - 1) / height);
            let [upper, lower] = if first == last {
                [start % height, (end - 1) % height + 1]
            } else {
                [0, height]
            };
            (left, right) = (left.min(first), right.max(last + 1));
            (top, bottom) = (top.min(upper), bottom.max(lower));
        }
        if right == 0 {
            return [0; 4];
        }
        [left, top, right - left, bottom - top]
    }

    /// The first pixel of each run of the object, and the one after its last.
    fn spans(&self) -> impl Iterator<Item = [u32; 2]> {
        let mut at = 0;
        self.counts.chunks(2).filter_map(move |counts| {
            let start = at + counts[0];
            at = start + counts.get(1)?;
            Some([start, at])
        })
    }
}
