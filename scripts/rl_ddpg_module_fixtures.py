"""Ten updates of DDPG and of TD3 with batch normalisation and with convolutions in PyTorch: losses, and what the networks give in the end.

    pip install -r scripts/requirements.txt
    python scripts/rl_ddpg_module_fixtures.py

writes crates/rl/tests/fixtures/ddpg_module.json, which the tests of crates/rl/src/ddpg read. PyTorch computes in 64 bits.

Parameters are no part of the file: both sides compute them, from the place of each number among all of its network (see `fill`). In
that order come the convolutions, each its weight [out, in, height, width] and then its bias; the other layers likewise, with
weights [in, out]; and then, for each normalisation, scale, shift, mean and variance. A layer that is followed by a normalisation has no bias.

What is normalised are the observation and the hidden layers, of critics those before the action enters (Lillicrap et al. 2016, section 3). The
online networks normalise by the minibatch and the slow ones by their averages, which follow softly as all other numbers do. While
the actor learns, the critic notes no averages.
"""

import copy
import json
import math
from pathlib import Path

import torch
from torch import nn

from fixtures import short, single

OUT = Path(__file__).parent.parent / "crates/rl/tests/fixtures/ddpg_module.json"
ROWS, ACTIONS, HIDDEN, FILTERS = 8, 2, [8, 6], 32
TAU = 0.05


def wave(count, phase):
    """Numbers between -1 and 1."""
    places = torch.arange(count, dtype=torch.float64)
    return single(torch.sin(places * places * 0.37 + places * 1.7 + phase))


class Normalised(nn.Module):
    """A layer and its normalisation, where it has one."""

    def __init__(self, layer, norm):
        super().__init__()
        self.layer, self.norm = layer, norm

    def forward(self, x):
        return self.norm(self.layer(x)) if self.norm else self.layer(x)


class Network(nn.Module):
    def __init__(self, shown, outputs, action_layer, normalises):
        super().__init__()
        self.pixels, self.action_layer = len(shown) > 1, action_layer
        norm = nn.BatchNorm2d if self.pixels else nn.BatchNorm1d
        self.first = norm(shown[0]) if normalises else None
        self.convolutions = nn.ModuleList()
        width = shown[0]
        if self.pixels:
            channels, height, side = shown
            for _ in range(3):
                layer = nn.Conv2d(channels, FILTERS, 3, stride=2, bias=not normalises)
                self.convolutions.append(Normalised(layer, nn.BatchNorm2d(FILTERS) if normalises else None))
                channels, height, side = FILTERS, (height - 3) // 2 + 1, (side - 3) // 2 + 1
            width = FILTERS * height * side
        self.layers = nn.ModuleList()
        before = len(HIDDEN) if action_layer is None else action_layer
        for index, following in enumerate([*HIDDEN, outputs]):
            normal = normalises and index < min(before, len(HIDDEN))
            layer = nn.Linear(width + (ACTIONS if index == action_layer else 0), following, bias=not normal)
            self.layers.append(Normalised(layer, nn.BatchNorm1d(following) if normal else None))
            width = following
        self.double()

    def forward(self, x, actions=None):
        if self.first:
            x = self.first(x)
        for layer in self.convolutions:
            x = layer(x).relu()
        x = x.flatten(1)
        for index, layer in enumerate(self.layers):
            if index == self.action_layer:
                x = torch.cat([x, actions], dim=1)
            x = layer(x)
            if index < len(HIDDEN):
                x = x.relu()
        return x

    def norms(self):
        layers = [*self.convolutions, *self.layers]
        return [norm for norm in [self.first, *(layer.norm for layer in layers)] if norm]

    def fill(self, phase):
        """Sets all numbers."""
        place = 0

        def set_to(tensor, scale, middle=0.0, transposed=False):
            nonlocal place
            numbers = middle + scale * wave(tensor.numel(), phase + place)
            shape = tensor.shape[::-1] if transposed else tensor.shape
            numbers = numbers.reshape(shape)
            tensor.data.copy_(numbers.T if transposed else numbers)
            place += 1

        for part in [*self.convolutions, *self.layers]:
            weight, bias = part.layer.weight, part.layer.bias
            set_to(weight, 1.5 / math.sqrt(weight[0].numel()), transposed=weight.dim() == 2)
            if bias is not None:
                set_to(bias, 0.1)
        for norm in self.norms():
            set_to(norm.weight, 0.2, 1.0)
            set_to(norm.bias, 0.2)
            set_to(norm.running_mean, 0.2)
            set_to(norm.running_var, 0.2, 1.0)
        return self


