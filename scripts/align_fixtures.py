"""Losses of alignment in TRL and, where TRL does not have them, from their papers' formulas in PyTorch.

    pip install -r scripts/requirements.txt
    python scripts/align_fixtures.py

writes crates/align/tests/fixtures/{preference,reference_free,kto,reward,ppo}.json, which the tests of crates/align read.

All input is representable in 32 bits, all is computed in 64 (except for TRL's alpha divergence, which takes no 64), and results are
rounded to 32. What is TRL's is computed by its trainers' own methods, called with a model that returns the log-probabilities of the
fixture. TRL had PPO until its version 1.12; here its formulas are in the padded layout that it used, whereas ours is without padding.

Tokens of answers are one list: those of the chosen answers one after the other, then those of the rejected ones.
"""

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import torch
import torch.nn.functional as F
from fixtures import short, single
from trl import DPOTrainer, KTOTrainer, RewardTrainer
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOTrainer

OUT = Path(__file__).parent.parent / "crates/align/tests/fixtures"
PAIRS = 6


class Accelerator:
    """One process."""

    device = torch.device("cpu")

    def gather(self, value):
        return value

    gather_for_metrics = gather


class Model:
    """Returns what it was made with."""

    training = True
    is_gradient_checkpointing = False

    def __init__(self, **outputs):
        self.outputs = SimpleNamespace(**outputs)

    def __call__(self, **_):
        return self.outputs


def stub(**attributes):
    """As much of a trainer as its loss looks at."""
    metrics = defaultdict(list)
    return SimpleNamespace(
        accelerator=Accelerator(),
        aux_loss_enabled=False,
        _metrics={"train": metrics},
        _total_train_tokens=0,
        _tp_size=1,
        **attributes,
    )


def logged(trainer, names):
    """What a trainer has logged, by name."""
    return {name: trainer._metrics["train"][name][-1] for name in names}


def gradient(loss, *inputs):
    """The gradient with respect to all numbers of some tensors, one after another."""
    gradients = torch.autograd.grad(loss, inputs)
    assert all(part.isfinite().all() for part in gradients)
    return torch.cat([part.flatten() for part in gradients])


# Pairs of answers


class Pairs:
    """Log-probabilities of the tokens of pairs, of policy and reference."""

    def __init__(self, scale):
        self.lengths = torch.randint(1, 6, (2 * PAIRS,))
        count = int(self.lengths.sum())
        self.policy = -single(scale * torch.rand(count))
        self.reference = -single(scale * torch.rand(count))
        # Of the tokens that a policy would draw itself, about: ln sum p^2.
        self.log_sum_squares = -single(scale * torch.rand(count))

    def record(self):
        return {
            "lengths": self.lengths,
            "policy": self.policy,
            "reference": self.reference,
            "log_sum_squares": self.log_sum_squares,
        }

    def padded(self, tokens):
        """[answers, longest]; prompts are one token, whose own is not counted."""
        rows = tokens.split(self.lengths.tolist())
        return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)

    def mask(self):
        """Of prompt and answer."""
        longest = int(self.lengths.max())
        mask = torch.arange(longest) < self.lengths[:, None]
        return F.pad(mask.long(), (1, 0))

    def answers(self, tokens, average=False):
        """[chosen, rejected], each summed or averaged."""
        sums = torch.stack([row.mean() if average else row.sum() for row in tokens.split(self.lengths.tolist())])
        return sums.chunk(2)


DPO_METRICS = [f"rewards/{name}" for name in ("chosen", "rejected", "accuracies", "margins")] + [
    "logps/chosen",
    "logps/rejected",
]


