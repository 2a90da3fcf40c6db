"""Prepares records by TRL, for the tests of `crates/align` to compare with.

    python scripts/align_data_fixtures.py        writes crates/align/tests/fixtures/data/{trl.json,conversations.parquet}

Needs TRL 1.16, datasets, and the fixtures of scripts/lm_tokenizer_fixtures.py.

trl.json: `templates`, by name. `cases`: rows as JSON lines, the name of a tokenizer among the fixtures of crates/lm and of a
template, options, and what TRL's trainers make of them before anything is trained, in their `_prepare_dataset`: `ids` and `labels`
of SFTTrainer; `prompt`, `chosen` and `rejected` of DPOTrainer, and of its collator the cut sequences; whole sequences of RewardTrainer;
`prompt`, `completion` and `label` of KTOTrainer. `prompts`: the parts that TRL finds where a prompt is implicit. `packing`:
sequences with labels, a length, and for each strategy what `pack_dataset` makes of them.

conversations.parquet: a few preferences, as `datasets` writes them.
"""

import json
import random
from pathlib import Path
from types import SimpleNamespace

from datasets import Dataset
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer
from trl.data_utils import extract_prompt, pack_dataset
from trl.trainer.dpo_trainer import DataCollatorForPreference

ROOT = Path(__file__).parent.parent
TOKENIZERS = ROOT / "crates/lm/tests/fixtures/tokenizer"
FOLDER = ROOT / "crates/align/tests/fixtures/data"

MESSAGE = "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
CHATML = (
    "{%- if tools %}{{- 'tools: ' + tools | tojson + '\\n' }}{%- endif %}{%- if style is defined %}{{- 'style: ' + style + '\\n' }}{%- endif %}"
    "{%- for message in messages %}" + MESSAGE + "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
TEMPLATES = {
    "chatml": CHATML,
    # What the assistant says is marked.
    "generation": CHATML.replace(
        MESSAGE,
        "{%- if message.role == 'assistant' %}{{- '<|im_start|>assistant\\n' }}{%- generation %}"
        "{{- message.content + '<|im_end|>\\n' }}{%- endgeneration %}{%- else %}" + MESSAGE + "{%- endif %}",
    ),
    # The prompt alone ends otherwise than before an answer.
    "thinking": CHATML.replace("assistant\\n' }}{%- endif %}", "assistant\\n<think>\\n' }}{%- endif %}"),
}

USER = {"role": "user", "content": "What is the reward signal?"}
SYSTEM = {"role": "system", "content": "You are a small model."}
ANSWER = {"role": "assistant", "content": "It is what the agent maximises."}
WORSE = {"role": "assistant", "content": "No idea, ask the lazy dog"}
AGAIN = {"role": "user", "content": "And how?  "}
LAST = {"role": "assistant", "content": "By actions: it maps situations to them, 人人生而自由."}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "integer"}}}}}]

TEXTS = [
    {"text": "The quick brown fox jumps over the lazy dog."},
    {"text": "Die Würde des Menschen ist unantastbar.<|im_end|>"},
    {"text": ""},
]
MESSAGES = [
    {"messages": [USER, ANSWER]},
    {"messages": [SYSTEM, USER, ANSWER, AGAIN, LAST]},
    {"messages": [USER, ANSWER], "tools": TOOLS, "chat_template_kwargs": {"style": "short"}},
    {"messages": [USER, ANSWER], "tools": json.dumps(TOOLS)},
]
COMPLETIONS = [
    {"prompt": "The sky is", "completion": " blue."},
    {"prompt": "The sky is ", "completion": "blue and wide."},
    {"prompt": "the quick bro", "completion": "wn fox"},
    {"prompt": "", "completion": "Nothing before it."},
    {"prompt": "Something before nothing", "completion": ""},
]
CHAT_COMPLETIONS = [
    {"prompt": [USER], "completion": [ANSWER]},
    {"prompt": [SYSTEM, USER, ANSWER, AGAIN], "completion": [LAST]},
    {"prompt": [USER], "completion": [ANSWER, AGAIN, LAST]},
]
PAIRS = [
    {"prompt": "The sky is", "chosen": " blue.", "rejected": " green, or so they say."},
    {"prompt": "the quick bro", "chosen": "wn fox", "rejected": "nze dog"},
    {"chosen": "Reward is good. Do it", "rejected": "Reward is grand. Do not"},
    {"chosen": "same text", "rejected": "same text"},
]
CHAT_PAIRS = [
    {"prompt": [USER], "chosen": [ANSWER], "rejected": [WORSE]},
    {"chosen": [SYSTEM, USER, ANSWER, AGAIN, LAST], "rejected": [SYSTEM, USER, ANSWER, AGAIN, WORSE]},
    {"chosen": [USER, ANSWER], "rejected": [USER, WORSE, AGAIN, LAST]},
]
LABELS = [{**row, "label": index % 2 == 0} for index, row in enumerate(COMPLETIONS)]
CHAT_LABELS = [{**row, "label": index % 2 == 0} for index, row in enumerate(CHAT_COMPLETIONS)]
SHAREGPT = [{"conversations": [{"from": "user", "value": "Hello world"}, {"from": "assistant", "value": "Hi there"}]}]


