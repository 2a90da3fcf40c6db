"""Side by side: supervised fine-tuning and DPO of a language model, étude's and TRL's.

    cargo build --release
    python benches/peers/align_train.py --etude target/release --model FOLDER --sft SFT.jsonl --dpo DPO.jsonl > table.md

FOLDER is a model as Hugging Face has it, such as SmolLM2-135M; scripts/align_real_training.py writes such a folder, and examples. Both
sides have the same model, examples in the same order, arguments and threads, in f32 and in bf16, which for TRL is autocast. DPO's reference
is asked before the first step. Every measurement is a process of its own, so that its peak memory is its own; they take turns, and the best of
all rounds counts. Tokens are all that go through the model, prompts too, without padding; time is from the end of the first step to the end of
the last. `--tasks sft`, `--precisions f32` and `--sides TRL` choose.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

ARGUMENTS = {
    "learning_rate": 1e-6,
    "lr_scheduler_type": "constant",
    "train_sampling_strategy": "sequential",
    "gradient_checkpointing": False,
    "logging_steps": 1,
    "max_length": 256,
    "seed": 0,
}
# Eight sequences a step: a pair has two.
TASKS = {
    "sft": {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
    "dpo": {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "precompute_ref_log_probs": True},
}
SIDES = ["étude", "TRL"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--etude", help="folder of étude's build")
    parser.add_argument("--model", required=True, help="folder of the model")
    parser.add_argument("--sft", help="examples, one JSON object a line")
    parser.add_argument("--dpo", help="examples, one JSON object a line")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6, help="steps of a round, of which the first is not timed")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--precisions", nargs="+", choices=["f32", "bf16"], default=["f32", "bf16"])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--side", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        who, task, precision = options.side
        print(json.dumps({"étude": etude, "TRL": peer}[who](task, precision, options)))
        return
    if "étude" in options.sides and not options.etude:
        parser.error("--etude is needed")
    best = {}
    for _ in range(options.rounds):
        for task in options.tasks:
            for precision in options.precisions:
                for who in options.sides:
                    found = measure(who, task, precision, options)
                    known = best.setdefault((task, precision, who), found)
                    known["speed"] = max(known["speed"], found["speed"])
                    known["memory"] = max(known["memory"], found["memory"])
    report(best, options)


def report(best, options):
    print("| task | precision | étude: tokens a second | TRL | étude / TRL | étude: peak GB | TRL: peak GB | étude / TRL |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for task in options.tasks:
        for precision in options.precisions:
            sides = [best.get((task, precision, who)) for who in SIDES]
            speed = [side and side["speed"] for side in sides]
            memory = [side and side["memory"] / 1e9 for side in sides]
            cells = [cell(speed[0], ",.0f"), cell(speed[1], ",.0f"), ratio(speed, "x")]
            cells += [cell(memory[0], ".2f"), cell(memory[1], ".2f"), ratio(memory)]
            print(f"| {task} | {precision} | " + " | ".join(cells) + " |")
    losses = [f"{who} {task} {precision} {found['loss']:.4f}" for (task, precision, who), found in best.items()]
    print(f"\n{options.threads} threads, {options.steps} steps; losses of the last step: " + ", ".join(losses))


def cell(value, form):
    return "—" if value is None else format(value, form)


def ratio(pair, unit=""):
    return "—" if None in pair else f"{pair[0] / pair[1]:.2f}{unit}"


def measure(who, task, precision, options):
    names = ["etude", "model", "sft", "dpo", "threads", "steps"]
    told = [part for name in names if getattr(options, name) is not None for part in (f"--{name}", str(getattr(options, name)))]
    threads = {name: str(options.threads) for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")}
    command = [sys.executable, __file__, *told, "--side", who, task, precision]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ | threads, text=True).stdout
    found = json.loads(answer.splitlines()[-1])
    print(who, task, precision, found, file=sys.stderr, flush=True)
    return found


def arguments(task, precision, options):
    return ARGUMENTS | TASKS[task] | {"max_steps": options.steps, "bf16": precision == "bf16"}


def etude(task, precision, options):
    """One run of the command, whose only child it is."""
    with tempfile.TemporaryDirectory() as folder:
        recipe, out = os.path.join(folder, "recipe.yaml"), os.path.join(folder, "run")
        told = {"model_name_or_path": options.model, "dataset_name": getattr(options, task)} | arguments(task, precision, options)
        with open(recipe, "w") as file:
            # Every value of JSON is one of YAML.
            file.writelines(f"{name}: {json.dumps(value)}\n" for name, value in told.items())
        command = [os.path.join(options.etude, "etude"), "lm", task, recipe, "--out", out, "--json", "--threads", str(options.threads)]
        command += ["--set", "samples.count=0"]
        subprocess.run(command, check=True, stdout=sys.stderr)
        speed, loss = etude_metrics(os.path.join(out, "metrics.jsonl"))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {"speed": speed, "memory": memory, "loss": loss}


def etude_metrics(path):
    """Tokens a second after the first step, and the last loss."""
    with open(path) as file:
        lines = [json.loads(line) for line in file]
    named = {name: [line["value"] for line in lines if line["name"] == f"train/{name}"] for name in ("tokens_per_second", "loss")}
    timed = named["tokens_per_second"][1:]
    return sum(timed) / len(timed), named["loss"][-1]


def peer(task, precision, options):
    import datasets
    import torch
    from transformers import AutoTokenizer, PrinterCallback, TrainerCallback
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    class Clock(TrainerCallback):
        """When each step was logged, which it is at its end."""

        def __init__(self):
            self.times = []

        def on_log(self, args, state, control, logs=None, **kwargs):
            if "loss" in logs:
                self.times.append(time.perf_counter())

    torch.set_num_threads(options.threads)
    trainer_class, config_class = {"sft": (SFTTrainer, SFTConfig), "dpo": (DPOTrainer, DPOConfig)}[task]
    clock = Clock()
    with open(getattr(options, task)) as file:
        examples = datasets.Dataset.from_list([json.loads(line) for line in file])
    with tempfile.TemporaryDirectory() as folder:
        surroundings = {"use_cpu": True, "save_strategy": "no", "report_to": "none", "disable_tqdm": True}
        trainer = trainer_class(
            model=options.model,
            args=config_class(output_dir=folder, **surroundings, **arguments(task, precision, options)),
            train_dataset=examples,
            processing_class=AutoTokenizer.from_pretrained(options.model),
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    logs = [line for line in trainer.state.log_history if "loss" in line]
    speed = (logs[-1]["num_tokens"] - logs[0]["num_tokens"]) / (clock.times[-1] - clock.times[0])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"speed": speed, "memory": memory, "loss": logs[-1]["loss"]}


if __name__ == "__main__":
    main()
