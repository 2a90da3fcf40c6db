"""Makes the files that the tests of crates/hub read, with what is in them as PyTorch, gguf and peft read it:

    python scripts/hub_fixtures.py

Everything goes to crates/hub/tests/fixtures. `NAME.expected.safetensors` has the tensors of NAME under the names that they are to
have, as F32 where they are numbers.
"""

import collections
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import gguf
import numpy
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "crates" / "hub" / "tests" / "fixtures"
SEEDS = ROOT / "fuzz" / "seeds"


def expect(name, tensors):
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, FOLDER / f"{name}.expected.safetensors")


def pth():
    torch.manual_seed(0)
    base = torch.randn(6, 4)
    shared = torch.arange(10, dtype=torch.int64)
    module = torch.nn.Linear(3, 2)
    state = {
        "epoch": 3,
        "name": "étude",
        "lr": 0.5,
        "model": module.state_dict(),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
        "transposed": base.t(),
        "every other": base[1::2, ::3],
        "row": base[2],
        "permuted": torch.randn(2, 3, 4).permute(2, 0, 1),
        "half": torch.randn(3).half(),
        "brain": torch.randn(2, 2).bfloat16(),
        "double": torch.randn(2, dtype=torch.float64),
        "ids": shared,
        "tail": shared[7:],
        "bytes": torch.tensor([1, 255], dtype=torch.uint8),
        "flags": torch.tensor([True, False]),
        "scalar": torch.tensor(2.5),
        "none": torch.zeros(0, 3),
        "list": [torch.ones(1), 7, {"in": torch.full((2,), 4, dtype=torch.int32)}],
        "optimizer": {"state": {0: {"step": 1, "exp_avg": torch.randn(2)}, 1: None}},
        "ordered": collections.OrderedDict(a=torch.tensor([1, -2], dtype=torch.int16), b=torch.tensor([-3], dtype=torch.int8)),
    }
    torch.save(state, FOLDER / "zip.pth")
    torch.save(state, FOLDER / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(state, FOLDER / "protocol4.pth", pickle_protocol=4)
    torch.save({"whole": module}, FOLDER / "module.pth")
    torch.save({"evil": Evil(), "x": torch.ones(1)}, FOLDER / "evil.pth")
    torch.save({"evil": Evil(), "x": torch.ones(1)}, FOLDER / "evil_legacy.pth", _use_new_zipfile_serialization=False)
    expected = {}
    flatten("", state, expected)
    expect("pth", expected)


class Evil:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


def flatten(prefix, value, into):
    if isinstance(value, torch.Tensor):
        into[prefix] = value
    elif isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            flatten(f"{prefix}.{key}" if prefix else str(key), item, into)


QUANTISED = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]


