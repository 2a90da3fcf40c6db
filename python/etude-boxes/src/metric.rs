//! The IoU family.

use std::fmt::Debug;

use etude_boxes::iou as family;
use etude_boxes::iou::{
    Alpha, AlphaIou, BoundedIou, Ciou, Diou, DynMetric, Eiou, FocalEiou, Giou, Inner, InnerIou, Iou, Mpdiou, ShapeIou,
    Siou, Weight, Wiou, WiouFocus,
};
use pyo3::prelude::*;

use crate::arrays::{self, Number, filled, losses, read};
use crate::choice::{AlphaChoice, Corners, ExponentChoice, Penalty};

/// Any metric, for both kinds of numbers.
trait Family: DynMetric<f32> + DynMetric<f64> + Debug {}

impl<M: family::Metric<f32> + family::Metric<f64> + Debug> Family for M {}

/// A member of the IoU family, and the loss 1 - metric. Functions such as `ciou` make them.
#[pyclass(frozen, module = "etude_boxes")]
pub(crate) struct Metric(Box<dyn Family>);

impl Metric {
    fn new(metric: impl Family + 'static) -> Self {
        Self(Box::new(metric))
    }
}

#[pymethods]
impl Metric {
    /// The metric of every box of `a` [n, 4] with every box of `b` [m, 4]: [n, m].
    #[pyo3(signature = (a, b, *, format = Corners(etude_boxes::Format::Xyxy)))]
    fn pairwise<'py>(
        &self,
        a: &Bound<'py, PyAny>,
        b: &Bound<'py, PyAny>,
        format: Corners,
    ) -> PyResult<Bound<'py, PyAny>> {
        of_kind!(a, pairwise(&*self.0, a, b, format))
    }

    /// The metric of the first box of `a` and the first of `b`, and so on: [n].
    #[pyo3(signature = (a, b, *, format = Corners(etude_boxes::Format::Xyxy)))]
    fn elementwise<'py>(
        &self,
        a: &Bound<'py, PyAny>,
        b: &Bound<'py, PyAny>,
        format: Corners,
    ) -> PyResult<Bound<'py, PyAny>> {
        of_kind!(a, elementwise(&*self.0, a, b, format))
    }

    /// The losses [n] of predicted boxes and their targets, and their gradients [n, 4] by the numbers of the predicted
    /// boxes.
    #[pyo3(signature = (predicted, targets, *, format = Corners(etude_boxes::Format::Xyxy)))]
    fn loss_and_gradient<'py>(
        &self,
        predicted: &Bound<'py, PyAny>,
        targets: &Bound<'py, PyAny>,
        format: Corners,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        of_kind!(predicted, loss_and_gradient(&*self.0, predicted, targets, format))
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

fn pairwise<'py, T: Number>(
    metric: &(dyn Family + 'static),
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    format: Corners,
) -> PyResult<Bound<'py, PyAny>>
where
    dyn Family: DynMetric<T>,
{
    let py = a.py();
    let (a, b) = (read("a", a)?, read("b", b)?);
    let (a, b) = (arrays::boxes::<T>("a", &a, format)?, arrays::boxes("b", &b, format)?);
    filled(py, [a.len(), b.len()], |values| metric.pairwise(a, b, values))
}

fn elementwise<'py, T: Number>(
    metric: &(dyn Family + 'static),
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    format: Corners,
) -> PyResult<Bound<'py, PyAny>>
where
    dyn Family: DynMetric<T>,
{
    let py = a.py();
    let (a, b) = (read("a", a)?, read("b", b)?);
    let (a, b) = (arrays::boxes::<T>("a", &a, format)?, arrays::boxes("b", &b, format)?);
    filled(py, [a.len()], |values| metric.elementwise(a, b, values))
}

fn loss_and_gradient<'py, T: Number>(
    metric: &(dyn Family + 'static),
    predicted: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    format: Corners,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)>
where
    dyn Family: DynMetric<T>,
{
    let py = predicted.py();
    let (p, g) = (read("predicted", predicted)?, read("targets", targets)?);
    let p = arrays::boxes::<T>("predicted", &p, format)?;
    let g = arrays::boxes("targets", &g, format)?;
    losses(py, p.len(), |losses, gradients| {
        metric.loss_and_gradient(p, g, losses, gradients)
    })
}

/// What is done to denominators, where libraries differ. Without it, 0 / 0 is 0, and formulas are those of the papers.
#[pyclass(frozen, from_py_object, module = "etude_boxes")]
#[derive(Clone, Copy)]
pub(crate) struct Guard(family::Guard);

