//! Suppression.

use etude_boxes::nms as rules;
use etude_boxes::nms::{Confidence, Detections, Fusion, MatrixDecay, Scored, SoftDecay};
use etude_boxes::rotated::AngleConvention;
use etude_boxes::{BoxError, Boxes, Format};
use numpy::ndarray::{Ix1, Ix2};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{self, Classes, Number, Read, array, boxes, read, slice, value_error, zeros};
use crate::choice::{Angle, ConfidenceChoice, Corners};

/// Indices of boxes, uint32.
type Indices<'py> = Bound<'py, PyArray1<u32>>;

/// Greedy suppression: by falling score, each box stays that has an IoU of no more than `threshold` with all that stay
/// before it. Returns their indices by falling score.
#[pyfunction]
#[pyo3(signature = (boxes, scores, threshold, *, format = Corners(Format::Xyxy)))]
pub(crate) fn nms<'py>(
    boxes: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    threshold: f64,
    format: Corners,
) -> PyResult<Indices<'py>> {
    let rule = Rule::Iou { threshold };
    of_kind!(boxes, listed(boxes, scores, None, format, rule))
}

/// `nms` in each class by itself. Classes are uint32 or int64.
#[pyfunction]
#[pyo3(signature = (boxes, scores, classes, threshold, *, format = Corners(Format::Xyxy)))]
pub(crate) fn batched_nms<'py>(
    boxes: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    classes: &Bound<'py, PyAny>,
    threshold: f64,
    format: Corners,
) -> PyResult<Indices<'py>> {
    let rule = Rule::Iou { threshold };
    of_kind!(boxes, listed(boxes, scores, Some(classes), format, rule))
}

/// Greedy suppression where a box goes if IoU - (d^2 / c^2)^beta with a better one is above the threshold (Zheng et al.
/// 2020). With classes, each by itself.
#[pyfunction]
#[pyo3(signature = (boxes, scores, threshold, *, beta = 1.0, classes = None, format = Corners(Format::Xyxy)))]
pub(crate) fn diou_nms<'py>(
    boxes: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    threshold: f64,
    beta: f64,
    classes: Option<&Bound<'py, PyAny>>,
    format: Corners,
) -> PyResult<Indices<'py>> {
    let rule = Rule::Diou { threshold, beta };
    of_kind!(boxes, listed(boxes, scores, classes, format, rule))
}

/// A box goes if its IoU with any better one is above the threshold, whether that one stays or not (Bolya et al. 2019).
/// With classes, each by itself.
#[pyfunction]
#[pyo3(signature = (boxes, scores, threshold, *, classes = None, format = Corners(Format::Xyxy)))]
pub(crate) fn fast_nms<'py>(
    boxes: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    threshold: f64,
    classes: Option<&Bound<'py, PyAny>>,
    format: Corners,
) -> PyResult<Indices<'py>> {
    let rule = Rule::Fast { threshold };
    of_kind!(boxes, listed(boxes, scores, classes, format, rule))
}

/// What leaves a list of boxes that stay.
#[derive(Clone, Copy)]
enum Rule {
    Iou { threshold: f64 },
    Diou { threshold: f64, beta: f64 },
    Fast { threshold: f64 },
}

impl Rule {
    fn apply<T: Number>(
        self,
        boxes: Boxes<'_, T>,
        scores: &[T],
        classes: Option<&[u32]>,
    ) -> Result<Vec<u32>, BoxError> {
        match (self, classes) {
            (Self::Iou { threshold }, None) => rules::nms(boxes, scores, threshold),
            (Self::Iou { threshold }, Some(classes)) => rules::batched_nms(boxes, scores, classes, threshold),
            (Self::Diou { threshold, beta }, _) => rules::diou_nms(boxes, scores, classes, threshold, beta),
            (Self::Fast { threshold }, _) => rules::fast_nms(boxes, scores, classes, threshold),
        }
    }
}

fn listed<'py, T: Number>(
    rows: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    classes: Option<&Bound<'py, PyAny>>,
    format: Corners,
    rule: Rule,
) -> PyResult<Indices<'py>> {
    let py = rows.py();
    let found = Found::<T>::read(rows, scores, classes)?;
    let (boxes, scores, classes) = found.views(format)?;
    let stay = py.detach(|| rule.apply(boxes, scores, classes));
    Ok(array(py, stay.map_err(value_error)?))
}

/// Boxes, scores and perhaps classes.
struct Found<'py, T: Number> {
    boxes: Read<'py, T, Ix2>,
    scores: Read<'py, T, Ix1>,
    classes: Option<Classes<'py>>,
}