def case(shown, td3, action_layer, normalises):
    """What one setting gives."""
    torch.manual_seed(7)
    shape = (ROWS, *shown)
    if len(shown) > 1:
        observations, next_observations = (torch.randint(0, 256, shape).double() for _ in range(2))
        see = lambda pixels: pixels / 255
    else:
        observations, next_observations = (single(torch.randn(shape)) for _ in range(2))
        see = lambda numbers: numbers
    actions = single(2 * torch.rand(ROWS, ACTIONS) - 1)
    rewards = single(torch.randn(ROWS))
    discounts = torch.tensor([0.99, 0.99, 0.0, 0.99, 0.98, 0.99, 0.0, 0.99]).double()
    noise = single(0.4 * torch.randn(10, ROWS, ACTIONS))
    actor = Network(shown, ACTIONS, None, normalises).fill(0.1)
    critics = [Network(shown, 1, action_layer, normalises).fill(0.2 + index) for index in range(2 if td3 else 1)]
    slow_actor = copy.deepcopy(actor).fill(3.1).eval()
    slow_critics = [copy.deepcopy(critic).fill(3.2 + index).eval() for index, critic in enumerate(critics)]
    actor_adam = torch.optim.Adam(actor.parameters(), lr=1e-3)
    critic_adams = [torch.optim.Adam(critic.parameters(), lr=1e-3, weight_decay=1e-2) for critic in critics]
    now, following = see(observations), see(next_observations)
    losses = []
    for update in range(10):
        with torch.no_grad():
            next_actions = slow_actor(following).tanh()
            if td3:
                next_actions = (next_actions + noise[update].clamp(-0.5, 0.5)).clamp(-1, 1)
            values = torch.stack([critic(following, next_actions) for critic in slow_critics]).min(dim=0).values
            targets = rewards + discounts * values.squeeze(1)
        critic_loss = 0.0
        for critic, adam in zip(critics, critic_adams):
            loss = nn.functional.mse_loss(critic(now, actions).squeeze(1), targets)
            adam.zero_grad()
            loss.backward()
            adam.step()
            critic_loss += loss.item()
        losses.append([critic_loss, None])
        if td3 and update % 2 == 0:
            continue
        averages = critics[0].norms()
        noted = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in averages]
        loss = -critics[0](now, actor(now).tanh()).mean()
        actor_adam.zero_grad()
        loss.backward()
        for norm, (mean, variance) in zip(averages, noted):
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
        actor_adam.step()
        losses[-1][1] = loss.item()
        with torch.no_grad():
            for online, slow in [(actor, slow_actor), *zip(critics, slow_critics)]:
                pairs = [*zip(online.parameters(), slow.parameters())]
                for fast_norm, slow_norm in zip(online.norms(), slow.norms()):
                    pairs.append((fast_norm.running_mean, slow_norm.running_mean))
                    pairs.append((fast_norm.running_var, slow_norm.running_var))
                for fast_numbers, slow_numbers in pairs:
                    slow_numbers.lerp_(fast_numbers, TAU)
    for network in [actor, *critics]:
        network.eval()
    with torch.no_grad():
        done = actor(now).tanh()
        return {
            "shown": shown,
            "td3": td3,
            "action_layer": action_layer,
            "normalises": normalises,
            "observations": observations.flatten(),
            "next_observations": next_observations.flatten(),
            "actions": actions.flatten(),
            "rewards": rewards,
            "discounts": discounts,
            "noise": noise.flatten(),
            "losses": losses,
            "actor": done.flatten(),
            "slow_actor": slow_actor(now).tanh().flatten(),
            "critics": [critic(now, done).flatten() for critic in critics],
            "slow_critics": [critic(now, done).flatten() for critic in slow_critics],
        }


def main():
    cases = [
        case((3,), False, 1, True),
        case((3,), True, 0, True),
        case((2, 15, 16), False, 1, False),
        case((2, 15, 16), False, 1, True),
    ]
    OUT.write_text(json.dumps(short(cases)) + "\n")


main()
