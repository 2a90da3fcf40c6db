"""Side by side: boxes in étude, torchvision, NumPy and SciPy.

    cargo build --release -p etude-boxes --example boxes
    python benches/peers/boxes.py --etude target/release > table.md

Both work on the same boxes in the same run, on two threads. In every round they take turns; the median of the rounds counts. What
étude answers is held to what the peer answers, and the script exits with 1 where they differ.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torchvision.ops as ops
from scipy.optimize import linear_sum_assignment

THREADS = 2
# How long an assignment takes depends on the costs much.
COSTS = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--etude", required=True, help="folder of étude's build")
    parser.add_argument("--rounds", type=int, default=7, help="how often both take turns")
    parser.add_argument("--only", default="", help="tasks by name, such as iou,nms_10000")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    data = generate()
    with tempfile.TemporaryDirectory() as folder:
        for name, array in data.items():
            array.tofile(os.path.join(folder, name))
        etude = Etude(options.etude, folder)
        print("| task | peer | étude: ms | peer: ms | peer / étude |")
        print("|---|---|---:|---:|---:|")
        right = True
        for name, (title, peer, call, check, calls, peer_calls) in tasks(data).items():
            if options.only and name not in options.only.split(","):
                continue
            if check:
                answer = etude.answer(name)
                if not check(call(), answer):
                    right = False
                    print(f"{name}: the answers differ", file=sys.stderr)
            ours, theirs = [], []
            # What takes a peer seconds is measured three times.
            slow = measure(call, 1)
            for _ in range(3 if slow > 2.0 else options.rounds):
                ours.append(etude.seconds(name, calls))
                theirs.append(measure(call, peer_calls))
            ours, theirs = statistics.median(ours), statistics.median(theirs)
            print(f"| {title} | {peer} | {ours * 1e3:,.3g} | {theirs * 1e3:,.3g} | {theirs / ours:,.2f}x |", flush=True)
    sys.exit(not right)


class Etude:
    """étude's side, which waits for its turns."""

    def __init__(self, build, folder):
        self.folder = folder
        command = [os.path.join(build, "examples/boxes"), folder]
        threads = {**os.environ, "RAYON_NUM_THREADS": str(THREADS)}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=threads)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def seconds(self, task, calls):
        return float(self.ask(f"time {task} {calls}"))

    def answer(self, task):
        self.ask(f"write {task}")
        with open(os.path.join(self.folder, f"{task}.out"), "rb") as file:
            return file.read()


def measure(call, calls):
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def generate():
    random = np.random.default_rng(0)

    def boxes(count):
        first = random.random((count, 2)) * 1000
        return np.concatenate([first, first + 1 + random.random((count, 2)) * 100], 1).astype(np.float32)

    def rotated(count):
        centre, size = random.random((count, 2)) * 200, 1 + random.random((count, 2)) * 100
        return np.concatenate([centre, size, random.random((count, 1)) * np.pi], 1)

    many = boxes(100_000)
    return {
        "a": boxes(5000),
        "b": boxes(5000),
        "many": many,
        # Near them, as in learning.
        "targets": many + np.tile(random.normal(size=(len(many), 2)) * 10, 2).astype(np.float32),
        "scores": random.random(len(many), np.float32),
        "classes": random.integers(80, size=len(many)).astype(np.float32),
        "rotated_a": rotated(500),
        "rotated_b": rotated(500),
        "square": random.random((COSTS, 100, 100)),
        "wide": random.random((COSTS, 900, 300)),
    }


