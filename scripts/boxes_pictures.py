"""Draws the pictures of the documentation of boxes: `python scripts/boxes_pictures.py` writes crates/boxes/docs/*.svg.

It needs nothing but Python. A picture is one block of HTML in the documentation: no line of it may be empty.
"""

from math import cos, exp, pi, sin
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "crates/boxes/docs"
P, G, MARK, GREY = "#3b82f6", "#f59e0b", "#10b981", "#9ca3af"
WIDTH, HEIGHT = 240, 110


def draw(name, title, *parts):
    lines = [part for group in parts for part in (group if isinstance(group, list) else [group])]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH * 3 // 2}" role="img" '
        'font-family="sans-serif" font-size="9" fill="none" stroke-width="1.5">'
    )
    (FOLDER / f"{name}.svg").write_text("\n".join([head, f"<title>{title}</title>", *lines, "</svg>", ""]))


def number(x):
    return f"{x:.1f}".removesuffix(".0")


def attributes(stroke, dash, fill, opacity):
    dashes = ' stroke-dasharray="3 2"' if dash else ""
    filling = f' fill="{fill}" fill-opacity="{opacity}"' if fill else ""
    return f'stroke="{stroke}"{dashes}{filling}'


def box(corners, stroke="none", label="", dash=False, fill=None, opacity=0.35):
    x1, y1, x2, y2 = corners
    shape = (
        f'<rect x="{number(x1)}" y="{number(y1)}" width="{number(x2 - x1)}" height="{number(y2 - y1)}" '
        f"{attributes(stroke, dash, fill, opacity)}/>"
    )
    return [shape] + ([text(x1 + 3, y1 + 9, label, stroke)] if label else [])


def path(points, stroke="none", dash=False, fill=None, opacity=0.35, close=False):
    steps = " L ".join(f"{number(x)} {number(y)}" for x, y in points)
    return f'<path d="M {steps}{" Z" if close else ""}" {attributes(stroke, dash, fill, opacity)}/>'


def line(start, end, stroke="currentColor", dash=False):
    return path([start, end], stroke, dash)


def text(x, y, words, fill="currentColor", anchor="start"):
    return f'<text x="{number(x)}" y="{number(y)}" fill="{fill}" text-anchor="{anchor}">{words}</text>'


def dot(x, y, fill="currentColor"):
    return f'<circle cx="{number(x)}" cy="{number(y)}" r="2" fill="{fill}"/>'


def centre(corners):
    x1, y1, x2, y2 = corners
    return (x1 + x2) / 2, (y1 + y2) / 2


def meet(a, b):
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def hull(a, b):
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def resized(corners, ratio):
    (x, y), (x1, y1, x2, y2) = centre(corners), corners
    w, h = (x2 - x1) / 2 * ratio, (y2 - y1) / 2 * ratio
    return x - w, y - h, x + w, y + h


def turned(x, y, w, h, degrees):
    c, s = cos(degrees * pi / 180), sin(degrees * pi / 180)
    corners = [(-w / 2, -h / 2), (w / 2, -h / 2), (w / 2, h / 2), (-w / 2, h / 2)]
    return [(x + u * c - v * s, y + u * s + v * c) for u, v in corners]


def clipped(polygon, other):
    """The part of a convex polygon inside of another one (Sutherland and Hodgman)."""
    for (ax, ay), (bx, by) in zip(other, other[1:] + other[:1]):
        inside = lambda q: (bx - ax) * (q[1] - ay) - (by - ay) * (q[0] - ax)
        part = []
        for start, end in zip(polygon, polygon[1:] + polygon[:1]):
            a, b = inside(start), inside(end)
            if a >= 0:
                part.append(start)
            if (a >= 0) != (b >= 0):
                share = a / (a - b)
                part.append((start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])))
        polygon = part
    return polygon


def chart(across, up, *curves):
    """Curves (function, colour, words) over 0 to 1, with values from 0 to 1."""
    left, right, low, high = 30, 150, 92, 12
    parts = [path([(left, high), (left, low), (right, low)], "currentColor")]
    parts += [text((left + right) / 2, 105, across, anchor="middle"), text(left - 4, high + 6, up, anchor="end")]
    for index, (function, colour, words) in enumerate(curves):
        points = [(left + (right - left) * k / 40, low - (low - high) * min(function(k / 40), 1.1)) for k in range(41)]
        parts += [path(points, colour), text(right + 8, high + 8 + 14 * index, words, colour)]
    return parts