def trl_preference(pairs, options, dtype):
    """The loss and metrics of TRL's DPO trainer."""
    tokens = pairs.policy.to(dtype).requires_grad_()
    mask = pairs.mask()
    padded = pairs.padded(tokens)
    nothing = torch.zeros_like(padded)
    model = Model(
        log_probs=padded,
        log_sum_sq_probs=pairs.padded(pairs.log_sum_squares.to(dtype)),
        entropy=nothing,
        mean_logits=nothing,
        is_top1=nothing.bool(),
    )
    losses = options["loss_type"]
    losses = losses if isinstance(losses, list) else [losses]
    trainer = stub(
        model=model,
        ref_model=Model(log_probs=pairs.padded(pairs.reference.to(dtype))),
        args=SimpleNamespace(gradient_checkpointing_kwargs=None, discopop_tau=options.get("discopop_tau", 0.05)),
        precompute_ref_logps=False,
        beta=options["beta"],
        label_smoothing=options.get("label_smoothing", 0.0),
        ld_alpha=options.get("ld_alpha"),
        loss_types=losses,
        loss_weights=options.get("loss_weights", [1.0] * len(losses)),
        f_divergence_type=options.get("f_divergence_type", "reverse_kl"),
        f_alpha_divergence_coef=options.get("f_alpha_divergence_coef", 0.5),
        use_weighting=options.get("use_weighting", False),
    )
    inputs = {"input_ids": mask, "attention_mask": torch.ones_like(mask), "completion_mask": mask}
    with patch("trl.trainer.dpo_trainer.is_peft_model", lambda _: False):
        loss = DPOTrainer._compute_loss(trainer, model, inputs, False)
    return loss, gradient(loss, tokens), logged(trainer, DPO_METRICS)


def formula_preference(pairs, options):
    """What TRL does not have: label smoothing of `sigmoid`, IPO of sums, no reference, averages."""
    tokens = pairs.policy.clone().requires_grad_()
    average = options.get("average_log_prob", False)
    chosen, rejected = pairs.answers(tokens, average)
    ref_chosen, ref_rejected = pairs.answers(pairs.reference, average)
    beta, smoothing = options["beta"], options.get("label_smoothing", 0.0)
    z = chosen - rejected
    if not options.get("reference_free", False):
        z = z - (ref_chosen - ref_rejected)
    match options["loss_type"]:
        case "sigmoid" | "conservative":
            losses = -(1 - smoothing) * F.logsigmoid(beta * z) - smoothing * F.logsigmoid(-beta * z)
        case "ipo_sum":
            losses = (z - 1 / (2 * beta)) ** 2
        case "hinge":
            losses = torch.relu(1 - beta * z)
    rewards = [(beta * (policy - reference)).detach() for policy, reference in [(chosen, ref_chosen), (rejected, ref_rejected)]]
    metrics = [
        rewards[0].mean(),
        rewards[1].mean(),
        (rewards[0] > rewards[1]).double().mean(),
        (rewards[0] - rewards[1]).mean(),
        chosen.mean(),
        rejected.mean(),
    ]
    loss = losses.mean()
    return loss, gradient(loss, tokens), dict(zip(DPO_METRICS, metrics))


def preference_cases(far):
    """Options by TRL's names, and whether TRL has them."""
    trl = [
        *({"loss_type": name} for name in ["sigmoid", "hinge", "ipo", "nca_pair", "bco_pair", "sppo_hard", "discopop"]),
        *({"loss_type": name} for name in ["apo_zero", "apo_down", "sigmoid_norm", "sft", "aot", "aot_unpaired"]),
        *({"loss_type": name, "label_smoothing": 0.1} for name in ["robust", "exo_pair", "aot", "aot_unpaired"]),
        {"loss_type": "exo_pair", "label_smoothing": 1e-3},
        {"loss_type": "discopop", "discopop_tau": 0.5},
        {"loss_type": ["sigmoid", "bco_pair", "sft"], "loss_weights": [0.8, 0.2, 1.0]},
        {"loss_type": ["hinge", "sppo_hard"]},
        *({"loss_type": name, "ld_alpha": 0.5} for name in ["sigmoid", "sft"]),
        {"loss_type": "hinge", "ld_alpha": 0.0},
    ]
    if not far:
        for name in ["sigmoid", "ipo", "exo_pair", "discopop", "sigmoid_norm"]:
            smoothing = {"label_smoothing": 0.01} if name == "exo_pair" else {}
            trl += [{"loss_type": name, "f_divergence_type": kind} | smoothing for kind in ["forward_kl", "js_divergence"]]
        trl += [
            {"loss_type": "sigmoid", "f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": alpha}
            for alpha in [0.0, 0.5, 1.0, 1.5]
        ]
        # TRL's weighting writes into the results of `hinge` and of `sft`, which autograd does not allow.
        trl += [{"loss_type": name, "use_weighting": True} for name in ["sigmoid", ["apo_zero", "ipo"]]]
    formulas = [
        {"loss_type": "conservative", "label_smoothing": 0.1},
        {"loss_type": "ipo_sum"},
        {"loss_type": "sigmoid", "reference_free": True},
        {"loss_type": "ipo_sum", "average_log_prob": True},
        {"loss_type": "hinge", "average_log_prob": True, "reference_free": True},
    ]
    for beta in [0.1, 0.5]:
        yield from (({"beta": beta} | options, True) for options in trl)
        yield from (({"beta": beta} | options, False) for options in formulas)


