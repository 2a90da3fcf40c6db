"""Side by side: supervised fine-tuning, DPO and PPO of a language model, étude's and TRL's.

    cargo build --release
    python benches/peers/align_train.py --etude target/release --model FOLDER --sft SFT.jsonl --dpo DPO.jsonl > table.md

FOLDER is a model as Hugging Face has it, such as SmolLM2-135M; scripts/align_real_training.py writes such a folder, and examples. Both
sides have the same model, examples in the same order, arguments and threads, in f32 and in bf16, which for TRL is autocast. DPO's reference
is asked before the first step. Every measurement is a process of its own, so that its peak memory is its own; they take turns, and the best of
all rounds counts. Tokens are all that go through the model, prompts too, without padding; time is from the end of the first step to the end of
the last. `--tasks sft`, `--precisions f32` and `--sides TRL` choose; without, all tasks are run for which there are data.

    pip install --no-deps --target OLD trl==1.12.0
    PYTHONPATH=OLD python benches/peers/align_train.py --etude target/release --model FOLDER --ppo PROMPTS.jsonl --reward-model FOLDER

TRL 1.12 is the last version that has PPO. Both sides draw 16 answers a step to the same prompts (`"prompt"`, text or messages) and take two
minibatches of them per epoch. The value model begins as the reward model does. Time is that of a step, once with one epoch and once
with two: their difference is an epoch, and the rest is drawing answers and judging them. Drawing alone is told as tokens of answers a second.
TRL computes every answer to the length of the longest, étude to its own; the table has how long they are.
"""

import argparse
import contextlib
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
# By étude's names, which are TRL's but for the batch.
PPO = {"response_length": 48, "temperature": 1.0, "num_mini_batches": 2}
PPO_TRAINING = {"learning_rate": 1e-6, "lr_scheduler_type": "constant", "logging_steps": 1, "seed": 0}
PPO_ANSWERS = 16
PPO_EPOCHS = [1, 2]
SIDES = ["étude", "TRL"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--etude", help="folder of étude's build")
    parser.add_argument("--model", required=True, help="folder of the model")
    parser.add_argument("--sft", help="examples, one JSON object a line")
    parser.add_argument("--dpo", help="examples, one JSON object a line")
    parser.add_argument("--ppo", help="prompts, one JSON object a line")
    parser.add_argument("--reward-model", help="folder of the reward model of PPO")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6, help="steps of a round, of which the first is not timed")
    parser.add_argument("--tasks", nargs="+", choices=[*TASKS, "ppo"])
    parser.add_argument("--precisions", nargs="+", choices=["f32", "bf16"], default=["f32", "bf16"])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--side", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        who, task, precision = options.side
        sides = {"étude": etude_ppo, "TRL": peer_ppo} if task.startswith("ppo") else {"étude": etude, "TRL": peer}
        print(json.dumps(sides[who](task, precision, options)))
        return
    options.tasks = options.tasks or [task for task in [*TASKS, "ppo"] if getattr(options, task)]
    if "étude" in options.sides and not options.etude:
        parser.error("--etude is needed")
    if "ppo" in options.tasks and not options.reward_model:
        parser.error("--reward-model is needed")
    best = {}
    for _ in range(options.rounds):
        for task, precision in cases(options):
            for who in options.sides:
                found = measure(who, task, precision, options)
                known = best.setdefault((task, precision, who), found)
                for name, better in BETTER.items():
                    if name in found:
                        known[name] = better(known[name], found[name])
    if set(options.tasks) & set(TASKS):
        report(best, options)
    if "ppo" in options.tasks:
        for precision in options.precisions:
            report_ppo(best, precision, options)


# Of two measurements. Memory is the most that was needed.
BETTER = {"speed": max, "seconds": min, "memory": max, "drawing": max}


def cases(options):
    """Tasks with their precisions; PPO is measured once for each number of epochs."""
    for task in options.tasks:
        if task == "ppo":
            yield from ((f"ppo-{epochs}", precision) for precision in options.precisions for epochs in PPO_EPOCHS)
        else:
            yield from ((task, precision) for precision in options.precisions)