def tasks(data):
    """By name: what it is, the peer, its call, the check of the two answers, and calls in a turn of étude's and of the peer's."""
    tensors = {name: torch.from_numpy(array) for name, array in data.items()}
    a, b, many, targets, scores = (tensors[name] for name in ("a", "b", "many", "targets", "scores"))
    classes = tensors["classes"].long()
    square, wide = data["square"], data["wide"]
    pairs = "of 5,000 x 5,000 pairs"
    losses = "loss and gradient of 100,000 pairs"

    def matrix(title, peer, call):
        return f"{title} {pairs}", peer, call, close, 5, 1

    def loss(title, peer, formula):
        def call():
            p = many.clone().requires_grad_()
            formula(p, targets).sum().backward()
            return p.grad

        return f"{title} {losses}", peer, call, None, 20, 2

    def suppression(title, call, calls, peer_calls):
        return title, "torchvision", call, lambda theirs, ours: same(theirs, ours, data["scores"]), calls, peer_calls

    def assignment(costs):
        title = f"Linear assignment of {costs.shape[0]} matrices {costs.shape[1]} x {costs.shape[2]}"
        call = lambda: np.concatenate([linear_sum_assignment(cost)[1] for cost in costs])
        return title, "SciPy", call, lambda theirs, ours: np.array_equal(theirs, np.frombuffer(ours, np.uint32)), 10, 10

    return {
        "memory": (f"Writing a matrix {pairs} to fresh memory", "NumPy", lambda: np.full((5000, 5000), 1, np.float32), None, 5, 3),
        "iou": matrix("IoU", "torchvision", lambda: ops.box_iou(a, b)),
        "iou_reused": (f"IoU {pairs}, into memory that is at hand", "torchvision", lambda: ops.box_iou(a, b), None, 5, 1),
        "giou": matrix("GIoU", "torchvision", lambda: ops.generalized_box_iou(a, b)),
        "diou": matrix("DIoU", "torchvision", lambda: ops.distance_box_iou(a, b)),
        "ciou": matrix("CIoU", "torchvision", lambda: ops.complete_box_iou(a, b)),
        "siou": matrix("SIoU", "formula in PyTorch", lambda: siou(a[:, None], b)),
        "shape_iou": matrix("Shape-IoU", "formula in PyTorch", lambda: shape_iou(a[:, None], b)),
        "ciou_loss": loss("CIoU", "torchvision", ops.complete_box_iou_loss),
        "siou_loss": loss("SIoU", "formula in PyTorch", lambda p, g: 1 - siou(p, g)),
        "shape_iou_loss": loss("Shape-IoU", "formula in PyTorch", lambda p, g: 1 - shape_iou(p, g)),
        "nms_10000": suppression(
            "NMS of 10,000 boxes at IoU 0.5", lambda: ops.nms(many[:10_000], scores[:10_000], 0.5), 20, 1
        ),
        "nms_100000": suppression("NMS of 100,000 boxes at IoU 0.5", lambda: ops.nms(many, scores, 0.5), 5, 1),
        "batched_nms": suppression(
            "Batched NMS of 100,000 boxes in 80 classes", lambda: ops.batched_nms(many, scores, classes, 0.5), 10, 1
        ),
        "rotated_iou": (
            "Rotated IoU of 500 x 500 pairs",
            "formula in NumPy",
            lambda: rotated_iou(data["rotated_a"], data["rotated_b"]),
            lambda theirs, ours: np.allclose(theirs.ravel(), np.frombuffer(ours), rtol=0, atol=1e-9),
            5,
            1,
        ),
        "assignment_100x100": assignment(square),
        "assignment_900x300": assignment(wide),
    }


def close(theirs, ours):
    return np.allclose(theirs.numpy().ravel(), np.frombuffer(ours, np.float32), rtol=0, atol=2e-5)


def same(theirs, ours, scores):
    """The same boxes by falling score. torchvision's order of equal scores in several classes is any."""
    theirs, ours = theirs.numpy(), np.frombuffer(ours, np.uint32)
    return np.array_equal(np.sort(theirs), np.sort(ours)) and np.array_equal(scores[theirs], scores[ours])


def parts(p, g):
    """IoU, the distance of the centres, the sides of both boxes and those of the enclosing one, of last axis 2."""
    size, target = p[..., 2:] - p[..., :2], g[..., 2:] - g[..., :2]
    inter = (torch.minimum(p[..., 2:], g[..., 2:]) - torch.maximum(p[..., :2], g[..., :2])).clamp(min=0).prod(-1)
    hull = torch.maximum(p[..., 2:], g[..., 2:]) - torch.minimum(p[..., :2], g[..., :2])
    apart = (p[..., :2] + p[..., 2:] - g[..., :2] - g[..., 2:]) / 2
    return inter / (size.prod(-1) + target.prod(-1) - inter), apart, size, target, hull


