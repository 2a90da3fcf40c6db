"""Side by side: steps of training of small networks, étude's and PyTorch's.

    cargo build --release -p etude-kernels --example kernels_mlp
    python benches/peers/kernels_mlp.py --etude target/release > table.md

One step is forward, the gradient of the mean squared error on given targets, backward, and Adam. Each time is the best of many
short rounds. PyTorch has its Adam twice, as it comes and fused into one kernel, and the faster counts.
"""

import argparse
import json
import os
import subprocess
import time

import torch

ROUNDS, SECONDS = 400, 0.005
ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--etude", required=True, help="folder of étude's build")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, such as 1,2")
    options = parser.parse_args()
    print("| network | batch | threads | étude: µs a step | GFLOP/s | of the peak | PyTorch: µs a step | étude / it | one row: étude µs | PyTorch µs |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for threads in map(int, options.threads.split(",")):
        command = [os.path.join(options.etude, "examples/kernels_mlp"), str(threads)]
        answer = subprocess.run(command, capture_output=True, check=True).stdout
        peak, *networks = map(json.loads, answer.splitlines())
        torch.set_num_threads(threads)
        for ours in networks:
            step, acting = measure(ours["sizes"], ours["activation"], ours["batch"])
            speed = ours["operations"] / ours["step"]
            print(
                f"| {'-'.join(map(str, ours['sizes']))}, {ours['activation']} | {ours['batch']} | {threads} "
                f"| {ours['step'] * 1e6:,.1f} | {speed / 1e9:,.0f} | {speed / peak['peak']:.0%} "
                f"| {step * 1e6:,.1f} | {step / ours['step']:.1f}x | {ours['acting'] * 1e6:.2f} | {acting * 1e6:.2f} |",
                flush=True,
            )
        print(f"The peak on {threads} threads is {peak['peak'] / 1e9:,.0f} GFLOP/s: multiplications and additions in registers.")


def measure(sizes, activation, batch):
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
    model = torch.nn.Sequential(*layers[:-1])
    inputs, targets = torch.randn(batch, sizes[0]), torch.randn(batch, sizes[-1])

    def step_with(adam):
        def step():
            adam.zero_grad()
            torch.nn.functional.mse_loss(model(inputs), targets).backward()
            adam.step()

        return step

    row = inputs[:1]

    def act():
        with torch.inference_mode():
            model(row)

    adams = [torch.optim.Adam(model.parameters()), torch.optim.Adam(model.parameters(), fused=True)]
    return min(best(step_with(adam)) for adam in adams), best(act)


def best(call):
    seconds = float("inf")
    for _ in range(ROUNDS):
        calls, start = 0, time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            call()
            calls += 1
        seconds = min(seconds, (time.perf_counter() - start) / calls)
    return seconds


if __name__ == "__main__":
    main()