impl<'py, T: Number> Found<'py, T> {
    fn read(
        boxes: &Bound<'py, PyAny>,
        scores: &Bound<'py, PyAny>,
        classes: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self {
            boxes: read("boxes", boxes)?,
            scores: read("scores", scores)?,
            classes: classes.map(Classes::read).transpose()?,
        })
    }

    #[expect(clippy::type_complexity, reason = "three views, and the third may be missing")]
    fn views(&self, format: Corners) -> PyResult<(Boxes<'_, T>, &[T], Option<&[u32]>)> {
        let classes = self.classes.as_ref().map(Classes::slice).transpose()?;
        Ok((
            boxes("boxes", &self.boxes, format)?,
            slice("scores", &self.scores)?,
            classes,
        ))
    }
}

/// Soft suppression: the scores of boxes that meet a better one fall (Bodla et al. 2017): by exp(-IoU^2 / sigma), or
/// with a `threshold` instead of sigma by 1 - IoU from that IoU on. Returns the indices and the scores, by falling score, of
/// those with a score of `min_score` or more. With classes, each by itself.
#[pyfunction]
#[pyo3(signature = (
    boxes, scores, *, sigma = None, threshold = None, min_score = 0.0, classes = None, format = Corners(Format::Xyxy)
))]
pub(crate) fn soft_nms<'py>(
    boxes: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    sigma: Option<f64>,
    threshold: Option<f64>,
    min_score: f64,
    classes: Option<&Bound<'py, PyAny>>,
    format: Corners,
) -> PyResult<(Indices<'py>, Bound<'py, PyAny>)> {
    let decay = match (sigma, threshold) {
        (Some(sigma), None) => SoftDecay::Gaussian { sigma },
        (None, Some(threshold)) => SoftDecay::Linear { threshold },
        _ => return Err(PyValueError::new_err("expected either sigma or threshold")),
    };
    let rule = Fading::Soft { decay, min_score };
    of_kind!(boxes, scored(boxes, scores, classes, format, rule))
}

/// Matrix suppression: the score of each box falls with its largest IoU with a better one, over what that one has lost
/// itself (Wang et al. 2020): by 1 - IoU, or with `sigma` by exp(-sigma IoU^2). Returns the indices and the scores, by
/// falling score, of those with a score of `min_score` or more. With classes, each by itself.
#[pyfunction]
#[pyo3(signature = (boxes, scores, *, sigma = None, min_score = 0.0, classes = None, format = Corners(Format::Xyxy)))]
pub(crate) fn matrix_nms<'py>(
    boxes: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    sigma: Option<f64>,
    min_score: f64,
    classes: Option<&Bound<'py, PyAny>>,
    format: Corners,
) -> PyResult<(Indices<'py>, Bound<'py, PyAny>)> {
    let decay = sigma.map_or(MatrixDecay::Linear, |sigma| MatrixDecay::Gaussian { sigma });
    let rule = Fading::Matrix { decay, min_score };
    of_kind!(boxes, scored(boxes, scores, classes, format, rule))
}

/// What leaves boxes with other scores.
#[derive(Clone, Copy)]
enum Fading {
    Soft { decay: SoftDecay, min_score: f64 },
    Matrix { decay: MatrixDecay, min_score: f64 },
}

impl Fading {
    fn apply<T: Number>(
        self,
        boxes: Boxes<'_, T>,
        scores: &[T],
        classes: Option<&[u32]>,
    ) -> Result<Vec<Scored<T>>, BoxError> {
        match self {
            Self::Soft { decay, min_score } => rules::soft_nms(boxes, scores, classes, decay, min_score),
            Self::Matrix { decay, min_score } => rules::matrix_nms(boxes, scores, classes, decay, min_score),
        }
    }
}

fn scored<'py, T: Number>(
    rows: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    classes: Option<&Bound<'py, PyAny>>,
    format: Corners,
    rule: Fading,
) -> PyResult<(Indices<'py>, Bound<'py, PyAny>)> {
    let py = rows.py();
    let found = Found::<T>::read(rows, scores, classes)?;
    let (boxes, scores, classes) = found.views(format)?;
    let stay = py.detach(|| rule.apply(boxes, scores, classes)).map_err(value_error)?;
    let indices = stay.iter().map(|one| one.index).collect();
    let scores = stay.iter().map(|one| one.score).collect();
    Ok((array(py, indices), array(py, scores).into_any()))
}