def preference():
    batches = []
    for scale, far in [(2.0, False), (200.0, True)]:
        pairs = Pairs(scale)
        cases = []
        for options, in_trl in preference_cases(far):
            if in_trl:
                dtype = torch.float32 if options.get("f_divergence_type") == "alpha_divergence" else torch.float64
                loss, slopes, metrics = trl_preference(pairs, options, dtype)
            else:
                loss, slopes, metrics = formula_preference(pairs, options)
            # TRL's own DiscoPOP overflows where ours does not.
            assert loss.isfinite(), options
            cases.append({"options": options, "loss": loss, "gradient": slopes, "metrics": metrics})
        batches.append(pairs.record() | {"cases": cases})
    return {"batches": batches}


def reference_free():
    """SimPO, CPO and ORPO, with the likelihood that CPO and ORPO add."""
    pairs = Pairs(2.0)
    cases = []
    for name, settings in [
        ("simpo", {"beta": 2.0, "gamma": 0.5}),
        ("simpo", {"beta": 2.5, "gamma": 1.4}),
        ("cpo", {"beta": 0.1, "label_smoothing": 0.0, "alpha": 1.0}),
        ("cpo", {"beta": 0.3, "label_smoothing": 0.1, "alpha": 0.5}),
        ("orpo", {"beta": 0.1}),
    ]:
        tokens = pairs.policy.clone().requires_grad_()
        sums, averages = pairs.answers(tokens), pairs.answers(tokens, average=True)
        likelihood = -sums[0].sum() / pairs.lengths[:PAIRS].sum()
        trainer = stub(
            beta=settings["beta"],
            alpha=0.0,
            loss_type={"simpo": "simpo", "cpo": "sigmoid", "orpo": None}[name],
            simpo_gamma=settings.get("gamma"),
            label_smoothing=settings.get("label_smoothing", 0.0),
        )
        match name:
            case "simpo":
                loss = CPOTrainer.cpo_loss(trainer, *averages)[0].mean()
            case "cpo":
                loss = CPOTrainer.cpo_loss(trainer, *sums)[0].mean() + settings["alpha"] * likelihood
            case "orpo":
                # In 64 bits: it rounds to 32 by itself.
                with patch.object(torch.Tensor, "float", torch.Tensor.double):
                    loss = likelihood - ORPOTrainer.odds_ratio_loss(trainer, *averages)[0].mean()
        cases.append({"name": name, "settings": settings, "loss": loss, "gradient": gradient(loss, tokens)})
    return pairs.record() | {"cases": cases}


