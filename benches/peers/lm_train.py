"""Side by side: steps of training of a language model, étude's and PyTorch's.

    cargo build --release -p etude-lm --example lm_train
    python benches/peers/lm_train.py --etude target/release > table.md

One step is forward, the cross-entropy of the next tokens, backward, and AdamW, on the sizes of SmolLM2-135M (134.5 million
parameters), 4 sequences of 256 tokens, weights drawn at random. PyTorch runs transformers' LlamaForCausalLM with its fused attention and
fused AdamW; in bf16 under autocast. Every measurement is a process of its own, so that its peak memory is its own; they take turns, and the
best step of all rounds counts.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

SEQUENCES, LENGTH = 4, 256
SIZES = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100000.0,
    "tie_word_embeddings": True,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--etude", help="folder of étude's build")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="timed steps of a round, after two that are not")
    parser.add_argument("--precisions", nargs="+", choices=["f32", "bf16"], default=["f32", "bf16"])
    parser.add_argument("--peer", choices=["f32", "bf16"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(pytorch(options.peer, options.threads, options.steps)))
        return
    best = {}
    for _ in range(options.rounds):
        for precision in options.precisions:
            for who in ("étude", "PyTorch"):
                found = measure(who, precision, options)
                known = best.setdefault((who, precision), found)
                known["seconds"] = min(known["seconds"], found["seconds"])
                known["memory"] = max(known["memory"], found["memory"])
    print("| precision | étude: s a step | GFLOP/s | PyTorch: s a step | GFLOP/s | PyTorch / étude | étude: peak GB | PyTorch: peak GB | étude / PyTorch |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for precision in options.precisions:
        ours, theirs = best["étude", precision], best["PyTorch", precision]
        print(
            f"| {precision} | {ours['seconds']:.2f} | {flops() / ours['seconds'] / 1e9:.0f} "
            f"| {theirs['seconds']:.2f} | {flops() / theirs['seconds'] / 1e9:.0f} | {theirs['seconds'] / ours['seconds']:.2f}x "
            f"| {ours['memory'] / 1e9:.2f} | {theirs['memory'] / 1e9:.2f} | {ours['memory'] / theirs['memory']:.2f} |"
        )
    print(f"\n{options.threads} threads; first losses: " + ", ".join(f"{who} {p} {found['loss']:.3f}" for (who, p), found in best.items()))


def flops():
    """Of the matrix products of a step: forward once, backward twice; attention's are left out."""
    width, inner, heads = SIZES["hidden_size"], SIZES["intermediate_size"], SIZES["num_attention_heads"]
    keys = width // heads * SIZES["num_key_value_heads"]
    layer = width * width * 2 + width * keys * 2 + width * inner * 3
    return 3 * 2 * SEQUENCES * LENGTH * (SIZES["num_hidden_layers"] * layer + SIZES["vocab_size"] * width)


def measure(who, precision, options):
    arguments = ["--threads", str(options.threads), "--steps", str(options.steps)]
    if who == "étude":
        command = [os.path.join(options.etude, "examples/lm_train"), precision, *arguments]
    else:
        command = [sys.executable, __file__, "--peer", precision, *arguments]
    answer = subprocess.run(command, capture_output=True, check=True, input=json.dumps(SIZES), text=True).stdout
    print(who, precision, answer.strip(), file=sys.stderr, flush=True)
    return json.loads(answer.splitlines()[-1])


def pytorch(precision, threads, steps):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, attn_implementation="sdpa"))
    model.train()
    model.config.use_cache = False
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    seconds, first = [], None
    for step in range(steps + 2):
        tokens = torch.randint(0, SIZES["vocab_size"], (SEQUENCES, LENGTH))
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
        first = loss.item() if first is None else first
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": min(seconds[2:]), "memory": memory, "loss": first}


if __name__ == "__main__":
    main()
