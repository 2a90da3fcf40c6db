"""Computes what the tests of `crates/boxes` compare masks with, by pycocotools.

    python scripts/masks_fixtures.py        writes crates/boxes/tests/fixtures/masks.json

masks: random masks of every density, as rows of 0 and 1, and what pycocotools makes of them: the runs, the string, the area and the box.

overlaps: masks of one size as strings, which of them are crowds, their IoU [masks, masks] with the second of a pair as target, with and
without crowds, and the union and the intersection of them all.

polygons: polygons in a picture, and the string of their union. There are stars that cross themselves, polygons that are partly or wholly
outside, lines, points, repeated corners, corners on the edges of pixels, and corners far away.
"""

import json
import math
import random
from pathlib import Path

import numpy as np
from pycocotools import mask

FILE = Path(__file__).parent.parent / "crates/boxes/tests/fixtures/masks.json"
random.seed(0)


def encode(pixels):
    return mask.encode(np.asfortranarray(pixels.astype(np.uint8)))


def text(rle):
    return rle["counts"].decode()


def blobs(height, width):
    """Pixels in one or two ellipses, or each for itself with any probability."""
    generator = np.random.default_rng(random.getrandbits(32))
    if random.random() < 0.5:
        return generator.random((height, width)) < random.choice([0, 0.02, 0.5, 0.9, 1])
    y, x = np.mgrid[:height, :width]
    pixels = np.zeros((height, width), bool)
    for _ in range(random.randint(1, 2)):
        cy, cx, ry, rx = generator.random(4) * [height, width, height, width]
        pixels |= ((y - cy) / (ry + 1)) ** 2 + ((x - cx) / (rx + 1)) ** 2 < 0.3
    return pixels


def runs(pixels):
    counts, last, length = [], False, 0
    for pixel in pixels.flatten(order="F"):
        if pixel != last:
            counts.append(length)
            last, length = pixel, 0
        length += 1
    return counts + [length]


def one_mask(size):
    pixels = blobs(*size)
    rle = encode(pixels)
    assert (mask.decode(rle) == pixels).all()
    counts = runs(pixels)
    assert mask.frPyObjects({"size": list(size), "counts": counts}, *size)["counts"] == rle["counts"]
    return {
        "rows": ["".join("01"[int(pixel)] for pixel in row) for row in pixels],
        "counts": counts,
        "text": text(rle),
        "area": int(mask.area(rle)),
        "box": [int(side) for side in mask.toBbox(rle)],
    }


def overlap(size):
    rles = [encode(blobs(*size)) for _ in range(5)]
    crowd = [random.random() < 0.5 for _ in rles]
    return {
        "size": size,
        "texts": [text(rle) for rle in rles],
        "crowd": crowd,
        "iou": mask.iou(rles, rles, [False] * len(rles)).tolist(),
        "crowd_iou": mask.iou(rles, rles, crowd).tolist(),
        "union": text(mask.merge(rles)),
        "intersection": text(mask.merge(rles, intersect=True)),
    }


def star(size):
    height, width = size
    corners = random.randint(3, 12)
    around = random.choice([1, 1, 1, 2, 3])
    cx, cy, far = random.random() * width, random.random() * height, random.random() * max(size)
    angles = [math.tau * around * k / corners + random.random() for k in range(corners)]
    return [round(x, 2) for a in angles for x in (cx + far * random.random() * math.cos(a), cy + far * random.random() * math.sin(a))]


def anywhere(size, scale, digits):
    height, width = size
    return [round((random.random() - 0.25) * scale * side, digits) for _ in range(random.randint(3, 8)) for side in (width, height)]


def polygons(size, shapes):
    rles = mask.frPyObjects(shapes, *size)
    return {"size": size, "polygons": shapes, "text": text(mask.merge(rles))}


def main():
    sizes = [(1, 1), (1, 9), (9, 1), (7, 5), (12, 17), (40, 30)]
    masks = [one_mask(size) for size in sizes for _ in range(6)]
    overlaps = [overlap(size) for size in sizes[1:] for _ in range(3)]
    drawn = []
    for _ in range(60):
        size = (random.randint(1, 60), random.randint(1, 60))
        drawn.append(polygons(size, [star(size) for _ in range(random.randint(1, 3))]))
        drawn.append(polygons(size, [anywhere(size, 2, random.choice([0, 1, 6]))]))
    size = (20, 30)
    drawn += [
        polygons(size, [shape])
        for shape in [
            [5.0, 5.0, 5.0, 5.0, 5.0, 5.0],  # a point
            [2.0, 3.0, 12.0, 9.0, 22.0, 15.0],  # a line
            [2.0, 3.0, 2.0, 15.0, 2.0, 9.0],  # an upright line
            [0.0, 0.0, 30.0, 0.0, 30.0, 20.0, 0.0, 20.0],  # the whole picture
            [0.5, 0.5, 9.5, 0.5, 9.5, 9.5, 0.5, 9.5],  # on the middle of pixels
            [4.0, 4.0, 14.0, 4.0, 14.0, 14.0, 4.0, 14.0, 4.0, 4.0, 14.0, 4.0, 14.0, 14.0, 4.0, 14.0],  # twice around
            [4.0, 4.0, 14.0, 14.0, 14.0, 4.0, 4.0, 14.0],  # a bow tie
            [-50.0, -50.0, -10.0, -50.0, -10.0, -10.0],  # outside
            [40.0, 3.0, 60.0, 3.0, 60.0, 9.0],  # to the right of it
            [3.0, 40.0, 9.0, 40.0, 9.0, 60.0],  # below it
            [-1e5, -1e5, 1e5, -1e5, 1e5, 1e5, -1e5, 1e5],  # around it
            [-1e5, 3.0, 1e5, 7.0, 1e5, 8.0],  # through it, from far away
            [15.0, -1e5, 15.3, 1e5, 18.0, 1e5],  # the same, steeply
            [29.0, 0.0, 30.0, 0.0, 30.0, 20.0, 29.0, 20.0],  # the last column
            [0.0, 19.0, 30.0, 19.0, 30.0, 20.0, 0.0, 20.0],  # the last row
            [3.4, 3.4, 3.6, 3.4, 3.6, 3.6],  # less than a pixel
            [1.0, 2.0, 8.0, 3.0, 4.0, 12.0, 1.0, 2.0, 1.0, 2.0],  # corners repeated
        ]
    ]
    FILE.write_text(json.dumps({"masks": masks, "overlaps": overlaps, "polygons": drawn}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
