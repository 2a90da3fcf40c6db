"""The module against torchvision, SciPy and published numbers."""

import ast
import inspect
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import etude_boxes as eb

METRICS = {
    "iou": eb.iou(),
    "giou": eb.giou(),
    "diou": eb.diou(),
    "ciou": eb.ciou(),
    "eiou": eb.eiou(),
    "focal_eiou": eb.focal_eiou(),
    "alpha_iou": eb.alpha_iou(penalty="ciou"),
    "siou": eb.siou(),
    "wiou_v1": eb.wiou_v1(),
    "wiou_v2": eb.wiou_v2(0.4),
    "wiou_v3": eb.wiou_v3(0.4),
    "mpdiou": eb.mpdiou(640, 640),
    "inner_iou": eb.inner_iou(),
    "inner_ciou": eb.inner_ciou(),
    "inner_siou": eb.inner_siou(),
    "shape_iou": eb.shape_iou(),
    "bounded_iou": eb.bounded_iou(),
}


def boxes(count, seed, kind=np.float64):
    random = np.random.default_rng(seed)
    corner, size = random.uniform(0, 100, (count, 2)), random.uniform(1, 50, (count, 2))
    return np.hstack([corner, corner + size]).astype(kind)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_metrics_are_those_of_torchvision(kind):
    ops = pytest.importorskip("torchvision.ops")
    torch = pytest.importorskip("torch")
    a, b = boxes(300, 1, kind), boxes(200, 2, kind)
    for name, function in [
        ("iou", ops.box_iou),
        ("giou", ops.generalized_box_iou),
        ("diou", ops.distance_box_iou),
        ("ciou", ops.complete_box_iou),
    ]:
        expected = function(torch.from_numpy(a), torch.from_numpy(b)).numpy()
        found = METRICS[name].pairwise(a, b)
        assert found.dtype == kind and found.shape == (300, 200)
        # torchvision adds 1e-7 to the denominators of DIoU and CIoU.
        np.testing.assert_allclose(found, expected, atol=2e-5 if kind == np.float32 else 1e-8)