/// Greedy suppression of rotated boxes [n, 5] by their exact IoU. With classes, each by itself.
#[pyfunction]
#[pyo3(signature = (boxes, scores, threshold, *, classes = None, angle = Angle(AngleConvention::MMCV)))]
pub(crate) fn rotated_nms<'py>(
    boxes: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    threshold: f64,
    classes: Option<&Bound<'py, PyAny>>,
    angle: Angle,
) -> PyResult<Indices<'py>> {
    of_kind!(boxes, rotated_listed(boxes, scores, threshold, classes, angle))
}

fn rotated_listed<'py, T: Number>(
    rows: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    threshold: f64,
    classes: Option<&Bound<'py, PyAny>>,
    angle: Angle,
) -> PyResult<Indices<'py>> {
    let py = rows.py();
    let found = Found::<T>::read(rows, scores, classes)?;
    let boxes = arrays::rotated("boxes", &found.boxes, angle)?;
    let scores = slice("scores", &found.scores)?;
    let classes = found.classes.as_ref().map(Classes::slice).transpose()?;
    let stay = py.detach(|| rules::rotated_nms(boxes, scores, classes, threshold));
    Ok(array(py, stay.map_err(value_error)?))
}

/// What `weighted_boxes_fusion` returns: boxes [n, 4], scores [n] and classes [n].
type Fused<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Indices<'py>);

/// Fuses what several models have found in a picture (Solovyev et al. 2021): lists with an array of boxes, of scores
/// and of classes for each model. A box becomes part of a fused one of its class above this IoU. Returns the fused boxes x1,
/// y1, x2, y2, their scores and their classes, by falling score.
#[pyfunction]
#[pyo3(signature = (
    boxes, scores, classes, *, weights = None, threshold = 0.55, min_score = 0.0,
    confidence = ConfidenceChoice(Confidence::Average), format = Corners(Format::Xyxy)
))]
#[expect(clippy::too_many_arguments, reason = "Python has them by name")]
pub(crate) fn weighted_boxes_fusion<'py>(
    py: Python<'py>,
    boxes: Vec<Bound<'py, PyAny>>,
    scores: Vec<Bound<'py, PyAny>>,
    classes: Vec<Bound<'py, PyAny>>,
    weights: Option<Vec<f64>>,
    threshold: f64,
    min_score: f64,
    confidence: ConfidenceChoice,
    format: Corners,
) -> PyResult<Fused<'py>> {
    let weights = weights.unwrap_or_else(|| vec![1.0; boxes.len()]);
    for (name, found) in [
        ("scores", scores.len()),
        ("classes", classes.len()),
        ("weights", weights.len()),
    ] {
        if found != boxes.len() {
            let expected = boxes.len();
            return Err(PyValueError::new_err(format!(
                "{name}: found {found} models, expected {expected}"
            )));
        }
    }
    let rule = Fusion {
        threshold,
        min_score,
        confidence: confidence.0,
    };
    if boxes.first().is_some_and(arrays::is_narrow) {
        fused::<f32>(py, &boxes, &scores, &classes, &weights, &rule, format)
    } else {
        fused::<f64>(py, &boxes, &scores, &classes, &weights, &rule, format)
    }
}

fn fused<'py, T: Number>(
    py: Python<'py>,
    boxes: &[Bound<'py, PyAny>],
    scores: &[Bound<'py, PyAny>],
    classes: &[Bound<'py, PyAny>],
    weights: &[f64],
    rule: &Fusion,
    format: Corners,
) -> PyResult<Fused<'py>> {
    let models = boxes.iter().zip(scores).zip(classes);
    let found: Vec<Found<'py, T>> = models
        .map(|((boxes, scores), classes)| Found::read(boxes, scores, Some(classes)))
        .collect::<PyResult<_>>()?;
    let mut models = Vec::with_capacity(found.len());
    for (found, &weight) in found.iter().zip(weights) {
        let (boxes, scores, classes) = found.views(format)?;
        models.push(Detections {
            boxes,
            scores,
            classes: classes.unwrap_or_default(),
            weight,
        });
    }
    let fused = py
        .detach(|| rules::weighted_boxes_fusion(&models, rule))
        .map_err(value_error)?;
    let corners: Bound<'py, PyArray2<T>> = zeros(py, [fused.len(), 4])?;
    let mut room = corners.readwrite();
    for (row, one) in room.as_slice_mut()?.as_chunks_mut::<4>().0.iter_mut().zip(&fused) {
        *row = one.corners;
    }
    let scores = fused.iter().map(|one| one.score).collect();
    let classes = fused.iter().map(|one| one.class).collect();
    Ok((corners.into_any(), array(py, scores).into_any(), array(py, classes)))
}