def pair(p, g):
    return box(p, P, "p") + box(g, G, "g")


def metrics():
    p, g = (50, 15, 130, 85), (90, 35, 190, 100)
    draw("iou", "The intersection, a part of the union", box(p, fill=GREY, opacity=0.2), box(g, fill=GREY, opacity=0.2),
         box(meet(p, g), fill=MARK, opacity=0.6), pair(p, g), text(110, 64, "I", anchor="middle"))  # fmt: skip
    far = (20, 10, 80, 50), (140, 45, 220, 100)
    whole = hull(*far)
    draw("giou", "The part of the enclosing box that neither box fills", box(whole, GREY, dash=True, fill=MARK),
         box(far[0], fill="#fff", opacity=0.7), box(far[1], fill="#fff", opacity=0.7), pair(*far),
         text(110, 24, "C - U", anchor="middle"))  # fmt: skip
    between = [line(centre(far[0]), centre(far[1]), MARK), dot(*centre(far[0]), P), dot(*centre(far[1]), G)]
    diagonal = [box(whole, GREY, dash=True)[0], line(whole[:2], whole[2:], GREY, True), text(172, 90, "c", GREY)]
    draw("diou", "The distance of the centres, and the diagonal of the enclosing box", diagonal, pair(*far), between,
         text(118, 48, "d", MARK))  # fmt: skip
    flat = (20, 10, 100, 40), (150, 25, 200, 100)
    corners = [line(box[:2], box[2:], colour, True) for box, colour in zip(flat, (P, G))]
    whole = hull(*flat)
    draw("ciou", "The distance of the centres, and the angles of the diagonals", box(whole, GREY, dash=True),
         pair(*flat), corners, line(centre(flat[0]), centre(flat[1]), MARK), dot(*centre(flat[0]), P),
         dot(*centre(flat[1]), G), text(104, 34, "w / h", P), text(204, 80, "wg / hg", G))  # fmt: skip
    draw("eiou", "The distance of the centres, and the differences in width and height", box(whole, GREY, dash=True),
         pair(*flat), line(centre(flat[0]), centre(flat[1]), MARK), line((20, 46), (100, 46), P),
         line((20, 51), (70, 51), G), line((70, 51), (100, 51), MARK), text(102, 54, "w - wg", MARK),
         line((206, 25), (206, 55), P), line((211, 25), (211, 100), G), text(214, 82, "h, hg", G))  # fmt: skip
    draw("focal_eiou", "The weight of a pair grows with its IoU",
         chart("IoU", "1", (lambda x: x**0.5, P, "IoU^0.5"), (lambda x: 1, GREY, "EIoU: 1")))  # fmt: skip
    draw("alpha_iou", "Powers of IoU: the larger, the steeper near a good fit",
         chart("IoU", "1", (lambda x: x, GREY, "alpha = 1"), (lambda x: x**2, P, "alpha = 2"),
               (lambda x: x**3, MARK, "alpha = 3")))  # fmt: skip
    (px, py), (gx, gy) = centre(far[0]), centre(far[1])
    draw("siou", "The angle of the line between the centres", pair(*far), between, line((px, py), (gx, py), GREY, True),
         line((gx, py), (gx, gy), GREY, True), text(px + 34, py + 10, "angle", MARK), text(120, py - 4, "dx", GREY),
         text(gx + 4, 50, "dy", GREY))  # fmt: skip
    outlier = lambda b: b / (3 * 1.9 ** (b - 3))
    draw("wiou", "How much a pair counts, by its loss as a multiple of the mean",
         chart("b = (1 - IoU) / mean, 0 to 8", "2", (lambda x: 0.5, GREY, "v1: r = 1"),
               (lambda x: (8 * x) ** 0.5 / 2, P, "v2: b^0.5"), (lambda x: outlier(8 * x) / 2, MARK, "v3")))  # fmt: skip
    frame = (4, 4, 236, 106)
    draw("mpdiou", "The distances of the first and of the second corners", box(frame, GREY, dash=True), pair(p, g),
         line(p[:2], g[:2], MARK), line(p[2:], g[2:], MARK), text(72, 34, "d1", MARK), text(162, 90, "d2", MARK),
         text(232, 16, "the picture, of diagonal D", GREY, "end"))  # fmt: skip
    inner = resized(p, 0.7), resized(g, 0.7)
    draw("inner_iou", "The intersection of smaller boxes about the same centres", pair(p, g), box(inner[0], P, dash=True),
         box(inner[1], G, dash=True), box(meet(*inner), fill=MARK, opacity=0.6))  # fmt: skip
    wide = (40, 62, 110, 92), (60, 35, 210, 65)
    x, y = centre(wide[1])
    draw("shape_iou", "Of a wide target, a distance in y counts more than the same in x", pair(*wide),
         f'<ellipse cx="{x}" cy="{y}" rx="67" ry="30" {attributes(MARK, True, None, 0)}/>', dot(x, y, G),
         dot(*centre(wide[0]), P), text(205, 90, "equally far", MARK, "end"))  # fmt: skip
    bound = lambda x: max(0, (1 - 2 * x) / (1 + 2 * x))
    draw("bounded_iou", "The largest IoU that a distance and a width leave possible",
         chart("|dx| / wg, w / wg", "1", (bound, P, "bound of x"), (lambda x: x, G, "bound of w")))  # fmt: skip


