"""Runs of TRL's trainers on a tiny model, for the tests of `crates/align` to compare with: f32, on the CPU.

    OMP_NUM_THREADS=1 python scripts/align_training_fixtures.py        writes crates/align/tests/fixtures/training

Needs TRL 1.16, transformers 5.24, datasets, and the fixtures of scripts/lm_tokenizer_fixtures.py.

model and reward_model: a tiny Llama with tied embeddings that has learned the data a little, and the same with a score of
random weights; bf16 holds all of them exactly.
*.jsonl: the data, *_eval.jsonl those for evaluation. schedules.json: learning rates of 20 steps. All other files are one run each:
`trainer`, `model`, `data`, `eval_data`, `examples` (how many of the data, from the first) and `arguments` say what was run; `evaluation`
and `evaluation_after` are the metrics of `trainer.evaluate()` before and after; `steps` has what TRL logs in each step, not rounded;
`decay` and `no_decay` are the parameters that weight decay is for and those it is not for; `parameters` has of every trained parameter its
sum and the sum of its squares, both in 64 bits. The order of examples is that of the file, epoch after epoch.
"""

import json
import shutil
import tempfile
from pathlib import Path

import datasets
import torch
import transformers
import trl
from safetensors.torch import save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
    PrinterCallback,
    get_scheduler,
)
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from align_data_fixtures import TEMPLATES, TOKENIZERS

FOLDER = Path(__file__).parent.parent / "crates/align/tests/fixtures/training"
TRAINERS = {
    "sft": (SFTTrainer, SFTConfig),
    "dpo": (DPOTrainer, DPOConfig),
    "reward": (RewardTrainer, RewardConfig),
    "kto": (KTOTrainer, KTOConfig),
    "cpo": (CPOTrainer, CPOConfig),
    "orpo": (ORPOTrainer, ORPOConfig),
}
HELD_OUT = 6

MODEL = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}
EOS, PAD = "<|im_end|>", "<|endoftext|>"

ARGUMENTS = {
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "per_device_eval_batch_size": 4,
    "max_steps": 10,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "linear",
    "warmup_steps": 2,
    "weight_decay": 0.01,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "max_grad_norm": 1.0,
    "max_length": 96,
    "train_sampling_strategy": "sequential",
    "seed": 0,
}
# Whatever is run.
SURROUNDINGS = {
    "logging_steps": 1,
    "bf16": False,
    "use_cpu": True,
    "gradient_checkpointing": False,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
}
MIXTURE = {"loss_type": ["sigmoid", "bco_pair", "sft"], "loss_weights": [0.8, 0.2, 1.0], "beta": 0.1}
ONE_BATCH = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 1}
# Name: trainer, data, and arguments besides those above. Of 33 examples, the last batch and the last step of an epoch are not full.
RUNS = {
    "sft": ("sft", "completions", {}),
    "sft_cosine": ("sft", "conversations", {"lr_scheduler_type": "cosine"}),
    "sft_packing": ("sft", "completions", {"packing": True, "packing_strategy": "bfd", "max_length": 64}),
    "sft_assistant_only": ("sft", "conversations", {"assistant_only_loss": True}),
    "sft_epochs": ("sft", "completions", {"examples": 33}),
    "dpo": ("dpo", "pairs", {"loss_type": ["sigmoid"], "beta": 0.1}),
    "dpo_ipo": ("dpo", "pairs", {"loss_type": ["ipo"], "beta": 0.1}),
    "dpo_mixture": ("dpo", "chat_pairs", MIXTURE),
    "dpo_wpo": ("dpo", "pairs", {"loss_type": ["sigmoid"], "beta": 0.1, "use_weighting": True}),
    "dpo_ld": ("dpo", "pairs", {"loss_type": ["sigmoid"], "beta": 0.1, "ld_alpha": 0.5}),
    "dpo_epochs": ("dpo", "pairs", {"loss_type": ["sigmoid"], "beta": 0.1, "examples": 33}),
    "dpo_sync": (
        "dpo",
        "pairs",
        {"loss_type": ["sigmoid"], "beta": 0.1, "sync_ref_model": True, "ref_model_mixup_alpha": 0.6, "ref_model_sync_steps": 3},
    ),
    # Labels are mixed within batches. TRL's means over answers of a kind are those of one batch where a step has one.
    "kto": ("kto", "labels", {"beta": 0.1, "undesirable_weight": 1.5, **ONE_BATCH}),
    "kto_apo_zero": ("kto", "labels", {"loss_type": "apo_zero_unpaired", "beta": 0.1, **ONE_BATCH}),
    "kto_epochs": ("kto", "labels", {"beta": 0.5, "desirable_weight": 2.0, "examples": 33}),
    "cpo": ("cpo", "pairs", {"beta": 0.1, "label_smoothing": 0.1}),
    "cpo_hinge": ("cpo", "pairs", {"loss_type": "hinge", "beta": 0.1, "cpo_alpha": 0.5}),
    "cpo_ipo": ("cpo", "pairs", {"loss_type": "ipo", "beta": 0.1}),
    "simpo": ("cpo", "pairs", {"loss_type": "simpo", "beta": 2.0, "simpo_gamma": 1.0, "cpo_alpha": 0.0}),
    "cpo_epochs": ("cpo", "pairs", {"beta": 0.1, "examples": 33}),
    "orpo": ("orpo", "pairs", {"beta": 0.1}),
    "reward": ("reward", "chat_pairs", {"center_rewards_coefficient": 0.01}),
    "reward_margin": ("reward", "margins", {"center_rewards_coefficient": 0.01}),
    # A model for sequences takes the last token that does not pad: here that is not the one that ends the answer.
    "reward_pad_is_eos": ("reward", "pairs", {"pad_token": EOS}),
    "reward_epochs": ("reward", "pairs", {"examples": 33}),
}
SCHEDULES = [
    ("constant", 0, {}),
    ("constant_with_warmup", 3, {}),
    ("linear", 0, {}),
    ("linear", 3, {}),
    ("cosine", 0, {}),
    ("cosine", 3, {}),
    ("warmup_stable_decay", 0, {"num_decay_steps": 2}),
    ("warmup_stable_decay", 3, {"num_decay_steps": 2}),
    ("warmup_stable_decay", 3, {"num_decay_steps": 6, "decay_type": "linear"}),
    ("warmup_stable_decay", 3, {"num_decay_steps": 6, "decay_type": "1-sqrt", "warmup_type": "cosine", "min_lr_ratio": 0.1}),
]

