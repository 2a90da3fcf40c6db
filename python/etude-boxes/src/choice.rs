//! Settings that are chosen by name.

use etude_boxes::Format;
use etude_boxes::iou::{Alpha, AlphaPenalty, Exponent};
use etude_boxes::nms::Confidence;
use etude_boxes::rotated::AngleConvention;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A type that is read from a name, which is one of a list.
macro_rules! choice {
    ($(#[$doc:meta])* $type:ident($inner:ty), $setting:literal: $($name:literal => $value:expr),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $type(pub(crate) $inner);

        impl<'a, 'py> FromPyObject<'a, 'py> for $type {
            type Error = PyErr;

            fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
                let found: String = object.extract()?;
                match &*found {
                    $($name => Ok(Self($value)),)+
                    _ => Err(PyValueError::new_err(format!(
                        "{}: found {found:?}, expected one of {}",
                        $setting,
                        [$($name),+].join(", "),
                    ))),
                }
            }
        }
    };
}

choice! {
    /// What the numbers of a box mean.
    Corners(Format), "format":
    "xyxy" => Format::Xyxy,
    "xyxy-inclusive" => Format::XyxyInclusive,
    "xywh" => Format::Xywh,
    "cxcywh" => Format::Cxcywh,
}

choice! {
    /// What the angle of a rotated box means.
    Angle(AngleConvention), "angle":
    "mmcv" => AngleConvention::MMCV,
    "detectron2" => AngleConvention::DETECTRON2,
}

choice! {
    /// CIoU's weight.
    AlphaChoice(Alpha), "alpha":
    "constant" => Alpha::Constant,
    "differentiated" => Alpha::Differentiated,
    "above-half" => Alpha::AboveHalf,
}

choice! {
    /// Alpha-IoU's penalty.
    Penalty(AlphaPenalty), "penalty":
    "none" => AlphaPenalty::None,
    "giou" => AlphaPenalty::Giou,
    "diou" => AlphaPenalty::Diou,
    "ciou" => AlphaPenalty::Ciou,
}

choice! {
    /// The sign of SIoU's exponent.
    ExponentChoice(Exponent), "exponent":
    "negative" => Exponent::Negative,
    "positive" => Exponent::Positive,
}

choice! {
    /// The score of a fused box.
    ConfidenceChoice(Confidence), "confidence":
    "average" => Confidence::Average,
    "average-with-overflow" => Confidence::AverageWithOverflow,
    "max" => Confidence::Max,
    "box-and-model-average" => Confidence::BoxAndModelAverage,
    "absent-model-aware-average" => Confidence::AbsentModelAwareAverage,
}
