"""Side by side: DQN on CartPole with the settings of Stable-Baselines3's zoo, étude's and Stable-Baselines3's.

    cargo build --release -p etude-rl --example rl_dqn
    python benches/peers/rl_dqn.py --etude target/release > table.md

The same network, hyper-parameters and steps, on the same threads; both learn, neither evaluates. Each runs several times in
turn, and its best run counts.
"""

import argparse
import json
import os
import subprocess
import time

import torch
from stable_baselines3 import DQN


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--etude", required=True, help="folder of étude's build")
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    print("| threads | étude, steps a second | Stable-Baselines3 | étude / it |")
    print("|---:|---:|---:|---:|")
    for threads in options.threads:
        ours, theirs = [], []
        for seed in range(options.rounds):
            ours.append(etude(options, threads, seed))
            theirs.append(stable_baselines(options.steps, threads, seed))
        ours, theirs = max(ours), max(theirs)
        print(f"| {threads} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.1f}x |", flush=True)


def etude(options, threads, seed):
    command = [os.path.join(options.etude, "examples/rl_dqn"), str(options.steps), str(seed)]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    answer = subprocess.run(command, capture_output=True, check=True, env=environment).stdout
    return json.loads(answer)["steps_per_second"]


def stable_baselines(steps, threads, seed):
    torch.set_num_threads(threads)
    model = DQN(
        "MlpPolicy",
        "CartPole-v1",
        learning_rate=2.3e-3,
        batch_size=64,
        buffer_size=100_000,
        learning_starts=1000,
        gamma=0.99,
        target_update_interval=10,
        train_freq=256,
        gradient_steps=128,
        exploration_fraction=0.16,
        exploration_final_eps=0.04,
        policy_kwargs={"net_arch": [256, 256]},
        seed=seed,
        device="cpu",
    )
    start = time.perf_counter()
    model.learn(total_timesteps=steps)
    return steps / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