# What is asked, a good answer, and a worse one.
QUESTIONS = [
    ("What colour is snow?", "It is white.", "It is a bird."),
    ("How many legs has a spider?", "A spider has eight.", "Four, like a table."),
    ("Name a river.", "The Danube.", "A river is wet and so it is hard to say."),
    ("Is ice warm?", "No, it is cold.", "Yes."),
    ("What does a baker make?", "Bread and rolls.", "He makes the moon rise."),
    ("Two and three?", "Five.", "Six, or seven, or more."),
    ("Where do fish live?", "In water.", "In the attic, behind the old lamp."),
    ("Who writes books?", "Authors do.", "Nobody."),
    ("What is a reward?", "A number that tells how good an action was.", "A thing."),
    ("Say hello.", "Hello! How can I help you?", "No."),
    ("What follows Monday?", "Tuesday.", "Monday again."),
    ("Which animal barks?", "The dog does.", "The quick brown fox, I think, or the piano."),
    ("What is the opposite of up?", "Down.", "Left."),
    ("Can stones swim?", "No, they sink.", "All of them can, and well."),
    ("What do bees make?", "Honey.", "Noise, only noise, and nothing else."),
    ("How do I boil an egg?", "Put it in boiling water for eight minutes.", "Ask the hen."),
    ("What is ten less four?", "It is six.", "Ten."),
    ("Where does the sun rise?", "In the east.", "In the west, and then in the north."),
    ("Which month is the first?", "January is.", "The first is the one you like best."),
    ("What is a policy?", "It maps what is seen to what is done.", "It is a rule of the town."),
    ("Is the sea salty?", "Yes, it is.", "Sweet as tea."),
    ("What can a pilot fly?", "A plane.", "A kite, if the wind is good and the rope is long."),
    ("How many days has a week?", "Seven.", "Nine in winter."),
    ("What grows on an apple tree?", "Apples.", "Pears, plums and pencils."),
    ("Who mends shoes?", "A cobbler.", "Shoes mend themselves at night."),
    ("What is frozen water?", "Ice.", "Steam."),
    ("Name a colour of the rainbow.", "Green.", "Loud."),
    ("What do you read?", "Books and letters.", "Soup."),
    ("Is a circle round?", "Yes, always.", "It has three corners and is proud of them."),
    ("What has keys but no locks?", "A piano.", "A door."),
    ("What do cows drink?", "They drink water.", "Milk, of course they drink milk all day."),
    ("How long is an hour?", "Sixty minutes.", "Until it is over."),
    ("What is half of eight?", "Four.", "Zero, if you cut it from above."),
    ("Which is heavier, lead or wool?", "Of the same size, lead.", "Wool."),
    ("Who rules a kingdom?", "A king or a queen.", "The cook."),
    ("Where is the nose?", "In the middle of the face.", "It ran away."),
    ("What is sand made of?", "Tiny stones.", "Sugar that is old."),
    ("Do plants need light?", "Most of them do.", "They need darkness and a good joke."),
    ("What is a value function?", "The reward that is to be expected from a state.", "A price tag."),
    ("When do owls hunt?", "At night.", "At noon, with drums."),
    ("What do we breathe?", "Air.", "Paper."),
    ("How do birds move?", "They fly, walk or swim.", "By train."),
    ("What is a gradient?", "The direction of steepest ascent.", "A hill with snow on it, somewhere far away."),
    ("Is glass soft?", "No, it is hard and it breaks.", "Soft as butter."),
    ("Name a tool.", "A hammer.", "A cloud."),
    ("What ends a sentence?", "A full stop.", "Nothing ever ends"),
]


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