def kto():
    """KTO of answers that are desirable or not, and of desirable ones alone."""
    cases = []
    for labels, loss_type, beta, weights, mismatched_scale in [
        ([True, False, True, True, False, False, True], "kto", 0.1, [1.0, 1.0], 3.0),
        ([True, False, True, True, False, False, True], "kto", 0.5, [1.0, 1.33], 1.0),
        ([True, True, True, True], "kto", 0.1, [1.0, 1.0], 1.0),
        # Here the mean of mismatched log-ratios is below 0.
        ([False, True, False, False], "kto", 0.2, [0.7, 1.0], -2.0),
        ([False, True, False, True, True], "apo_zero_unpaired", 0.3, [1.0, 1.0], 1.0),
    ]:
        count = len(labels)
        policy = single(-5 * torch.rand(count)).requires_grad_()
        reference = single(-5 * torch.rand(count))
        mismatched_policy, mismatched_reference = single(mismatched_scale * torch.rand(count)), single(torch.zeros(count))
        # One token each.
        nothing = torch.zeros(count, 1).double()
        model = Model(log_probs=policy[:, None], entropy=nothing, mean_logits=nothing)
        trainer = stub(
            model=model,
            beta=beta,
            loss_type=loss_type,
            calculate_KL=loss_type == "kto",
            desirable_weight=weights[0],
            undesirable_weight=weights[1],
            precompute_ref_logps=True,
            _compute_kl_logps=lambda model, batch, values=mismatched_policy: values,
        )
        mask = torch.tensor([[0, 1]] * count)
        inputs = {
            "input_ids": mask,
            "attention_mask": torch.ones_like(mask),
            "completion_mask": mask,
            "label": torch.tensor(labels),
            "ref_logps": reference,
            "ref_KL_logps": mismatched_reference,
        }
        loss = KTOTrainer._compute_loss(trainer, model, inputs, False)
        cases.append(
            {
                "loss_type": loss_type,
                "beta": beta,
                "weights": weights,
                "labels": labels,
                "log_ratios": policy - reference,
                "mismatched": mismatched_policy - mismatched_reference,
                "kl": trainer._metrics["train"]["kl"][-1],
                "loss": loss,
                "gradient": gradient(loss, policy),
            }
        )
    return {"cases": cases}


# Reward models


def reward():
    names = ["min_reward", "mean_reward", "max_reward", "accuracy", "margin"]
    cases = []
    for scale, with_margin, centering in [(1.0, False, None), (2.0, True, None), (1.0, False, 0.01), (30.0, True, 0.5)]:
        rewards = single(scale * torch.randn(2 * PAIRS)).requires_grad_()
        margin = single(torch.rand(PAIRS))
        trainer = stub(model=Model(), args=SimpleNamespace(center_rewards_coefficient=centering))
        inputs = {"attention_mask": torch.ones(2 * PAIRS, 3)} | ({"margin": margin} if with_margin else {})
        loss = RewardTrainer.compute_loss(trainer, Model(logits=rewards[:, None]), inputs)
        cases.append(
            {
                "rewards": rewards,
                "margin": margin if with_margin else None,
                "centering": centering,
                "loss": loss,
                "gradient": gradient(loss, rewards),
                "metrics": logged(trainer, names),
            }
        )

    ranks = [[0, 1, 2, 3], [1, 0], [2, 1, 0, 0, 3], [0, 0], [0, 1, 1]]
    rewards = single(torch.randn(sum(map(len, ranks)))).requires_grad_()
    losses = []
    for prompt, scores in zip(ranks, rewards.split([len(prompt) for prompt in ranks])):
        better = [(i, j) for i in range(len(prompt)) for j in range(len(prompt)) if prompt[i] < prompt[j]]
        parts = [-F.logsigmoid(scores[i] - scores[j]) for i, j in better]
        losses.append(torch.stack(parts).mean() if parts else torch.tensor(0.0).double())
    losses = torch.stack(losses)
    # The same with a margin of each prompt, and centred.
    ranked_margins, ranked_centering = [0.5, 0.0, -0.25, 1.0, 2.0], 0.01
    with_margins, differences = [], []
    for prompt, scores, margin in zip(ranks, rewards.split([len(prompt) for prompt in ranks]), ranked_margins):
        better = [(i, j) for i in range(len(prompt)) for j in range(len(prompt)) if prompt[i] < prompt[j]]
        differences += [(scores[i] - scores[j]).item() for i, j in better]
        parts = [
            -F.logsigmoid(scores[i] - scores[j] - margin) + ranked_centering * (scores[i] + scores[j]) ** 2 for i, j in better
        ]
        with_margins.append(torch.stack(parts).mean() if parts else torch.tensor(0.0).double())
    with_margins = torch.stack(with_margins)
    ranked = {
        "ranks": ranks,
        "rewards": rewards,
        "losses": losses,
        "gradient": gradient(losses.mean(), rewards),
        "margins": ranked_margins,
        "centering": ranked_centering,
        "losses_with_margins": with_margins,
        "gradient_with_margins": gradient(with_margins.mean(), rewards),
        "metrics": {
            "min_reward": rewards.min(),
            "mean_reward": rewards.mean(),
            "max_reward": rewards.max(),
            "accuracy": sum(difference > 0 for difference in differences) / len(differences),
            "margin": sum(differences) / len(differences),
        },
    }

    margins, bins = single(2 * torch.randn(200) + 1), 10
    probability = margins.sigmoid()
    confidence, right = torch.maximum(probability, 1 - probability), (margins > 0).double()
    edges = torch.linspace(0.5, 1.0, bins + 1).double()
    error, counts = 0.0, []
    for low, high in zip(edges, edges[1:]):
        inside = (confidence >= low) & (confidence < high)
        counts.append(int(inside.sum()))
        if counts[-1]:
            error += inside.double().mean() * (right[inside].mean() - confidence[inside].mean()).abs()
    assert sum(counts) == len(margins)
    calibration = {
        "margins": margins,
        "bins": bins,
        "counts": counts,
        "expected_error": error,
        "log_likelihood": F.logsigmoid(margins).mean(),
    }
    return {"pairs": cases, "ranked": ranked, "calibration": calibration}


