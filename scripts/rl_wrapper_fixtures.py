"""Makes crates/rl/tests/fixtures/wrappers.json: what Gymnasium's wrappers make of the same few episodes.

    python scripts/rl_wrapper_fixtures.py

`script` is what a dummy environment plays, and `actions` are what it is given, one a step: observations of three
numbers, of which the second moves little about 100, rewards, and whether the episode is terminated or truncated. Behind
the three numbers the observation shows the action that has reached the environment (zeros after a reset), so that what
wrappers do to actions is seen as well.

`traces` holds what is seen from outside of each wrapper: a row after each reset (without reward) and each step.
Observations and rewards come to the wrappers in 64 bits, so that Gymnasium computes in 64; the numbers of the
observations, and the actions, are such as 32 bits hold.
"""

import json
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium import wrappers
from gymnasium.spaces import Box

FILE = Path(__file__).parent.parent / "crates/rl/tests/fixtures/wrappers.json"
SEED = 9
EPISODES = 6
DISCOUNT = 0.9


class Scripted(gymnasium.Env):
    observation_space = Box(-np.inf, np.inf, (5,), np.float64)
    action_space = Box(np.float32([-1.0, -2.0]), np.float32([1.0, 0.5]), dtype=np.float32)

    def __init__(self, script):
        self.script = script
        self.episode, self.time = -1, 0

    def observe(self, row, action):
        return np.array([*row["observation"], *action], dtype=np.float64)

    def reset(self, *, seed=None, options=None):
        self.episode, self.time = (self.episode + 1) % len(self.script), 0
        return self.observe(self.script[self.episode][0], (0.0, 0.0)), {}

    def step(self, action):
        self.time += 1
        row = self.script[self.episode][self.time]
        return self.observe(row, action), row["reward"], row["terminated"], row["truncated"], {}


def make_script(random):
    def row(**rest):
        observation = np.float32(random.normal([0.0, 100.0, -3.0], [1.0, 0.1, 10.0]))
        return {"observation": observation.tolist(), **rest}

    script = []
    for episode in range(EPISODES):
        length = int(random.integers(1, 14))
        terminated, truncated = [(True, False), (False, True), (True, True)][episode % 3]
        rows = [row()]
        for time in range(1, length + 1):
            last = time == length
            reward = float(random.normal(1.0, 3.0))
            rows.append(row(reward=reward, terminated=last and terminated, truncated=last and truncated))
        script.append(rows)
    return script


def play(env, actions):
    """Once through the script."""
    rows, taken = [], iter(actions)
    for _ in range(EPISODES):
        observation, _ = env.reset()
        rows.append({"observation": np.ravel(observation).tolist()})
        ends = False
        while not ends:
            observation, reward, terminated, truncated, _ = env.step(np.float32(next(taken)))
            ends = terminated or truncated
            rows.append(
                {
                    "observation": np.ravel(observation).tolist(),
                    "reward": float(reward),
                    "terminated": terminated,
                    "truncated": truncated,
                }
            )
    return rows


def moments(statistics):
    return {
        "mean": np.ravel(statistics.mean).tolist(),
        "variance": np.ravel(statistics.var).tolist(),
        "count": float(statistics.count),
    }


def main():
    random = np.random.default_rng(SEED)
    script = make_script(random)
    actions = np.float32(random.uniform(-1.5, 1.5, (sum(map(len, script)), 2))).tolist()
    actions[:2] = [[-1.0, 1.0], [1.0, -1.0]]  # The ends of what RescaleAction takes.

    wrapped = {
        "ActionRepeat": wrappers.RepeatAction(Scripted(script), 4),
        "ClipAction": wrappers.ClipAction(Scripted(script)),
        "ClipReward": wrappers.ClipReward(Scripted(script), -1.0, 2.5),
        "FrameStack": wrappers.FrameStackObservation(Scripted(script), 3),
        "ObservationNormalization": wrappers.NormalizeObservation(Scripted(script)),
        "RescaleAction": wrappers.RescaleAction(Scripted(script), -1.0, 1.0),
        "RewardNormalization": wrappers.NormalizeReward(Scripted(script), DISCOUNT),
        "TimeLimit": wrappers.TimeLimit(Scripted(script), 6),
    }
    traces = {name: play(env, actions) for name, env in wrapped.items()}
    observations, rewards = wrapped["ObservationNormalization"], wrapped["RewardNormalization"]
    learnt = {"observations": moments(observations.obs_rms), "rewards": moments(rewards.return_rms)}
    for name in ("ObservationNormalization", "RewardNormalization"):
        wrapped[name].update_running_mean = False
        traces[f"frozen {name}"] = play(wrapped[name], actions)
    recorder = wrappers.RecordEpisodeStatistics(Scripted(script))
    play(recorder, actions)
    fixtures = {
        "script": script,
        "actions": actions,
        "discount": DISCOUNT,
        "traces": traces,
        "moments": learnt,
        "returns": list(recorder.return_queue),
        "lengths": list(recorder.length_queue),
    }
    FILE.write_text(json.dumps(fixtures) + "\n")


if __name__ == "__main__":
    main()
