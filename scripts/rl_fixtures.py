"""Records steps of Gymnasium's classic control tasks, hands of its Blackjack and the masks of its taxi, for the tests of `crates/rl`.

    python scripts/rl_fixtures.py        writes crates/rl/tests/fixtures/*.json

classic_control.json holds one object a task: a list of steps, each with the state before (in 64 bits; `first` where no step has been
taken since the reset), the action, the state after, the observation, the reward and whether the episode was
terminated. Actions reach every corner of the law of motion: they pump energy, and go beyond their bounds
where the task cuts them off.

blackjack.json is a list of hands: all cards of the player and of the dealer at the end, what was seen then, and
the reward by rules.

taxi_masks.json has for each state a digit for each action: 1 where `info["action_mask"]` says that it may be taken.
"""

import json
from pathlib import Path

import gymnasium
import numpy as np

FOLDER = Path(__file__).parent.parent / "crates/rl/tests/fixtures"
SEED = 3
EPISODES = 6
STEPS_KEPT = 16


def cart_pole(state, random):
    # Towards the lean, mostly: the pole stands for a while and then falls.
    return int(state[2] > 0) if random.random() < 0.8 else int(random.integers(2))


def acrobot(state, random):
    # With the rotation, mostly: the arm swings up.
    return int(np.sign(state[3])) + 1 if random.random() < 0.9 else int(random.integers(3))


def mountain_car(state, random):
    return int(np.sign(state[1])) + 1 if random.random() < 0.9 else int(random.integers(3))


def mountain_car_continuous(state, random):
    pump = np.sign(state[1]) * random.uniform(0.5, 1.5)
    return np.array([pump if random.random() < 0.8 else random.uniform(-1.5, 1.5)], dtype=np.float32)


def pendulum(state, random):
    pump = np.sign(state[1]) * 2.5
    return np.array([pump if random.random() < 0.5 else random.uniform(-2.5, 2.5)], dtype=np.float32)


TASKS = {
    "CartPole-v1": (cart_pole, 500),
    "Acrobot-v1": (acrobot, 500),
    "MountainCar-v0": (mountain_car, 400),
    "MountainCarContinuous-v0": (mountain_car_continuous, 400),
    "Pendulum-v1": (pendulum, 300),
}


def record(name):
    policy, limit = TASKS[name]
    env = gymnasium.make(name).unwrapped
    random = np.random.default_rng(SEED)
    kept = []
    for episode in range(EPISODES):
        env.reset(seed=SEED + episode)
        steps, terminated = [], False
        while not terminated and len(steps) < limit:
            before = [float(entry) for entry in env.state]
            action = policy(before, random)
            observation, reward, terminated, truncated, _ = env.step(action)
            assert not truncated
            steps.append(
                {
                    "first": not steps,
                    "state": before,
                    "action": [float(entry) for entry in np.atleast_1d(action)],
                    "next": [float(entry) for entry in env.state],
                    "observation": [float(entry) for entry in observation],
                    "reward": float(reward),
                    "terminated": bool(terminated),
                }
            )
        # The first, the last, and some between.
        chosen = {0, 1, len(steps) - 1, *random.integers(len(steps), size=STEPS_KEPT).tolist()}
        kept += [steps[index] for index in sorted(chosen)]
    return kept


RULES = {"plain": {}, "natural": {"natural": True}, "sutton_and_barto": {"sab": True}}
HANDS = 80


def play(seed):
    """One hand by all rules: the same seed deals the same cards."""
    hand = {}
    for name, rules in RULES.items():
        env = gymnasium.make("Blackjack-v1", **{"sab": False, "natural": False, **rules}).unwrapped
        env.reset(seed=seed)
        random, terminated = np.random.default_rng(seed), False
        while not terminated:
            # Stick early, late or too late.
            action = int(random.random() < 0.4)
            observation, reward, terminated, _, _ = env.step(action)
        cards = {"player": env.player, "dealer": env.dealer, "observation": list(observation), "hit": bool(action)}
        assert hand.setdefault("cards", cards) == cards
        hand[name] = float(reward)
    return hand.pop("cards") | hand


def naturals():
    """Hands with a natural are rare, so they are looked for."""
    hands = (play(seed) for seed in range(HANDS, 100 * HANDS))
    found = [hand for hand in hands if sorted(hand["player"]) == [1, 10]]
    return found[:20]


def main():
    tasks = {name: record(name) for name in TASKS}
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, steps in tasks.items():
        rows = ",\n".join(json.dumps(step, separators=(",", ":")) for step in steps)
        lines.append(f'"{name}":[\n{rows}\n]')
    (FOLDER / "classic_control.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    for name, steps in tasks.items():
        print(f"{name}: {len(steps)} steps, {sum(step['terminated'] for step in steps)} of them terminate")
    hands = [play(seed) for seed in range(HANDS)] + naturals()
    rows = ",\n".join(json.dumps(hand, separators=(",", ":")) for hand in hands)
    (FOLDER / "blackjack.json").write_text(f"[\n{rows}\n]\n")
    print(f"Blackjack-v1: {len(hands)} hands")
    taxi = gymnasium.make("Taxi-v4").unwrapped
    masks = ["".join(str(may) for may in taxi.action_mask(state)) for state in range(taxi.observation_space.n)]
    (FOLDER / "taxi_masks.json").write_text(json.dumps(masks, indent=0) + "\n")
    print(f"Taxi-v4: {len(masks)} masks")


if __name__ == "__main__":
    main()
