"""Actor-critic methods in PyTorch and Stable-Baselines3: distributions, advantages, and ten updates of A2C and of PPO.

    pip install -r scripts/requirements.txt
    python scripts/rl_actor_critic_fixtures.py

writes crates/rl/tests/fixtures/actor_critic.json, which the tests of crates/rl/src/actor_critic read. It is written anew only
where the methods themselves are to change; with another version of PyTorch the last digits may differ.

All input is representable in 32 bits, PyTorch computes in 64, and its results are rounded to 32. Parameters of a network are one
list: layer by layer the weights, shape [out, in], then the biases. The loss is the mean of

    policy loss + value_coefficient (return - v)^2 - entropy_coefficient entropy

over the minibatch, and the norm of its gradient is that of all parameters together: policy, value function, log_std.
"""

import json
from pathlib import Path

import gymnasium
import numpy as np
import torch

from fixtures import short, single
from stable_baselines3.common.buffers import RolloutBuffer
from torch import nn
from torch.distributions import Normal

OUT = Path(__file__).parent.parent / "crates/rl/tests/fixtures/actor_critic.json"
ROWS, OBSERVATION = 12, 3
LOG_STD_BOUNDS = [-20.0, 2.0]
# Where a result depends on which of two numbers is the greater, they are further apart than 32 bits could mistake.
MARGIN = 1e-4


def normal(*shape, deviation=1.0):
    """Normal numbers around 0."""
    return single(deviation * torch.randn(*shape))


def flat(parameters):
    """All numbers of some tensors, one after another."""
    return torch.cat([parameter.detach().flatten() for parameter in parameters])


# Distributions


def categorical(counts, outputs, actions, mask=None):
    """ln pi(a|s) and the entropy of one choice, or of several that are independent; what is masked has the probability 0."""
    if mask is None:
        mask = torch.ones_like(outputs, dtype=torch.bool)
    log_probs, entropies = 0, 0
    for logits, action, allowed in zip(outputs.split(counts, dim=1), actions.T, mask.split(counts, dim=1)):
        logs = logits.masked_fill(~allowed, -torch.inf).log_softmax(dim=1)
        log_probs = log_probs + logs.gather(1, action.unsqueeze(1)).squeeze(1)
        # 0 ln 0 is 0, and so are its slopes, which PyTorch's own distribution cannot say.
        entropies = entropies - (logs.exp() * logs.masked_fill(~allowed, 0.0)).sum(dim=1)
    return log_probs, entropies


def gaussian(outputs, drawn, log_std, squashed=False):
    """ln pi(a|s) of tanh of what was drawn, or of that itself, and the entropy; without `log_std` the outputs end with it."""
    mean = outputs
    if log_std is None:
        mean, log_std = outputs.chunk(2, dim=1)
        log_std = log_std.clamp(*LOG_STD_BOUNDS)
    distribution = Normal(mean, log_std.exp())
    log_probs = distribution.log_prob(drawn)
    if squashed:
        # ln (1 - tanh^2 u), without cancellation.
        log_probs = log_probs - 2 * (np.log(2) - drawn - nn.functional.softplus(-2 * drawn))
        return log_probs.sum(dim=1), None
    return log_probs.sum(dim=1), distribution.entropy().sum(dim=1)


def record_of(kind, outputs, log_std, evaluate, **rest):
    """One case, with the gradient of a sum of all log-probabilities and entropies with weights."""
    parameters = [tensor.requires_grad_() for tensor in (outputs, log_std) if tensor is not None]
    log_probs, entropies = evaluate()
    log_prob_weights = normal(len(outputs))
    entropy_weights = torch.zeros(len(outputs)) if entropies is None else normal(len(outputs))
    loss = (log_prob_weights * log_probs).sum()
    if entropies is not None:
        loss = loss + (entropy_weights * entropies).sum()
    gradients = torch.autograd.grad(loss, parameters)
    assert all(gradient.isfinite().all() for gradient in gradients)
    return {
        "kind": kind,
        "counts": None,
        "mask": None,
        "log_std": log_std,
        "pre_squash": None,
        "outputs": outputs,
        "log_probs": log_probs,
        "entropies": entropies,
        "log_prob_weights": log_prob_weights,
        "entropy_weights": entropy_weights,
        "gradient": gradients[0],
        "log_std_gradient": None if log_std is None else gradients[1],
    } | rest


