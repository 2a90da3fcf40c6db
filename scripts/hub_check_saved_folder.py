"""Checks that transformers loads what étude saves:

    python scripts/hub_check_saved_folder.py

Tiny random models are made and saved by transformers, opened and saved again by étude's example `resave` (into one file and
into shards), and loaded by transformers. Every tensor, the configuration, the generation configuration, the tokenizer and its
template must be the same.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

SIZES = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=False, rms_norm_eps=1e-5)),
    "llama tied, bf16": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)).to(torch.bfloat16),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, tie_word_embeddings=False)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES)),
    "gemma3 tied": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, sliding_window=16)),
}
TEXT = ["Die Straße nach Zürich, 12 km.", "étude étude étude", "日本語 and emoji-free text"]
TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"


def tokenizer():
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    bpe.train_from_iterator(TEXT, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>")
    fast.chat_template = {"default": TEMPLATE, "tool_use": "{{ tools }}" + TEMPLATE}
    return fast


def save(model, folder, shard):
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.7, top_k=20, eos_token_id=[1, 2], bos_token_id=0, no_repeat_ngram_size=3
    )
    model.save_pretrained(folder, max_shard_size=shard)
    tokenizer().save_pretrained(folder)


def resave(source, target, shard):
    command = ["cargo", "run", "-q", "-p", "etude-hub", "--example", "resave", "--", str(source), str(target), str(shard)]
    subprocess.run(command, check=True)


def check(name, folder):
    torch.manual_seed(0)
    model = MODELS[name]()
    for shard, again in [("1GB", 1 << 30), ("1GB", 20_000), ("30KB", 1 << 30), ("30KB", 20_000)]:
        source, target = folder / f"{name} {shard}", folder / f"{name} {shard} {again}"
        save(model, source, shard)
        resave(source, target, again)
        loaded, report = AutoModelForCausalLM.from_pretrained(target, output_loading_info=True)
        assert not any(report.values()), report
        left, right = model.state_dict(), loaded.state_dict()
        assert left.keys() == right.keys()
        for key in left:
            assert left[key].dtype == right[key].dtype and torch.equal(left[key], right[key]), key
        assert AutoConfig.from_pretrained(source).to_dict() | {"_name_or_path": ""} == (
            AutoConfig.from_pretrained(target).to_dict() | {"_name_or_path": ""}
        )
        read = lambda at, file: json.loads((at / file).read_text())
        assert read(source, "config.json") == read(target, "config.json")
        assert read(source, "generation_config.json") == read(target, "generation_config.json")
        assert GenerationConfig.from_pretrained(target).to_dict() == GenerationConfig.from_pretrained(source).to_dict()
        ours, theirs = AutoTokenizer.from_pretrained(target), AutoTokenizer.from_pretrained(source)
        assert ours.chat_template == theirs.chat_template
        assert [ours(text)["input_ids"] for text in TEXT] == [theirs(text)["input_ids"] for text in TEXT]
        files = sorted(target.glob("*.safetensors"))
        assert (len(files) > 1) == (again == 20_000)
        for file in files:
            with safe_open(file, "pt") as opened:
                assert opened.metadata() == {"format": "pt"}
                assert "tied" not in name or "lm_head.weight" not in opened.keys()
        print(f"{name}: {len(left)} tensors, from files of {shard} into {len(files)} file(s): the same")


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            check(name, Path(folder))


sys.exit(main())
