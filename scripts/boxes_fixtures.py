"""Computes what the tests of `crates/boxes` compare with, by PyTorch, torchvision, SciPy and Shapely.

    python scripts/boxes_fixtures.py        writes crates/boxes/tests/fixtures/*.json

losses.json: each loss of the IoU family, from its formula, and its gradient by autograd, in 64 bits. The ten thousand pairs are
those of `pairs` below, which the test draws again by the same rule; of each 500 there are the sums of the losses and of the four parts of
the gradients. At kinks PyTorch's maximum and minimum give the mean of both sides.

torchvision.json: pairs, and what torchvision's own losses make of them.

linear_assignment.json: costs [rows, columns] and what SciPy's linear_sum_assignment makes of them; null stands for infinity.

assign.json: anchors on two levels, predictions, scores and targets, and who belongs to whom by each rule, worked out on whole matrices.
-1 is background, -2 ignored.

nms.json: boxes, scores and classes, and which of them torchvision keeps.

rotated.json: pairs of rotated boxes (cx, cy, w, h, radians clockwise); the IoU by Shapely; and of 1 - IoU, from clipping with tensors, and of 1 - ProbIoU
the value and the gradient by autograd.
"""

import json
import math
from pathlib import Path

import numpy as np
import scipy.optimize
import shapely
import torch
import torchvision

FOLDER = Path(__file__).parent.parent / "crates/boxes/tests/fixtures"
PAIRS, CHUNK = 10_000, 500
TINY = 2.2250738585072014e-308


def uniforms(seed):
    """Numbers in [0, 1) with 32 bits."""
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (seed >> 32) / 2**32


def pairs(count):
    """Proper boxes, boxes on a coarse grid (which touch, coincide, are empty or inverted), boxes near one another, boxes far apart."""
    draw = uniforms(0)
    p, g = [], []
    for index in range(count):
        u = [next(draw) for _ in range(8)]
        if index % 4 == 0:
            boxes = [x * 100 for x in u]
            boxes = [boxes[0], boxes[1], boxes[0] + boxes[2], boxes[1] + boxes[3], boxes[4], boxes[5], boxes[4] + boxes[6], boxes[5] + boxes[7]]
        elif index % 4 == 1:
            boxes = [float(int(x * 6)) for x in u]
        elif index % 4 == 2:
            target = [u[0] * 10, u[1] * 10, u[0] * 10 + u[2] + 0.5, u[1] * 10 + u[3] + 0.5]
            boxes = [target[k] + (u[4 + k] - 0.5) * 0.125 for k in range(4)] + target
        else:
            boxes = [u[0], u[1], u[0] + u[2], u[1] + u[3], u[4] + 1000, u[5] - 50, u[4] + 1000 + u[6] * 100, u[5] - 50 + u[7]]
        p.append(boxes[:4])
        g.append(boxes[4:])
    return p, g


def divide(numerator, denominator, added=0.0, floor=0.0):
    divisor = denominator + added
    divisor = torch.maximum(divisor, torch.full_like(divisor, floor)) if floor else divisor
    counts = divisor >= TINY
    return torch.where(counts, numerator, 0) / torch.where(counts, divisor, 1)


def power(x, exponent):
    return torch.where(x > 0, torch.where(x > 0, x, 1) ** exponent, 0)


def part(x):
    return torch.maximum(x, torch.zeros_like(x))


class Pair:
    """The parts of all formulas, for boxes [pairs, 4]."""

    def __init__(self, p, g):
        self.p, self.g = p, g
        (x1, y1, x2, y2), (u1, v1, u2, v2) = p.unbind(1), g.unbind(1)
        self.w, self.h, self.wg, self.hg = part(x2 - x1), part(y2 - y1), part(u2 - u1), part(v2 - v1)
        self.inter = part(torch.minimum(x2, u2) - torch.maximum(x1, u1)) * part(torch.minimum(y2, v2) - torch.maximum(y1, v1))
        self.union = self.w * self.h + self.wg * self.hg - self.inter
        first, last = torch.minimum, torch.maximum
        self.cw = last(last(x1, x2), last(u1, u2)) - first(first(x1, x2), first(u1, u2))
        self.ch = last(last(y1, y2), last(v1, v2)) - first(first(y1, y2), first(v1, v2))
        self.hull = self.cw * self.ch
        self.dx, self.dy = (x1 + x2 - u1 - u2) / 2, (y1 + y2 - v1 - v2) / 2
        self.far, self.diagonal = self.dx**2 + self.dy**2, self.cw**2 + self.ch**2

    def v(self):
        flat = (self.w == 0) & (self.h == 0)
        angle = torch.where(flat, 0, torch.atan2(torch.where(flat, 0, self.w), torch.where(flat, 1, self.h)))
        return 4 / math.pi**2 * (torch.atan2(self.wg, self.hg) - angle) ** 2