def blocks(random, name, rows, columns):
    """Rows of blocks, and the numbers that gguf reads in them."""
    kind = gguf.GGMLQuantizationType[name]
    if name.endswith("K"):
        # gguf cannot write these types; any bytes are blocks of them as long as the scales are numbers.
        size, width = gguf.GGML_QUANT_SIZES[kind]
        data = random.integers(0, 256, (rows, columns // size, width), dtype=numpy.uint8)
        scales = {"Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}[name]
        for at in scales:
            halves = random.normal(size=(rows, columns // size, 1)).astype(numpy.float16) / 64
            data[:, :, at : at + 2] = halves.view(numpy.uint8)
        data = data.reshape(rows, -1)
    else:
        data = gguf.quantize(random.normal(size=(rows, columns)).astype(numpy.float32), kind)
    return kind, data, torch.from_numpy(gguf.dequantize(data, kind).astype(numpy.float32))


def interleave(tensor, heads):
    rows = len(tensor) // heads
    return tensor.reshape(heads, 2, rows // 2, *tensor.shape[1:]).swapaxes(1, 2).reshape(tensor.shape)


def halves(tensor, heads):
    rows = len(tensor) // heads
    return tensor.reshape(heads, rows // 2, 2, *tensor.shape[1:]).swapaxes(1, 2).reshape(tensor.shape)


def llama_gguf():
    """A llama of 2 heads for queries, of 4 rows each, and 1 for keys and values; each layer has another type of blocks."""
    random = numpy.random.default_rng(0)
    writer = gguf.GGUFWriter(FOLDER / "llama.gguf", "llama")
    writer.add_block_count(len(QUANTISED))
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_custom_alignment(64)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(["<s>", "</s>", "h", "e", "he", "Ġ"])
    writer.add_token_types([3, 3, 1, 1, 1, 1])
    writer.add_token_merges(["h e"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    writer.add_chat_template([{"name": "default", "template": "{{ messages }}"}, {"name": "rag", "template": "{{ documents }}"}])
    expected = {}

    def add(name, data, kind, ours, numbers):
        writer.add_tensor(name, data, raw_dtype=kind)
        expected[ours] = numbers

    for layer, name in enumerate(QUANTISED):
        at, ours = f"blk.{layer}.", f"model.layers.{layer}."
        for part, module, rows, heads in [
            ("attn_q", "self_attn.q_proj", 8, 2),
            ("attn_k", "self_attn.k_proj", 4, 1),
            ("attn_v", "self_attn.v_proj", 4, None),
        ]:
            kind, data, numbers = blocks(random, name, rows, 256)
            add(f"{at}{part}.weight", data, kind, f"{ours}{module}.weight", halves(numbers, heads) if heads else numbers)
        bias = torch.from_numpy(random.normal(size=8).astype(numpy.float32))
        add(f"{at}attn_q.bias", interleave(bias, 2).numpy(), None, f"{ours}self_attn.q_proj.bias", bias)
        norm = random.normal(size=256).astype(numpy.float32)
        add(f"{at}ffn_norm.weight", norm, None, f"{ours}post_attention_layernorm.weight", torch.from_numpy(norm))
    half = random.normal(size=(6, 256)).astype(numpy.float16)
    add("token_embd.weight", half, None, "model.embed_tokens.weight", torch.from_numpy(half).float())
    brain = torch.from_numpy(random.normal(size=(6, 256)).astype(numpy.float32)).bfloat16()
    raw = brain.view(torch.uint8).numpy()
    add("output.weight", raw, gguf.GGMLQuantizationType.BF16, "lm_head.weight", brain.float())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    expect("llama.gguf", expected)


def lora():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=16, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1
    )
    lora = LoraConfig(
        r=2,
        lora_alpha=8,
        lora_dropout=0.1,
        target_modules=["q_proj", "down_proj"],
        task_type="CAUSAL_LM",
        rank_pattern={"layers.1.self_attn.q_proj": 4},
        alpha_pattern={"layers.1.self_attn.q_proj": 2},
        init_lora_weights=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        model = get_peft_model(LlamaForCausalLM(config), lora)
        model.save_pretrained(folder)
        target = FOLDER / "lora"
        target.mkdir(exist_ok=True)
        for name in ["adapter_config.json", "adapter_model.safetensors"]:
            shutil.copy(Path(folder) / name, target / name)
        scales = {
            name.removeprefix("base_model.model."): module.scaling["default"]
            for name, module in model.named_modules()
            if isinstance(getattr(module, "scaling", None), dict)
        }
        (target / "scales.json").write_text(json.dumps(scales, indent=2) + "\n")


def seeds():
    """A few small inputs for each fuzz target."""

    def seed(target, name, content):
        (SEEDS / target).mkdir(exist_ok=True)
        (SEEDS / target / name).write_bytes(content)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        read = lambda: file.read_bytes()
        tensors = {"a": torch.ones(2, dtype=torch.bfloat16), "b": torch.zeros(1, 2), "c": torch.tensor([True])}
        save_file(tensors, file, {"format": "pt"})
        seed("safetensors", "three", read())
        save_file({}, file)
        seed("safetensors", "empty", read())

        small_gguf(file, "llama", ["token_embd.weight", "blk.0.attn_q.weight", "blk.0.attn_k.bias", "rope_freqs.weight"])
        seed("gguf", "llama", read())
        small_gguf(file, "gemma3", ["output_norm.weight", "blk.0.post_ffw_norm.weight", "blk.1.ffn_up.weight"])
        seed("gguf", "gemma3", read())

        state = {"n": 1, "w": torch.arange(4.0).reshape(2, 2).t(), "in": [torch.ones(1).half()]}
        torch.save(state, file)
        seed("pth", "zip", b"\0" + read())
        torch.save(state, file, _use_new_zipfile_serialization=False)
        seed("pth", "legacy", b"\0" + read())
        torch.save({"w": torch.arange(4.0).reshape(2, 2).t()}, file)
        with zipfile.ZipFile(file) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            seed("pth", "pickle", b"\1" + archive.read(name))

    config = lambda kind, name, value: seed("hub_config", name, bytes([kind]) + json.dumps(value).encode())
    config(0, "index", {"metadata": {"total_size": 8}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "two"}})
    config(1, "generation", {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "eos_token_id": [1, 2], "x": None})
    config(2, "tokenizer", {"chat_template": [{"name": "default", "template": "{{ messages }}"}]})
    config(3, "adapter", {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "rank_pattern": {"q_proj": 1}, "use_qalora": False})


def small_gguf(file, architecture, names):
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_head_count(1)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["a", "b"])
    writer.add_token_scores([0.0, -1.0])
    writer.add_eos_token_id(1)
    for name in names:
        if name.endswith("q.weight"):
            writer.add_tensor(name, numpy.zeros((2, 34), numpy.uint8), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, numpy.ones(2, numpy.float16 if "embd" in name else numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


FOLDER.mkdir(exist_ok=True)
seeds()
pth()
llama_gguf()
lora()
for file in sorted(FOLDER.rglob("*")):
    if file.is_file():
        print(file.relative_to(FOLDER), file.stat().st_size)
