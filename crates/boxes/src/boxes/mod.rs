//! Views of boxes that lie in somebody's memory, and what can be done with boxes one by one.

mod format;
mod transform;

pub use format::Format;
pub(crate) use transform::within_limits;
pub use transform::{Validity, area, clip, convert, scale, validity};

use crate::layout::Layout;
use crate::{BoxError, Float};

/// Boxes that lie somewhere in memory, and what their numbers mean. Nothing is copied.
///
/// ```
/// use etude_boxes::{Boxes, Format};
///
/// // Box by box, as in an array [n, 4] ...
/// let rows = Boxes::rows(&[[0.0, 0.0, 4.0, 2.0], [1.0, 1.0, 2.0, 2.0]], Format::Xywh);
/// // ... the same as one flat slice ...
/// let flat = Boxes::flat(&[0.0, 0.0, 4.0, 2.0, 1.0, 1.0, 2.0, 2.0], Format::Xywh)?;
/// // ... and column by column.
/// let columns = Boxes::columns([&[0.0, 1.0], &[0.0, 1.0], &[4.0, 2.0], &[2.0, 2.0]], Format::Xywh)?;
/// for boxes in [rows, flat, columns] {
///     assert_eq!(boxes.len(), 2);
///     assert_eq!(boxes.corners(1), [1.0, 1.0, 3.0, 3.0]);
/// }
/// # Ok::<(), etude_boxes::BoxError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Boxes<'a, T> {
    layout: Layout<'a, T, 4>,
    format: Format,
}

impl<'a, T: Float> Boxes<'a, T> {
    /// Boxes one after the other, four numbers each.
    pub fn rows(rows: &'a [[T; 4]], format: Format) -> Self {
        let layout = Layout::Rows(rows);
        Self { layout, format }
    }

    /// Boxes one after the other in a flat array.
    ///
    /// # Errors
    /// The length is no multiple of four.
    pub fn flat(numbers: &'a [T], format: Format) -> Result<Self, BoxError> {
        let layout = Layout::flat(numbers)?;
        Ok(Self { layout, format })
    }

    /// One array for each of the four numbers.
    ///
    /// # Errors
    /// The columns have different lengths.
    pub fn columns(columns: [&'a [T]; 4], format: Format) -> Result<Self, BoxError> {
        let layout = Layout::columns(columns)?;
        Ok(Self { layout, format })
    }

    /// How many boxes there are.
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What their numbers mean.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The numbers of one box, as they lie in memory.
    ///
    /// # Panics
    /// There are not so many boxes.
    #[inline]
    pub fn get(&self, index: usize) -> [T; 4] {
        self.layout.get(index)
    }

    /// The corners x1, y1, x2, y2 of one box.
    ///
    /// # Panics
    /// There are not so many boxes.
    #[inline]
    pub fn corners(&self, index: usize) -> [T; 4] {
        self.format.to_corners(self.get(index))
    }

    /// The corners of all boxes, one by one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = [T; 4]> {
        (0..self.len()).map(|index| self.corners(index))
    }
}
