"""Norms, rotary embeddings, gated units, linear cross-entropy, AdamW and Muon of PyTorch, for the tests of `crates/kernels`.

    python scripts/kernels_fused_fixtures.py        writes crates/kernels/tests/fixtures/fused.json

A case has the numbers that go in, drawn in 32 bits, a gradient `dy` of a loss by the outputs, and what comes of it: the outputs and all
gradients, computed in 64 bits from the formulas that transformers has in its models (but for the angles of rotary embeddings, which are
products in 32 bits there and here). Arrays are flat, row by row.
"""

import json
from pathlib import Path
from unittest import mock

import torch
from torch.nn import functional

FILE = Path(__file__).parent.parent / "crates/kernels/tests/fixtures/fused.json"
STEPS = 10


def draw(*shape):
    return torch.randn(*shape)


def numbers(tensor):
    return [float(f"{number:.9g}") for number in tensor.detach().reshape(-1).tolist()]


def record(inputs, outputs, dy):
    """What went in, what came out, and the gradients of sum(dy * outputs)."""
    gradients = torch.autograd.grad(outputs, list(inputs.values()), dy.double())
    case = {name: numbers(tensor) for name, tensor in inputs.items()}
    case |= {"y": numbers(outputs), "dy": numbers(dy)}
    return case | {"d" + name: numbers(gradient) for name, gradient in zip(inputs, gradients)}


def leaves(**tensors):
    return {name: tensor.double().requires_grad_() for name, tensor in tensors.items()}


def rms_norm(rows, width, epsilon, offset):
    inputs = leaves(x=draw(rows, width), weight=draw(width))
    x, weight = inputs.values()
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * (weight + offset)
    return {"epsilon": epsilon, "offset": offset} | record(inputs, y, draw(rows, width))


def layer_norm(rows, width, epsilon):
    inputs = leaves(x=draw(rows, width) + 3, weight=draw(width), bias=draw(width))
    x, weight, bias = inputs.values()
    return {"epsilon": epsilon} | record(inputs, functional.layer_norm(x, [width], weight, bias, epsilon), draw(rows, width))


def rotary(heads, size, base, factor, positions):
    inputs = leaves(x=draw(len(positions), heads, size))
    x = inputs["x"]
    frequencies = 1.0 / (base ** (torch.arange(0, size, 2, dtype=torch.float) / size))
    angles = (torch.tensor(positions)[:, None].float() * frequencies).double()
    angles = torch.cat((angles, angles), dim=-1)[:, None]
    half = torch.cat((-x[..., size // 2 :], x[..., : size // 2]), dim=-1)
    y = x * (angles.cos() * factor) + half * (angles.sin() * factor)
    case = {"heads": heads, "frequencies": numbers(frequencies), "factor": factor, "positions": positions}
    return case | record(inputs, y, draw(*x.shape))


def gated(kind, count):
    inputs = leaves(gate=3 * draw(count), up=draw(count))
    gate, up = inputs.values()
    function = {"silu": functional.silu, "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh")}[kind]
    return {"kind": kind} | record(inputs, function(gate) * up, draw(count))


def log_probabilities(tokens, width, vocabulary, soft_cap):
    inputs = leaves(hidden=draw(tokens, width), weight=2 * draw(vocabulary, width) / width**0.5)
    hidden, weight = inputs.values()
    targets = torch.randint(vocabulary, (tokens,))
    logits = hidden @ weight.T
    if soft_cap is not None:
        logits = soft_cap * torch.tanh(logits / soft_cap)
    y = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]
    # Some tokens do not count.
    dy = draw(tokens) * (torch.arange(tokens) % 3 != 1)
    case = {"width": width, "soft_cap": soft_cap, "targets": targets.tolist()}
    return case | {"log_sums": numbers(logits.logsumexp(-1))} | record(inputs, y, dy)


def adam_w(count, scale, settings):
    parameter = draw(count).double().requires_grad_()
    gradients = draw(STEPS, count)
    optimizer = torch.optim.AdamW([parameter], **settings)
    case = settings | {"betas": list(settings["betas"]), "scale": scale}
    case |= {"parameters": numbers(parameter), "gradients": numbers(gradients)}
    for gradient in gradients.double():
        parameter.grad = gradient * scale
        optimizer.step()
    return case | {"trained": numbers(parameter)}


def muon(rows, columns, scale, settings):
    """torch.optim.Muon, but for what it computes in bf16, which is in 64 bits here like the rest. Its own steps must be close."""
    start = draw(rows, columns).double()
    gradients = draw(STEPS, rows, columns)

    def trained():
        parameter = start.clone().requires_grad_()
        optimizer = torch.optim.Muon([parameter], **settings)
        for gradient in gradients.double():
            parameter.grad = gradient * scale
            optimizer.step()
        return parameter.detach()

    rounded = trained()
    with mock.patch.object(torch, "bfloat16", torch.float64):
        exact = trained()
    difference = ((rounded - exact).norm() / (exact - start).norm()).item()
    assert 1e-5 < difference < 0.02, difference
    case = settings | {"columns": columns, "scale": scale, "parameters": numbers(start), "gradients": numbers(gradients)}
    return case | {"trained": numbers(exact)}


def main():
    torch.manual_seed(1)
    cases = {
        "rms_norm": [rms_norm(5, 48, 1e-5, 0.0), rms_norm(3, 70, 1e-6, 1.0), rms_norm(40, 6, 1e-6, 0.0), rms_norm(2, 1, 0.1, 0.0)],
        "layer_norm": [layer_norm(5, 48, 1e-5), layer_norm(3, 70, 1e-6), layer_norm(40, 6, 1e-12)],
        "rotary": [
            rotary(3, 16, 10000.0, 1.0, [0, 1, 2, 3, 100, 2047]),
            rotary(2, 64, 100000.0, 1.0, [8191, 5, 0]),
            rotary(1, 2, 10000.0, 1.25, [7, 3000]),
        ],
        "gated": [gated("silu", 200), gated("gelu_pytorch_tanh", 200)],
        "log_probabilities": [
            log_probabilities(7, 8, 50, None),
            log_probabilities(5, 16, 70, 3.0),
            log_probabilities(9, 2, 1100, None),
            log_probabilities(1, 3, 1, None),
        ],
        "adam_w": [
            adam_w(40, 1.0, {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}),
            adam_w(40, 0.25, {"lr": 3e-3, "betas": (0.9, 0.95), "eps": 1e-5, "weight_decay": 0.1}),
        ],
        "muon": [
            muon(5, 9, 1.0, {"lr": 0.02, "momentum": 0.95, "weight_decay": 0.1, "adjust_lr_fn": "original"}),
            muon(12, 4, 0.25, {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.5, "adjust_lr_fn": "original"}),
            muon(7, 7, 1.0, {"lr": 0.1, "momentum": 0.95, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}),
            muon(3, 8, 4.0, {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"}),
        ],
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    parts = (f'"{name}": [\n' + ",\n".join(json.dumps(case) for case in part) + "\n]" for name, part in cases.items())
    FILE.write_text("{\n" + ",\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    main()