def iou(pair, **guard):
    return 1 - divide(pair.inter, pair.union, **guard)


def giou(pair, **guard):
    return iou(pair, **guard) + divide(pair.hull - pair.union, pair.hull, **guard)


def diou(pair, **guard):
    return iou(pair, **guard) + divide(pair.far, pair.diagonal, **guard)


def ciou(pair, rule="constant", **guard):
    v, lost = pair.v(), iou(pair, **guard)
    alpha = divide(v, lost + v, **guard)
    if rule == "above_half":
        alpha = torch.where(1 - lost > 0.5, alpha, 0)
    return diou(pair, **guard) + v * (alpha if rule == "differentiated" else alpha.detach())


def eiou(pair, **guard):
    return diou(pair, **guard) + divide((pair.w - pair.wg) ** 2, pair.cw**2, **guard) + divide((pair.h - pair.hg) ** 2, pair.ch**2, **guard)


def focal_eiou(pair, detached=True):
    weight = power(1 - iou(pair), 0.5)
    return (weight.detach() if detached else weight) * eiou(pair)


def alpha_iou(pair, penalty=None):
    kept = 1 - iou(pair)
    loss = 1 - power(kept, 3)
    if penalty == "giou":
        loss = loss + power(divide(pair.hull - pair.union, pair.hull), 3)
    if penalty in ("diou", "ciou"):
        loss = loss + power(divide(pair.far, pair.diagonal), 3)
    if penalty == "ciou":
        v = pair.v()
        loss = loss + power(divide(v, 1 - kept + v).detach() * v, 3)
    return loss


def shape(pair, factors=(1, 1), theta=4):
    width = divide((pair.w - pair.wg).abs(), torch.maximum(pair.w, pair.wg))
    height = divide((pair.h - pair.hg).abs(), torch.maximum(pair.h, pair.hg))
    return power(1 - torch.exp(-factors[0] * width), theta) + power(1 - torch.exp(-factors[1] * height), theta)


def siou(pair, sign=-1):
    apart = pair.far > 0
    distance = torch.where(apart, pair.far, 1).sqrt()
    sine = torch.where(apart, pair.dy.abs() / distance, 0)
    angle = torch.where(apart, 2 * sine * pair.dx.abs() / distance, 0)
    x, y = divide(pair.dx, pair.cw) ** 2, divide(pair.dy, pair.ch) ** 2
    cost = 2 - torch.exp(sign * (2 - angle) * x) - torch.exp(sign * (2 - angle) * y)
    return iou(pair) + (cost + shape(pair)) / 2


def wiou(pair, version=1, mean=0.4):
    lost = iou(pair)
    r, b = 1, lost.detach() / mean
    if version == 2:
        r = b**0.5
    if version == 3:
        r = b / (3 * 1.9 ** (b - 3))
    return r * torch.exp(divide(pair.far, pair.diagonal.detach())) * lost


def mpdiou(pair, width=640, height=480):
    return iou(pair) + ((pair.p - pair.g) ** 2).sum(1) / (width**2 + height**2)


def inner_iou(pair, ratio=0.75):
    near, far = 0.5 + 0.5 * ratio, 0.5 - 0.5 * ratio
    weights = torch.tensor([[near, 0, far, 0], [0, near, 0, far], [far, 0, near, 0], [0, far, 0, near]], dtype=torch.float64)
    resized = lambda boxes: torch.stack([(row * boxes).sum(1) for row in weights], 1)
    return iou(Pair(resized(pair.p), resized(pair.g)))


def inner_siou(pair):
    return siou(pair) - iou(pair) + inner_iou(pair)


def shape_iou(pair, scale=0.5):
    wide, high = pair.wg**scale, pair.hg**scale
    ww, hh = 2 * divide(wide, wide + high), 2 * divide(high, wide + high)
    return iou(pair) + divide(hh * pair.dx**2 + ww * pair.dy**2, pair.diagonal) + shape(pair, (hh, ww)) / 2


def bounded_iou(pair, beta=0.2, **guard):
    def smooth(loss):
        return torch.where(loss < beta, loss**2 / (2 * beta), loss - beta / 2)

    def centre(distance, size):
        return smooth(1 - part(divide(size - 2 * distance.abs(), size + 2 * distance.abs(), **guard)))

    def size(size, target):
        return smooth(1 - torch.minimum(divide(size, target, **guard), divide(target, size, **guard)))

    return centre(pair.dx, pair.wg) + centre(pair.dy, pair.hg) + size(pair.w, pair.wg) + size(pair.h, pair.hg)


