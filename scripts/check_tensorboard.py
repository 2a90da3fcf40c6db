#!/usr/bin/env python3
"""Reads an event file of étude back with TensorBoard's own reader, and compares it with what was written.

    python scripts/check_tensorboard.py

needs `pip install tensorboard` and runs `cargo run -p etude-train --example observe`. Both of TensorBoard's readers
are tried: the one for programs, which gives values as they lie in the file, and the one behind the dashboards, which
turns each into a tensor first. Both check the checksums of every record and drop the rest of a file that fails.
"""

import json
import math
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
from tensorboard.util import tensor_util

ROOT = Path(__file__).resolve().parent.parent
DOT = ROOT / "crates/train/examples/dot.png"

# What the example reports, besides the scalars and the text: these are compared with its metrics.jsonl.
WEIGHTS = {step: [float(i * i + step) for i in range(100)] for step in range(10)}
HISTOGRAMS = {"weights": WEIGHTS, "constant": {0: [2.5] * 4}}


def equal(found, expected, what):
    if found != expected:
        raise SystemExit(f"{what}: TensorBoard read {found!r}, expected {expected!r}")


def by_name(run, key):
    """The lines of metrics.jsonl that have `key`, as {name: [(step, value), ...]}."""
    series = {}
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if key in record:
            series.setdefault(record["name"], []).append((record["step"], record[key]))
    return series


def as_f32(points):
    """What an event file can hold of them; as text, since NaN differs from itself."""
    return [(step, repr(np.float32(value))) for step, value in points]


def check_values(run):
    """The reader for programs."""
    everything = {kind: 0 for kind in ("scalars", "histograms", "images", "tensors")}
    events = event_accumulator.EventAccumulator(str(run), size_guidance=everything).Reload()
    equal(events.file_version, 2.0, "file version")

    scalars = by_name(run, "value")
    equal(sorted(events.Tags()["scalars"]), sorted(scalars), "names of scalars")
    for name, points in scalars.items():
        found = as_f32((event.step, event.value) for event in events.Scalars(name))
        equal(found, as_f32(points), f"scalar {name}")

    equal(sorted(events.Tags()["histograms"]), sorted(HISTOGRAMS), "names of histograms")
    for name, steps in HISTOGRAMS.items():
        found = events.Histograms(name)
        equal([event.step for event in found], list(steps), f"steps of histogram {name}")
        for event in found:
            values, histogram = steps[event.step], event.histogram_value
            summary = (histogram.min, histogram.max, histogram.num, histogram.sum, histogram.sum_squares)
            expected = (min(values), max(values), len(values), sum(values), sum(v * v for v in values))
            equal(summary, expected, f"histogram {name} at {event.step}")
            equal(sum(histogram.bucket), len(values), f"buckets of {name} at {event.step}")
            below = np.cumsum(histogram.bucket)[:-1]
            counted = [sum(v < limit for v in values) for limit in histogram.bucket_limit[:-1]]
            if min(values) < max(values):
                equal(list(below), counted, f"buckets of {name} at {event.step}")

    equal(events.Tags()["images"], ["dot"], "names of pictures")
    pictures = [(e.step, e.width, e.height, e.encoded_image_string) for e in events.Images("dot")]
    equal(pictures, [(5, 2, 1, DOT.read_bytes())], "picture dot")

    texts = by_name(run, "text")
    equal(sorted(events.Tags()["tensors"]), sorted(texts), "names of texts")
    for name, points in texts.items():
        tensors = [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in events.Tensors(name)]
        found = [(step, tensor.item().decode("utf-8")) for step, tensor in tensors]
        equal(found, points, f"text {name}")
    return sum(map(len, scalars.values()))


def check_dashboards(run):
    """The reader behind the dashboards: each name must reach the one where it belongs."""
    events = plugin_event_accumulator.EventAccumulator(str(run), tensor_size_guidance=dict.fromkeys(
        ("scalars", "histograms", "images", "text"), 0)).Reload()
    expected = {
        "scalars": by_name(run, "value"),
        "histograms": HISTOGRAMS,
        "images": ["dot"],
        "text": by_name(run, "text"),
    }
    equal(sorted(events.ActivePlugins()), sorted(expected), "dashboards")
    for dashboard, names in expected.items():
        equal(sorted(events.PluginTagToContent(dashboard)), sorted(names), f"names in {dashboard}")
    for name, steps in HISTOGRAMS.items():
        for event in events.Tensors(name):
            buckets = tensor_util.make_ndarray(event.tensor_proto)
            equal(buckets[0, 0], np.float32(min(steps[event.step])), f"left edge of {name}")
            equal(buckets[-1, 1], np.float32(max(steps[event.step])), f"right edge of {name}")
            equal(math.fsum(buckets[:, 2]), len(steps[event.step]), f"buckets of {name}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = ["cargo", "run", "--quiet", "-p", "etude-train", "--example", "observe", "--", str(run)]
        subprocess.run(command, cwd=ROOT, check=True)
        scalars = check_values(run)
        check_dashboards(run)
    histograms = sum(map(len, HISTOGRAMS.values()))
    print(f"TensorBoard read back {scalars} scalars, {histograms} histograms, 1 picture and 1 text, all equal")


if __name__ == "__main__":
    main()
