"""Side by side: A2C and PPO on CartPole, DDPG and TD3 on Pendulum, étude's and Stable-Baselines3's.

    cargo build --release
    python benches/peers/rl_actor_critic.py --etude target/release > table.md

The settings are those of Stable-Baselines3's zoo, as recipes/rl has them. The same networks, hyper-parameters and steps, on the
same threads; both learn, and étude judges its policy in one episode, at the end. Each runs several times in turn, and its best run
counts. `--algorithm ddpg td3` and `--threads 1` choose.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

import numpy as np
import torch
from stable_baselines3 import A2C, DDPG, PPO, TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise

ENVIRONMENTS = {"a2c": "CartPole-v1", "ppo": "CartPole-v1", "ddpg": "Pendulum-v1", "td3": "Pendulum-v1"}
NETWORKS = {"a2c": [[64, 64]], "ppo": [[64, 64]], "ddpg": [[400, 300], [256, 256]], "td3": [[400, 300], [256, 256]]}
# Whole rollouts.
STEPS = {"a2c": 100_000, "ppo": 51_200, "ddpg": 4_000, "td3": 4_000}
# One minibatch, so that nearly all steps are learnt from.
LEARNING_STARTS = 256


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--etude", required=True, help="folder of étude's build")
    parser.add_argument("--algorithm", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    print("| algorithm | hidden layers | threads | étude, steps a second | Stable-Baselines3 | étude / it |")
    print("|---|---|---:|---:|---:|---:|")
    for algorithm in options.algorithm:
        for hidden in NETWORKS[algorithm]:
            for threads in options.threads:
                ours, theirs = [], []
                for seed in range(options.rounds):
                    ours.append(etude(options.etude, algorithm, hidden, threads, seed))
                    theirs.append(stable_baselines(algorithm, hidden, threads, seed))
                ours, theirs = max(ours), max(theirs)
                widths = "-".join(map(str, hidden))
                print(f"| {algorithm} | {widths} | {threads} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.1f}x |", flush=True)


def etude(folder, algorithm, hidden, threads, seed):
    steps = STEPS[algorithm]
    settings = {
        f"{algorithm}.hidden": hidden,
        "checkpoint_every": steps,
        "evaluation.every": steps,
        "evaluation.episodes": 1,
        "evaluation.final_episodes": 1,
    }
    if ENVIRONMENTS[algorithm] == "Pendulum-v1":
        settings[f"{algorithm}.learning_starts"] = LEARNING_STARTS
    command = [os.path.join(folder, "etude"), "rl", "train", algorithm, "--env", ENVIRONMENTS[algorithm]]
    command += ["--steps", str(steps), "--seed", str(seed), "--threads", str(threads), "--json", "--quiet"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    with tempfile.TemporaryDirectory() as place:
        command += ["--out", os.path.join(place, "run")]
        answer = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return json.loads(answer)["steps_per_second"]


def stable_baselines(algorithm, hidden, threads, seed):
    torch.set_num_threads(threads)
    usual = {"seed": seed, "device": "cpu", "policy_kwargs": {"net_arch": hidden}}
    environment = ENVIRONMENTS[algorithm]
    if algorithm == "a2c":
        model = A2C("MlpPolicy", make_vec_env(environment, n_envs=8), ent_coef=0.0, **usual)
    elif algorithm == "ppo":
        model = PPO(
            "MlpPolicy",
            make_vec_env(environment, n_envs=8),
            n_steps=32,
            batch_size=256,
            gae_lambda=0.8,
            gamma=0.98,
            n_epochs=20,
            ent_coef=0.0,
            learning_rate=lambda left: 1e-3 * left,
            clip_range=lambda left: 0.2 * left,
            **usual,
        )
    else:
        model = {"ddpg": DDPG, "td3": TD3}[algorithm](
            "MlpPolicy",
            environment,
            learning_rate=1e-3,
            gamma=0.98,
            batch_size=256,
            buffer_size=200_000,
            learning_starts=LEARNING_STARTS,
            tau=0.005,
            train_freq=1,
            gradient_steps=1,
            action_noise=NormalActionNoise(np.zeros(1), 0.1 * np.ones(1)),
            **usual,
        )
    start = time.perf_counter()
    model.learn(total_timesteps=STEPS[algorithm])
    return model.num_timesteps / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
