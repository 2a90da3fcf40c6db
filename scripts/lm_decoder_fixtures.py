"""Fixtures of decoders: transformers 5.24 on PyTorch, f32, eager attention, on the CPU.

For every family a tiny model of random weights: its config.json and model.safetensors (weights that bf16 holds
exactly), and in expected.safetensors the tokens of two sequences, their logits, the mean loss of the next tokens of both,
the gradient of every parameter, and the losses and parameters of ten steps of AdamW on the same sequences. Besides, the
rotary frequencies of the published configurations.

    python scripts/lm_decoder_fixtures.py        writes crates/lm/tests/fixtures/decoder
"""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

FOLDER = Path(__file__).parent.parent / "crates/lm/tests/fixtures/decoder"
LENGTHS = (11, 6)
# Epsilon is above the rounding errors of gradients: below them an entry moves by the whole learning rate in a direction of chance.
ADAM_W = {"lr": 1e-3, "betas": (0.9, 0.95), "eps": 1e-6, "weight_decay": 0.1}

SMALL = {
    "vocab_size": 48,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GEMMA = SMALL | {
    "model_type": "gemma3_text",
    "head_dim": 16,
    "num_attention_heads": 2,
    "hidden_size": 24,
    "query_pre_attn_scalar": 12,
    "sliding_window": 4,
    "layer_types": ["sliding_attention", "full_attention"],
    "rms_norm_eps": 1e-6,
    "pad_token_id": 0,
    "rope_theta": 1000.0,
    "rope_local_base_freq": 100.0,
}

# Name: configuration as in a config.json, and the arguments of the forward pass.
FAMILIES = {
    "llama2": (SMALL | {"model_type": "llama", "num_key_value_heads": 3}, {}),
    "llama3": (
        SMALL
        | {
            "model_type": "llama",
            "rope_theta": 50000.0,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        },
        {},
    ),
    # The token that pads is also one that texts hold, as in the instructed models.
    "smollm2": (SMALL | {"model_type": "llama", "tie_word_embeddings": True, "pad_token_id": 2}, {}),
    "llama_biases": (
        SMALL | {"model_type": "llama", "attention_bias": True, "mlp_bias": True, "num_hidden_layers": 1},
        {},
    ),
    "qwen2": (
        SMALL
        | {
            "model_type": "qwen2",
            "use_sliding_window": True,
            "sliding_window": 3,
            "max_window_layers": 1,
        },
        {},
    ),
    "qwen3": (SMALL | {"model_type": "qwen3", "head_dim": 16, "tie_word_embeddings": True}, {}),
    "gemma3": (GEMMA, {}),
    "gemma3_soft_caps": (
        GEMMA
        | {
            "final_logit_softcapping": 6.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            "num_key_value_heads": 2,
        },
        # The class reads attn_logit_softcapping and does not pass it on; this argument reaches the scores.
        {"softcap": 3.0},
    ),
    "yarn": (
        SMALL
        | {
            "model_type": "qwen2",
            "num_hidden_layers": 1,
            "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
        },
        {},
    ),
    "linear": (
        SMALL | {"model_type": "llama", "num_hidden_layers": 1, "rope_scaling": {"type": "linear", "factor": 2.5}},
        {},
    ),
}

# What published models say of their rotary embeddings.
ROTARY = {
    "Llama 2 7B": {"model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32},
    "Llama 3.1 8B": {
        "model_type": "llama",
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "max_position_embeddings": 131072,
        "rope_theta": 500000.0,
        "rope_scaling": {
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3",
        },
    },
    "Llama 3.2 1B": {
        "model_type": "llama",
        "hidden_size": 2048,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "max_position_embeddings": 131072,
        "rope_theta": 500000.0,
        "rope_scaling": {
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3",
        },
    },
    "SmolLM2 135M": {
        "model_type": "llama",
        "hidden_size": 576,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 8192,
        "rope_theta": 100000,
    },
    "Qwen2.5 7B": {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "rope_theta": 1000000.0,
    },
    "Qwen3 with YaRN": {
        "model_type": "qwen3",
        "max_position_embeddings": 131072,
        "rope_theta": 1000000,
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
    },
    "YaRN of DeepSeek": {
        "model_type": "llama",
        "max_position_embeddings": 163840,
        "head_dim": 64,
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 40.0,
            "beta_fast": 24.0,
            "beta_slow": 2.0,
            "mscale": 0.8,
            "mscale_all_dim": 1.2,
            "truncate": False,
            "original_max_position_embeddings": 4096,
        },
    },
    "position interpolation": {"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 3.0}},
    "Gemma 3 4B": {
        "model_type": "gemma3_text",
        "rope_theta": 1000000.0,
        "rope_local_base_freq": 10000.0,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
    },
}


def bf16(tensor):
    return tensor.to(torch.bfloat16).to(torch.float32)


def build(fields, generator):
    """A model whose weights are large enough that every part shows in the logits."""
    config = AutoConfig.for_model(**json.loads(json.dumps(fields)))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name:
                center = 0.0 if "gemma" in fields["model_type"] else 1.0
                parameter.copy_(bf16(center + 0.1 * noise))
            elif name.endswith("bias"):
                parameter.copy_(bf16(0.1 * noise))
            else:
                parameter.copy_(bf16(0.25 * noise))
    return model


def forward(model, sequences, arguments):
    logits = [model(input_ids=tokens[None], use_cache=False, **arguments).logits[0] for tokens in sequences]
    losses = [
        torch.nn.functional.cross_entropy(logit[:-1], tokens[1:], reduction="sum")
        for logit, tokens in zip(logits, sequences)
    ]
    return torch.cat(logits), sum(losses) / sum(len(tokens) - 1 for tokens in sequences)


def family(folder, fields, arguments, seed):
    generator = torch.Generator().manual_seed(seed)
    model = build(fields, generator)
    sequences = [torch.randint(0, fields["vocab_size"], (length,), generator=generator) for length in LENGTHS]
    sequences[0][3] = fields.get("pad_token_id", 3)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(fields, indent=2) + "\n")
    parameters = dict(model.named_parameters())
    save_file(
        {name: parameter.detach().to(torch.bfloat16) for name, parameter in parameters.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )

    logits, loss = forward(model, sequences, arguments)
    loss.backward()
    expected = {
        "tokens": torch.cat(sequences).to(torch.int32),
        "lengths": torch.tensor(LENGTHS, dtype=torch.int32),
        "logits": logits.detach(),
        "loss": loss.detach()[None],
    }
    expected |= {f"gradient.{name}": parameter.grad.clone() for name, parameter in parameters.items()}
    optimizer = torch.optim.AdamW(model.parameters(), **ADAM_W)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        _, loss = forward(model, sequences, arguments)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    expected["losses"] = torch.tensor(losses)
    expected |= {f"trained.{name}": parameter.detach().clone() for name, parameter in parameters.items()}
    save_file({name: tensor.contiguous() for name, tensor in expected.items()}, folder / "expected.safetensors")
    print(folder.name, f"loss {loss.item():.4f}", f"largest logit {logits.abs().max().item():.2f}")


def rotary(fields):
    """Frequencies and factors by layer type, and cosines at some positions, as the model's own module has them."""
    config = AutoConfig.for_model(**json.loads(json.dumps(fields | {"num_hidden_layers": 6})))
    config.vocab_size = 8
    config.intermediate_size = 8
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    module = type(model.model.rotary_emb)(config)
    types = [None] if hasattr(module, "inv_freq") else ["full_attention", "sliding_attention"]
    positions = torch.tensor([1, 1000, config.max_position_embeddings - 1])
    result = []
    for layer_type in types:
        arguments = {} if layer_type is None else {"layer_type": layer_type}
        cosines, _ = module(torch.zeros(1), positions[None], **arguments)
        prefix = "" if layer_type is None else layer_type + "_"
        frequencies = getattr(module, prefix + "inv_freq")
        factor = getattr(module, prefix + "attention_scaling")
        result.append(
            {
                "frequencies": frequencies.tolist(),
                "attention_factor": float(factor),
                "positions": positions.tolist(),
                "cosines": cosines[0, :, : len(frequencies)].tolist(),
            }
        )
    return result


def main():
    assert transformers.__version__.startswith("5.24."), transformers.__version__
    torch.set_num_threads(1)
    for seed, (name, (fields, arguments)) in enumerate(FAMILIES.items()):
        family(FOLDER / name, fields, arguments, seed)
    cases = [{"name": name, "config": fields, "rotaries": rotary(fields)} for name, fields in ROTARY.items()]
    (FOLDER / "rotary.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
