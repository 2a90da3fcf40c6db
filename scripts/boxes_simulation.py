"""The regression experiment of Zheng et al. 2020 (Distance-IoU Loss, algorithm 1) in NumPy, twice: with the exact slopes of the
formulas, an independent check of `etude boxes simulate`, and with the slopes of the authors' program, which gave the paper's
figures. That program (github.com/Zzh-tju/DIoU, "simulation experiment") differs from the formulas in four ways:

- slopes by width and height are twice as large;
- GIoU: where boxes do not meet, the negative sides of their intersection go into the union and its slopes;
- DIoU: the slopes of the enclosing box by the centre have the other sign, and those of both sides are added up;
- CIoU: the factor 1 / (w^2 + h^2) is left out.

    python scripts/boxes_simulation.py [places]     (200 if not given: some ten seconds)
    python scripts/boxes_simulation.py fixture      (slopes of the program, for crates/etude/src/boxes/simulate/published.rs)
"""

import json
import pathlib
import sys

import numpy as np

RATIOS = [1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4]
AREAS = [0.5, 0.67, 0.75, 1, 1.33, 1.5, 2]
ITERATIONS = 200


def cases(places):
    """Boxes and targets (cx, cy, w, h) of all shapes at random places of a disc."""
    random = np.random.default_rng(0)
    distance, angle = 3 * np.sqrt(random.random(places)), 2 * np.pi * random.random(places)
    sides = lambda area, ratio: (np.sqrt(area * ratio), np.sqrt(area / ratio))
    shapes = np.array([sides(a, r) + sides(1, t) for t in RATIOS for a in AREAS for r in RATIOS])
    shapes = np.tile(shapes, (places, 1))
    centres = np.stack([10 + distance * np.cos(angle), 10 + distance * np.sin(angle)], 1)
    centres = np.repeat(centres, len(shapes) // places, 0)
    return np.hstack([centres, shapes[:, :2]]), np.hstack([np.full_like(centres, 10), shapes[:, 2:]])


class Pair:
    """Ends of boxes and targets along x and y, as [axis, box]."""

    def __init__(self, p, g):
        self.p, self.g = p, g
        (self.p1, self.p2), (self.g1, self.g2) = self.ends(p), self.ends(g)
        self.inter = np.minimum(self.p2, self.g2) - np.maximum(self.p1, self.g1)
        self.meets = (self.inter > 0).all(0)
        self.hull = np.maximum(self.p2, self.g2) - np.minimum(self.p1, self.g1)
        self.area = np.prod(self.p2 - self.p1, 0)
        self.iou = np.where(self.meets, np.prod(self.inter, 0) / self.union(np.prod(self.inter, 0)), 0)

    @staticmethod
    def ends(boxes):
        centre, size = boxes[:, :2].T, boxes[:, 2:].T
        return centre - size / 2, centre + size / 2

    def union(self, inter):
        return self.area + np.prod(self.g2 - self.g1, 0) - inter


def slopes(loss, pair, program):
    """The slopes of the metric by cx, cy, w, h."""
    across = lambda sides: sides[::-1]
    inter_slopes = np.stack([-1.0 * (pair.p1 > pair.g1) * across(pair.inter), (pair.p2 < pair.g2) * across(pair.inter)])
    if not program:
        inter_slopes = np.where(pair.meets, inter_slopes, 0)
    area_slopes = np.stack([-across(pair.p2 - pair.p1), across(pair.p2 - pair.p1)])
    inter = np.prod(pair.inter, 0)
    if not program:
        inter = np.where(pair.meets, inter, 0)
    union, union_slopes = pair.union(inter), area_slopes - inter_slopes
    by_ends = np.where(pair.meets, (union * inter_slopes - inter * union_slopes) / union**2, 0)
    first, last = pair.p1 < pair.g1, pair.p2 > pair.g2
    if loss == "giou":
        hull_slopes = np.stack([-1.0 * first * across(pair.hull), last * across(pair.hull)])
        hull = np.prod(pair.hull, 0)
        by_ends = by_ends + (hull * union_slopes - union * hull_slopes) / hull**2
    by_size = (by_ends[1] - by_ends[0]) * (1 if program else 0.5)
    by_centre = by_ends[0] + by_ends[1]
    if loss in ("diou", "ciou"):
        delta = (pair.g - pair.p)[:, :2].T
        distance, diagonal = (delta**2).sum(0), (pair.hull**2).sum(0)
        by_shift, by_growth = last * 1.0 - first, (last * 1.0 + first) / 2
        sides = pair.hull.sum(0) if program else pair.hull
        sign = -1 if program else 1
        by_centre = by_centre + (2 * delta * diagonal + sign * 2 * sides * by_shift * distance) / diagonal**2
        growth = pair.hull * by_growth
        if program:
            growth = pair.hull * np.where(first & last, -1, by_growth) + across(pair.hull) * by_growth
        by_size = by_size + 2 * growth * distance / diagonal**2
    if loss == "ciou":
        angle = lambda boxes: np.arctan(boxes[:, 2] / boxes[:, 3])
        difference, size = angle(pair.g) - angle(pair.p), pair.p[:, 2:].T
        v = 4 / np.pi**2 * difference**2
        alpha = np.divide(v, 1 - pair.iou + v, out=np.zeros_like(v), where=v > 0)
        weight = alpha * 8 / np.pi**2 * difference / (1 if program else (size**2).sum(0))
        by_size = by_size + weight * np.stack([size[1], -size[0]])
    return np.concatenate([by_centre, by_size]).T


def run(loss, p, g, program):
    """The mean error after each iteration, and the largest mean area of the boxes that do not meet at first."""
    apart = ~Pair(p, g).meets
    errors, area = [np.abs(p - g).sum(1).mean()], 0
    for iteration in range(1, ITERATIONS + 1):
        rate = 0.1 if iteration <= 0.8 * ITERATIONS else 0.01 if iteration <= 0.9 * ITERATIONS else 0.001
        pair = Pair(p, g)
        p = p + rate * (2 - pair.iou)[:, None] * slopes(loss, pair, program)
        errors.append(np.abs(p - g).sum(1).mean())
        area = max(area, np.prod(p[apart, 2:], 1).mean())
    return errors, area


def fixture():
    """Slopes of the losses for boxes that meet, cross, contain each other or lie apart."""
    random = np.random.default_rng(1)
    draw = lambda spread: np.hstack([10 + spread * random.standard_normal((20, 2)), random.uniform(0.3, 2.5, (20, 2))])
    p = np.vstack([draw(0.1), draw(0.6), draw(2)])
    g = np.hstack([np.full((60, 2), 10), random.uniform(0.3, 2.5, (60, 2))])
    losses = {loss: (-slopes(loss, Pair(p, g), True)).tolist() for loss in ("iou", "giou", "diou", "ciou")}
    there = pathlib.Path(__file__).parent.parent / "crates/etude/src/boxes/simulate/published.json"
    there.write_text(json.dumps({"boxes": p.tolist(), "targets": g.tolist(), **losses}))


def main():
    if sys.argv[1:] == ["fixture"]:
        return fixture()
    p, g = cases(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    shown = [0, 20, 40, 80, 120, 160, 200]
    print(f"{len(p)} boxes; mean error after", *shown, "iterations; largest mean area of boxes apart")
    for program in (False, True):
        for loss in ("iou", "giou", "diou", "ciou"):
            errors, area = run(loss, p, g, program)
            whose = "program" if program else "exact"
            print(f"{whose:8} {loss:5}", *(f"{errors[step]:7.4f}" for step in shown), f"{area:7.3f}")


if __name__ == "__main__":
    main()
