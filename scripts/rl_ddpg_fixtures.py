"""One minibatch through the update of DDPG and that of TD3 in PyTorch, ten times: targets, losses, gradients and parameters.

    pip install -r scripts/requirements.txt
    python scripts/rl_ddpg_fixtures.py

writes crates/rl/tests/fixtures/ddpg.json, which the tests of crates/rl/src/ddpg read. It is written anew only where the
update itself is to change; with another version of PyTorch the last digits may differ.

All input is representable in 32 bits, PyTorch computes in 64, and its results are rounded to 32. Parameters of a network are one
list: layer by layer the weights, shape [out, in], then the biases.

Actions in the minibatch are in the environment's units, between -action_scale and action_scale. Both networks deal with actions
between -1 and 1: the actor's output is tanh, without the scale, and the critic is shown actions that were divided by it, whether
they enter at its first layer, beside the observation, or at its second, beside the first hidden layer; they are the last columns.

An update is one step of the critics, of both by the sum of their losses in TD3; then, where it is due, one of the actor by the first
critic, which has moved already; and then the soft updates. Updates count from 1, so that with a delay of 2 the first moves
no actor.
"""

import copy
import json
from pathlib import Path

import torch
from torch import nn

from fixtures import short, single

OUT = Path(__file__).parent.parent / "crates/rl/tests/fixtures/ddpg.json"
ROWS, OBSERVATION, ACTIONS, HIDDEN = 8, 3, 2, [8, 6]
# Where a result depends on which of two numbers is the greater, they are further apart than 32 bits could mistake.
MARGIN = 1e-5
TOO_LITTLE = "another seed: this shows too little"


def normal(*shape):
    """Standard normal numbers."""
    return single(torch.randn(*shape))