def conversation(index):
    """Every fourth has a system message, every third goes on for another turn."""
    asked = [QUESTIONS[index]] + ([QUESTIONS[(index + 7) % len(QUESTIONS)]] if index % 3 == 0 else [])
    turns = [turn for question, good, _ in asked for turn in (user(question), assistant(good))]
    return ([{"role": "system", "content": "You are brief."}] if index % 4 == 0 else []) + turns


def data():
    """All examples, by the name of the file."""
    pairs = [{"prompt": question, "chosen": " " + good, "rejected": " " + bad} for question, good, bad in QUESTIONS]
    chats = [
        {"prompt": [user(question)], "chosen": [assistant(good)], "rejected": [assistant(bad)]}
        for question, good, bad in QUESTIONS
    ]
    return {
        "completions": [{"prompt": question, "completion": " " + good} for question, good, _ in QUESTIONS],
        "conversations": [{"messages": conversation(index)} for index in range(len(QUESTIONS))],
        "pairs": pairs,
        "chat_pairs": chats,
        "labels": [
            {"prompt": question, "completion": " " + (good if index % 3 else bad), "label": index % 3 != 0}
            for index, (question, good, bad) in enumerate(QUESTIONS)
        ],
        "margins": [row | {"margin": index % 4 / 4} for index, row in enumerate(chats)],
    }


def write_data():
    for name, rows in data().items():
        for file, part in [(f"{name}.jsonl", rows[:-HELD_OUT]), (f"{name}_eval.jsonl", rows[-HELD_OUT:])]:
            (FOLDER / file).write_text("".join(json.dumps(row) + "\n" for row in part))


def read_data(path, examples=None):
    return datasets.Dataset.from_list([json.loads(line) for line in path.read_text().splitlines()][:examples])


def draw(shape, name, generator):
    """Weights that are large enough that every part shows in the logits."""
    noise = torch.randn(shape, generator=generator)
    return 1 + 0.1 * noise if "norm" in name else 0.25 * noise


def learn(config, weights, tokens, steps=20):
    """The weights after some steps on the data, as nothing that a model of random weights says is right."""
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(weights, strict=False)
    texts = [row["prompt"] + row["completion"] + EOS for row in data()["completions"]]
    texts += [tokens.apply_chat_template(row["messages"], tokenize=False) for row in data()["conversations"]]
    batch = tokens(texts, return_tensors="pt", padding=True, padding_side="right")
    labels = batch.input_ids.masked_fill(batch.attention_mask == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=labels).loss.backward()
        optimizer.step()
    return {name: weight.detach() for name, weight in model.named_parameters()}


def write_tokenizer(folder, tokenizer):
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")) + "\n")
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": EOS, "pad_token": PAD, "chat_template": TEMPLATES["generation"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(told, indent=2) + "\n")


