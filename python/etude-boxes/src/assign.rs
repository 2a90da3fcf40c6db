//! Assignment.

use etude_boxes::Format;
use etude_boxes::assign::{self, Assigned, Label, MaxIou, SimOta, TaskAligned};
use numpy::ndarray::Ix2;
use numpy::{PyArray1, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{Classes, Number, array, boxes, read, slice, value_error};
use crate::choice::Corners;

/// A target of each box, int32: its index, -1 for background, -2 for what is left out of the loss.
type Labels<'py> = Bound<'py, PyArray1<i32>>;

/// Labels, and the IoU of each box with its target.
type Labelled<'py> = (Labels<'py>, Bound<'py, PyAny>);

/// Rows and their columns.
type Pairs<'py> = (Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<u32>>);

/// The one-to-one assignment of rows to columns with the least total cost, as SciPy's `linear_sum_assignment`: rows,
/// and their columns. An infinite cost means that the two may not be paired.
#[pyfunction]
#[pyo3(signature = (cost))]
pub(crate) fn linear_assignment<'py>(cost: &Bound<'py, PyAny>) -> PyResult<Pairs<'py>> {
    of_kind!(cost, pairs(cost))
}

fn pairs<'py, T: Number>(cost: &Bound<'py, PyAny>) -> PyResult<Pairs<'py>> {
    let py = cost.py();
    let cost = read::<T, Ix2>("cost", cost)?;
    let (numbers, shape) = (slice("cost", &cost)?, [cost.shape()[0], cost.shape()[1]]);
    let found = py
        .detach(|| assign::linear_assignment(numbers, shape))
        .map_err(value_error)?;
    Ok((array(py, found.rows), array(py, found.columns)))
}

/// Each anchor belongs to the target of the largest IoU, if that is `positive` or more; it is background below
/// `negative`, and left out in between. A target with a best IoU of `low_quality` or more gets its best anchors in any
/// case (`None`: it may go without). Returns labels (a target, -1 for background, -2 for left out) and IoUs.
#[pyfunction]
#[pyo3(signature = (
    anchors, targets, *, positive = 0.5, negative = 0.4, low_quality = Some(0.0), format = Corners(Format::Xyxy)
))]
pub(crate) fn max_iou<'py>(
    anchors: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    positive: f64,
    negative: f64,
    low_quality: Option<f64>,
    format: Corners,
) -> PyResult<Labelled<'py>> {
    let rule = MaxIou {
        positive,
        negative,
        low_quality,
    };
    of_kind!(anchors, of_max_iou(anchors, targets, &rule, format))
}

fn of_max_iou<'py, T: Number>(
    anchors: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    rule: &MaxIou,
    format: Corners,
) -> PyResult<Labelled<'py>> {
    let py = anchors.py();
    let (anchors, targets) = (read::<T, Ix2>("anchors", anchors)?, read("targets", targets)?);
    let (anchors, targets) = (boxes("anchors", &anchors, format)?, boxes("targets", &targets, format)?);
    Ok(labelled(py, py.detach(|| assign::max_iou(anchors, targets, rule))))
}

/// ATSS: of each target's `nearest` anchors on each level, those with an IoU above mean plus deviation (S. Zhang et al.
/// 2020). `levels` are the numbers of anchors on each level. Returns labels (a target, or -1 for background) and IoUs.
#[pyfunction]
#[pyo3(signature = (anchors, levels, targets, *, nearest = 9, format = Corners(Format::Xyxy)))]
pub(crate) fn atss<'py>(
    anchors: &Bound<'py, PyAny>,
    levels: Vec<usize>,
    targets: &Bound<'py, PyAny>,
    nearest: usize,
    format: Corners,
) -> PyResult<Labelled<'py>> {
    of_kind!(anchors, of_atss(anchors, &levels, targets, nearest, format))
}

fn of_atss<'py, T: Number>(
    anchors: &Bound<'py, PyAny>,
    levels: &[usize],
    targets: &Bound<'py, PyAny>,
    nearest: usize,
    format: Corners,
) -> PyResult<Labelled<'py>> {
    let py = anchors.py();
    let (anchors, targets) = (read::<T, Ix2>("anchors", anchors)?, read("targets", targets)?);
    let (anchors, targets) = (boxes("anchors", &anchors, format)?, boxes("targets", &targets, format)?);
    let found = py.detach(|| assign::atss(anchors, levels, targets, nearest));
    Ok(labelled(py, found.map_err(value_error)?))
}