def tokenizer(name, eos):
    fixture = json.loads((TOKENIZERS / f"{name}.json").read_text())["tokenizer"]
    fast = Tokenizer.from_str(json.dumps(fixture))
    return PreTrainedTokenizerFast(tokenizer_object=fast, eos_token=eos, pad_token=eos)


TOKENIZER = {"qwen_2": tokenizer("qwen_2", "<|im_end|>"), "llama_3": tokenizer("llama_3", "<|end_of_text|>")}


def sft(row, tokens, template, options):
    config = SFTConfig(bf16=False, report_to=[], packing=False, **options)
    only = True if config.completion_only_loss is None else config.completion_only_loss
    me = SimpleNamespace(_tokenizer=tokens, chat_template=template, completion_only_loss=only)
    rows = SFTTrainer._prepare_dataset(me, Dataset.from_list([row]), tokens, config, False, None, "train")
    return [{"ids": row["input_ids"], "labels": row["labels"]} for row in rows]


def dpo(row, tokens, _, options):
    # The collator keeps the end where it is told to; the configuration no longer lets anybody say so.
    keep_start = options.get("truncation_mode", "keep_start") == "keep_start"
    config = DPOConfig(bf16=False, report_to=[], max_length=options["max_length"] if keep_start else None)
    me = SimpleNamespace(_tokenizer=tokens)
    rows = list(DPOTrainer._prepare_dataset(me, Dataset.from_list([row]), tokens, config, "train"))
    collate = DataCollatorForPreference(pad_token_id=0, **options)
    told = []
    for row in rows:
        batch = collate([row])
        lengths = batch["attention_mask"].sum(1).tolist()
        cut = [
            {"ids": ids[:n].tolist(), "mask": mask[:n].tolist()}
            for ids, mask, n in zip(batch["input_ids"], batch["completion_mask"], lengths)
        ]
        told.append({"prompt": row["prompt_ids"], "chosen": row["chosen_ids"], "rejected": row["rejected_ids"], "cut": cut})
    return told


def reward(row, tokens, _, options):
    config = RewardConfig(bf16=False, report_to=[], max_length=options.get("max_length"))
    rows = RewardTrainer._prepare_dataset(SimpleNamespace(), Dataset.from_list([row]), tokens, config, "train")
    return [{"chosen": row["chosen_ids"], "rejected": row["rejected_ids"]} for row in rows]


def kto(row, tokens, _, options):
    config = KTOConfig(bf16=False, report_to=[], max_length=options.get("max_length"))
    me = SimpleNamespace(_tokenizer=tokens, calculate_KL=False, desirable_weight=1.0, undesirable_weight=1.0)
    rows = KTOTrainer._prepare_dataset(me, Dataset.from_list([row]), tokens, config, "train")
    return [{"prompt": row["prompt_ids"], "completion": row["completion_ids"], "label": row["label"]} for row in rows]


TRAINERS = {"sft": sft, "dpo": dpo, "reward": reward, "kto": kto}


def case(trainer, rows, tokenizer, template=None, **options):
    """Each row alone, as columns of one dataset would otherwise have to be of one kind."""
    tokens = TOKENIZER[tokenizer]
    tokens.chat_template = TEMPLATES.get(template)
    options = {"max_length": None, **options}
    expected = [TRAINERS[trainer](row, tokens, TEMPLATES.get(template), options) for row in rows]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    return {
        "trainer": trainer, "tokenizer": tokenizer, "template": template, "options": options, "rows": lines,
        "expected": expected,
    }


