"""Runs of TRL's PPO trainer on the tiny model, for the tests of `crates/align` to compare with: f32, on the CPU.

    pip install --no-deps --target FOLDER trl==1.12.0
    OMP_NUM_THREADS=1 PYTHONPATH=FOLDER python scripts/align_ppo_training_fixtures.py

writes crates/align/tests/fixtures/training/ppo*.json. TRL 1.12 is the last version that has PPO; the rest is as in requirements.txt. The
models and the data are those of scripts/align_training_fixtures.py, which empties the folder and so is to be run before.

Each file is one run. `arguments` are étude's, by its names; `trl_arguments` are what that is in TRL. The reference is the model as it is
before training, and the value model begins as the reward model does. Answers are not drawn in the run: before it, the model has drawn them
once, without special tokens, so that all are of one length and none has ended. Questions come in the order of the data, and each epoch's
minibatches in the order of the answers: permutations are the identity.

`steps`: `prompts` and `answers`, the tokens of each; `scores`, the reward model's alone, before the penalty; `metrics`, what TRL logs, not
rounded. `policy` and `value_model` have of every parameter after the run the sum, the sum of squares, the sum of the squares of what it has
changed by, all in 64 bits, and some entries, in 32: those at the multiples of `stride` in the flat parameter.

One step of every run is also computed in 64 bits from the papers' formulas, by code that shares nothing with TRL's or transformers', and has
to agree: metrics and all parameters.
"""

import json
import tempfile
from pathlib import Path
from unittest.mock import patch

import datasets
import numpy
import torch
import torch.nn.functional as F
import transformers
import trl
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PrinterCallback,
    TrainerCallback,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

FOLDER = Path(__file__).parent.parent / "crates/align/tests/fixtures/training"
STEPS = 3
ENTRIES = 8
# What depends on the machine.
SPEED = ("eps",)

ARGUMENTS = {
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 1,
    "num_mini_batches": 2,
    "num_ppo_epochs": 2,
    "response_length": 6,
    "temperature": 0.7,
    "kl_coef": 0.05,
    "kl_estimator": "k1",
    "whiten_rewards": False,
    "missing_eos_penalty": None,
    "vf_coef": 0.1,
    "cliprange": 0.2,
    "cliprange_value": 0.2,
    "gamma": 1.0,
    "lam": 0.95,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "linear",
    "weight_decay": 0.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    # As large as gradients are, so that their scale shows in the parameters.
    "adam_epsilon": 1e-3,
    # TRL's PPO has no part that clips gradients, whatever it is told.
    "max_grad_norm": 0.0,
    "seed": 0,
}
# Where rewards are whitened, TRL wants minibatches of 8 at least.
RUNS = {
    "ppo": {},
    "ppo_k3": {"kl_estimator": "k3", "gamma": 0.95, "missing_eos_penalty": 0.5, "weight_decay": 0.01},
    "ppo_whiten": {
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "num_mini_batches": 1,
        "whiten_rewards": True,
    },
}


def batch_size(arguments):
    return arguments["per_device_train_batch_size"] * arguments["gradient_accumulation_steps"] * arguments["num_mini_batches"]


def trl_arguments(arguments):
    """In TRL the first two give the size of the batch, and the third divides it. The optimiser steps once for so many passes backwards as
    accumulate, wherever a minibatch ends, so that only one of the two can be more than 1."""
    minibatches, accumulation = arguments["num_mini_batches"], arguments["gradient_accumulation_steps"]
    assert 1 in (minibatches, accumulation)
    return arguments | {
        "per_device_train_batch_size": arguments["per_device_train_batch_size"] * minibatches,
        "total_episodes": STEPS * batch_size(arguments),
        "stop_token": "eos",
    }


def questions(tokenizer, count):
    lines = (FOLDER / "completions.jsonl").read_text().splitlines()[:count]
    return [tokenizer(json.loads(line)["prompt"])["input_ids"] for line in lines]


def load(kind, folder):
    return kind.from_pretrained(FOLDER / folder, dtype=torch.float32, attn_implementation="eager")


@torch.no_grad()
def draw_answers(prompts, tokenizer, arguments):
    """What the model says, which is never a special token."""
    model = load(AutoModelForCausalLM, "model")
    generator = torch.Generator().manual_seed(arguments["seed"])
    answers = []
    for prompt in prompts:
        tokens = list(prompt)
        for _ in range(arguments["response_length"]):
            logits = model(torch.tensor([tokens])).logits[0, -1] / arguments["temperature"]
            logits[tokenizer.all_special_ids] = -torch.inf
            tokens.append(torch.multinomial(logits.softmax(0), 1, generator=generator).item())
        answers.append(tokens[len(prompt) :])
    return answers


