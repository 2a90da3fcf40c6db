"""Side by side: drawing 256 of a million cart-pole transitions from étude's replay buffer and Stable-Baselines3's.

    pip install stable-baselines3==2.9.2
    cargo build --release -p etude-rl --example rl_replay
    python benches/peers/rl_replay.py --etude target/release > table.md

Both run on one thread, in one run, and the best of all rounds of a hundred calls within three seconds counts. Stable-Baselines3
draws uniformly; it has no priorities.
"""

import argparse
import json
import os
import subprocess
import time

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer

TRANSITIONS, COUNT = 1_000_000, 256
CALLS, SECONDS = 100, 3.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--etude", required=True, help="folder of étude's build")
    options = parser.parse_args()
    torch.set_num_threads(1)
    command = [os.path.join(options.etude, "examples/rl_replay")]
    ours = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    theirs = microseconds()
    print(f"| {COUNT} of {TRANSITIONS:,} cart-pole transitions | microseconds | Stable-Baselines3 / it |")
    print("|---|---:|---:|")
    for name, time_taken in [
        ("étude, uniform", ours["uniform"]),
        ("étude, by priority", ours["prioritised"]),
        ("étude, by priority, and setting the priorities of what was drawn", ours["updating"]),
        ("Stable-Baselines3, uniform", theirs),
    ]:
        print(f"| {name} | {time_taken:,.1f} | {theirs / time_taken:,.1f}x |")


def microseconds():
    env = gymnasium.make("CartPole-v1")
    buffer = ReplayBuffer(TRANSITIONS, env.observation_space, env.action_space, "cpu")
    # Filled as `add` would, which takes the time of a hundred thousand rounds.
    random = np.random.default_rng(0)
    for array in (buffer.observations, buffer.next_observations, buffer.rewards):
        array[:] = random.random(array.shape)
    buffer.actions[:] = random.integers(2, size=buffer.actions.shape)
    buffer.full = True
    best, begin = float("inf"), time.perf_counter()
    while time.perf_counter() - begin < SECONDS:
        start = time.perf_counter()
        for _ in range(CALLS):
            buffer.sample(COUNT)
        best = min(best, time.perf_counter() - start)
    return best / CALLS * 1e6


if __name__ == "__main__":
    main()