def categorical_case(kind, counts, masked):
    rows = 5
    outputs = normal(rows, sum(counts), deviation=2.0)
    actions = torch.stack([torch.randint(count, (rows,)) for count in counts], dim=1)
    mask = None
    if masked:
        mask = torch.rand(rows, sum(counts)) < 0.6
        # In the first row nothing else than what is done may be done.
        mask[0] = False
        start = 0
        for count, action in zip(counts, actions.T):
            mask[torch.arange(rows), start + action] = True
            start += count
    return record_of(
        kind, outputs, None, lambda: categorical(counts, outputs, actions, mask), counts=counts, mask=mask, actions=actions
    )


def gaussian_case(squashed, of_state):
    rows, actions = 6, 2
    mean, drawn = normal(rows, actions), normal(rows, actions, deviation=1.5)
    log_std, outputs = None, mean
    if of_state:
        logarithms = normal(rows, actions, deviation=0.5)
        # Beyond the bounds; so sharp a peak is seen at its top alone.
        logarithms[0] = torch.tensor([2.5, -0.5])
        logarithms[1] = torch.tensor([0.25, -25.0])
        drawn[1, 1] = mean[1, 1]
        outputs = torch.cat([mean, logarithms], dim=1)
    else:
        log_std = normal(actions, deviation=0.5)
    # Where tanh is 1 to almost all digits.
    drawn[2] = torch.tensor([6.0, -9.0])
    return record_of(
        "squashed_gaussian" if squashed else "gaussian",
        outputs,
        log_std,
        lambda: gaussian(outputs, drawn, log_std, squashed),
        actions=drawn.tanh() if squashed else drawn,
        pre_squash=drawn if squashed else None,
    )


# Advantages


def gae_case(gae_lambda, gamma=0.9, steps=8, envs=3):
    """Generalised advantages as Stable-Baselines3 has them, with what its `collect_rollouts` adds to rewards at a time limit."""
    rewards, values = torch.randn(steps, envs).numpy(), torch.randn(steps, envs).numpy()
    final_values, last_values = torch.randn(steps, envs).numpy(), torch.randn(envs)
    terminated, truncated = np.zeros((2, steps, envs), dtype=bool)
    # In the first environment an episode ends of itself and one by its limit, both on the way; in the second one by both at
    # once, which is an end of itself, and one by its limit in the last step; in the third one of itself in the last step.
    terminated[1, 0] = truncated[4, 0] = True
    terminated[3, 1] = truncated[3, 1] = truncated[-1, 1] = True
    terminated[-1, 2] = True
    space = gymnasium.spaces.Box(-1, 1, (1,))
    buffer = RolloutBuffer(
        steps, space, gymnasium.spaces.Discrete(2), device="cpu", gae_lambda=gae_lambda, gamma=gamma, n_envs=envs
    )
    starts = np.ones(envs, dtype=bool)
    nothing = np.zeros((envs, 1))
    for step in range(steps):
        limited = truncated[step] & ~terminated[step]
        bootstrapped = rewards[step] + gamma * final_values[step] * limited
        buffer.add(nothing, nothing, bootstrapped, starts, torch.tensor(values[step]), torch.zeros(envs))
        starts = terminated[step] | truncated[step]
    buffer.compute_returns_and_advantage(last_values, starts)
    arrays = {
        "rewards": rewards,
        "values": values,
        "terminated": terminated,
        "truncated": truncated,
        "final_values": final_values,
        "last_values": last_values,
        "advantages": buffer.advantages,
        "returns": buffer.returns,
    }
    return {"gamma": gamma, "gae_lambda": gae_lambda} | {name: torch.as_tensor(array) for name, array in arrays.items()}


# Updates


def perceptron(sizes):
    layers = [layer for pair in zip(sizes, sizes[1:]) for layer in (nn.Linear(*pair), nn.Tanh())]
    return nn.Sequential(*layers[:-1]).double()


