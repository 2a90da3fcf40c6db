//! What the numbers of a box mean, by name.

use clap::ValueEnum;
use etude_boxes::Format;
use etude_boxes::rotated::AngleConvention;

/// What the first numbers of a row mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Layout {
    /// Two corners
    Xyxy,
    /// Two corners as the first and the last pixel inside (the "+1" of older code)
    XyxyInclusive,
    /// The first corner, width and height
    Xywh,
    /// The centre, width and height
    Cxcywh,
    /// Rotated boxes: the centre, width, height and angle
    Cxcywha,
}

/// What the angle of a rotated box means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Angle {
    /// Radians, clockwise
    Mmcv,
    /// Degrees, counter-clockwise
    Detectron2,
}

impl Layout {
    /// The format of upright boxes; none for rotated ones.
    pub(super) fn upright(self) -> Option<Format> {
        match self {
            Self::Xyxy => Some(Format::Xyxy),
            Self::XyxyInclusive => Some(Format::XyxyInclusive),
            Self::Xywh => Some(Format::Xywh),
            Self::Cxcywh => Some(Format::Cxcywh),
            Self::Cxcywha => None,
        }
    }

    /// The names of the numbers.
    pub(super) fn columns(self) -> &'static str {
        match self {
            Self::Xyxy | Self::XyxyInclusive => "x1 y1 x2 y2",
            Self::Xywh => "x1 y1 w h",
            Self::Cxcywh => "cx cy w h",
            Self::Cxcywha => "cx cy w h angle",
        }
    }
}

impl Angle {
    pub(super) fn convention(self) -> AngleConvention {
        match self {
            Self::Mmcv => AngleConvention::MMCV,
            Self::Detectron2 => AngleConvention::DETECTRON2,
        }
    }
}