def rotated():
    p, g = turned(100, 55, 110, 50, -20), turned(140, 58, 90, 45, 35)
    both = path(p, P, close=True), path(g, G, close=True)
    draw("rotated_iou", "The polygon that two rotated boxes share",
         path(clipped(p, g), fill=MARK, opacity=0.6, close=True), *both)  # fmt: skip
    ellipses = [
        f'<ellipse cx="{x}" cy="{y}" rx="{w / 12**0.5:.1f}" ry="{h / 12**0.5:.1f}" '
        f'transform="rotate({angle} {x} {y})" {attributes(colour, True, colour, 0.25)}/>'
        for (x, y, w, h, angle), colour in [((100, 55, 110, 50, -20), P), ((140, 58, 90, 45, 35), G)]
    ]
    draw("prob_iou", "Two Gaussians with the spreads of the boxes", *both, ellipses)
    bars = [line((205, 20), (205, 75), P), line((213, 45), (213, 100), G), line((221, 45), (221, 75), MARK)]
    ground, other = turned(80, 55, 100, 46, -20), turned(112, 58, 84, 42, 35)
    draw("cuboid_iou", "What two boxes share on the ground, times what they share in height",
         path(clipped(ground, other), fill=MARK, opacity=0.6, close=True), path(ground, P, close=True),
         path(other, G, close=True), bars, text(213, 12, "height", anchor="middle"))  # fmt: skip


def kept(corners, label):
    return box(corners, MARK, label)


def gone(corners, label):
    return box(corners, GREY, label, dash=True)


def suppression():
    first, second, third = (20, 15, 90, 75), (40, 30, 110, 90), (150, 30, 220, 90)
    draw("nms", "A box that meets a better one goes", kept(first, ".9"), gone((30, 22, 98, 84), ""),
         text(94, 94, ".8", GREY, "end"), kept(third, ".7"))
    draw("batched_nms", "Each class by itself", kept(first, "cat .9"), gone((28, 27, 96, 87), ""),
         text(30, 84, "cat .8", GREY), box((38, 39, 132, 103), P, ""), text(104, 100, "dog .7", P))  # fmt: skip
    apart = (20, 20, 100, 90), (62, 20, 142, 90)
    draw("diou_nms", "Two that overlap much, and have centres apart, both stay", kept(apart[0], ".9"),
         kept(apart[1], ""), text(114, 29, ".8", MARK), line(centre(apart[0]), centre(apart[1]), G),
         dot(*centre(apart[0]), G), dot(*centre(apart[1]), G), text(77, 50, "d", G))  # fmt: skip
    row = [(20 + 32 * k, 20 + 6 * k, 100 + 32 * k, 84 + 6 * k) for k in range(3)]
    draw("fast_nms", "A box that goes takes others with it", kept(row[0], ".9"), gone(row[1], ""), gone(row[2], ""),
         text(103, 94, ".8", GREY, "end"), text(168, 94, ".7: it meets .8 alone", GREY))  # fmt: skip
    draw("soft_nms", "The score of a box that meets a better one falls",
         chart("IoU with a better box", "1", (lambda x: 1 if x < 0.3 else 1 - x, P, "linear, 0.3"),
               (lambda x: exp(-x * x / 0.5), MARK, "Gaussian, 0.5"), (lambda x: x <= 0.5, GREY, "greedy, 0.5")))  # fmt: skip
    draw("matrix_nms", "What a box loses by another is divided by what that one has lost itself",
         chart("IoU with a better box", "1", (lambda x: 1 - x, P, "it has lost 0"),
               (lambda x: min(1, (1 - x) / 0.6), MARK, "it has lost 0.4"),
               (lambda x: exp(-2 * x * x), G, "Gaussian, 2")))  # fmt: skip
    draw("rotated_nms", "Boxes that cross share little, and both stay", path(turned(120, 55, 170, 30, 15), MARK, close=True),
         path(turned(120, 55, 130, 26, -35), MARK, close=True),
         path(turned(122, 57, 165, 28, 20), GREY, dash=True, close=True))  # fmt: skip
    parts = [(40, 20, 120, 80), (60, 26, 136, 92), (44, 34, 132, 96)]
    weights = [0.9, 0.6, 0.4]
    mean = [sum(w * part[k] for w, part in zip(weights, parts)) / sum(weights) for k in range(4)]
    draw("weighted_boxes_fusion", "Boxes become their weighted mean", [box(part, GREY, dash=True)[0] for part in parts],
         box(mean, MARK, fill=MARK, opacity=0.15), text(150, 50, "the mean by score", MARK))  # fmt: skip


