"""Attention with every combination of its options in PyTorch, for the tests of `crates/kernels`.

    python scripts/kernels_attention_fixtures.py        writes crates/kernels/tests/fixtures/attention.json

`inputs` are two sets of queries [tokens, heads, size], keys and values [tokens, key_value_heads, size] and gradients by the
outputs, without and with heads that share keys and values. A case names its set and its options, and has the `outputs`, the
log-sum-exps (`log_sums`, [tokens, heads]) and the gradients by all three, from autograd. Everything but the inputs is computed
in 64 bits. Where there is no cap, the outputs have been compared with PyTorch's own attention.
"""

import itertools
import json
from pathlib import Path

import torch

FILE = Path(__file__).parent.parent / "crates/kernels/tests/fixtures/attention.json"
TOKENS, SIZE, SCALE = 11, 3, 0.7
# Heads and heads of keys and values.
HEADS = [(2, 2), (6, 2)]
OFFSETS = [[0, 11], [0, 4, 4, 10, 11]]


def numbers(tensor):
    return [float(f"{number:.9g}") for number in tensor.reshape(-1).tolist()]


def draw(heads, key_value_heads):
    # Large enough for a cap to be felt.
    shapes = {"queries": heads, "keys": key_value_heads, "values": key_value_heads, "d_outputs": heads}
    return {name: 1.5 * torch.randn(TOKENS, count, SIZE) for name, count in shapes.items()}


def attention(queries, keys, values, causal, window, soft_cap):
    """Outputs [length, heads, size] and log-sum-exps [length, heads] of one sequence."""
    group = queries.shape[1] // keys.shape[1]
    q, k, v = (x.transpose(0, 1) for x in (queries, keys.repeat_interleave(group, 1), values.repeat_interleave(group, 1)))
    scores = SCALE * q @ k.transpose(1, 2)
    if soft_cap:
        scores = soft_cap * torch.tanh(scores / soft_cap)
    query, key = torch.arange(len(queries))[:, None], torch.arange(len(keys))[None]
    mask = (query - key).abs() < (window or len(keys))
    if causal:
        mask &= key <= query
    scores = scores.masked_fill(~mask, float("-inf"))
    outputs = scores.softmax(-1) @ v
    if not soft_cap and len(queries):
        own = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=SCALE)
        assert torch.allclose(own, outputs, rtol=1e-10)
    return outputs.transpose(0, 1), scores.logsumexp(-1).transpose(0, 1)


def record(index, inputs, causal, window, soft_cap, offsets):
    q, k, v = (inputs[name].double().requires_grad_() for name in ("queries", "keys", "values"))
    parts = [
        attention(q[first:end], k[first:end], v[first:end], causal, window, soft_cap)
        for first, end in zip(offsets, offsets[1:])
    ]
    outputs, log_sums = (torch.cat(part) for part in zip(*parts))
    outputs.backward(inputs["d_outputs"].double())
    case = {"inputs": index, "causal": causal, "window": window, "soft_cap": soft_cap, "offsets": offsets}
    found = {"outputs": outputs, "log_sums": log_sums, "d_queries": q.grad, "d_keys": k.grad, "d_values": v.grad}
    return case | {name: numbers(tensor) for name, tensor in found.items()}


def main():
    torch.manual_seed(1)
    inputs = [draw(*heads) for heads in HEADS]
    options = itertools.product(range(len(inputs)), [True, False], [None, 3], [None, 1.5], OFFSETS)
    cases = [record(index, inputs[index], *rest) for index, *rest in options]
    sets = [
        {"heads": heads, "key_value_heads": key_value_heads} | {name: numbers(tensor) for name, tensor in drawn.items()}
        for (heads, key_value_heads), drawn in zip(HEADS, inputs)
    ]
    lines = ",\n".join(json.dumps(case) for case in cases)
    head = f'{{"size": {SIZE}, "scale": {SCALE}, "inputs": {json.dumps(sets)},\n"cases": [\n'
    FILE.write_text(head + lines + "\n]}\n")


if __name__ == "__main__":
    main()
