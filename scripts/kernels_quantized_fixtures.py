"""Makes blocks of each type of GGUF with the numbers that they stand for, for the tests of `crates/kernels`.

    python scripts/kernels_quantized_fixtures.py        writes crates/kernels/tests/fixtures/quantized.json

Needs the `gguf` package. Each case has a `type`, its `blocks` as hexadecimal bytes, and the `bits` of their numbers in f32 as
hexadecimal digits, eight a number. The first blocks of a type are quantised from normal numbers where the package can do so; the others are
random bits with finite scales, also negative ones, zeros and subnormal ones.
"""

import json
from pathlib import Path

import gguf
import numpy as np

FILE = Path(__file__).parent.parent / "crates/kernels/tests/fixtures/quantized.json"
# Where the scales of f16 are in a block.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}  # fmt: skip
# Zero, minus zero, the smallest subnormal number, a larger one, the largest number, and minus it.
EXTREME = [0x0000, 0x8000, 0x0001, 0x82AB, 0x7BFF, 0xFBFF]


def case(name, random):
    kind = gguf.GGMLQuantizationType[name]
    length, size = gguf.GGML_QUANT_SIZES[kind]
    count = 12 if length == 32 else 8
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    for index, block in enumerate(blocks):
        for place, at in enumerate(SCALES[name]):
            scale = np.float16(random.normal(scale=0.01)).view(np.uint16) if index % 2 else EXTREME[(index // 2 + place) % 6]
            block[at : at + 2] = np.array([scale], np.uint16).view(np.uint8)
    try:
        drawn = random.standard_normal((4, length)).astype(np.float32)
        blocks = np.concatenate([gguf.quants.quantize(drawn, kind), blocks])
    except NotImplementedError:
        print(f"{name}: the package cannot quantise it, so all blocks are random bits")
    numbers = gguf.quants.dequantize(blocks, kind)
    assert np.isfinite(numbers).all()
    bits = "".join(f"{number:08x}" for number in numbers.astype(np.float32).reshape(-1).view(np.uint32))
    return {"type": name, "blocks": blocks.tobytes().hex(), "bits": bits}


def main():
    random = np.random.default_rng(0)
    FILE.write_text(json.dumps([case(name, random) for name in SCALES], indent=1) + "\n")


if __name__ == "__main__":
    main()