class Watched:
    """What TRL is given and what it computes, step by step."""

    def __init__(self, answers, reward_model, arguments):
        self.answers, self.reward_model, self.arguments = answers, reward_model, arguments
        self.steps = []

    @torch.no_grad()
    def batch_generation(self, model, queries, _, pad_token_id, __):
        """In place of TRL's, with the logits that it returns too: those of the temperature."""
        first, length = len(self.steps) * len(queries), self.arguments["response_length"]
        answers = self.answers[first : first + len(queries)]
        prompts = [query[query != pad_token_id].tolist() for query in queries]
        self.steps.append({"prompts": prompts, "answers": answers, "scores": []})
        sequences = torch.cat([queries, torch.tensor(answers)], 1)
        logits = ppo_trainer.forward(model, sequences, pad_token_id).logits[:, -length - 1 : -1]
        return sequences, logits / (self.arguments["temperature"] + 1e-7)

    def get_reward(self, model, *inputs):
        found = self.get_reward_of_trl(model, *inputs)
        if model is self.reward_model:
            self.steps[-1]["scores"] += found[1].tolist()
        return found

    get_reward_of_trl = staticmethod(ppo_trainer.get_reward)


class AfterFirst(TrainerCallback):
    """Keeps the parameters after the first step."""

    parameters = None

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.parameters = self.parameters or {name: weight.detach().clone() for name, weight in model.named_parameters()}


class InOrder(torch.utils.data.DataLoader):
    """TRL shuffles."""

    def __init__(self, *inputs, shuffle=False, **options):
        super().__init__(*inputs, **options)


def parts(parameters):
    """Policy and value model, by the names that the parameters have in their folders."""
    prefixes = {"policy": "policy.", "value_model": "value_model."}
    named = {
        part: {name.removeprefix(prefix): weight for name, weight in parameters.items() if name.startswith(prefix)}
        for part, prefix in prefixes.items()
    }
    # The value model's are there once more, and first here, as TRL's `critic_backbone`.
    backbone = {name.replace("critic_backbone.", "model."): weight for name, weight in parameters.items() if "critic" in name}
    named["value_model"] |= backbone
    return named