def test_losses_and_gradients_are_those_of_torchvision():
    ops = pytest.importorskip("torchvision.ops")
    torch = pytest.importorskip("torch")
    p, g = boxes(500, 3), boxes(500, 4)
    guard = eb.Guard.added(1e-7)
    for metric, function in [
        (eb.giou(guard=guard), ops.generalized_box_iou_loss),
        (eb.diou(guard=guard), ops.distance_box_iou_loss),
        (eb.ciou(guard=guard), ops.complete_box_iou_loss),
    ]:
        predicted = torch.from_numpy(p).requires_grad_()
        expected = function(predicted, torch.from_numpy(g))
        expected.sum().backward()
        losses, gradients = metric.loss_and_gradient(p, g)
        np.testing.assert_allclose(losses, expected.detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(gradients, predicted.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_suppression_is_that_of_torchvision():
    ops = pytest.importorskip("torchvision.ops")
    torch = pytest.importorskip("torch")
    found = boxes(1000, 5, np.float32)
    random = np.random.default_rng(6)
    scores, classes = random.random(1000, dtype=np.float32), random.integers(0, 5, 1000)
    tensors = torch.from_numpy(found), torch.from_numpy(scores), torch.from_numpy(classes)
    for threshold in [0.3, 0.5, 0.7]:
        expected = ops.nms(tensors[0], tensors[1], threshold).numpy()
        np.testing.assert_array_equal(eb.nms(found, scores, threshold), expected)
        expected = ops.batched_nms(*tensors, threshold).numpy()
        np.testing.assert_array_equal(eb.batched_nms(found, scores, classes, threshold), expected)
        as_they_are = eb.batched_nms(found, scores, classes.astype(np.uint32), threshold)
        np.testing.assert_array_equal(as_they_are, expected)


def test_assignment_is_that_of_scipy():
    optimize = pytest.importorskip("scipy.optimize")
    random = np.random.default_rng(7)
    for shape in [(30, 30), (50, 20), (20, 50), (1, 1), (0, 3)]:
        for kind in [np.float32, np.float64]:
            cost = random.random(shape).astype(kind)
            rows, columns = eb.linear_assignment(cost)
            expected = optimize.linear_sum_assignment(cost)
            np.testing.assert_array_equal(rows, expected[0])
            np.testing.assert_array_equal(columns, expected[1])


def test_published_values():
    p, g = np.array([[50.0, 50, 150, 150]]), np.array([[60.0, 40, 180, 120]])
    for name, expected in [
        ("iou", 0.473684),
        ("giou", 0.403754),
        ("diou", 0.446098),
        ("ciou", 0.445638),
        ("eiou", 0.389372),
        ("siou", 0.444913),
        ("mpdiou", 0.471243),
        ("inner_iou", 0.368503),
        ("shape_iou", 0.44528),
        ("wiou_v1", 1 - 0.541037),
    ]:
        assert METRICS[name].elementwise(p, g) == pytest.approx([expected], abs=2e-6), name
        assert METRICS[name].pairwise(p, g) == pytest.approx(np.array([[expected]]), abs=2e-6), name
        assert METRICS[name].loss_and_gradient(p, g)[0] == pytest.approx([1 - expected], abs=2e-6), name
    slope = eb.ciou(alpha="differentiated").loss_and_gradient(p, g)[1][0, 0]
    assert slope == pytest.approx(-0.0039549, abs=1e-7)
    assert eb.siou(exponent="positive").elementwise(p, g) == pytest.approx([0.501647], abs=1e-6)
    assert eb.alpha_iou().elementwise(p, g) == pytest.approx([0.106284], abs=1e-6)
    inclusive = eb.iou().elementwise(np.array([[0.0, 0, 9, 9]]), np.array([[5.0, 5, 14, 14]]), format="xyxy-inclusive")
    assert inclusive == pytest.approx([0.142857], abs=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_layouts_and_formats_are_the_same_boxes(name):
    p, g = boxes(70, 8), boxes(70, 9)
    centres = np.hstack([(p[:, :2] + p[:, 2:]) / 2, p[:, 2:] - p[:, :2]]), np.hstack(
        [(g[:, :2] + g[:, 2:]) / 2, g[:, 2:] - g[:, :2]]
    )
    metric = METRICS[name]
    values = metric.pairwise(p, g)
    np.testing.assert_array_equal(metric.pairwise(np.asfortranarray(p), g), values)
    np.testing.assert_allclose(metric.pairwise(*centres, format="cxcywh"), values, atol=1e-12)
    np.testing.assert_allclose(np.diag(values), metric.elementwise(p, g), atol=1e-14)
    losses, gradients = metric.loss_and_gradient(p, g)
    np.testing.assert_allclose(losses, 1 - np.diag(values), atol=1e-14)
    # Moving the centre moves both corners.
    by_centre = metric.loss_and_gradient(*centres, format="cxcywh")[1][:, 0]
    np.testing.assert_allclose(by_centre, gradients[:, 0] + gradients[:, 2], atol=1e-9)
    # What may not be written to may be read.
    p.flags.writeable = False
    np.testing.assert_array_equal(metric.pairwise(p, g), values)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_nothing_is_ever_nan(kind):
    random = np.random.default_rng(10)
    any_bits = random.integers(0, 2**32, (200, 4 * np.dtype(kind).itemsize // 4), dtype=np.uint32)
    p = any_bits.view(kind).reshape(200, 4)
    p[::2] = random.integers(0, 3, (100, 4))
    g = p[random.permutation(200)]
    for name, metric in METRICS.items():
        losses, gradients = metric.loss_and_gradient(p, g)
        for found in [metric.pairwise(p, g), metric.elementwise(p, g), losses, gradients]:
            assert np.isfinite(found).all(), name


def test_rotated_boxes():
    a = np.array([[1, 1, 3, 4, 0.5], [2, 2, 3, 4, 0.6], [7, 7, 8, 8, 0.4]])
    b = np.array([[0, 2, 2, 5, 0.3], [2, 1, 3, 3, 0.5], [5, 5, 6, 7, 0.4]])
    expected = np.array([[0.3708, 0.4351, 0], [0.1104, 0.4487, 0.0424], [0, 0, 0.3622]])
    np.testing.assert_allclose(eb.rotated_iou().pairwise(a, b), expected, atol=5e-5)
    in_degrees = [np.column_stack([rows[:, :4], -np.degrees(rows[:, 4])]) for rows in (a, b)]
    np.testing.assert_allclose(eb.rotated_iou().pairwise(*in_degrees, angle="detectron2"), expected, atol=5e-5)
    for metric in [eb.rotated_iou(), eb.prob_iou()]:
        losses, gradients = metric.loss_and_gradient(a, b)
        np.testing.assert_allclose(losses, 1 - metric.elementwise(a, b), atol=1e-15)
        for axis in range(5):
            step = np.zeros(5)
            step[axis] = 1e-6
            slope = (metric.elementwise(a - step, b) - metric.elementwise(a + step, b)) / 2e-6
            np.testing.assert_allclose(gradients[:, axis], slope, atol=1e-6)
    rows = np.array([[6, 3, 8, 7, 0.5], [3, 6, 9, 11, 0.6], [3, 7, 10, 12, 0.3], [1, 4, 13, 7, 0.6]])
    assert eb.rotated_nms(rows, np.array([0.7, 0.8, 0.5, 0.9]), 0.5).tolist() == [3, 1, 0]


def test_other_suppressions():
    found = np.array([[6.0, 3, 8, 7], [3, 6, 9, 11], [3, 7, 10, 12], [1, 4, 13, 7]])
    scores = np.array([0.6, 0.9, 0.7, 0.2])
    assert eb.nms(found, scores, 0.3).tolist() == [1, 0, 3]
    indices, softened = eb.soft_nms(found, scores, threshold=0.3, min_score=0.01)
    assert indices.tolist() == [1, 0, 2, 3]
    assert softened == pytest.approx([0.9, 0.6, 0.29024392, 0.2], abs=1e-7)
    indices, softened = eb.soft_nms(found, scores, sigma=0.5, min_score=0.01)
    assert softened == pytest.approx([0.9, 0.59630775, 0.3527551, 0.18650459], abs=1e-7)
    row = np.array([[0.0, 0, 4, 4], [1, 0, 5, 4], [2, 0, 6, 4]])
    falling = np.array([0.9, 0.8, 0.7])
    assert eb.fast_nms(row, falling, 0.5).tolist() == [0]
    assert eb.fast_nms(row, falling, 0.5, classes=np.array([0, 1, 0])).tolist() == [0, 1, 2]
    pair = np.array([[0.0, 0, 4, 4], [1.4, 0, 5.4, 4]])
    assert eb.diou_nms(pair, falling[:2], 0.45).tolist() == [0, 1]
    halves = np.array([[0.0, 0, 4, 4], [0, 0, 4, 2], [9, 9, 10, 10]])
    indices, scored = eb.matrix_nms(halves, falling, min_score=0.05)
    assert (indices.tolist(), scored.tolist()) == ([0, 2, 1], [0.9, 0.7, 0.4])
    fused, confidence, classes = eb.weighted_boxes_fusion(
        [np.array([[0.0, 0, 4, 4]]), np.array([[0.0, 0, 4, 5], [7, 7, 8, 8]])],
        [np.array([0.5]), np.array([0.5, 0.5])],
        [np.array([0]), np.array([0, 0])],
    )
    assert fused.tolist() == [[0, 0, 4, 4.5], [7, 7, 8, 8]]
    assert (confidence.tolist(), classes.tolist()) == ([0.5, 0.25], [0, 0])


def test_assigners():
    anchors = np.array([[0.0, 0, 10, 10], [0, 0, 10, 4.5], [50, 50, 60, 60]])
    labels, ious = eb.max_iou(anchors, np.array([[0.0, 0, 10, 9]]), positive=0.7)
    assert (labels.tolist(), ious.tolist()) == ([0, -2, -1], [0.9, 0.5, 0.0])
    anchors = np.array([[0.0, 0, 8, 8], [8, 0, 16, 8], [16, 0, 24, 8], [0, 0, 16, 16]])
    labels, _ = eb.atss(anchors, [3, 1], np.array([[1.0, 1, 9, 9]]), nearest=2)
    assert labels.tolist() == [0, -1, -1, -1]
    priors = np.array([[4.0, 4, 8], [12, 4, 8], [100, 4, 8]])
    predicted = np.array([[0.0, 0, 9, 9], [6, 0, 20, 9], [90, 0, 110, 9]])
    scores = np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.1]])
    labels, ious = eb.sim_ota(priors, predicted, scores, np.array([[0.0, 0, 9, 9]]), np.array([0]))
    assert (labels.tolist(), ious.tolist()) == ([0, -1, -1], [1.0, 0.0, 0.0])
    anchors = np.array([[0.0, 0, 8, 8], [2, 0, 10, 8], [30, 0, 38, 8]])
    predicted = np.array([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 10]])
    target = np.array([[0.0, 0, 10, 10]])
    labels, _, scores = eb.task_aligned(anchors, predicted, np.array([[0.5], [0.5], [0.9]]), target, np.array([0]))
    assert (labels.tolist(), scores.tolist()) == ([0, 0, -1], [1.0, 0.5**6, 0.0])


def test_the_running_mean_is_kept_by_the_caller():
    mean = eb.RunningMean(10)
    for _ in range(10):
        mean.update(0.0)
    assert mean.value == pytest.approx(0.5)
    p, g = np.array([[0.0, 0, 10, 8]]), np.array([[0.0, 0, 10, 10]])
    loss, _ = eb.wiou_v3(mean.value).loss_and_gradient(p, g)
    outlier = 0.2 / 0.5
    assert loss == pytest.approx([0.201003 * outlier / (3 * 1.9 ** (outlier - 3))], abs=1e-6)


def test_threads_do_not_disturb_each_other():
    a, b = boxes(400, 11), boxes(400, 12)
    expected = eb.ciou().pairwise(a, b)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: eb.ciou().pairwise(a, b), range(16)):
            np.testing.assert_array_equal(found, expected)


