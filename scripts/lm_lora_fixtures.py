"""Fixtures of decoders with adapters: peft 0.21 on the tiny models of lm_decoder_fixtures.py, f32, eager attention, on the CPU.

For every kind of adapter a folder as PEFT saves it, with random A, B and magnitudes, and in expected.safetensors the logits of the base's
two sequences, their mean loss, the gradient of every parameter of the adapter by its name in the adapter's file, and the logits of
the merged model. The base and its sequences are in crates/lm/tests/fixtures/decoder.

    python scripts/lm_lora_fixtures.py        writes crates/lm/tests/fixtures/lora
    python scripts/lm_lora_fixtures.py FOLDER  only loads an adapter that étude saved, on the base "llama3", and prints what it is
"""

import json
import sys
from pathlib import Path

import peft
import torch
from lm_decoder_fixtures import FAMILIES, forward
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

FIXTURES = Path(__file__).parent.parent / "crates/lm/tests/fixtures"

# Name: the base, and what PEFT is told.
ADAPTERS = {
    "lora": (
        "llama3",
        {"r": 4, "lora_alpha": 6, "target_modules": "all-linear", "rank_pattern": {"k_proj": 2}, "alpha_pattern": {"v_proj": 3}},
    ),
    "rslora": ("llama3", {"r": 3, "lora_alpha": 2, "target_modules": ["q_proj", "v_proj", "down_proj"], "use_rslora": True}),
    # With biases, which magnitudes do not scale.
    "dora": ("llama_biases", {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "use_dora": True}),
}


def base(name):
    """The model, and its sequences."""
    folder = FIXTURES / "decoder" / name
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    recorded = load_file(folder / "expected.safetensors")
    sequences = recorded["tokens"].long().split(recorded["lengths"].tolist())
    logits, _ = forward(model, sequences, FAMILIES[name][1])
    torch.testing.assert_close(logits, recorded["logits"], rtol=0, atol=1e-6)
    return model, sequences


def adapter(folder, name, settings, seed):
    torch.manual_seed(seed)
    model, sequences = base(name)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name for name in trained)
    with torch.no_grad():
        for name_of_part, parameter in trained.items():
            if "magnitude" in name_of_part:
                parameter.mul_(1 + 0.3 * torch.randn_like(parameter))
            else:
                parameter.copy_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    logits, loss = forward(model, sequences, {})
    loss.backward()
    # The names of the file are those of the parameters without the adapter's own.
    gradients = {name.replace(".default", ""): parameter.grad for name, parameter in trained.items()}
    gradients = {name.replace("magnitude_vector.weight", "magnitude_vector"): gradient for name, gradient in gradients.items()}
    assert set(gradients) == set(load_file(folder / "adapter_model.safetensors"))
    merged, _ = forward(model.merge_and_unload(), sequences, {})
    expected = {"logits": logits.detach(), "loss": loss.detach()[None], "merged": merged.detach()}
    expected |= {f"gradient.{name}": gradient.contiguous() for name, gradient in gradients.items()}
    save_file(expected, folder / "expected.safetensors")
    config = json.loads((folder / "adapter_config.json").read_text())
    # The path to the base is this machine's; what is a set has no order of its own.
    config["base_model_name_or_path"] = name
    config["target_modules"] = sorted(config["target_modules"])
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    print(folder.name, f"loss {loss.item():.4f}", f"merged differs by {(merged - logits).abs().max().item():.1e}")


def check(folder):
    model, sequences = base("llama3")
    model = PeftModel.from_pretrained(model, folder)
    found, saved = get_peft_model_state_dict(model), load_file(Path(folder) / "adapter_model.safetensors")
    assert found.keys() == saved.keys()
    assert all(torch.equal(found[name], saved[name]) for name in saved)
    recorded = load_file(FIXTURES / "lora/lora/expected.safetensors")
    logits, _ = forward(model, sequences, {})
    print(f"{len(found)} tensors; logits differ from the fixture's by {(logits - recorded['logits']).abs().max().item():.1e}")


def main():
    assert peft.__version__.startswith("0.21."), peft.__version__
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        return check(sys.argv[1])
    for seed, (name, (model, settings)) in enumerate(ADAPTERS.items()):
        adapter(FIXTURES / "lora" / name, model, settings, seed)


if __name__ == "__main__":
    main()
