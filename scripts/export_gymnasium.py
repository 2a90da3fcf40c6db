"""Exports the model of a Gymnasium toy-text environment as JSON, for `etude mdp`.

    python scripts/export_gymnasium.py FrozenLake-v1 --kwargs '{"map_name": "8x8"}' -o lake.json
    etude mdp solve lake.json --gamma 0.99

The file holds the environment's `P` and nothing else:

    {"state": {"action": [[probability, next state, reward, terminated], ...]}}

It is written to a temporary name and renamed, so that there is never half a file.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import gymnasium


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environment", help="such as FrozenLake-v1, CliffWalking-v1 or Taxi-v4")
    parser.add_argument("--kwargs", default="{}", help="the environment's options, a JSON object")
    parser.add_argument("-o", "--out", required=True, type=Path, help="the JSON file to write")
    options = parser.parse_args()
    try:
        kwargs = json.loads(options.kwargs)
        if not isinstance(kwargs, dict):
            raise ValueError('expected an object such as {"is_slippery": false}')
    except ValueError as error:
        parser.error(f"--kwargs {options.kwargs!r}: {error}")
    try:
        model = model_of(options.environment, **kwargs)
    except (gymnasium.error.Error, TypeError, ValueError, KeyError) as error:
        parser.error(f"{options.environment}: {type(error).__name__}: {error}")
    try:
        write(options.out, model)
    except OSError as error:
        sys.exit(f"{options.out}: {error.strerror}")
    actions = sum(len(by_action) for by_action in model.values())
    print(f"{options.out}: {len(model)} states, {actions} state-action pairs")


def model_of(environment, **kwargs):
    """The environment's `P` with plain Python numbers: {state: {action: [[p, s', r, end], ...]}}."""
    unwrapped = gymnasium.make(environment, **kwargs).unwrapped
    if not hasattr(unwrapped, "P"):
        raise ValueError("has no transition model P; FrozenLake, CliffWalking and Taxi have one")
    if getattr(unwrapped, "fickle_passenger", False):
        raise ValueError("P leaves out that the passenger is fickle; export without fickle_passenger")
    return {
        int(state): {
            int(action): [
                [float(probability), int(successor), float(reward), bool(terminated)]
                for probability, successor, reward, terminated in outcomes
            ]
            for action, outcomes in by_action.items()
        }
        for state, by_action in unwrapped.P.items()
    }


def write(path, model):
    """Writes the model, one state a line; every number reads back to the same float."""
    lines = [f"{json.dumps(str(state))}:{compact(model[state])}" for state in sorted(model)]
    replace(path, "{\n" + ",\n".join(lines) + "\n}\n")


def compact(value):
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def replace(path, text):
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


if __name__ == "__main__":
    main()