TORCHVISION, MMDET = {"added": 1e-7}, {"floor": 1e-6}
LOSSES = {
    "iou": iou,
    "giou": giou,
    "diou": diou,
    "ciou": ciou,
    "eiou": eiou,
    "focal_eiou": focal_eiou,
    "focal_eiou_differentiated": lambda pair: focal_eiou(pair, False),
    "alpha_iou": alpha_iou,
    "alpha_giou": lambda pair: alpha_iou(pair, "giou"),
    "alpha_diou": lambda pair: alpha_iou(pair, "diou"),
    "alpha_ciou": lambda pair: alpha_iou(pair, "ciou"),
    "siou": siou,
    "siou_positive": lambda pair: siou(pair, 1),
    "wiou_v1": wiou,
    "wiou_v2": lambda pair: wiou(pair, 2),
    "wiou_v3": lambda pair: wiou(pair, 3),
    "mpdiou": mpdiou,
    "inner_iou": inner_iou,
    "inner_siou": inner_siou,
    "shape_iou": shape_iou,
    "bounded_iou": bounded_iou,
    "ciou_differentiated": lambda pair: ciou(pair, "differentiated"),
    "ciou_above_half": lambda pair: ciou(pair, "above_half"),
    "giou_torchvision": lambda pair: giou(pair, **TORCHVISION),
    "ciou_torchvision": lambda pair: ciou(pair, **TORCHVISION),
    "giou_mmdet": lambda pair: giou(pair, **MMDET),
    "ciou_mmdet": lambda pair: ciou(pair, "above_half", **MMDET),
    "eiou_mmdet_floor": lambda pair: eiou(pair, **MMDET),
    "bounded_iou_mmdet": lambda pair: bounded_iou(pair, added=1e-3),
}


def losses_and_gradients(loss, p, g):
    p = p.clone().requires_grad_()
    losses = loss(p, g)
    (gradients,) = torch.autograd.grad(losses.sum(), p)
    return torch.cat([losses[:, None], gradients], 1).detach()


def write(name, content):
    text = json.dumps(content, separators=(",", ":"))
    (FOLDER / name).write_text(text.replace("],[", "],\n[") + "\n")


def losses():
    p, g = (torch.tensor(boxes, dtype=torch.float64) for boxes in pairs(PAIRS))
    content = {}
    for name, loss in LOSSES.items():
        found = losses_and_gradients(lambda p, g: loss(Pair(p, g)), p, g)
        assert found.isfinite().all(), name
        content[name] = found.reshape(-1, CHUNK, 5).sum(1).tolist()
    write("losses.json", content)


def torchvision_losses():
    p, g = pairs(80)
    proper = [k for k in range(80) if k % 4 != 1]
    p, g = (torch.tensor([boxes[k] for k in proper], dtype=torch.float64) for boxes in (p, g))
    content = {"p": p.tolist(), "g": g.tolist()}
    ops = torchvision.ops
    for name, loss in [("giou", ops.generalized_box_iou_loss), ("diou", ops.distance_box_iou_loss), ("ciou", ops.complete_box_iou_loss)]:
        content[name] = losses_and_gradients(loss, p, g).tolist()
    write("torchvision.json", content)


def linear_assignment():
    draw = np.random.default_rng(0)
    cases = []
    for rows, columns in [(1, 1), (5, 5), (12, 12), (4, 9), (9, 4), (25, 17), (17, 25), (30, 30)]:
        for kind in ("real", "whole", "sparse", "sparser"):
            cost = draw.normal(size=(rows, columns)).round(4)
            if kind == "whole":
                cost = draw.integers(0, 5, size=(rows, columns)).astype(float)
            if kind in ("sparse", "sparser"):
                cost[draw.random((rows, columns)) < (0.6 if kind == "sparse" else 0.9)] = np.inf
            try:
                found = [indices.tolist() for indices in scipy.optimize.linear_sum_assignment(cost)]
                total = float(cost[tuple(found)].sum())
            except ValueError:
                found, total = None, None
            flat = [None if np.isinf(number) else number for number in cost.reshape(-1).tolist()]
            # Of whole numbers there are several assignments of the same cost.
            case = {"shape": [rows, columns], "cost": flat, "total": total, "feasible": found is not None}
            cases.append(case | {"columns": found[1] if found and kind == "real" else None, "rows": found[0] if found and kind == "real" else None})
    write("linear_assignment.json", cases)


def centres(boxes):
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def overlaps(a, b):
    return torchvision.ops.box_iou(a, b)


