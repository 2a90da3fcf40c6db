"""Loads tiny models that étude has saved with transformers 5.24, unchanged, and compares their logits with those of the fixtures.

    ETUDE_TEST_SAVE_TO=FOLDER cargo test -p etude-lm --test parity saved_models
    python scripts/lm_check_saved.py FOLDER
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from lm_decoder_fixtures import FAMILIES, FOLDER


def main():
    for name, (_, arguments) in FAMILIES.items():
        model, report = AutoModelForCausalLM.from_pretrained(
            Path(sys.argv[1]) / name, attn_implementation="eager", output_loading_info=True
        )
        assert model.dtype == torch.float32, model.dtype
        assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
        expected = load_file(FOLDER / name / "expected.safetensors")
        sequences = expected["tokens"].long().split(expected["lengths"].tolist())
        with torch.no_grad():
            logits = [model(input_ids=tokens[None], use_cache=False, **arguments).logits[0] for tokens in sequences]
        difference = (torch.cat(logits) - expected["logits"]).abs().max().item()
        assert difference < 1e-5, difference
        print(f"{name}: logits differ by {difference:.1e}")


if __name__ == "__main__":
    main()
