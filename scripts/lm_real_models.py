"""What transformers 5.24 makes of a real model in a GGUF file, for crates/lm/tests/real_models.rs: f32, eager attention, on the CPU.

    python scripts/lm_real_models.py MODEL.gguf FOLDER

writes into FOLDER a link to the file (model.gguf), and reference.safetensors: the tokens of three texts, one of which is
longer than Gemma's windows; the log-probability of every next token; and the logits of some rows. Then

    ETUDE_TEST_SMOLLM2=FOLDER cargo test --release -p etude-lm --test real_models -- --nocapture

(or ETUDE_TEST_GEMMA3) compares. Needs PyTorch, transformers and gguf.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXTS = [
    "The first snow fell on the harbour before the boats were in, and nobody had thought to light the lamps.",
    "fn main() {\n    let naïve = \"Ça va? 你好, мир!\";\n    println!(\"{naïve} {}\", 3.14159);\n}\n",
    "Counting: " + ", ".join(f"{number} is {'odd' if number % 2 else 'even'}" for number in range(1, 140)) + ".",
]
ROWS_OF_TEXT = 6


def main():
    path, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "model.gguf"
    if not link.exists():
        link.symlink_to(path)
    files = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    tokenizer = AutoTokenizer.from_pretrained(**files)
    model = AutoModelForCausalLM.from_pretrained(**files, dtype=torch.float32, attn_implementation="eager").eval()
    print(model.config)

    tokens, lengths, rows, logits, log_probabilities = [], [], [], [], []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt").input_ids
        with torch.no_grad():
            result = model(input_ids=ids, use_cache=False).logits[0]
        steps = torch.linspace(0, len(result) - 1, ROWS_OF_TEXT).long()
        rows.append(steps + sum(lengths))
        logits.append(result[steps])
        following = torch.log_softmax(result[:-1], dim=-1).gather(1, ids[0, 1:, None])[:, 0]
        # The last token has none that follows.
        log_probabilities.append(torch.cat([following, torch.zeros(1)]))
        tokens.append(ids[0])
        lengths.append(len(result))
        print(f"{len(result)} tokens, mean log-probability {following.mean().item():.4f}")
    save_file(
        {
            "tokens": torch.cat(tokens).to(torch.int32),
            "lengths": torch.tensor(lengths, dtype=torch.int32),
            "rows": torch.cat(rows).to(torch.int32),
            "logits": torch.cat(logits).contiguous(),
            "log_probabilities": torch.cat(log_probabilities),
        },
        folder / "reference.safetensors",
    )


if __name__ == "__main__":
    main()