def assignment():
    cost = [[4, 1, 3], [2, 0, 5], [3, 9, 2]]
    chosen = {(0, 1), (1, 0), (2, 2)}
    cells = []
    for row in range(3):
        for column in range(3):
            x, y = 75 + 30 * column, 8 + 30 * row
            cells += box((x, y, x + 28, y + 28), GREY, fill=MARK if (row, column) in chosen else None)
            cells.append(text(x + 14, y + 17, cost[row][column], anchor="middle"))
    draw("linear_assignment", "One number of each row and column, with the least sum", cells, text(172, 52, "1 + 2 + 2"))
    target = (70, 20, 160, 90)
    draw("max_iou", "Anchors with a large IoU belong to the target, those in between to nothing", box(target, G, "g"),
         box((76, 26, 170, 98), MARK), text(174, 94, "0.7: target", MARK), box((48, 12, 128, 70), GREY),
         text(4, 60, "0.45:", GREY), text(4, 71, "left out", GREY),
         box((186, 10, 226, 50), P), text(186, 62, "0: none", P))  # fmt: skip
    grid = [(34 + 24 * i, 19 + 24 * j) for i in range(8) for j in range(4)]
    x, y = centre(target)
    near = sorted(grid, key=lambda q: (q[0] - x) ** 2 + (q[1] - y) ** 2)[:9]
    draw("atss", "The nearest anchors of each level are candidates", box(target, G, "g"),
         [dot(*q, MARK if q in near else GREY) for q in grid], dot(x, y, G))  # fmt: skip
    radius = 2.5 * 14
    inside = lambda q, b: b[0] < q[0] < b[2] and b[1] < q[1] < b[3]
    central = (x - radius, y - radius, x + radius, y + radius)
    draw("sim_ota", "Points inside of the target, and central, may have it", box(target, G, "g"), box(central, MARK, dash=True),
         [dot(*q, MARK if inside(q, target) and inside(q, central) else P if inside(q, target) or inside(q, central) else GREY)
          for q in grid])  # fmt: skip
    draw("task_aligned", "The alignment: a score counts as far as the box fits",
         chart("IoU", "1", (lambda x: 0.9 * x**6, P, "score 0.9"), (lambda x: 0.5 * x**6, G, "score 0.5")))  # fmt: skip


def formats():
    corners = (60, 30, 170, 90)
    x, y = centre(corners)
    draw("format", "Corners, sizes and the centre of a box", box(corners, P), dot(60, 30, MARK), text(54, 33, "x1, y1", MARK, "end"),
         dot(170, 90, MARK), text(174, 98, "x2, y2", MARK), dot(x, y, G), text(x + 4, y - 4, "cx, cy", G),
         line((60, 20), (170, 20), GREY), text(x, 15, "w", GREY, "middle"), line((180, 30), (180, 80), GREY),
         text(184, 58, "h", GREY))  # fmt: skip


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    formats()
    metrics()
    rotated()
    suppression()
    assignment()