def flat(tensors):
    """All numbers of some tensors, one after another."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def gradient(network):
    """The gradient of all parameters, most of which is not 0."""
    numbers = flat(parameter.grad for parameter in network.parameters())
    assert numbers.count_nonzero() > 0.6 * len(numbers), TOO_LITTLE
    return numbers


def mixed(flags):
    """Sees to it that something is so, but less than half."""
    assert 0 < flags.sum() < 0.5 * flags.numel(), TOO_LITTLE


def decided(differences):
    """Sees to it that no difference is about zero."""
    assert differences.abs().min() > MARGIN, "another seed: rounding would decide"


class Network(nn.Module):
    """A multilayer perceptron with ReLU; `late` inputs enter at its second layer, behind what the first gives."""

    def __init__(self, inputs, late, outputs):
        super().__init__()
        sizes = [inputs, *HIDDEN, outputs]
        self.layers = nn.ModuleList(
            nn.Linear(width + (late if layer == 1 else 0), following)
            for layer, (width, following) in enumerate(zip(sizes, sizes[1:]))
        ).double()
        with torch.no_grad():
            # Steeper than PyTorch begins, so that slopes are no small numbers.
            for parameter in self.parameters():
                parameter.copy_(2 * parameter)

    def forward(self, inputs, late=None):
        x = inputs
        for index, layer in enumerate(self.layers):
            if index > 0:
                decided(x)
                x = x.relu()
            if index == 1 and late is not None:
                x = torch.cat([x, late], dim=1)
            x = layer(x)
        return x


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = Network(OBSERVATION, 0, ACTIONS)

    def forward(self, observations):
        return self.network(observations).tanh()


class Critic(nn.Module):
    def __init__(self, action_layer):
        super().__init__()
        self.second = action_layer == "second"
        inputs, late = (OBSERVATION, ACTIONS) if self.second else (OBSERVATION + ACTIONS, 0)
        self.network = Network(inputs, late, 1)

    def forward(self, observations, actions):
        if self.second:
            values = self.network(observations, actions)
        else:
            values = self.network(torch.cat([observations, actions], dim=1))
        return values.squeeze(1)


def slow_copy(network):
    """A target network that differs, so that mixing the two up shows."""
    target = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in target.parameters():
            parameter.copy_(single(parameter + 0.3 * normal(*parameter.shape)))
    return target


def case(action_layer, td3):
    """What one setting gives."""
    action_scale = single([2.0, 0.5])
    observations, next_observations = normal(ROWS, OBSERVATION), normal(ROWS, OBSERVATION)
    actions = single(action_scale * (2 * torch.rand(ROWS, ACTIONS) - 1))
    rewards = 2 * normal(ROWS)
    # One step, two terminations, and two steps before an episode went on.
    discounts = single([0.99, 0.99, 0.0, 0.99, 0.99**2, 0.99, 0.0, 0.99])
    actor, critics = Actor(), [Critic(action_layer) for _ in range(2 if td3 else 1)]
    actor_target, critic_targets = slow_copy(actor), [slow_copy(critic) for critic in critics]
    record = {
        "action_layer": action_layer,
        "td3": td3,
        "action_scale": action_scale,
        "tau": 0.005,
        "actor_learning_rate": 1e-3 if td3 else 1e-4,
        "critic_learning_rate": 1e-3,
        "critic_weight_decay": 0.0 if td3 else 1e-2,
        "policy_delay": 2 if td3 else 1,
        "noise_clip": 0.5 if td3 else None,
        # Of ten updates, as it is drawn: neither scaled to the environment's units nor clipped.
        "noise": single(0.4 * normal(10, ROWS, ACTIONS)) if td3 else None,
        "observations": observations,
        "next_observations": next_observations,
        "actions": actions,
        "rewards": rewards,
        "discounts": discounts,
        "updates": [],
    }

    def parameters():
        return {
            "actor": flat(actor.parameters()),
            "actor_target": flat(actor_target.parameters()),
            "critics": [flat(critic.parameters()) for critic in critics],
            "critic_targets": [flat(target.parameters()) for target in critic_targets],
        }

    record["initial"] = parameters()
    actor_adam = torch.optim.Adam(actor.parameters(), lr=record["actor_learning_rate"])
    critic_adam = torch.optim.Adam(
        [parameter for critic in critics for parameter in critic.parameters()],
        lr=record["critic_learning_rate"],
        weight_decay=record["critic_weight_decay"],
    )
    for update in range(10):
        with torch.no_grad():
            next_actions = actor_target(next_observations)
            if td3:
                noise = record["noise"][update].clamp(-record["noise_clip"], record["noise_clip"])
                next_actions = (next_actions + noise).clamp(-1, 1)
                mixed(noise.abs() == record["noise_clip"])
                mixed(next_actions.abs() == 1)
            next_values = [target(next_observations, next_actions) for target in critic_targets]
            if td3:
                decided(next_values[0] - next_values[1])
            targets = rewards + discounts * torch.stack(next_values).min(dim=0).values
        values = [critic(observations, actions / action_scale) for critic in critics]
        critic_loss = sum(nn.functional.mse_loss(value, targets) for value in values)
        critic_adam.zero_grad()
        critic_loss.backward()
        told = {"critic_loss": critic_loss, "actor_loss": None}
        if update == 0:
            told["targets"] = targets
            told["values"] = values
            told["critic_gradients"] = [gradient(critic) for critic in critics]
        critic_adam.step()

        if (update + 1) % record["policy_delay"] == 0:
            # What the actor does, as a number of its own, to be asked for its slope.
            done = actor(observations)
            q = critics[0](observations, done)
            actor_loss = -q.mean()
            told["actor_loss"] = actor_loss
            slopes = torch.autograd.grad(q.sum(), done, retain_graph=True)[0]
            actor_adam.zero_grad()
            actor_loss.backward()
            if update + 1 == record["policy_delay"]:
                told["action_slopes"] = slopes
                told["actor_gradient"] = gradient(actor)
            actor_adam.step()
            with torch.no_grad():
                pairs = [(actor, actor_target), *zip(critics, critic_targets)]
                for online, target in pairs:
                    for fast, slow in zip(online.parameters(), target.parameters()):
                        slow.lerp_(fast, record["tau"])
        record["updates"].append(told)
    record["final"] = parameters()
    return record


def main():
    torch.manual_seed(15)
    cases = [case(action_layer, td3) for td3 in (False, True) for action_layer in ("second", "first")]
    OUT.write_text(json.dumps(short(cases)) + "\n")


main()