def shape_cost(size, target, factor):
    return ((1 - torch.exp(-factor * (size - target).abs() / torch.maximum(size, target))) ** 4).sum(-1)


def siou(p, g):
    iou, apart, size, target, hull = parts(p, g)
    gamma = 2 - 2 * apart.abs().prod(-1, keepdim=True) / (apart**2).sum(-1, keepdim=True)
    distance = (1 - torch.exp(-gamma * (apart / hull) ** 2)).sum(-1)
    return iou - (distance + shape_cost(size, target, 1.0)) / 2


def shape_iou(p, g, scale=0.0):
    iou, apart, size, target, hull = parts(p, g)
    power = target**scale
    weights = 2 * power.flip(-1) / power.sum(-1, keepdim=True)
    distance = (weights * apart**2).sum(-1) / (hull**2).sum(-1)
    return iou - distance - shape_cost(size, target, weights) / 2


def rotated_iou(a, b):
    """All pairs: the corners of the intersection are corners of one box inside the other and crossings of edges; by angle around
    their mean they make a polygon."""
    corners_a, corners_b = corners(a)[:, None], corners(b)[None]
    shape = (len(a), len(b))
    edges_a, edges_b = np.roll(corners_a, -1, 2) - corners_a, np.roll(corners_b, -1, 2) - corners_b
    # Crossings of edge i of a and edge j of b.
    start = corners_b[:, :, None] - corners_a[:, :, :, None]
    along, across = edges_a[:, :, :, None], edges_b[:, :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = cross(along, across)
        t, u = cross(start, across) / slope, cross(start, along) / slope
        meets = (slope != 0) & (t >= 0) & (t <= 1) & (u >= 0) & (u <= 1)
        crossings = np.where(meets[..., None], corners_a[:, :, :, None] + t[..., None] * along, 0)
    points = np.concatenate(
        [
            np.broadcast_to(corners_a, (*shape, 4, 2)),
            np.broadcast_to(corners_b, (*shape, 4, 2)),
            crossings.reshape(*shape, 16, 2),
        ],
        2,
    )
    counts = np.concatenate(
        [inside(corners_a, b[None]), inside(corners_b, a[:, None]), meets.reshape(*shape, 16)], 2
    )
    number = np.maximum(counts.sum(2), 1)
    points = (points - ((points * counts[..., None]).sum(2) / number[..., None])[:, :, None]) * counts[..., None]
    angle = np.where(counts, np.arctan2(points[..., 1], points[..., 0]), np.inf)
    points = np.take_along_axis(points, np.argsort(angle, 2)[..., None], 2)
    # Behind the last corner comes the first one again.
    last = np.arange(24) >= number[..., None]
    points = np.where(last[..., None], points[:, :, :1], points)
    inter = np.abs(cross(points, np.roll(points, -1, 2)).sum(2)) / 2
    return inter / ((a[:, 2] * a[:, 3])[:, None] + (b[:, 2] * b[:, 3])[None] - inter)


def cross(u, v):
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def corners(boxes):
    half = boxes[:, None, 2:4] / 2 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    cosine, sine = np.cos(boxes[:, 4, None]), np.sin(boxes[:, 4, None])
    x = half[..., 0] * cosine - half[..., 1] * sine
    y = half[..., 0] * sine + half[..., 1] * cosine
    return np.stack([x, y], -1) + boxes[:, None, :2]


def inside(points, boxes):
    apart = points - boxes[..., None, :2]
    cosine, sine = np.cos(boxes[..., 4])[..., None], np.sin(boxes[..., 4])[..., None]
    x = apart[..., 0] * cosine + apart[..., 1] * sine
    y = apart[..., 1] * cosine - apart[..., 0] * sine
    return (np.abs(x) <= boxes[..., 2, None] / 2) & (np.abs(y) <= boxes[..., 3, None] / 2)


if __name__ == "__main__":
    main()
