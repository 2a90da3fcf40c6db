"""Compares what étude reads of a GGUF file with what Python reads, bit by bit:

    python scripts/hub_check_gguf.py MODEL.gguf

étude's example `resave` writes every tensor as F32 under Hugging Face's names. Each is compared with the `gguf` package's
dequantisation, and with the state of the model that transformers makes of the file (which undoes llama.cpp's changes itself).
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_norm": "post_attention_layernorm",
}
GEMMA = {
    "ffn_norm": "pre_feedforward_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}


def expected(path):
    """Every tensor by its name in Hugging Face's model."""
    reader = gguf.GGUFReader(path)
    value = lambda key: reader.fields[key].contents()
    architecture = value("general.architecture")
    names = NAMES | (GEMMA if architecture == "gemma3" else {})
    tensors = {}
    for tensor in reader.tensors:
        numbers = gguf.dequantize(tensor.data, tensor.tensor_type)
        numbers = numpy.array(numbers, numpy.float32).reshape(tensor.shape[::-1])
        parts = tensor.name.split(".")
        if parts[0] == "blk":
            name = f"model.layers.{parts[1]}.{names[parts[2]]}.{parts[3]}"
            if architecture == "llama" and parts[2] in ("attn_q", "attn_k"):
                heads = value("llama.attention.head_count" + ("_kv" if parts[2] == "attn_k" else ""))
                rows = len(numbers) // heads
                split = numbers.reshape(heads, rows // 2, 2, *numbers.shape[1:])
                numbers = split.swapaxes(1, 2).reshape(numbers.shape)
        else:
            name = {
                "token_embd.weight": "model.embed_tokens.weight",
                "output_norm.weight": "model.norm.weight",
                "output.weight": "lm_head.weight",
            }[tensor.name]
        if architecture == "gemma3" and name.endswith("norm.weight"):
            numbers = numbers - numpy.float32(1)
        tensors[name] = torch.from_numpy(numpy.ascontiguousarray(numbers))
    return tensors


def compare(who, ours, theirs):
    assert ours.keys() == theirs.keys(), sorted(ours.keys() ^ theirs.keys())
    wrong = [name for name in ours if not bits_equal(ours[name], theirs[name])]
    numbers = sum(tensor.numel() for tensor in ours.values())
    print(f"{who}: {len(ours)} tensors, {numbers:,} numbers, {len(wrong)} tensors differ", *wrong[:5])
    return not wrong


def bits_equal(left, right):
    return left.shape == right.shape and torch.equal(left.view(torch.int32), right.view(torch.int32))


def main():
    path = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        command = ["cargo", "run", "-q", "-p", "etude-hub", "--example", "resave", "--", str(path), folder, str(1 << 30), "F32"]
        subprocess.run(command, check=True)
        ours = {}
        for file in sorted(Path(folder).glob("*.safetensors")):
            ours |= load_file(file)
    good = compare("gguf", ours, expected(path))
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    state = dict(model.state_dict())
    if "lm_head.weight" not in ours and state["lm_head.weight"].data_ptr() == state["model.embed_tokens.weight"].data_ptr():
        del state["lm_head.weight"]
    good &= compare("transformers", ours, state)
    sys.exit(not good)


main()