# PPO


def masked_mean(values, mask):
    return (values * mask).sum() / mask.sum()


def whiten(values, mask, shift_mean, unbiased):
    counted = values[mask]
    mean, variance = counted.mean(), counted.var(unbiased=unbiased)
    whitened = (values - mean) / (variance + 1e-8).sqrt() + (0 if shift_mean else mean)
    return whitened[mask]


def ppo_case(lengths, scale, gamma, lam):
    """Everything that is made of one rollout and one minibatch, which is all of it."""
    count, longest = len(lengths), max(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    kl_coefficient, range_, value_range, temperature = 0.05, 0.2, 0.2, 0.7

    def numbers(spread=1.0):
        return single(spread * torch.randn(count, longest))

    old = single(-3 * torch.rand(count, longest))
    reference = single(old + scale * torch.randn(count, longest))
    scores, values = single(torch.randn(count)), numbers()
    ratio = reference - old
    estimates = {"k1": -ratio, "k2": ratio**2 / 2, "k3": ratio.exp() - 1 - ratio, "abs": ratio.abs()}
    kl = estimates["k1"]
    rewards = torch.where(mask, -kl_coefficient * kl, 0.0)
    rewards[torch.arange(count), torch.tensor(lengths) - 1] += scores
    # As in TRL's own loop; values and rewards after the end are 0, so that padding changes nothing.
    padded_values = torch.where(mask, values, 0.0)
    last, reversed_ = torch.zeros(count).double(), []
    for t in reversed(range(longest)):
        following = padded_values[:, t + 1] if t + 1 < longest else 0.0
        last = rewards[:, t] + gamma * following - padded_values[:, t] + gamma * lam * last
        reversed_.append(last)
    advantages = torch.stack(reversed_[::-1], dim=1)
    returns = advantages + padded_values
    record = {
        "lengths": lengths,
        "gamma_lambda": [gamma, lam],
        "coefficient": kl_coefficient,
        "ranges": [range_, value_range],
        "old": old[mask],
        "reference": reference[mask],
        "scores": scores,
        "old_values": values[mask],
        "kl": {name: estimate[mask] for name, estimate in estimates.items()},
        "rewards": rewards[mask],
        "advantages": advantages[mask],
        "returns": returns[mask],
        "whitened": [
            {"of": name, "shift_mean": shift, "variance": "unbiased" if unbiased else "biased", "values": whiten(of, mask, shift, unbiased)}
            for name, of in [("rewards", rewards), ("advantages", advantages)]
            for shift in [True, False]
            for unbiased in [True, False]
        ],
        "objective": {
            "objective/kl": torch.where(mask, kl, 0).sum(1).mean(),
            "objective/entropy": torch.where(mask, -old, 0).sum(1).mean(),
            "objective/non_score_reward": torch.where(mask, -kl_coefficient * kl, 0).sum(1).mean(),
            "objective/rlhf_reward": torch.where(mask, -kl_coefficient * kl, 0).sum(1).mean() + scores.mean(),
            "objective/scores": scores.mean(),
        },
    }
    minibatches = []
    for step in range(3):
        # On the first minibatch nothing has changed.
        moved = 0.0 if step == 0 else 0.3
        new = single(old + moved * torch.randn(count, longest)).requires_grad_()
        predicted = single(values + moved * torch.randn(count, longest)).requires_grad_()
        entropies = torch.rand(count, longest).double()
        entropies = single(entropies)
        difference = new - old
        rho = difference.exp()
        plain, clipped = -advantages * rho, -advantages * rho.clamp(1 - range_, 1 + range_)
        policy_loss = masked_mean(torch.max(plain, clipped), mask)
        near = torch.clamp(predicted, values - value_range, values + value_range)
        value_losses, clipped_value_losses = (predicted - returns).square(), (near - returns).square()
        value_loss = 0.5 * masked_mean(torch.max(value_losses, clipped_value_losses), mask)
        minibatches.append(
            {
                "log_probabilities": new[mask],
                "values": predicted[mask],
                "entropies": entropies[mask],
                "policy_gradient": torch.autograd.grad(policy_loss, new)[0][mask],
                "value_gradient": torch.autograd.grad(value_loss, predicted)[0][mask],
                "policy/approxkl_avg": masked_mean(0.5 * difference**2, mask),
                "policy/clipfrac_avg": masked_mean((clipped > plain).double(), mask),
                "policy/entropy_avg": masked_mean(entropies, mask),
                "loss/policy_avg": policy_loss,
                "loss/value_avg": value_loss,
                "val/clipfrac_avg": masked_mean((clipped_value_losses > value_losses).double(), mask),
                "val/ratio": masked_mean(rho, mask),
            }
        )
    tensors = ["log_probabilities", "values", "entropies", "policy_gradient", "value_gradient"]
    averages = {
        name: torch.stack([minibatch[name].detach() for minibatch in minibatches]).mean()
        for name in minibatches[0]
        if name not in tensors
    }
    averages["val/ratio_var"] = torch.stack([minibatch["val/ratio"].detach() for minibatch in minibatches]).var()
    kept = [*tensors, "loss/policy_avg", "loss/value_avg"]
    return record | {"minibatches": [{name: part[name] for name in kept} for part in minibatches], "averages": averages}


def ppo():
    logits, reference = single(2 * torch.randn(5, 7)).requires_grad_(), single(2 * torch.randn(5, 7))
    policy = torch.distributions.Categorical(logits=logits)
    divergence = torch.distributions.kl_divergence(policy, torch.distributions.Categorical(logits=reference))
    distributions = {
        "logits": logits,
        "reference": reference,
        "full_kl": divergence,
        "full_kl_gradient": torch.autograd.grad(divergence.sum(), logits, retain_graph=True)[0].flatten(),
        "entropy": policy.entropy(),
        "entropy_gradient": gradient(torch.distributions.Categorical(logits=logits).entropy().sum(), logits),
    }
    return {
        "rollouts": [
            ppo_case([4, 1, 6, 3], 0.5, 1.0, 0.95),
            ppo_case([2, 5, 5], 2.0, 0.98, 0.9),
        ],
        "distributions": distributions,
    }


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for seed, make in enumerate([preference, reference_free, kto, reward, ppo]):
        torch.manual_seed(seed)
        (OUT / f"{make.__name__}.json").write_text(json.dumps(short(make()), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
