"""Ten steps of TRL's trainers on a real model and real data, for étude to be compared with: f32, on the CPU.

    OMP_NUM_THREADS=1 python scripts/align_real_training.py MODEL_FOLDER --data DATA_FOLDER --out FILE.json

MODEL_FOLDER is a Hugging Face folder, or holds a model.gguf, which then is written as such a folder, in 32 bits. DATA_FOLDER has
hh/harmless-base-test.jsonl.gz of Anthropic's HH, and of GSM8K gsm8k/train.jsonl and gsm8k/example_model_solutions.jsonl.

FILE.json has the runs by name: `dpo` on HH, whose prompts are implicit; `sft` on conversations of GSM8K; `reward` on texts, solutions of
GSM8K that are marked right and wrong. Each is as scripts/align_training_fixtures.py describes it, without evaluation. Beside FILE.json:
NAME.jsonl, the examples in order, as many as ten steps take; model; and reward_model, the same with a score of fixed weights.
Needs what scripts/align_training_fixtures.py needs, and gguf. `--only dpo,sft` runs some of them.
"""

import argparse
import gzip
import json
from pathlib import Path

import datasets
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl.data_utils import extract_prompt

from align_training_fixtures import ARGUMENTS, assistant, read_data, train, user

STEPS = 10
COMMON = ARGUMENTS | {
    "max_steps": STEPS,
    "per_device_train_batch_size": 2,
    "lr_scheduler_type": "constant",
    "warmup_steps": 0,
    "max_length": 256,
}
# Name: what differs.
RUNS = {
    "dpo": {"gradient_accumulation_steps": 1, "learning_rate": 1e-6, "loss_type": ["sigmoid"], "beta": 0.1},
    "sft": {"gradient_accumulation_steps": 4, "learning_rate": 2e-5},
    "reward": {"gradient_accumulation_steps": 2, "learning_rate": 1e-5, "max_length": 512, "center_rewards_coefficient": 0.01},
}


def lines(path):
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else open(path)
    with opened as file:
        yield from map(json.loads, file)


def dpo_examples(data, tokens):
    """Pairs whose answers begin before they are cut off; the prompt is what both texts begin with."""
    for pair in lines(data / "hh/harmless-base-test.jsonl.gz"):
        if len(tokens(extract_prompt(pair)["prompt"]).input_ids) < COMMON["max_length"] - 16:
            yield {"chosen": pair["chosen"], "rejected": pair["rejected"]}


def sft_examples(data, _):
    for row in lines(data / "gsm8k/train.jsonl"):
        yield {"prompt": [user(row["question"])], "completion": [assistant(row["answer"])]}


def reward_examples(data, tokens):
    """Of every question the first solution that is right and the first that is wrong."""
    for row in lines(data / "gsm8k/example_model_solutions.jsonl"):
        solutions = [value for value in row.values() if isinstance(value, dict)]
        right, wrong = ([each["solution"] for each in solutions if each["is_correct"] == which] for which in (True, False))
        if right and wrong:
            pair = {"prompt": row["question"] + "\n", "chosen": right[0], "rejected": wrong[0]}
            longest = max(len(tokens(pair["prompt"] + pair[key]).input_ids) for key in ("chosen", "rejected"))
            if longest < RUNS["reward"]["max_length"]:
                yield pair


EXAMPLES = {"dpo": dpo_examples, "sft": sft_examples, "reward": reward_examples}


def write_examples(path, examples, count):
    with path.open("w") as file:
        for _, example in zip(range(count), examples):
            file.write(json.dumps(example) + "\n")


def write_model(folder, into):
    """The folder of the model, which is written if there is only a GGUF file."""
    if (folder / "config.json").exists():
        return folder
    if not (into / "config.json").exists():
        file = (folder / "model.gguf").resolve()
        files = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
        read = AutoModelForCausalLM.from_pretrained(**files, dtype=torch.float32)
        # What was read from a GGUF file does not let itself be saved.
        fields = {key: value for key, value in read.config.to_dict().items() if key != "quantization_config"}
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**fields), dtype=torch.float32)
        model.load_state_dict(read.state_dict())
        model.save_pretrained(into)
        AutoTokenizer.from_pretrained(**files).save_pretrained(into)
    return into


def write_reward_model(folder, into):
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
    with torch.no_grad():
        entries = torch.arange(model.score.weight.numel())
        model.score.weight.copy_(((7 * entries % 13 - 6) / 64)[None])
    model.save_pretrained(into)
    AutoTokenizer.from_pretrained(folder).save_pretrained(into)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default=",".join(RUNS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    folder = options.out.parent
    folder.mkdir(parents=True, exist_ok=True)
    base = write_model(options.model, folder / "model")
    tokens = AutoTokenizer.from_pretrained(base)
    found = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name in options.only.split(","):
        arguments = COMMON | RUNS[name]
        count = STEPS * arguments["per_device_train_batch_size"] * arguments["gradient_accumulation_steps"]
        path = folder / f"{name}.jsonl"
        write_examples(path, EXAMPLES[name](options.data, tokens), count)
        model = base
        if name == "reward":
            model = folder / "reward_model"
            write_reward_model(base, model)
        data = read_data(path)
        assert len(data) == count
        parts = {"trainer": name, "model": "reward_model" if name == "reward" else "model", "data": path.name, "arguments": arguments}
        found[name] = parts | train(name, model, arguments, data)
        assert found[name]["steps"][-1]["epoch"] == 1.0, "examples were dropped"
        options.out.write_text(json.dumps(found, indent=1) + "\n")
        for step in found[name]["steps"]:
            print(name, json.dumps(step), flush=True)


if __name__ == "__main__":
    main()
