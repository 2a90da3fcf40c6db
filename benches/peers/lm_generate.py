"""Side by side: generation from the same GGUF file, étude's and llama.cpp's.

    cargo build --release && cargo build --release -p etude-lm --example lm_generate
    pip install xllamacpp
    python benches/peers/lm_generate.py smollm2.gguf --etude target/release > table.md

llama.cpp runs in its server as the package xllamacpp has it, which times the reading of prompts and the generation itself; étude runs
lm_generate.rs. Prompts are random tokens; answers are greedy and do not end by themselves. Prefill is a prompt of 512 tokens, decode 128 tokens
after 8, alone and eight at a time, and the first token is the whole of a new process: start, load, read a short prompt, write one token.
They take turns, and the best of all rounds counts.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time

PROMPT, DECODE, BATCH = 512, 128, 8


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--etude", help="folder of étude's build")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(llama(options.model, options.threads)))
        return
    threads = str(options.threads)
    commands = {
        "étude": [os.path.join(options.etude, "examples/lm_generate"), options.model, threads],
        "llama.cpp": [sys.executable, __file__, options.model, "--threads", threads, "--peer"],
    }
    best = {who: {} for who in commands}
    for _ in range(options.rounds):
        for who, command in commands.items():
            answer = subprocess.run(command, capture_output=True, check=True, text=True).stdout
            found = json.loads(answer.splitlines()[-1])
            print(who, found, file=sys.stderr, flush=True)
            for name, rate in found.items():
                best[who][name] = max(best[who].get(name, 0), rate)
        first = [os.path.join(options.etude, "etude"), "lm", "generate", options.model, "The capital of France is", "--max-tokens", "1", "--threads", threads]
        start = time.perf_counter()
        subprocess.run(first, capture_output=True, check=True)
        best["étude"]["first"] = min(best["étude"].get("first", 1e9), time.perf_counter() - start)
    ours, theirs = best["étude"], best["llama.cpp"]
    print(f"| {os.path.basename(options.model)}, {threads} threads | étude: tokens/s | llama.cpp: tokens/s | étude / llama.cpp |")
    print("|---|---:|---:|---:|")
    rows = {
        "prefill": f"prefill, {PROMPT} tokens",
        "decode": f"decode, {DECODE} tokens",
        "batch": f"decode, {DECODE} tokens, {BATCH} at a time",
    }
    for name, title in rows.items():
        print(f"| {title} | {ours[name]:.0f} | {theirs[name]:.0f} | {ours[name] / theirs[name]:.2f}x |")
    print(f"\nStart to first token: {ours['first']:.2f} s.")


def llama(model, threads):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx = BATCH * 1024
    params.n_parallel = BATCH
    params.n_batch = params.n_ubatch = PROMPT
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_gpu_layers = 0
    params.warmup = True
    server = xllamacpp.Server(params)

    def complete(prompt, count):
        request = {"prompt": prompt, "n_predict": count, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
        return server.handle_completions(request)["timings"]

    def tokens(count, seed):
        return random.Random(seed).choices(range(1000, 40000), k=count)

    complete(tokens(8, 0), 8)
    prefill = max(complete(tokens(PROMPT, seed), 1)["prompt_per_second"] for seed in range(3))
    decode = max(complete(tokens(8, seed), DECODE)["predicted_per_second"] for seed in range(3))
    batch = 0
    for _ in range(2):
        timings = []
        workers = [threading.Thread(target=lambda seed=seed: timings.append(complete(tokens(8, seed), DECODE))) for seed in range(BATCH)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        batch = max(batch, sum(timing["predicted_n"] for timing in timings) / max(timing["predicted_ms"] for timing in timings) * 1000)
    return {"prefill": prefill, "decode": decode, "batch": batch}


if __name__ == "__main__":
    main()