def inside(points, boxes):
    """The least distance of each point to the edges of each box, [points, boxes]."""
    return torch.cat([points[:, None] - boxes[None, :, :2], boxes[None, :, 2:] - points[:, None]], 2).min(2).values


def max_iou(anchors, targets):
    iou = overlaps(anchors, targets)
    best, labels = iou.max(1)
    labels = torch.where(best >= 0.5, labels, torch.where(best < 0.4, -1, -2))
    for target in range(len(targets)):
        most = iou[:, target].max()
        if most > 0:
            labels[iou[:, target] == most] = target
    return labels


def largest_of(wanted, iou):
    """The target of the largest IoU among those that want each anchor."""
    best, labels = torch.where(wanted, iou, -1.0).max(1)
    return torch.where(best >= 0, labels, -1)


def atss(anchors, levels, targets, nearest=9):
    iou = overlaps(anchors, targets)
    distance = torch.cdist(centres(anchors), centres(targets))
    candidate, first = torch.zeros_like(iou, dtype=torch.bool), 0
    for count in levels:
        found = distance[first : first + count].topk(nearest, 0, largest=False).indices + first
        candidate.scatter_(0, found, True)
        first += count
    wanted = torch.zeros_like(candidate)
    for target in range(len(targets)):
        ious = iou[candidate[:, target], target]
        wanted[:, target] = candidate[:, target] & (iou[:, target] >= ious.mean() + ious.std())
    return largest_of(wanted & (inside(centres(anchors), targets) > 0.01), iou)


def sim_ota(priors, predicted, scores, targets, classes):
    points, reach = priors[:, :2], 2.5 * priors[:, 2]
    in_box = inside(points, targets) > 0
    in_centre = (points[:, None] - centres(targets)[None]).abs().max(2).values < reach[:, None]
    valid = (in_box | in_centre).any(1)
    iou = overlaps(predicted, targets)
    one_hot = torch.nn.functional.one_hot(classes, scores.shape[1]).double()
    bce = torch.nn.functional.binary_cross_entropy
    cls = bce(scores[:, None].expand(-1, len(targets), -1), one_hot[None].expand(len(scores), -1, -1), reduction="none").sum(2)
    cost = cls - 3 * (iou + 1e-8).log() + 1e5 * ~(in_box & in_centre)
    cost, kept = cost[valid], iou[valid]
    matched = torch.zeros_like(cost, dtype=torch.bool)
    for target in range(len(targets)):
        count = max(1, int(kept[:, target].topk(10).values.sum()))
        matched[cost[:, target].topk(count, largest=False).indices, target] = True
    contested = matched.sum(1) > 1
    assert contested.sum() > 3
    matched[contested] = torch.nn.functional.one_hot(cost[contested].argmin(1), len(targets)).bool()
    labels = torch.full((len(priors),), -1)
    labels[valid] = torch.where(matched.any(1), matched.int().argmax(1), -1)
    return labels


def task_aligned(anchors, predicted, scores, targets, classes):
    iou = overlaps(predicted, targets)
    alignment = scores[:, classes] * iou**6
    wanted = torch.zeros_like(iou, dtype=torch.bool)
    wanted.scatter_(0, alignment.topk(13, 0).indices, True)
    labels = largest_of(wanted & (alignment > 0) & (inside(centres(anchors), targets) > 0.01), iou)
    new = torch.zeros(len(labels), dtype=torch.float64)
    for target in range(len(targets)):
        mine = labels == target
        if mine.any():
            new[mine] = alignment[mine, target] / alignment[mine, target].max() * iou[mine, target].max()
    return labels, new


def assign():
    torch.manual_seed(0)
    grid = lambda count, stride: torch.cartesian_prod(torch.arange(count), torch.arange(count)).flip(1).double() * stride + stride / 2
    points = torch.cat([grid(8, 8), grid(4, 16)])
    strides = torch.cat([torch.full((64,), 8.0), torch.full((16,), 16.0)]).double()
    anchors = torch.cat([points - strides[:, None], points + strides[:, None]], 1)
    corner, size = torch.rand(12, 2).double() * 25, torch.rand(12, 2).double() * 30 + 4
    targets = torch.cat([corner, corner + size], 1).round(decimals=2)
    predicted = (anchors + torch.randn(80, 4).double() * 4).round(decimals=2)
    scores, classes = torch.rand(80, 3).double().round(decimals=3).clamp(0.001, 0.999), torch.arange(12) % 3
    priors = torch.cat([points, strides[:, None]], 1)
    labels, new = task_aligned(anchors, predicted, scores, targets, classes)
    content = {
        "anchors": anchors.tolist(),
        "levels": [64, 16],
        "priors": priors.tolist(),
        "predicted": predicted.tolist(),
        "scores": scores.reshape(-1).tolist(),
        "targets": targets.tolist(),
        "classes": classes.tolist(),
        "max_iou": max_iou(anchors, targets).tolist(),
        "atss": atss(anchors, [64, 16], targets).tolist(),
        "sim_ota": sim_ota(priors, predicted, scores, targets, classes).tolist(),
        "task_aligned": labels.tolist(),
        "aligned_scores": new.tolist(),
    }
    write("assign.json", content)


