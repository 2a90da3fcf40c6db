"""One minibatch through DQN's update in PyTorch, ten times: targets, losses, gradients and parameters.

    pip install -r scripts/requirements.txt
    python scripts/rl_dqn_fixtures.py

writes crates/rl/tests/fixtures/dqn.json, which the tests of crates/rl/src/dqn read. It is written anew only where the
update itself is to change; with another version of PyTorch the last digits may differ.
"""

import copy
import json
from pathlib import Path

import torch
from torch import nn

OUT = Path(__file__).parent.parent / "crates/rl/tests/fixtures/dqn.json"
INPUTS, HIDDEN, ACTIONS, ROWS = 3, [8, 6], 4, 5


class Duelling(nn.Module):
    """Shared layers, then a stream for the value and one for the advantages, each with a hidden layer."""

    def __init__(self):
        super().__init__()
        width = HIDDEN[-1]
        self.shared = nn.Sequential(
            nn.Linear(INPUTS, HIDDEN[0]), nn.ReLU(), nn.Linear(HIDDEN[0], width), nn.ReLU()
        )
        self.value = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.advantages = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, ACTIONS))

    def forward(self, x):
        features = self.shared(x)
        advantages = self.advantages(features)
        return self.value(features) + advantages - advantages.mean(dim=1, keepdim=True)

    def parts(self):
        return [self.shared, self.value, self.advantages]


class Plain(nn.Module):
    """A multilayer perceptron."""

    def __init__(self):
        super().__init__()
        self.q = nn.Sequential(
            nn.Linear(INPUTS, HIDDEN[0]), nn.ReLU(), nn.Linear(HIDDEN[0], HIDDEN[1]), nn.ReLU(),
            nn.Linear(HIDDEN[1], ACTIONS),
        )

    def forward(self, x):
        return self.q(x)

    def parts(self):
        return [self.q]


def flat(tensors):
    """All numbers of some tensors, one after another."""
    return [float(number) for tensor in tensors for number in tensor.detach().flatten()]


def case(duelling, double, loss_name, max_norm):
    """What one setting gives."""
    online = Duelling() if duelling else Plain()
    target = copy.deepcopy(online)
    with torch.no_grad():
        # A target network that differs, so that mixing the two up shows.
        for parameter in target.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    record = {
        "duelling": duelling,
        "double": double,
        "loss": loss_name,
        "max_norm": max_norm,
        "online": [flat(part.parameters()) for part in online.parts()],
        "target": [flat(part.parameters()) for part in target.parts()],
    }
    observations, next_observations = torch.randn(ROWS, INPUTS), torch.randn(ROWS, INPUTS)
    actions = torch.randint(ACTIONS, (ROWS,))
    rewards = 2 * torch.randn(ROWS)
    # Three steps, two steps before a truncation, and a termination.
    discounts = torch.tensor([0.9**3, 0.9**2, 0.0, 0.9**3, 0.9**3])
    weights = torch.tensor([1.0, 0.5, 0.25, 0.75, 1.0])
    record |= {
        "observations": flat([observations]),
        "next_observations": flat([next_observations]),
        "actions": actions.tolist(),
        "rewards": flat([rewards]),
        "discounts": flat([discounts]),
        "weights": flat([weights]),
    }
    optimizer = torch.optim.Adam(online.parameters(), lr=1e-2, eps=1e-8)
    updates = []
    for _ in range(10):
        with torch.no_grad():
            next_values = target(next_observations)
            if double:
                chosen = online(next_observations).argmax(dim=1, keepdim=True)
                bootstrap = next_values.gather(1, chosen).squeeze(1)
            else:
                bootstrap = next_values.max(dim=1).values
            targets = rewards + discounts * bootstrap
        values = online(observations).gather(1, actions.unsqueeze(1)).squeeze(1)
        kernel = nn.functional.smooth_l1_loss if loss_name == "huber" else nn.functional.mse_loss
        loss = (weights * kernel(values, targets, reduction="none")).mean()
        optimizer.zero_grad()
        loss.backward()
        gradients = [flat(p.grad for p in part.parameters()) for part in online.parts()]
        norm = nn.utils.clip_grad_norm_(online.parameters(), max_norm)
        optimizer.step()
        updates.append(
            {
                "errors": flat([targets - values]),
                "loss": float(loss.detach()),
                "norm": float(norm),
                "gradients": gradients,
                "parameters": [flat(part.parameters()) for part in online.parts()],
            }
        )
    # The first in full; of the others only what they came to.
    for update in updates[1:]:
        del update["gradients"]
    for update in updates[1:-1]:
        del update["parameters"]
    record["updates"] = updates
    return record


def main():
    torch.manual_seed(1)
    cases = [
        case(False, False, "huber", 0.5),
        case(False, True, "squared", 1e9),
        case(True, True, "huber", 1e9),
    ]
    OUT.write_text(json.dumps(cases) + "\n")


main()
