"""Trains small networks for ten steps with PyTorch, for the tests of `crates/kernels`.

    python scripts/kernels_fixtures.py        writes crates/kernels/tests/fixtures/mlp.json

Each case is a network (`sizes`, `activation`), its `parameters` (layer by layer: the weight [outputs, inputs] row by row, then the bias), a
batch of `inputs` and `targets`, and what comes of it: the `outputs`; of their mean squared error the `gradient` by the
parameters and the `input_gradient`; and the `trained` parameters after ten steps of Adam with the given settings, with the
`losses` before each step. Everything but the numbers given is computed in 64 bits.
"""

import json
from pathlib import Path

import torch

FILE = Path(__file__).parent.parent / "crates/kernels/tests/fixtures/mlp.json"
STEPS = 10

# Sizes, activation, rows, settings of Adam.
CASES = [
    ([3, 16, 16, 2], "relu", 8, {"lr": 1e-2, "eps": 1e-8, "weight_decay": 0.0}),
    ([5, 24, 3], "tanh", 5, {"lr": 3e-3, "eps": 1e-5, "weight_decay": 0.0}),
    ([4, 20, 12, 8, 1], "relu", 19, {"lr": 1e-3, "eps": 1e-8, "weight_decay": 1e-2}),
    ([6, 4], "tanh", 3, {"lr": 1e-2, "eps": 1e-8, "weight_decay": 0.0}),
    ([2, 33, 17, 2], "tanh", 1, {"lr": 1e-2, "eps": 1e-3, "weight_decay": 1e-3}),
]


def network(sizes, activation):
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(inputs, outputs), {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[activation]()]
    return torch.nn.Sequential(*layers[:-1])


def flat(tensors):
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def numbers(tensor):
    return [float(f"{number:.9g}") for number in tensor.reshape(-1).tolist()]


def record(sizes, activation, rows, settings):
    # Drawn in 32 bits, so that the tests start from the same numbers.
    model = network(sizes, activation)
    inputs, targets = torch.randn(rows, sizes[0]), torch.randn(rows, sizes[-1])
    case = {"sizes": sizes, "activation": activation, "adam": settings}
    case |= {"parameters": numbers(flat(model.parameters())), "inputs": numbers(inputs), "targets": numbers(targets)}
    model, inputs, targets = model.double(), inputs.double().requires_grad_(), targets.double()
    adam = torch.optim.Adam(model.parameters(), **settings)
    losses = []
    for step in range(STEPS):
        adam.zero_grad()
        outputs = model(inputs)
        loss = torch.nn.functional.mse_loss(outputs, targets)
        loss.backward()
        if step == 0:
            gradient = flat(parameter.grad for parameter in model.parameters())
            case |= {"outputs": numbers(outputs), "gradient": numbers(gradient), "input_gradient": numbers(inputs.grad)}
        losses.append(loss.item())
        adam.step()
    return case | {"losses": losses, "trained": numbers(flat(model.parameters()))}


def main():
    torch.manual_seed(1)
    cases = [record(*case) for case in CASES]
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