/// SimOTA: each target takes the cheapest predictions, as many as its largest IoUs add up to (Z. Ge et al. 2021).
/// `priors` [n, 3] are x, y and stride, `scores` [n, classes] probabilities. Returns labels (a target, or -1 for
/// background) and IoUs.
#[pyfunction]
#[pyo3(signature = (
    priors, predicted, scores, targets, classes, *, radius = 2.5, candidates = 10, iou_weight = 3.0,
    format = Corners(Format::Xyxy)
))]
#[expect(clippy::too_many_arguments, reason = "Python has them by name")]
pub(crate) fn sim_ota<'py>(
    priors: &Bound<'py, PyAny>,
    predicted: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    classes: &Bound<'py, PyAny>,
    radius: f64,
    candidates: usize,
    iou_weight: f64,
    format: Corners,
) -> PyResult<Labelled<'py>> {
    let rule = SimOta {
        radius,
        candidates,
        iou_weight,
    };
    of_kind!(
        predicted,
        of_sim_ota(priors, predicted, scores, targets, classes, &rule, format)
    )
}

fn of_sim_ota<'py, T: Number>(
    priors: &Bound<'py, PyAny>,
    predicted: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    classes: &Bound<'py, PyAny>,
    rule: &SimOta,
    format: Corners,
) -> PyResult<Labelled<'py>> {
    let py = predicted.py();
    let (priors, scores) = (read::<T, Ix2>("priors", priors)?, read::<T, Ix2>("scores", scores)?);
    let (predicted, targets) = (read("predicted", predicted)?, read("targets", targets)?);
    let classes = Classes::read(classes)?;
    let (points, []) = slice("priors", &priors)?.as_chunks() else {
        return Err(PyValueError::new_err("priors: expected an array [n, 3]"));
    };
    let predicted = boxes("predicted", &predicted, format)?;
    let targets = boxes("targets", &targets, format)?;
    let (scores, classes) = (slice("scores", &scores)?, classes.slice()?);
    let found = py.detach(|| assign::sim_ota(points, predicted, scores, targets, classes, rule));
    Ok(labelled(py, found.map_err(value_error)?))
}

/// Task-aligned assignment: each target takes the predictions of the largest score^alpha IoU^beta (C. Feng et al.
/// 2021). `scores` [n, classes] are probabilities. Returns labels (a target, or -1 for background), IoUs, and the scores that
/// predictions should have for the classes of their targets.
#[pyfunction]
#[pyo3(signature = (
    anchors, predicted, scores, targets, classes, *, alpha = 1.0, beta = 6.0, count = 13,
    format = Corners(Format::Xyxy)
))]
#[expect(clippy::too_many_arguments, reason = "Python has them by name")]
pub(crate) fn task_aligned<'py>(
    anchors: &Bound<'py, PyAny>,
    predicted: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    classes: &Bound<'py, PyAny>,
    alpha: f64,
    beta: f64,
    count: usize,
    format: Corners,
) -> PyResult<(Labels<'py>, Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let rule = TaskAligned { alpha, beta, count };
    of_kind!(
        predicted,
        of_task_aligned(anchors, predicted, scores, targets, classes, &rule, format)
    )
}

fn of_task_aligned<'py, T: Number>(
    anchors: &Bound<'py, PyAny>,
    predicted: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    classes: &Bound<'py, PyAny>,
    rule: &TaskAligned,
    format: Corners,
) -> PyResult<(Labels<'py>, Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let py = predicted.py();
    let (anchors, scores) = (read("anchors", anchors)?, read::<T, Ix2>("scores", scores)?);
    let (predicted, targets) = (read("predicted", predicted)?, read("targets", targets)?);
    let classes = Classes::read(classes)?;
    let anchors = boxes("anchors", &anchors, format)?;
    let predicted = boxes("predicted", &predicted, format)?;
    let targets = boxes("targets", &targets, format)?;
    let (scores, classes) = (slice("scores", &scores)?, classes.slice()?);
    let found = py
        .detach(|| assign::task_aligned(anchors, predicted, scores, targets, classes, rule))
        .map_err(value_error)?;
    let (ious, scores) = (array(py, found.ious), array(py, found.scores));
    Ok((labels(py, &found.labels), ious.into_any(), scores.into_any()))
}

fn labelled<T: Number>(py: Python<'_>, found: Assigned<T>) -> Labelled<'_> {
    (labels(py, &found.labels), array(py, found.ious).into_any())
}

fn labels<'py>(py: Python<'py>, labels: &[Label]) -> Labels<'py> {
    let number = |label: &Label| match *label {
        Label::Background => -1,
        Label::Ignored => -2,
        Label::Target(target) => target as i32,
    };
    array(py, labels.iter().map(number).collect())
}
