"""Side by side: steps a second of many cart poles with random actions, étude's and Gymnasium's.

    cargo build --release -p etude-rl --example rl_env
    python benches/peers/rl_env.py --etude target/release > table.md

Both run on one thread, in one run, and the best of five half-second rounds counts. Gymnasium has two forms:
`SyncVectorEnv`, which steps any environments one after another, and the vectorised cart pole that comes with it.
"""

import argparse
import json
import os
import subprocess
import time

import gymnasium
import numpy as np

ROUNDS, SECONDS = 5, 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--etude", required=True, help="folder of étude's build")
    parser.add_argument("--envs", type=int, default=1024)
    options = parser.parse_args()
    command = [os.path.join(options.etude, "examples/rl_env"), str(options.envs)]
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    ours = json.loads(subprocess.run(command, capture_output=True, check=True, env=environment).stdout)
    rows = [("étude", ours["steps_per_second"])]
    for name, mode in [("Gymnasium SyncVectorEnv", "sync"), ("Gymnasium's vectorised cart pole", "vector_entry_point")]:
        envs = gymnasium.make_vec("CartPole-v1", num_envs=options.envs, vectorization_mode=mode)
        rows.append((name, steps_per_second(envs, options.envs)))
    print(f"| {options.envs:,} cart poles | steps a second | étude / it |")
    print("|---|---:|---:|")
    for name, speed in rows:
        print(f"| {name} | {speed:,.0f} | {rows[0][1] / speed:,.1f}x |")


def steps_per_second(envs, count):
    envs.reset(seed=0)
    random = np.random.default_rng(0)
    best = 0.0
    for _ in range(ROUNDS):
        steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            envs.step(random.integers(2, size=count))
            steps += count
        best = max(best, steps / (time.perf_counter() - start))
    return best


if __name__ == "__main__":
    main()