def test_errors_say_what_was_found_and_expected():
    p, g = boxes(3, 13), boxes(2, 14)
    with pytest.raises(ValueError, match="the second boxes: found 2, expected 3"):
        eb.iou().elementwise(p, g)
    with pytest.raises(ValueError, match=r"the threshold: found 1.5, expected 0 to 1"):
        eb.nms(p, np.ones(3), 1.5)
    with pytest.raises(ValueError, match=r"found an array with shape \[3, 3\], expected \[n, 4\]"):
        eb.iou().pairwise(np.ascontiguousarray(p[:, :3]), p)
    with pytest.raises(ValueError, match="not contiguous; numpy.ascontiguousarray"):
        eb.iou().pairwise(boxes(6, 15)[::2], p)
    with pytest.raises(TypeError, match=r"b: found an array of float32 .* expected an array of float64"):
        eb.iou().pairwise(p, g.astype(np.float32))
    with pytest.raises(TypeError, match=r"a: found an array of int64 with shape \[3, 4\]"):
        eb.iou().pairwise(p.astype(np.int64), g)
    with pytest.raises(TypeError, match="a: found list"):
        eb.iou().pairwise([[0, 0, 1, 1]], g)
    with pytest.raises(ValueError, match="alpha: found \"else\", expected one of constant"):
        eb.ciou(alpha="else")
    with pytest.raises(ValueError, match="classes: found -1"):
        eb.batched_nms(g, np.ones(2), np.array([0, -1]), 0.5)
    with pytest.raises(ValueError, match="row 0, column 1: found NaN"):
        eb.linear_assignment(np.array([[0.0, np.nan]]))
    with pytest.raises(ValueError, match="either sigma or threshold"):
        eb.soft_nms(g, np.ones(2))
    with pytest.raises(ValueError, match="priors"):
        eb.sim_ota(np.ones((2, 2)), g, np.ones((2, 1)), p, np.zeros(3, np.uint32))


def test_the_stubs_are_of_this_module():
    """Every name of the module, with the parameters that it has, is in the stubs; and has a docstring."""
    stubs = ast.parse((Path(__file__).parent.parent / "etude_boxes.pyi").read_text())

    def parameters(function):
        taken = function.args
        return [arg.arg for arg in taken.posonlyargs + taken.args + taken.kwonlyargs]

    stubbed = {node.name: node for node in stubs.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    names = {name for name in dir(eb) if not name.startswith("_")} - {"etude_boxes"}
    assert names == set(stubbed)
    for name, node in stubbed.items():
        found = getattr(eb, name)
        assert found.__doc__, name
        if isinstance(node, ast.FunctionDef):
            assert list(inspect.signature(found).parameters) == parameters(node), name
            continue
        methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
        assert {part.name for part in methods} - {"__new__"} == {
            part for part in dir(found) if not part.startswith("_")
        }, name
        for method in methods:
            if not method.name.startswith("_") and callable(getattr(found, method.name)):
                signature = inspect.signature(getattr(found, method.name))
                assert list(signature.parameters) == parameters(method), (name, method.name)
