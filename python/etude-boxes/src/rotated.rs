//! Metrics of rotated boxes.

use etude_boxes::rotated::{self, AngleConvention, ProbIou, Rectangle, RotatedIou};
use pyo3::prelude::*;

use crate::arrays::{self, Number, filled, losses, read};
use crate::choice::Angle;

/// Either metric.
#[derive(Debug, Clone, Copy)]
enum Kind {
    RotatedIou,
    ProbIou,
}

impl rotated::RotatedMetric for Kind {
    fn value(&self, p: &Rectangle, g: &Rectangle) -> f64 {
        match self {
            Self::RotatedIou => RotatedIou.value(p, g),
            Self::ProbIou => ProbIou.value(p, g),
        }
    }

    fn slopes(&self, p: &Rectangle, g: &Rectangle) -> (f64, [f64; 5]) {
        match self {
            Self::RotatedIou => RotatedIou.slopes(p, g),
            Self::ProbIou => ProbIou.slopes(p, g),
        }
    }
}

/// A metric of rotated boxes, and the loss 1 - metric. `rotated_iou` and `prob_iou` make them.
///
/// Boxes are arrays [n, 5]: cx, cy, w, h and an angle, of which `angle` says what it means: "mmcv" (radians, clockwise)
/// or "detectron2" (degrees, counter-clockwise).
#[pyclass(frozen, module = "etude_boxes")]
pub(crate) struct RotatedMetric(Kind);

#[pymethods]
impl RotatedMetric {
    /// The metric of every box of `a` [n, 5] with every box of `b` [m, 5]: [n, m].
    #[pyo3(signature = (a, b, *, angle = Angle(AngleConvention::MMCV)))]
    fn pairwise<'py>(&self, a: &Bound<'py, PyAny>, b: &Bound<'py, PyAny>, angle: Angle) -> PyResult<Bound<'py, PyAny>> {
        of_kind!(a, pairwise(self.0, a, b, angle))
    }

    /// The metric of the first box of `a` and the first of `b`, and so on: [n].
    #[pyo3(signature = (a, b, *, angle = Angle(AngleConvention::MMCV)))]
    fn elementwise<'py>(
        &self,
        a: &Bound<'py, PyAny>,
        b: &Bound<'py, PyAny>,
        angle: Angle,
    ) -> PyResult<Bound<'py, PyAny>> {
        of_kind!(a, elementwise(self.0, a, b, angle))
    }

    /// The losses [n] of predicted boxes and their targets, and their gradients [n, 5] by the numbers of the predicted
    /// boxes.
    #[pyo3(signature = (predicted, targets, *, angle = Angle(AngleConvention::MMCV)))]
    fn loss_and_gradient<'py>(
        &self,
        predicted: &Bound<'py, PyAny>,
        targets: &Bound<'py, PyAny>,
        angle: Angle,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        of_kind!(predicted, loss_and_gradient(self.0, predicted, targets, angle))
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// The exact IoU of rotated boxes.
#[pyfunction]
pub(crate) fn rotated_iou() -> RotatedMetric {
    RotatedMetric(Kind::RotatedIou)
}

/// ProbIoU = 1 - the Hellinger distance of two Gaussians (Llerena et al. 2021).
#[pyfunction]
pub(crate) fn prob_iou() -> RotatedMetric {
    RotatedMetric(Kind::ProbIou)
}

fn pairwise<'py, T: Number>(
    metric: Kind,
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    angle: Angle,
) -> PyResult<Bound<'py, PyAny>> {
    let py = a.py();
    let (a, b) = (read("a", a)?, read("b", b)?);
    let (a, b) = (arrays::rotated::<T>("a", &a, angle)?, arrays::rotated("b", &b, angle)?);
    filled(py, [a.len(), b.len()], |values| {
        rotated::pairwise(&metric, a, b, values)
    })
}

fn elementwise<'py, T: Number>(
    metric: Kind,
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    angle: Angle,
) -> PyResult<Bound<'py, PyAny>> {
    let py = a.py();
    let (a, b) = (read("a", a)?, read("b", b)?);
    let (a, b) = (arrays::rotated::<T>("a", &a, angle)?, arrays::rotated("b", &b, angle)?);
    filled(py, [a.len()], |values| rotated::elementwise(&metric, a, b, values))
}

fn loss_and_gradient<'py, T: Number>(
    metric: Kind,
    predicted: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    angle: Angle,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let py = predicted.py();
    let (p, g) = (read("predicted", predicted)?, read("targets", targets)?);
    let p = arrays::rotated::<T>("predicted", &p, angle)?;
    let g = arrays::rotated("targets", &g, angle)?;
    losses(py, p.len(), |losses, gradients| {
        rotated::loss_and_gradient(&metric, p, g, losses, gradients)
    })
}