#[pymethods]
impl Guard {
    /// Denominator + eps: torchvision's losses add 1e-7, and so does Ultralytics.
    #[staticmethod]
    fn added(eps: f64) -> Self {
        Self(family::Guard::added(eps))
    }

    /// max(denominator, eps): mmdetection takes 1e-6.
    #[staticmethod]
    fn floor(eps: f64) -> Self {
        Self(family::Guard::floor(eps))
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

fn guarded(guard: Option<Guard>) -> family::Guard {
    guard.map_or(family::Guard::NONE, |guard| guard.0)
}

/// IoU = I / U.
#[pyfunction]
#[pyo3(signature = (*, guard = None))]
pub(crate) fn iou(guard: Option<Guard>) -> Metric {
    Metric::new(Iou { guard: guarded(guard) })
}

/// GIoU = IoU - (C - U) / C, with C the area of the smallest enclosing box (Rezatofighi et al. 2019).
#[pyfunction]
#[pyo3(signature = (*, guard = None))]
pub(crate) fn giou(guard: Option<Guard>) -> Metric {
    Metric::new(Giou { guard: guarded(guard) })
}

/// DIoU = IoU - d^2 / c^2, with d the distance of the centres and c the enclosing diagonal (Zheng et al. 2020).
#[pyfunction]
#[pyo3(signature = (*, guard = None))]
pub(crate) fn diou(guard: Option<Guard>) -> Metric {
    Metric::new(Diou { guard: guarded(guard) })
}

/// CIoU = DIoU - alpha v, with v the difference in aspect ratio (Zheng et al. 2020). `alpha` is "constant" for the
/// gradient (the paper, torchvision), "differentiated" (mmdetection up to 2.10) or "above-half" (a constant, zero up to
/// IoU 1/2: mmdetection after).
#[pyfunction]
#[pyo3(signature = (*, alpha = AlphaChoice(Alpha::Constant), guard = None))]
pub(crate) fn ciou(alpha: AlphaChoice, guard: Option<Guard>) -> Metric {
    let guard = guarded(guard);
    Metric::new(Ciou { alpha: alpha.0, guard })
}

/// EIoU = DIoU - dw^2 / cw^2 - dh^2 / ch^2 (Zhang et al. 2021). Mmdetection's `EIoULoss` is something else.
#[pyfunction]
#[pyo3(signature = (*, guard = None))]
pub(crate) fn eiou(guard: Option<Guard>) -> Metric {
    Metric::new(Eiou { guard: guarded(guard) })
}

/// The loss IoU^gamma (1 - EIoU) (Zhang et al. 2021), where IoU^gamma is a constant for the gradient or not.
#[pyfunction]
#[pyo3(signature = (*, gamma = 0.5, differentiated = false, guard = None))]
pub(crate) fn focal_eiou(gamma: f64, differentiated: bool, guard: Option<Guard>) -> Metric {
    let weight = if differentiated {
        Weight::Differentiated
    } else {
        Weight::Constant
    };
    let guard = guarded(guard);
    Metric::new(FocalEiou { gamma, weight, guard })
}

/// IoU^alpha - penalty^alpha, term by term (He et al. 2021); `penalty` is "none", "giou", "diou" or "ciou".
#[pyfunction]
#[pyo3(signature = (*, alpha = 3.0, penalty = Penalty(family::AlphaPenalty::None), guard = None))]
pub(crate) fn alpha_iou(alpha: f64, penalty: Penalty, guard: Option<Guard>) -> Metric {
    let (penalty, guard) = (penalty.0, guarded(guard));
    Metric::new(AlphaIou { alpha, penalty, guard })
}

/// SIoU = IoU - (distance + shape) / 2 (Gevorgyan 2022). `exponent` is "negative" (the paper) or "positive"
/// (mmdetection by default).
#[pyfunction]
#[pyo3(signature = (*, theta = 4.0, exponent = ExponentChoice(family::Exponent::Negative), guard = None))]
pub(crate) fn siou(theta: f64, exponent: ExponentChoice, guard: Option<Guard>) -> Metric {
    let (exponent, guard) = (exponent.0, guarded(guard));
    Metric::new(Siou { theta, exponent, guard })
}

/// The loss exp(d^2 / c^2) (1 - IoU) (Tong et al. 2023).
#[pyfunction]
#[pyo3(signature = (*, guard = None))]
pub(crate) fn wiou_v1(guard: Option<Guard>) -> Metric {
    let (focus, guard) = (WiouFocus::V1, guarded(guard));
    Metric::new(Wiou { focus, guard })
}

/// `wiou_v1` times b^gamma, with b = (1 - IoU) / mean; a `RunningMean` keeps the mean of 1 - IoU.
#[pyfunction]
#[pyo3(signature = (mean, *, gamma = 0.5, guard = None))]
pub(crate) fn wiou_v2(mean: f64, gamma: f64, guard: Option<Guard>) -> Metric {
    let (focus, guard) = (WiouFocus::V2 { gamma, mean }, guarded(guard));
    Metric::new(Wiou { focus, guard })
}

/// `wiou_v1` times b / (delta alpha^(b - delta)), with b = (1 - IoU) / mean; a `RunningMean` keeps the mean of 1 - IoU.
#[pyfunction]
#[pyo3(signature = (mean, *, alpha = 1.9, delta = 3.0, guard = None))]
pub(crate) fn wiou_v3(mean: f64, alpha: f64, delta: f64, guard: Option<Guard>) -> Metric {
    let (focus, guard) = (WiouFocus::V3 { alpha, delta, mean }, guarded(guard));
    Metric::new(Wiou { focus, guard })
}

/// The mean of 1 - IoU over recent batches, from 1 on. Half of what was is gone after `updates` of them.
#[pyclass(module = "etude_boxes")]
pub(crate) struct RunningMean(family::RunningMean);

#[pymethods]
impl RunningMean {
    #[new]
    #[pyo3(signature = (updates = 7000))]
    fn new(updates: u32) -> Self {
        Self(family::RunningMean::new(updates))
    }

    /// Takes in the mean of 1 - IoU of one batch.
    fn update(&mut self, mean: f64) {
        self.0.update(mean);
    }

    /// The mean so far.
    #[getter]
    fn value(&self) -> f64 {
        self.0.value()
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// MPDIoU = IoU - d1^2 / D^2 - d2^2 / D^2, with d1 and d2 the distances of the corners, and D the diagonal of a picture
/// of this size (Ma and Xu 2023).
#[pyfunction]
#[pyo3(signature = (width, height, *, guard = None))]
pub(crate) fn mpdiou(width: f64, height: f64, guard: Option<Guard>) -> Metric {
    let guard = guarded(guard);
    Metric::new(Mpdiou { width, height, guard })
}

/// The IoU of both boxes at `ratio` times their size (Zhang et al. 2023).
#[pyfunction]
#[pyo3(signature = (*, ratio = 0.75, guard = None))]
pub(crate) fn inner_iou(ratio: f64, guard: Option<Guard>) -> Metric {
    let guard = guarded(guard);
    Metric::new(InnerIou { ratio, guard })
}

/// `ciou` with `inner_iou` in place of IoU.
#[pyfunction]
#[pyo3(signature = (*, ratio = 0.75, guard = None))]
pub(crate) fn inner_ciou(ratio: f64, guard: Option<Guard>) -> Metric {
    let (alpha, guard) = (Alpha::Constant, guarded(guard));
    let inner = InnerIou { ratio, guard };
    Metric::new(Inner {
        metric: Ciou { alpha, guard },
        inner,
    })
}

/// `siou` with `inner_iou` in place of IoU.
#[pyfunction]
#[pyo3(signature = (*, ratio = 0.75, guard = None))]
pub(crate) fn inner_siou(ratio: f64, guard: Option<Guard>) -> Metric {
    let guard = guarded(guard);
    let inner = InnerIou { ratio, guard };
    let metric = Siou {
        guard,
        ..Siou::default()
    };
    Metric::new(Inner { metric, inner })
}

/// IoU - distance - shape / 2, weighted by the target's shape to the power of `scale` (Zhang and Zhang 2023).
#[pyfunction]
#[pyo3(signature = (*, scale = 0.0, guard = None))]
pub(crate) fn shape_iou(scale: f64, guard: Option<Guard>) -> Metric {
    let guard = guarded(guard);
    Metric::new(ShapeIou { scale, guard })
}

/// A bound for each of x, y, width and height, with a smooth L1 (Tychsen-Smith and Petersson 2018).
#[pyfunction]
#[pyo3(signature = (*, beta = 0.2, guard = None))]
pub(crate) fn bounded_iou(beta: f64, guard: Option<Guard>) -> Metric {
    let guard = guarded(guard);
    Metric::new(BoundedIou { beta, guard })
}
