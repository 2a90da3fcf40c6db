//! Views of rotated boxes.

use super::rectangle::Rectangle;
use crate::layout::Layout;
use crate::{BoxError, Float};

/// In what angles are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AngleUnit {
    /// A whole turn is 2 pi.
    #[default]
    Radians,
    /// A whole turn is 360.
    Degrees,
}

/// Which way a positive angle turns, as one sees it in a picture, where y points down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// From x to y.
    #[default]
    Clockwise,
    /// From x away from y.
    CounterClockwise,
}

/// What the angle of a rotated box means. The default is that of mmcv and mmrotate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AngleConvention {
    /// In what it is given.
    pub unit: AngleUnit,
    /// Which way it turns.
    pub direction: Direction,
}

impl AngleConvention {
    /// Degrees, counter-clockwise: detectron2.
    pub const DETECTRON2: Self = Self {
        unit: AngleUnit::Degrees,
        direction: Direction::CounterClockwise,
    };

    /// Radians, clockwise: mmcv and mmrotate.
    pub const MMCV: Self = Self {
        unit: AngleUnit::Radians,
        direction: Direction::Clockwise,
    };

    /// How many radians clockwise a unit of the angle is.
    ///
    /// ```
    /// use etude_boxes::rotated::AngleConvention;
    ///
    /// assert!((AngleConvention::DETECTRON2.scale() * 180.0 + std::f64::consts::PI).abs() < 1e-15);
    /// ```
    pub fn scale(self) -> f64 {
        let radians = match self.unit {
            AngleUnit::Radians => 1.0,
            AngleUnit::Degrees => 1_f64.to_radians(),
        };
        match self.direction {
            Direction::Clockwise => radians,
            Direction::CounterClockwise => -radians,
        }
    }
}

/// Rotated boxes that lie somewhere in memory: cx, cy, w, h and an angle each. Nothing is copied.
///
/// ```
/// use etude_boxes::rotated::{AngleConvention, RotatedBoxes};
///
/// let boxes = [[5.0, 5.0, 4.0, 2.0, 90.0]];
/// let boxes = RotatedBoxes::rows(&boxes, AngleConvention::DETECTRON2);
/// let upright = boxes.rectangle(0).bounding_box();
/// assert!(upright.iter().zip([4.0, 3.0, 6.0, 7.0]).all(|(a, b)| (a - b).abs() < 1e-12));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RotatedBoxes<'a, T> {
    layout: Layout<'a, T, 5>,
    convention: AngleConvention,
}

impl<'a, T: Float> RotatedBoxes<'a, T> {
    /// Boxes one after the other, five numbers each.
    pub fn rows(rows: &'a [[T; 5]], convention: AngleConvention) -> Self {
        let layout = Layout::Rows(rows);
        Self { layout, convention }
    }

    /// Boxes one after the other in a flat array.
    ///
    /// # Errors
    /// The length is no multiple of five.
    pub fn flat(numbers: &'a [T], convention: AngleConvention) -> Result<Self, BoxError> {
        let layout = Layout::flat(numbers)?;
        Ok(Self { layout, convention })
    }

    /// One array for each of the five numbers.
    ///
    /// # Errors
    /// The columns have different lengths.
    pub fn columns(columns: [&'a [T]; 5], convention: AngleConvention) -> Result<Self, BoxError> {
        let layout = Layout::columns(columns)?;
        Ok(Self { layout, convention })
    }

    /// How many boxes there are.
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What their angles mean.
    pub fn convention(&self) -> AngleConvention {
        self.convention
    }

    /// The numbers of one box, as they lie in memory.
    ///
    /// # Panics
    /// There are not so many boxes.
    pub fn get(&self, index: usize) -> [T; 5] {
        self.layout.get(index)
    }

    /// One box as a rectangle.
    ///
    /// # Panics
    /// There are not so many boxes.
    pub fn rectangle(&self, index: usize) -> Rectangle {
        Rectangle::new(self.get(index), self.convention)
    }
}