def report(best, options):
    print("| task | precision | étude: tokens a second | TRL | étude / TRL | étude: peak GB | TRL: peak GB | étude / TRL |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for task, precision in cases(options):
        if task in TASKS:
            speed, memory = (pair(best, task, precision, name) for name in ("speed", "memory"))
            cells = [cell(speed[0], ",.0f"), cell(speed[1], ",.0f"), ratio(speed, "x"), *memory_cells(memory)]
            print(f"| {task} | {precision} | " + " | ".join(cells) + " |")
    losses = [f"{who} {task} {precision} {found['loss']:.4f}" for (task, precision, who), found in best.items() if task in TASKS]
    print(f"\n{options.threads} threads, {options.steps} steps; losses of the last step: " + ", ".join(losses))


def report_ppo(best, precision, options):
    print(f"| PPO, {precision} | étude: s | TRL: s | TRL / étude | étude: peak GB | TRL: peak GB | étude / TRL | étude: tokens an answer | TRL |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    steps = []
    for epochs in PPO_EPOCHS:
        of = [pair(best, f"ppo-{epochs}", precision, name) for name in ("seconds", "memory", "answer_tokens")]
        steps.append(of[0])
        name = f"a step of {epochs} epoch" + "s" * (epochs > 1)
        print(f"| {name} | " + " | ".join([*seconds_cells(of[0]), *memory_cells(of[1]), *(cell(length, ".1f") for length in of[2])]) + " |")
    epoch = [None if None in side else side[1] - side[0] for side in zip(*steps)]
    drawing = [None if None in side else 2 * side[0] - side[1] for side in zip(*steps)]
    # A machine that is busy with something else can make a difference negative: then nothing is known of it.
    epoch, drawing = ([seconds if seconds and seconds > 0 else None for seconds in sides] for sides in (epoch, drawing))
    for name, seconds in [("an epoch", epoch), ("the rest: answers drawn and judged", drawing)]:
        print(f"| {name} | " + " | ".join(seconds_cells(seconds)) + " | | | | | |")
    drawn = pair(best, f"ppo-{PPO_EPOCHS[0]}", precision, "drawing")
    cells = " and ".join(cell(speed, ".1f") for speed in drawn)
    print(f"\nDrawing: {cells} tokens of answers a second, {ratio(drawn, 'x')}.")
    print(f"\n{options.threads} threads, {options.steps} steps of {PPO_ANSWERS} answers of at most {PPO['response_length']} tokens")


def pair(best, task, precision, name):
    """What both sides have measured, étude first; memory in GB."""
    sides = [best.get((task, precision, who)) for who in SIDES]
    return [side and side[name] / (1e9 if name == "memory" else 1) for side in sides]


def seconds_cells(seconds):
    return [cell(seconds[0], ".2f"), cell(seconds[1], ".2f"), ratio(seconds[::-1], "x")]


def memory_cells(memory):
    return [cell(memory[0], ".2f"), cell(memory[1], ".2f"), ratio(memory)]


def cell(value, form):
    return "—" if value is None else format(value, form)


def ratio(pair, unit=""):
    return "—" if None in pair else f"{pair[0] / pair[1]:.2f}{unit}"


def measure(who, task, precision, options):
    names = ["etude", "model", "sft", "dpo", "ppo", "reward-model", "threads", "steps"]
    values = {name: getattr(options, name.replace("-", "_")) for name in names}
    told = [part for name, value in values.items() if value is not None for part in (f"--{name}", str(value))]
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
    speed, loss = logged(path, "tokens_per_second", "loss")
    return sum(speed[1:]) / len(speed[1:]), loss[-1]


def logged(path, *names):
    """The values of every step that étude has logged under these names."""
    with open(path) as file:
        lines = [json.loads(line) for line in file]
    return [[line["value"] for line in lines if line["name"] == f"train/{name}"] for name in names]


def ppo_prompts(options):
    """So many that every step has all its answers."""
    with open(options.ppo) as file:
        prompts = [json.loads(line)["prompt"] for line in file]
    return prompts[: len(prompts) // PPO_ANSWERS * PPO_ANSWERS]


def ppo_arguments(task):
    return PPO | {"num_ppo_epochs": int(task.removeprefix("ppo-"))}


def etude_ppo(task, precision, options):
    training = PPO_TRAINING | {"per_device_train_batch_size": PPO_ANSWERS // PPO["num_mini_batches"], "shuffle": False}
    recipe = {f"training.{name}": value for name, value in training.items()}
    recipe |= {f"ppo.{name}": value for name, value in ppo_arguments(task).items()}
    recipe |= {"ppo.value_model": "reward_model", "rewards.model": options.reward_model, "model.precision": precision}
    recipe |= {"data.train_examples": len(ppo_prompts(options)), "samples.count": 0}
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "run")
        command = [os.path.join(options.etude, "etude"), "lm", "ppo", "--model", options.model, "--data", options.ppo]
        command += ["--steps", str(options.steps), "--out", out, "--json", "--threads", str(options.threads)]
        # Every value of JSON is one of TOML.
        command += [part for name, value in recipe.items() for part in ("--set", f"{name}={json.dumps(value)}")]
        subprocess.run(command, check=True, stdout=sys.stderr)
        names = ["tokens_per_second", "num_tokens", "completions/mean_length", "rollout_tokens_per_second"]
        speed, tokens, lengths, drawing = logged(os.path.join(out, "metrics.jsonl"), *names)
    # A step's tokens are those that its minibatches have read.
    seconds = [(after - before) / rate for before, after, rate in zip(tokens, tokens[1:], speed[1:])]
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    found = {"seconds": sum(seconds) / len(seconds), "memory": memory, "answer_tokens": sum(lengths) / len(lengths)}
    return found | {"drawing": sum(drawing[1:]) / len(drawing[1:])}


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


def peer_ppo(task, precision, options):
    import datasets
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, PrinterCallback, TrainerCallback
    from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

    class Clock(TrainerCallback):
        """When each step ended."""

        def __init__(self):
            self.times = []

        def on_step_end(self, args, state, control, **kwargs):
            self.times.append(time.perf_counter())

    class InOrder(torch.utils.data.DataLoader):
        """TRL shuffles the prompts."""

        def __init__(self, *inputs, shuffle=False, **others):
            super().__init__(*inputs, **others)

    lengths, speeds = [], []
    draw = ppo_trainer.batch_generation

    def draw_and_count(model, queries, *inputs):
        started, before = time.perf_counter(), sum(lengths)
        found = draw(model, queries, *inputs)
        seconds = time.perf_counter() - started
        for answer in found[0][:, queries.shape[1] :]:
            ends = (answer == tokenizer.eos_token_id).nonzero().flatten().tolist()
            lengths.append(ends[0] + 1 if ends else len(answer))
        speeds.append((sum(lengths) - before) / seconds)
        return found

    ppo_trainer.DataLoader, ppo_trainer.batch_generation = InOrder, draw_and_count
    torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(options.model, padding_side="left")
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        # What pads is hidden from TRL's models, and the end of an answer is not to be.
        tokenizer.pad_token = tokenizer.unk_token
    prompts = ppo_prompts(options)
    # More than are read.
    examples = [{"input_ids": tokenized(tokenizer, prompt)} for prompt in prompts] * (PPO_ANSWERS * options.steps // len(prompts) + 1)
    kinds = [AutoModelForCausalLM, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoModelForSequenceClassification]
    paths = [options.model, options.model, options.reward_model, options.reward_model]
    model, reference, reward_model, value_model = (kind.from_pretrained(path, dtype=torch.float32) for kind, path in zip(kinds, paths))
    with tempfile.TemporaryDirectory() as folder:
        surroundings = {"use_cpu": True, "bf16": precision == "bf16", "gradient_checkpointing": False, "save_strategy": "no", "report_to": "none"}
        surroundings |= {"disable_tqdm": True, "num_sample_generations": 0, "local_rollout_forward_batch_size": PPO_ANSWERS}
        batches = {"per_device_train_batch_size": PPO_ANSWERS, "total_episodes": PPO_ANSWERS * options.steps, "stop_token": "eos"}
        clock = Clock()
        trainer = PPOTrainer(
            args=PPOConfig(output_dir=folder, **surroundings, **batches, **PPO_TRAINING, **ppo_arguments(task)),
            processing_class=tokenizer,
            model=model,
            ref_model=reference,
            reward_model=reward_model,
            value_model=value_model,
            train_dataset=datasets.Dataset.from_list(examples),
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        with contextlib.redirect_stdout(sys.stderr):
            trainer.train()
    seconds = (clock.times[-1] - clock.times[0]) / (len(clock.times) - 1)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {"seconds": seconds, "memory": memory, "answer_tokens": sum(lengths) / len(lengths)}
    return found | {"drawing": sum(speeds[1:]) / len(speeds[1:])}


def tokenized(tokenizer, prompt):
    if isinstance(prompt, str):
        return tokenizer(prompt)["input_ids"]
    return tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)


if __name__ == "__main__":
    main()