def run(options):
    arguments = ARGUMENTS | options
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / "model", padding_side="left")
    batch = batch_size(arguments)
    # One batch more than is read: at the last one of the data, every pass backwards would become a step of the optimiser.
    prompts = questions(tokenizer, (STEPS + 1) * batch)
    answers = draw_answers(prompts, tokenizer, arguments)
    specials = {tokenizer.eos_token_id, tokenizer.pad_token_id}
    assert len(prompts) == (STEPS + 1) * batch and not any(specials & {*prompt, *answer} for prompt, answer in zip(prompts, answers))
    reward_model = load(AutoModelForSequenceClassification, "reward_model")
    watched, after_first = Watched(answers, reward_model, arguments), AfterFirst()
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(ppo_trainer, "DataLoader", InOrder),
        patch.object(ppo_trainer, "batch_generation", watched.batch_generation),
        patch.object(ppo_trainer, "get_reward", watched.get_reward),
        patch.object(numpy.random, "permutation", numpy.arange),
    ):
        surroundings = {"bf16": False, "use_cpu": True, "gradient_checkpointing": False, "save_strategy": "no", "report_to": "none"}
        surroundings |= {"disable_tqdm": True, "logging_steps": 1, "num_sample_generations": 0}
        trainer = PPOTrainer(
            args=PPOConfig(output_dir=folder, **surroundings, **trl_arguments(arguments)),
            processing_class=tokenizer,
            model=load(AutoModelForCausalLM, "model"),
            ref_model=load(AutoModelForCausalLM, "model"),
            reward_model=reward_model,
            value_model=load(AutoModelForSequenceClassification, "reward_model"),
            train_dataset=datasets.Dataset.from_list([{"input_ids": prompt} for prompt in prompts]),
            callbacks=[after_first],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    history = [line for line in trainer.state.log_history if "objective/kl" in line]
    for step, line in zip(watched.steps, history, strict=True):
        step["metrics"] = {name: value for name, value in line.items() if name not in SPEED}
    asked = [prompt for step in watched.steps for prompt in step["prompts"]]
    assert asked == prompts[: STEPS * batch], "another order"
    check_first_step(arguments, watched.steps[0], parts(after_first.parameters))
    described = {
        part: {name: describe(weight, before[name]) for name, weight in weights.items()}
        for (part, weights), before in zip(parts(dict(trainer.model.named_parameters())).items(), [weights_of(f) for f in FOLDERS])
    }
    sides = {"arguments": arguments, "trl_arguments": trl_arguments(arguments)}
    return sides | {"steps": watched.steps} | described


FOLDERS = ["model", "reward_model"]


def weights_of(folder):
    return {name: weight.double() for name, weight in load_file(FOLDER / folder / "model.safetensors").items()}


def describe(parameter, before):
    parameter = parameter.detach()
    wide, stride = parameter.double(), max(1, parameter.numel() // ENTRIES)
    return {
        "sum": wide.sum().item(),
        "sum_of_squares": wide.square().sum().item(),
        "sum_of_squared_changes": (wide - before).square().sum().item(),
        "stride": stride,
        "entries": parameter.flatten()[::stride].tolist(),
    }


# The same from the formulas


def hidden(weights, config, tokens):
    """Llama's hidden states after the last norm, `[tokens, hidden]` (Touvron et al. 2023)."""
    count, heads, shared = len(tokens), config["num_attention_heads"], config["num_key_value_heads"]
    size = config["hidden_size"] // heads
    turns = torch.arange(count).double()[:, None] * config["rope_theta"] ** (-torch.arange(0, size, 2).double() / size)
    cosine, sine = (part.repeat(1, 2)[:, None] for part in (turns.cos(), turns.sin()))
    hides = torch.ones(count, count).triu(1).bool()

    def norm(states, name):
        return states * (states.square().mean(-1, keepdim=True) + config["rms_norm_eps"]).rsqrt() * weights[name]

    def turned(states):
        one, other = states.chunk(2, -1)
        return states * cosine + torch.cat([-other, one], -1) * sine

    states = weights["model.embed_tokens.weight"][torch.tensor(tokens)]
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        normed = norm(states, name + "input_layernorm.weight")
        query, key, value = ((normed @ weights[f"{name}self_attn.{part}_proj.weight"].T).view(count, -1, size) for part in "qkv")
        query, key = turned(query), turned(key).repeat_interleave(heads // shared, 1)
        value = value.repeat_interleave(heads // shared, 1)
        attention = torch.einsum("ihd,jhd->hij", query, key) / size**0.5
        mixed = torch.einsum("hij,jhd->ihd", attention.masked_fill(hides, -torch.inf).softmax(-1), value)
        states = states + mixed.reshape(count, -1) @ weights[name + "self_attn.o_proj.weight"].T
        normed = norm(states, name + "post_attention_layernorm.weight")
        gate, up = (normed @ weights[f"{name}mlp.{part}_proj.weight"].T for part in ("gate", "up"))
        states = states + (F.silu(gate) * up) @ weights[name + "mlp.down_proj.weight"].T
    return norm(states, "model.norm.weight")


def whiten(values, shift_mean):
    """Of all tokens of all answers."""
    return (values - values.mean()) / (values.var() + 1e-8).sqrt() + (0 if shift_mean else values.mean())


def check_first_step(arguments, step, found):
    """A step of PPO in 64 bits, answer by answer and without padding."""
    config = json.loads((FOLDER / "model/config.json").read_text())
    policy, value_model = ({name: w.requires_grad_() for name, w in weights_of(f).items()} for f in FOLDERS)
    reference, reward_model = (weights_of(folder) for folder in FOLDERS)
    sequences = [(prompt + answer, len(prompt)) for prompt, answer in zip(step["prompts"], step["answers"])]

    def distributions(weights, places):
        """ln pi of all tokens that there are, before each token of the answers, `[answers, tokens, vocabulary]`."""
        states = [hidden(weights, config, sequences[place][0])[sequences[place][1] - 1 : -1] for place in places]
        return (torch.stack(states) @ weights["model.embed_tokens.weight"].T / arguments["temperature"]).log_softmax(-1)

    def taken(log_probabilities, places):
        answers = torch.tensor([step["answers"][place] for place in places])
        return log_probabilities.gather(-1, answers[..., None])[..., 0]

    def values_of(places):
        states = [hidden(value_model, config, sequences[place][0])[sequences[place][1] - 1 : -1] for place in places]
        return (torch.stack(states) @ value_model["score.weight"].T)[..., 0]

    places = list(range(len(sequences)))
    with torch.no_grad():
        old, asked = (taken(distributions(weights, places), places) for weights in (policy, reference))
        old_values = values_of(places)
        scores = torch.stack([(hidden(reward_model, config, tokens)[-1] @ reward_model["score.weight"].T)[0] for tokens, _ in sequences])
        torch.testing.assert_close(torch.tensor(step["scores"]).double(), scores, rtol=1e-5, atol=1e-5)
        scores = scores - (arguments["missing_eos_penalty"] or 0)
        difference = old - asked
        kl = difference if arguments["kl_estimator"] == "k1" else (-difference).exp() - 1 + difference
        rewards = -arguments["kl_coef"] * kl
        rewards[:, -1] += scores
        if arguments["whiten_rewards"]:
            rewards = whiten(rewards, False)
        # The sum of equation 16 itself, and not its recursion.
        following = F.pad(old_values[:, 1:], (0, 1))
        errors = rewards + arguments["gamma"] * following - old_values
        tokens = torch.arange(errors.shape[1])
        ahead = (tokens[None] - tokens[:, None]).double()
        discounts = torch.where(ahead >= 0, (arguments["gamma"] * arguments["lam"]) ** ahead, 0.0)
        raw = errors @ discounts.T
        returns, advantages = raw + old_values, whiten(raw, True)

    decaying, others = [], []
    for weight in [*policy.values(), *value_model.values()]:
        (decaying if weight.dim() == 2 else others).append(weight)
    groups = [{"params": decaying, "weight_decay": arguments["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    betas = (arguments["adam_beta1"], arguments["adam_beta2"])
    optimizer = torch.optim.AdamW(groups, lr=arguments["learning_rate"], betas=betas, eps=arguments["adam_epsilon"])
    clip, clip_value = arguments["cliprange"], arguments["cliprange_value"]
    rows = []
    for _ in range(arguments["num_ppo_epochs"]):
        minibatches = torch.tensor(places).split(arguments["per_device_train_batch_size"] * arguments["gradient_accumulation_steps"])
        for minibatch in minibatches:
            optimizer.zero_grad()
            batches = minibatch.split(arguments["per_device_train_batch_size"])
            for batch in batches:
                distribution, values = distributions(policy, batch), values_of(batch)
                change = taken(distribution, batch) - old[batch]
                ratio, gain = change.exp(), advantages[batch]
                losses, clipped = -gain * ratio, -gain * ratio.clamp(1 - clip, 1 + clip)
                near = old_values[batch] + (values - old_values[batch]).clamp(-clip_value, clip_value)
                value_losses, clipped_values = (values - returns[batch]) ** 2, (near - returns[batch]) ** 2
                policy_loss = torch.maximum(losses, clipped).mean()
                value_loss = torch.maximum(value_losses, clipped_values).mean() / 2
                ((policy_loss + arguments["vf_coef"] * value_loss) / len(batches)).backward()
                rows.append(
                    {
                        "policy/approxkl_avg": change.square().mean() / 2,
                        "policy/clipfrac_avg": (clipped > losses).double().mean(),
                        "policy/entropy_avg": -(distribution.exp() * distribution).sum(-1).mean(),
                        "loss/policy_avg": policy_loss,
                        "loss/value_avg": value_loss,
                        "val/clipfrac_avg": (clipped_values > value_losses).double().mean(),
                        "val/ratio": ratio.mean(),
                    }
                )
            optimizer.step()
    penalty = -arguments["kl_coef"] * kl.sum(1).mean()
    metrics = {name: torch.stack([row[name] for row in rows]).mean().item() for name in rows[0]} | {
        "objective/kl": kl.sum(1).mean().item(),
        "objective/entropy": -old.sum(1).mean().item(),
        "objective/non_score_reward": penalty.item(),
        "objective/rlhf_reward": (penalty + scores.mean()).item(),
        "objective/scores": scores.mean().item(),
        "val/ratio_var": torch.stack([row["val/ratio"] for row in rows]).var().item(),
        "lr": arguments["learning_rate"],
        "val/num_eos_tokens": 0,
    }
    assert set(step["metrics"]) - set(metrics) == {"episode", "epoch", "step"}, set(step["metrics"]) ^ set(metrics)
    for name, value in metrics.items():
        assert abs(step["metrics"][name] - value) < 1e-5 + 1e-4 * abs(value), (name, step["metrics"][name], value)
    furthest = 0.0
    for part, weights in {"policy": policy, "value_model": value_model}.items():
        assert set(found[part]) == set(weights), set(found[part]) ^ set(weights)
        for name, weight in weights.items():
            furthest = max(furthest, (found[part][name].double() - weight).abs().max().item())
    # Every entry has moved by up to the learning rate in each of the updates.
    assert furthest < 0.01 * arguments["learning_rate"], furthest
    print(f"  64 bits: the parameters differ by {furthest:.2g} at most after a step")


def main():
    assert transformers.__version__.startswith("5.24.") and trl.__version__.startswith("1.12.")
    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    for name, options in RUNS.items():
        found = run(options)
        (FOLDER / f"{name}.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")
        for step in found["steps"]:
            metrics = step["metrics"]
            print(name, {key: round(value, 5) for key, value in metrics.items()}, flush=True)


if __name__ == "__main__":
    main()
