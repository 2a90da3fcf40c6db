"""Makes crates/rl/tests/fixtures/normalization.json: what Stable-Baselines3's VecNormalize makes of the same steps.

    python scripts/rl_normalization_fixtures.py

`steps` are what three environments give, the first of them the reset: observations of two numbers, rewards, and which
episodes end, with their last observations. `normalized` is what is seen from outside.
"""

import json
from pathlib import Path

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

FILE = Path(__file__).parent.parent / "crates/rl/tests/fixtures/normalization.json"
SEED, STEPS, ENVS = 4, 60, 3
DISCOUNT, CLIP = 0.9, 2.0


def make_steps(random):
    def observations():
        return np.float32(random.normal([0.0, 100.0], [1.0, 5.0], (ENVS, 2)))

    steps = [{"observations": observations().tolist()}]
    for _ in range(STEPS):
        steps.append(
            {
                "observations": observations().tolist(),
                "rewards": np.float32(random.normal(1.0, 3.0, ENVS)).tolist(),
                "ends": (random.random(ENVS) < 0.1).tolist(),
                "last": observations().tolist(),
            }
        )
    return steps


class Scripted(VecEnv):
    def __init__(self, steps):
        self.steps = iter(steps)
        box = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        super().__init__(ENVS, box, gymnasium.spaces.Discrete(2))

    def reset(self):
        return np.array(next(self.steps)["observations"])

    def step_async(self, actions):
        pass

    def step_wait(self):
        step = next(self.steps)
        infos = [{"terminal_observation": np.array(last)} if end else {} for end, last in zip(step["ends"], step["last"])]
        return np.array(step["observations"]), np.array(step["rewards"]), np.array(step["ends"]), infos

    def close(self):
        pass

    def get_attr(self, name, indices=None):
        return [None] * ENVS

    def set_attr(self, name, value, indices=None):
        pass

    def env_method(self, name, *arguments, indices=None, **named):
        pass

    def env_is_wrapped(self, wrapper, indices=None):
        return [False] * ENVS


def main():
    steps = make_steps(np.random.default_rng(SEED))
    envs = VecNormalize(Scripted(steps), gamma=DISCOUNT, clip_obs=CLIP, clip_reward=CLIP)
    normalized = [{"observations": envs.reset().tolist()}]
    for _ in range(STEPS):
        observations, rewards, _, infos = envs.step(np.zeros(ENVS))
        last = [info["terminal_observation"].tolist() if info else None for info in infos]
        normalized.append({"observations": observations.tolist(), "rewards": rewards.tolist(), "last": last})
    moments = {"mean": envs.obs_rms.mean.tolist(), "variance": envs.obs_rms.var.tolist(), "count": envs.obs_rms.count}
    data = {"discount": DISCOUNT, "clip": CLIP, "steps": steps, "normalized": normalized, "moments": moments}
    FILE.write_text(json.dumps(data) + "\n")


if __name__ == "__main__":
    main()
