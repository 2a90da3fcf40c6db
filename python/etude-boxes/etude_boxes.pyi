"""How well boxes fit, which of them stay, and which belong together."""

from collections.abc import Sequence
from typing import Literal, TypeVar, final

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", np.float32, np.float64)

_Format = Literal["xyxy", "xyxy-inclusive", "xywh", "cxcywh"]
_Angle = Literal["mmcv", "detectron2"]
_Classes = NDArray[np.uint32] | NDArray[np.int64]
_Indices = NDArray[np.uint32]
_Labels = NDArray[np.int32]

@final
class Guard:
    @staticmethod
    def added(eps: float) -> Guard: ...
    @staticmethod
    def floor(eps: float) -> Guard: ...

@final
class Metric:
    def pairwise(self, a: NDArray[_T], b: NDArray[_T], *, format: _Format = "xyxy") -> NDArray[_T]: ...
    def elementwise(self, a: NDArray[_T], b: NDArray[_T], *, format: _Format = "xyxy") -> NDArray[_T]: ...
    def loss_and_gradient(
        self, predicted: NDArray[_T], targets: NDArray[_T], *, format: _Format = "xyxy"
    ) -> tuple[NDArray[_T], NDArray[_T]]: ...

@final
class RotatedMetric:
    def pairwise(self, a: NDArray[_T], b: NDArray[_T], *, angle: _Angle = "mmcv") -> NDArray[_T]: ...
    def elementwise(self, a: NDArray[_T], b: NDArray[_T], *, angle: _Angle = "mmcv") -> NDArray[_T]: ...
    def loss_and_gradient(
        self, predicted: NDArray[_T], targets: NDArray[_T], *, angle: _Angle = "mmcv"
    ) -> tuple[NDArray[_T], NDArray[_T]]: ...

@final
class RunningMean:
    def __new__(cls, updates: int = 7000) -> RunningMean: ...
    def update(self, mean: float) -> None: ...
    @property
    def value(self) -> float: ...

def iou(*, guard: Guard | None = None) -> Metric: ...
def giou(*, guard: Guard | None = None) -> Metric: ...
def diou(*, guard: Guard | None = None) -> Metric: ...
def ciou(
    *, alpha: Literal["constant", "differentiated", "above-half"] = "constant", guard: Guard | None = None
) -> Metric: ...
def eiou(*, guard: Guard | None = None) -> Metric: ...
def focal_eiou(*, gamma: float = 0.5, differentiated: bool = False, guard: Guard | None = None) -> Metric: ...
def alpha_iou(
    *, alpha: float = 3.0, penalty: Literal["none", "giou", "diou", "ciou"] = "none", guard: Guard | None = None
) -> Metric: ...
def siou(
    *, theta: float = 4.0, exponent: Literal["negative", "positive"] = "negative", guard: Guard | None = None
) -> Metric: ...
def wiou_v1(*, guard: Guard | None = None) -> Metric: ...
def wiou_v2(mean: float, *, gamma: float = 0.5, guard: Guard | None = None) -> Metric: ...
def wiou_v3(mean: float, *, alpha: float = 1.9, delta: float = 3.0, guard: Guard | None = None) -> Metric: ...
def mpdiou(width: float, height: float, *, guard: Guard | None = None) -> Metric: ...
def inner_iou(*, ratio: float = 0.75, guard: Guard | None = None) -> Metric: ...
def inner_ciou(*, ratio: float = 0.75, guard: Guard | None = None) -> Metric: ...
def inner_siou(*, ratio: float = 0.75, guard: Guard | None = None) -> Metric: ...
def shape_iou(*, scale: float = 0.0, guard: Guard | None = None) -> Metric: ...
def bounded_iou(*, beta: float = 0.2, guard: Guard | None = None) -> Metric: ...
def rotated_iou() -> RotatedMetric: ...
def prob_iou() -> RotatedMetric: ...
def nms(boxes: NDArray[_T], scores: NDArray[_T], threshold: float, *, format: _Format = "xyxy") -> _Indices: ...
def batched_nms(
    boxes: NDArray[_T], scores: NDArray[_T], classes: _Classes, threshold: float, *, format: _Format = "xyxy"
) -> _Indices: ...
def diou_nms(
    boxes: NDArray[_T],
    scores: NDArray[_T],
    threshold: float,
    *,
    beta: float = 1.0,
    classes: _Classes | None = None,
    format: _Format = "xyxy",
) -> _Indices: ...
def fast_nms(
    boxes: NDArray[_T],
    scores: NDArray[_T],
    threshold: float,
    *,
    classes: _Classes | None = None,
    format: _Format = "xyxy",
) -> _Indices: ...
def soft_nms(
    boxes: NDArray[_T],
    scores: NDArray[_T],
    *,
    sigma: float | None = None,
    threshold: float | None = None,
    min_score: float = 0.0,
    classes: _Classes | None = None,
    format: _Format = "xyxy",
) -> tuple[_Indices, NDArray[_T]]: ...
def matrix_nms(
    boxes: NDArray[_T],
    scores: NDArray[_T],
    *,
    sigma: float | None = None,
    min_score: float = 0.0,
    classes: _Classes | None = None,
    format: _Format = "xyxy",
) -> tuple[_Indices, NDArray[_T]]: ...
def rotated_nms(
    boxes: NDArray[_T],
    scores: NDArray[_T],
    threshold: float,
    *,
    classes: _Classes | None = None,
    angle: _Angle = "mmcv",
) -> _Indices: ...
def weighted_boxes_fusion(
    boxes: Sequence[NDArray[_T]],
    scores: Sequence[NDArray[_T]],
    classes: Sequence[_Classes],
    *,
    weights: Sequence[float] | None = None,
    threshold: float = 0.55,
    min_score: float = 0.0,
    confidence: Literal[
        "average", "average-with-overflow", "max", "box-and-model-average", "absent-model-aware-average"
    ] = "average",
    format: _Format = "xyxy",
) -> tuple[NDArray[_T], NDArray[_T], _Indices]: ...
def linear_assignment(cost: NDArray[_T]) -> tuple[_Indices, _Indices]: ...
def max_iou(
    anchors: NDArray[_T],
    targets: NDArray[_T],
    *,
    positive: float = 0.5,
    negative: float = 0.4,
    low_quality: float | None = 0.0,
    format: _Format = "xyxy",
) -> tuple[_Labels, NDArray[_T]]: ...
def atss(
    anchors: NDArray[_T],
    levels: Sequence[int],
    targets: NDArray[_T],
    *,
    nearest: int = 9,
    format: _Format = "xyxy",
) -> tuple[_Labels, NDArray[_T]]: ...
def sim_ota(
    priors: NDArray[_T],
    predicted: NDArray[_T],
    scores: NDArray[_T],
    targets: NDArray[_T],
    classes: _Classes,
    *,
    radius: float = 2.5,
    candidates: int = 10,
    iou_weight: float = 3.0,
    format: _Format = "xyxy",
) -> tuple[_Labels, NDArray[_T]]: ...
def task_aligned(
    anchors: NDArray[_T],
    predicted: NDArray[_T],
    scores: NDArray[_T],
    targets: NDArray[_T],
    classes: _Classes,
    *,
    alpha: float = 1.0,
    beta: float = 6.0,
    count: int = 13,
    format: _Format = "xyxy",
) -> tuple[_Labels, NDArray[_T], NDArray[_T]]: ...