def nms():
    torch.manual_seed(1)
    corner, size = torch.rand(300, 2).double() * 60, torch.rand(300, 2).double() ** 2 * 40
    boxes, scores, classes = torch.cat([corner, corner + size], 1).round(decimals=2), (torch.randperm(300).double() + 1) / 300, torch.randint(0, 4, (300,))
    ops, thresholds = torchvision.ops, [0.0, 0.1, 0.3, 0.5, 0.7, 0.9]
    content = {
        "boxes": boxes.tolist(),
        "scores": scores.tolist(),
        "classes": classes.tolist(),
        "thresholds": thresholds,
        "nms": [ops.nms(boxes, scores, threshold).tolist() for threshold in thresholds],
        "batched_nms": [ops.batched_nms(boxes, scores, classes, threshold).tolist() for threshold in thresholds],
    }
    write("nms.json", content)


def corners(box):
    x, y, w, h, angle = box
    c, s = torch.cos(angle), torch.sin(angle)
    offsets = [(-w / 2, -h / 2), (w / 2, -h / 2), (w / 2, h / 2), (-w / 2, h / 2)]
    return [torch.stack([x + u * c - v * s, y + u * s + v * c]) for u, v in offsets]


def cross(a, b):
    return a[0] * b[1] - a[1] * b[0]


def clipped_area(subject, clip):
    """The area of one convex polygon inside of another, both clockwise on the screen."""
    for k in range(4):
        start, edge = clip[k], clip[(k + 1) % 4] - clip[k]
        kept = []
        for before, corner in zip(subject[-1:] + subject[:-1], subject):
            out_before, out = cross(edge, before - start), cross(edge, corner - start)
            if (out_before < 0) != (out < 0):
                kept.append(before + (corner - before) * out_before / (out_before - out))
            if out >= 0:
                kept.append(corner)
        subject = kept
        if not subject:
            return torch.zeros((), dtype=torch.float64)
    return sum(cross(a, b) for a, b in zip(subject, subject[1:] + subject[:1])) / 2


def rotated_iou(p, g):
    inter = clipped_area(corners(p), corners(g))
    return inter / (p[2] * p[3] + g[2] * g[3] - inter)


def covariance(box):
    c, s = torch.cos(box[4]), torch.sin(box[4])
    turn = torch.stack([torch.stack([c, -s]), torch.stack([s, c])])
    return turn @ torch.diag(box[2:4] ** 2 / 12) @ turn.T


def prob_iou(p, g):
    sp, sg, d = covariance(p), covariance(g), p[:2] - g[:2]
    s = (sp + sg) / 2
    distance = d @ torch.linalg.solve(s, d) / 8 + (s.det() / (sp.det() * sg.det()).sqrt()).log() / 2
    return 1 - (1 - (-distance).exp()).sqrt()


def rotated():
    torch.manual_seed(2)
    content = []
    for index in range(60):
        p, g = (torch.cat([torch.rand(2) * 6, torch.rand(2) * 6 + 0.5, torch.rand(1) * 8 - 4]).double().round(decimals=3) for _ in range(2))
        if index % 3 == 0:
            p = (g + torch.randn(5).double() * 0.1).round(decimals=3)
        case = {"p": p.tolist(), "g": g.tolist()}
        shapes = [shapely.Polygon([tuple(corner.tolist()) for corner in corners(box)]) for box in (p, g)]
        case["shapely"] = shapes[0].intersection(shapes[1]).area / shapes[0].union(shapes[1]).area
        p.requires_grad_()
        for name, metric in [("iou", rotated_iou), ("prob_iou", prob_iou)]:
            loss = 1 - metric(p, g)
            gradient = torch.autograd.grad(loss, p, allow_unused=True)[0] if loss.requires_grad else torch.zeros(5)
            case[name] = [loss.item()] + gradient.tolist()
        assert abs(1 - case["iou"][0] - case["shapely"]) < 1e-12
        content.append(case)
    write("rotated.json", content)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    losses()
    torchvision_losses()
    linear_assignment()
    assign()
    nms()
    rotated()