def updates_case(ppo, continuous, value_clip_range=None):
    """Ten updates on one minibatch."""
    hidden, outputs = ([8], 2) if continuous else ([8, 6], 4)
    policy, value = perceptron([OBSERVATION, *hidden, outputs]), perceptron([OBSERVATION, *hidden, 1])
    log_std = nn.Parameter(normal(outputs, deviation=0.3)) if continuous else None
    observations = normal(ROWS, OBSERVATION)
    actions = normal(ROWS, outputs) if continuous else torch.randint(outputs, (ROWS, 1))

    def evaluate():
        if continuous:
            return gaussian(policy(observations), actions, log_std)
        return categorical([outputs], policy(observations), actions)

    clip_range = 0.2 if ppo else None
    advantages = normal(ROWS, deviation=1.25)
    with torch.no_grad():
        old_values = single(value(observations).flatten() + normal(ROWS, deviation=0.25))
        old_log_probs = single(evaluate()[0] + normal(ROWS, deviation=0.25)) if ppo else None
    returns = single(advantages + old_values)

    record = {
        "continuous": continuous,
        "hidden": hidden,
        "learning_rate": 3e-4 if ppo else 7e-4,
        "epsilon": 1e-5,
        "entropy_coefficient": 0.01,
        "value_coefficient": 0.5,
        "max_gradient_norm": 0.5,
        "clip_range": clip_range,
        "value_clip_range": value_clip_range,
        "observations": observations,
        "actions": actions,
        "advantages": advantages,
        "old_values": old_values,
        "returns": returns,
        "old_log_probs": old_log_probs,
        "updates": [],
    }

    def parts(of):
        return {
            "policy": flat(map(of, policy.parameters())),
            "value": flat(map(of, value.parameters())),
            "log_std": [] if log_std is None else of(log_std),
        }

    def now(parameter):
        return parameter.detach().clone()

    record["initial"] = parts(now)
    parameters = [*policy.parameters(), *value.parameters(), *([] if log_std is None else [log_std])]
    if ppo:
        optimizer = torch.optim.Adam(parameters, lr=record["learning_rate"], eps=record["epsilon"])
        scaled = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    else:
        optimizer = torch.optim.RMSprop(parameters, lr=record["learning_rate"], alpha=0.99, eps=record["epsilon"])
        scaled = advantages
    for update in range(10):
        log_probs, entropies = evaluate()
        values = value(observations).flatten()
        told = {}
        if ppo:
            log_ratio = log_probs - old_log_probs
            ratio = log_ratio.exp()
            clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
            policy_loss = -torch.min(scaled * ratio, scaled * clipped).mean()
            away = (ratio - 1).abs() - clip_range
            told["clip_fraction"] = (away > 0).double().mean()
            told["approx_kl"] = (ratio - 1 - log_ratio).mean()
            assert away.abs().min() > MARGIN and 0 < told["clip_fraction"] < 1
        else:
            policy_loss = -(scaled * log_probs).mean()
        if value_clip_range is not None:
            change = values - old_values
            away = change.abs() - value_clip_range
            assert away.abs().min() > MARGIN and 0 < (away > 0).sum() < ROWS
            values = old_values + change.clamp(-value_clip_range, value_clip_range)
        value_loss = nn.functional.mse_loss(returns, values)
        entropy_loss = -entropies.mean()
        loss = (
            policy_loss
            + record["value_coefficient"] * value_loss
            + record["entropy_coefficient"] * entropy_loss
        )
        optimizer.zero_grad()
        loss.backward()
        if update == 0:
            record["gradients"] = parts(lambda parameter: parameter.grad.clone())
        norm = nn.utils.clip_grad_norm_(parameters, record["max_gradient_norm"])
        optimizer.step()
        record["updates"].append(
            {"policy_loss": policy_loss, "value_loss": value_loss, "entropy_loss": entropy_loss, "gradient_norm": norm} | told
        )
    record["final"] = parts(now)
    return record


def main():
    torch.manual_seed(1)
    fixtures = {
        "distributions": [
            categorical_case("categorical", [5], masked=False),
            categorical_case("categorical", [5], masked=True),
            categorical_case("multi_categorical", [2, 3, 4], masked=False),
            categorical_case("multi_categorical", [2, 3, 4], masked=True),
            gaussian_case(squashed=False, of_state=False),
            gaussian_case(squashed=False, of_state=True),
            gaussian_case(squashed=True, of_state=False),
            gaussian_case(squashed=True, of_state=True),
        ],
        "gae": [gae_case(gae_lambda) for gae_lambda in (1.0, 0.95)],
        "a2c": [updates_case(ppo=False, continuous=continuous) for continuous in (False, True)],
        "ppo": [updates_case(True, False), updates_case(True, True, value_clip_range=0.2)],
    }
    OUT.write_text(json.dumps(short(fixtures)) + "\n")


main()
