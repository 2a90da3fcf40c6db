//! Boxes as columns of corners, a fixed number at a time.

use super::{Corners, Metric};
use crate::boxes::within_limits;
use crate::{Boxes, Float};

/// Boxes in a block: a few vector registers of each column.
pub(crate) const LANES: usize = 64;

/// The corners of up to [`LANES`] boxes, column by column. Where a box does not hold, there is one of no size.
#[derive(Debug, Clone)]
pub(crate) struct Block<T> {
    x1: [T; LANES],
    y1: [T; LANES],
    x2: [T; LANES],
    y2: [T; LANES],
    angle: [T; LANES],
    /// Whether the corners are numbers to reckon with.
    pub(crate) holds: [bool; LANES],
    /// Whether those of all boxes are.
    pub(crate) all_hold: bool,
}

impl<T: Float> Default for Block<T> {
    fn default() -> Self {
        let zeros = [T::zero(); LANES];
        Self {
            x1: zeros,
            y1: zeros,
            x2: zeros,
            y2: zeros,
            angle: zeros,
            holds: [true; LANES],
            all_hold: true,
        }
    }
}

impl<T: Float> Block<T> {
    /// Takes up `count` boxes from `first` on. The rest of the block keeps what it has.
    #[inline(always)]
    pub(crate) fn load(&mut self, angles: bool, boxes: Boxes<'_, T>, first: usize, count: usize) {
        self.all_hold = true;
        for lane in 0..count {
            let corners = boxes.corners(first + lane);
            let holds = within_limits(corners);
            let corners = Corners::new(if holds { corners } else { [T::zero(); 4] });
            let corners = if angles { corners.with_angle() } else { corners };
            self.x1[lane] = corners.x1;
            self.y1[lane] = corners.y1;
            self.x2[lane] = corners.x2;
            self.y2[lane] = corners.y2;
            self.angle[lane] = corners.angle;
            self.holds[lane] = holds;
            self.all_hold &= holds;
        }
    }

    /// One of the boxes.
    #[inline(always)]
    pub(crate) fn corners(&self, lane: usize) -> Corners<T> {
        Corners {
            x1: self.x1[lane],
            y1: self.y1[lane],
            x2: self.x2[lane],
            y2: self.y2[lane],
            angle: self.angle[lane],
        }
    }
}

/// All boxes in blocks.
pub(crate) fn blocks<T: Float, M: Metric<T>>(_metric: &M, boxes: Boxes<'_, T>) -> Vec<Block<T>> {
    let mut blocks = vec![Block::default(); boxes.len().div_ceil(LANES)];
    for (index, block) in blocks.iter_mut().enumerate() {
        let first = index * LANES;
        block.load(M::ANGLES, boxes, first, LANES.min(boxes.len() - first));
    }
    blocks
}