def cases():
    for tokens in TOKENIZER:
        yield case("sft", TEXTS, tokens)
        yield case("sft", COMPLETIONS, tokens)
        yield case("sft", COMPLETIONS, tokens, completion_only_loss=False)
        yield case("dpo", PAIRS, tokens)
        yield case("reward", PAIRS, tokens)
        yield case("kto", LABELS, tokens)
    for template in TEMPLATES:
        yield case("sft", MESSAGES + SHAREGPT, "qwen_2", template)
        yield case("sft", CHAT_COMPLETIONS, "qwen_2", template)
        yield case("sft", CHAT_COMPLETIONS, "qwen_2", template, completion_only_loss=False)
        yield case("dpo", CHAT_PAIRS, "qwen_2", template)
        yield case("reward", CHAT_PAIRS, "qwen_2", template)
        yield case("kto", CHAT_LABELS, "qwen_2", template)
    for rows in (MESSAGES, CHAT_COMPLETIONS):
        yield case("sft", rows, "qwen_2", "generation", assistant_only_loss=True)
    yield case("sft", CHAT_COMPLETIONS, "qwen_2", "generation", assistant_only_loss=True, completion_only_loss=False)
    for length in (4, 12, 20, 40):
        yield case("sft", CHAT_COMPLETIONS, "qwen_2", "chatml", max_length=length)
        yield case("dpo", CHAT_PAIRS, "qwen_2", "chatml", max_length=length)
        yield case("reward", CHAT_PAIRS, "qwen_2", "chatml", max_length=length)
        yield case("kto", CHAT_LABELS, "qwen_2", "chatml", max_length=length)
        yield case("dpo", PAIRS, "llama_3", max_length=length)
        yield case("dpo", PAIRS + CHAT_PAIRS, "qwen_2", "chatml", max_length=length, truncation_mode="keep_end")


def prompts():
    texts = [
        ("a b c", "a b d"), ("a bc", "a bd"), ("a  b", "a  c"), ("abc", "abc"), ("ab", "abc"), ("abc", "ab"), ("aé b", "aé c"),
        ("é\U0001F600x", "é\U0001F600y"), ("a ", "a b"), ("ab ", "ab c d"),
    ]
    chats = [([USER, ANSWER], [USER, WORSE]), ([USER, ANSWER], [USER, ANSWER]), ([USER, ANSWER], [USER, ANSWER, AGAIN, LAST])]
    for chosen, rejected in texts + chats:
        row = {"chosen": chosen, "rejected": rejected}
        yield {"row": json.dumps(row), "expected": json.dumps(extract_prompt(row))}


def packing():
    draw = random.Random(7)
    for count, longest, length in [(0, 5, 8), (1, 5, 8), (12, 8, 8), (40, 10, 16), (60, 40, 16), (200, 30, 64), (30, 3, 1)]:
        ids, labels = [], []
        for _ in range(count):
            size = draw.randint(0, longest)
            ids.append([draw.randrange(1000) for _ in range(size)])
            labels.append([token if draw.random() < 0.6 else -100 for token in ids[-1]])
        packed = {}
        for strategy in ("bfd", "bfd_split", "wrapped"):
            if count == 0:
                packed[strategy] = {"input_ids": [], "labels": [], "seq_lengths": []}
                continue
            # All in one batch, as packs never cross one.
            data = Dataset.from_dict({"input_ids": ids, "labels": labels})
            packed[strategy] = pack_dataset(data, length, strategy, {"batch_size": None})[:]
        yield {"ids": ids, "labels": labels, "max_length": length, "packed": packed}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    fixture = {"templates": TEMPLATES, "cases": list(cases()), "prompts": list(prompts()), "packing": list(packing())}
    text = json.dumps(fixture, ensure_ascii=False, separators=(",", ":"))
    (FOLDER / "trl.json").write_text(text + "\n")
    pairs = [
        {"chosen": [USER, ANSWER], "rejected": [USER, WORSE], "margin": 0.5, "score": 3},
        {"chosen": [SYSTEM, USER, LAST], "rejected": [SYSTEM, USER, WORSE], "margin": None, "score": -1},
    ]
    Dataset.from_list(pairs).to_parquet(str(FOLDER / "conversations.parquet"))


if __name__ == "__main__":
    main()