def write_model(folder, fields, weights):
    (folder / "config.json").write_text(json.dumps(fields, indent=2) + "\n")
    rounded = {name: weight.to(torch.bfloat16) for name, weight in weights.items()}
    save_file(rounded, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


def write_models():
    """Both models with the tokenizer."""
    tokenizer = json.loads((TOKENIZERS / "qwen_2.json").read_text())["tokenizer"]
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    fields = MODEL | {
        "vocab_size": max(*tokenizer["model"]["vocab"].values(), *ids.values()) + 1,
        "eos_token_id": ids[EOS],
        "pad_token_id": ids[PAD],
    }
    folders = [FOLDER / "model", FOLDER / "reward_model"]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        write_tokenizer(folder, tokenizer)
    config = AutoConfig.for_model(**fields, num_labels=1)
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    generator = torch.Generator().manual_seed(0)
    weights = {name: draw(parameter.shape, name, generator) for name, parameter in model.named_parameters()}
    score = {"score.weight": weights.pop("score.weight")}
    weights = learn(config, weights, PreTrainedTokenizerFast.from_pretrained(folders[0]))
    write_model(folders[0], fields, weights)
    labels = {"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    write_model(folders[1], fields | labels, weights | score)


def observed(collate, seen):
    """A collator that also keeps the examples it is given."""

    def collate_and_keep(examples):
        seen.extend(examples)
        return collate(examples)

    return collate_and_keep


def lasting(metrics):
    """Without what depends on the machine."""
    return {key: value for key, value in metrics.items() if not key.endswith(("runtime", "per_second", "preparation_time"))}


def train(trainer, model, arguments, data, eval_data=None):
    """A run: metrics of each step, and what comes of the parameters."""
    trainer_class, config_class = TRAINERS[trainer]
    torch.manual_seed(arguments["seed"])
    with tempfile.TemporaryDirectory() as folder:
        # The trainers of TRL's experiments take a model in the type that its file has.
        experimental = "experimental" in trainer_class.__module__
        trainer = trainer_class(
            model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32) if experimental else str(model),
            args=config_class(output_dir=folder, **SURROUNDINGS, **arguments),
            train_dataset=data,
            eval_dataset=eval_data,
            processing_class=AutoTokenizer.from_pretrained(model),
        )
        trainer.remove_callback(PrinterCallback)
        evaluation = {} if eval_data is None else {"evaluation": lasting(trainer.evaluate())}
        seen = []
        trainer.data_collator = observed(trainer.data_collator, seen)
        trainer.train()
        rows = list(trainer.train_dataset)
        assert all(all(row[key] == example[key] for key in example) for row, example in zip(rows * 100, seen)), "another order"
        steps = [lasting(line) for line in trainer.state.log_history if "loss" in line]
        if eval_data is not None:
            evaluation["evaluation_after"] = lasting(trainer.evaluate())
    decay = set(trainer.get_decay_parameter_names(trainer.model))
    groups = trainer.optimizer.param_groups
    assert groups[0]["weight_decay"] == arguments["weight_decay"] and groups[1]["weight_decay"] == 0
    assert {id(parameter) for parameter in groups[0]["params"]} == {
        id(parameter) for name, parameter in trainer.model.named_parameters() if name in decay
    }
    parameters = {name: parameter.detach().double() for name, parameter in trainer.model.named_parameters()}
    return evaluation | {
        "steps": steps,
        "decay": [name for name in parameters if name in decay],
        "no_decay": [name for name in parameters if name not in decay],
        "parameters": {
            name: {"sum": parameter.sum().item(), "sum_of_squares": parameter.square().sum().item()}
            for name, parameter in parameters.items()
        },
    }


def run(trainer, name, options):
    options = dict(options)
    examples = options.pop("examples", None)
    model = "reward_model" if trainer == "reward" else "model"
    arguments = ARGUMENTS | options
    data, eval_data = f"{name}.jsonl", f"{name}_eval.jsonl"
    parts = {"trainer": trainer, "model": model, "data": data, "eval_data": eval_data, "examples": examples, "arguments": arguments}
    return parts | train(trainer, FOLDER / model, arguments, read_data(FOLDER / data, examples), read_data(FOLDER / eval_data))


def schedules(steps=20, learning_rate=1e-3):
    for kind, warmup, options in SCHEDULES:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=learning_rate)
        schedule = get_scheduler(kind, optimizer, warmup, steps, scheduler_specific_kwargs=options)
        rates = []
        for _ in range(steps):
            rates.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        parts = {"lr_scheduler_type": kind, "warmup_steps": warmup, "lr_scheduler_kwargs": options}
        yield parts | {"max_steps": steps, "learning_rate": learning_rate, "learning_rates": rates}


def write(name, value):
    (FOLDER / f"{name}.json").write_text(json.dumps(value, separators=(",", ":")) + "\n")


def main():
    assert transformers.__version__.startswith("5.24.") and trl.__version__.startswith("1.16.")
    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    write_data()
    write_models()
    write("schedules", list(schedules()))
    for name, (trainer, data, options) in RUNS.items():
        found = run(trainer, data, options)
        write(name, found)
        first, last = found["steps"][0], found["steps"][-1]
        print(f"{name}: loss {first['loss']:.6f} to {last['loss']:.6f}, evaluated {found['evaluation']['eval_loss']:.6f}", flush=True)


if __name__ == "__main__":
    main()
