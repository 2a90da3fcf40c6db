"""What Stable-Baselines3's n-step replay buffer makes of two environments, for the tests of `crates/rl`.

    pip install stable-baselines3==2.9.2
    python scripts/rl_replay_fixtures.py        writes crates/rl/tests/fixtures/replay.json

The episodes are made up: short ones, with both kinds of ending. Each environment is a list of steps
[observation, action, reward, next observation, ending], where the ending is "none", "terminated" or "truncated". For each n there is
what the buffer gives for every one of these steps: [reward, next observation, discount], where the discount is 0 if the buffer says
that the episode is done, as in Stable-Baselines3's target: reward + (1 - done) * discount * value.
"""

import json
from pathlib import Path

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer

FILE = Path(__file__).parent.parent / "crates/rl/tests/fixtures/replay.json"
DISCOUNT = 0.97
STEPS = 40


def environment(random):
    """Steps of one environment, the last of which ends an episode."""
    steps, observation = [], random.normal(size=2).round(3)
    for index in range(STEPS):
        ending = random.choice(["none", "terminated", "truncated"], p=[0.7, 0.15, 0.15])
        if index == STEPS - 1:
            ending = "truncated"
        following = random.normal(size=2).round(3)
        steps.append([observation.tolist(), int(random.integers(3)), round(random.normal(), 3), following.tolist(), str(ending)])
        observation = following if ending == "none" else random.normal(size=2).round(3)
    return steps


def transitions(steps, n):
    """What the buffer gives for each of the steps."""
    box = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    buffer = NStepReplayBuffer(STEPS, box, spaces.Discrete(3), "cpu", n_steps=n, gamma=DISCOUNT)
    for observation, action, reward, following, ending in steps:
        buffer.add(
            np.array([observation], dtype=np.float32),
            np.array([following], dtype=np.float32),
            np.array([action]),
            np.array([reward]),
            np.array([ending != "none"]),
            [{"TimeLimit.truncated": ending == "truncated"}],
        )
    got = buffer._get_samples(np.arange(STEPS))
    assert np.array_equal(got.observations, np.array([step[0] for step in steps], dtype=np.float32))
    assert got.actions.flatten().tolist() == [step[1] for step in steps]
    discounts = (1 - got.dones) * got.discounts
    rows = zip(got.rewards.flatten().tolist(), got.next_observations.tolist(), discounts.flatten().tolist())
    return [[reward, [round(entry, 3) for entry in following], discount] for reward, following, discount in rows]


def main():
    random = np.random.default_rng(3)
    environments = [environment(random) for _ in range(2)]
    cases = [{"n": n, "transitions": [transitions(steps, n) for steps in environments]} for n in (1, 3, 5)]
    answer = {"discount": DISCOUNT, "environments": environments, "cases": cases}
    FILE.write_text(json.dumps(answer, separators=(",", ":")).replace("]],", "]],\n").replace("},{", "},\n{") + "\n")
    endings = [step[4] for steps in environments for step in steps]
    print({ending: endings.count(ending) for ending in set(endings)})


if __name__ == "__main__":
    main()
