//! How four numbers say where a box is.

use crate::Float;

/// What the four numbers of a box mean. The first axis points right and the second down, as in pictures.
///
#[doc = include_str!("../../docs/format.svg")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Two corners: x1, y1, x2, y2 (torchvision, Pascal VOC's order, most code). The box is x2 - x1 wide.
    #[default]
    Xyxy,
    /// Two corners as the first and the last pixel inside, so that the box is x2 - x1 + 1 wide: the "+1" convention of
    /// Pascal VOC's evaluation, Fast R-CNN, and NMS with `offset=1` in mmcv.
    XyxyInclusive,
    /// The first corner and the size: x1, y1, w, h (COCO).
    Xywh,
    /// The centre and the size: cx, cy, w, h (YOLO, DETR).
    Cxcywh,
}

impl Format {
    /// The corners x1, y1, x2, y2 of a box in this format.
    ///
    /// ```
    /// use etude_boxes::Format;
    ///
    /// assert_eq!(Format::Cxcywh.to_corners([5.0, 5.0, 4.0, 2.0]), [3.0, 4.0, 7.0, 6.0]);
    /// assert_eq!(Format::XyxyInclusive.to_corners([0.0, 0.0, 9.0, 9.0]), [0.0, 0.0, 10.0, 10.0]);
    /// ```
    #[inline(always)]
    pub fn to_corners<T: Float>(self, [a, b, c, d]: [T; 4]) -> [T; 4] {
        let half = T::of(0.5);
        match self {
            Self::Xyxy => [a, b, c, d],
            Self::XyxyInclusive => [a, b, c + T::one(), d + T::one()],
            Self::Xywh => [a, b, a + c, b + d],
            Self::Cxcywh => [a - c * half, b - d * half, a + c * half, b + d * half],
        }
    }

    /// A box with these corners, in this format.
    ///
    /// ```
    /// use etude_boxes::Format;
    ///
    /// assert_eq!(Format::Xywh.of_corners([3.0, 4.0, 7.0, 6.0]), [3.0, 4.0, 4.0, 2.0]);
    /// ```
    #[inline(always)]
    pub fn of_corners<T: Float>(self, [x1, y1, x2, y2]: [T; 4]) -> [T; 4] {
        let half = T::of(0.5);
        match self {
            Self::Xyxy => [x1, y1, x2, y2],
            Self::XyxyInclusive => [x1, y1, x2 - T::one(), y2 - T::one()],
            Self::Xywh => [x1, y1, x2 - x1, y2 - y1],
            Self::Cxcywh => [(x1 + x2) * half, (y1 + y2) * half, x2 - x1, y2 - y1],
        }
    }

    /// The gradient by the numbers of a box in this format, from the gradient by its corners: the chain rule through
    /// [`to_corners`](Self::to_corners).
    ///
    /// ```
    /// use etude_boxes::Format;
    ///
    /// // Moving the centre moves both corners; widening moves them apart, each by half.
    /// assert_eq!(Format::Cxcywh.pull_back([1.0, 0.0, 3.0, 0.0]), [4.0, 0.0, 1.0, 0.0]);
    /// ```
    #[inline(always)]
    pub fn pull_back<T: Float>(self, [x1, y1, x2, y2]: [T; 4]) -> [T; 4] {
        let half = T::of(0.5);
        match self {
            Self::Xyxy | Self::XyxyInclusive => [x1, y1, x2, y2],
            Self::Xywh => [x1 + x2, y1 + y2, x2, y2],
            Self::Cxcywh => [x1 + x2, y1 + y2, (x2 - x1) * half, (y2 - y1) * half],
        }
    }
}
