"""Cuts llama.cpp's tokenizer vectors down to what they need, for the tests of `crates/lm`.

    python scripts/lm_llama_cpp_fixtures.py FOLDER        writes crates/lm/tests/fixtures/llama_cpp/*

FOLDER is `models` in llama.cpp's sources (https://github.com/ggml-org/llama.cpp, MIT, Copyright (c) 2023-2026 The ggml authors); they are also in
the source distribution of `xllamacpp` on PyPI, under thirdparty/llama.cpp. The vectors are texts (`ggml-vocab-*.gguf.inp`) and
ids (`.out`), which are copied as they are. The vocabularies have megabytes. A token can only come out of a text if its bytes are in
the text, so the others are left out: NAME.json has the tokens that are left with their ids, the merges between them in their
order, and the rest of the vocabulary's fields.
"""

import json
import shutil
import sys
from pathlib import Path

import gguf

FIXTURES = Path(__file__).parent.parent / "crates/lm/tests/fixtures/llama_cpp"
NAMES = ["gpt-2", "llama-bpe", "qwen2", "llama-spm", "starcoder", "falcon"]
FIELDS = {
    "bos": "bos_token_id", "eos": "eos_token_id", "unknown": "unknown_token_id", "padding": "padding_token_id", "add_bos": "add_bos_token",
    "add_eos": "add_eos_token", "add_space_prefix": "add_space_prefix", "pre_tokenizer": "pre"}


def byte_names():
    """GPT-2's characters for bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(0x100 + i) for i, byte in enumerate(rest)}


def main(folder):
    FIXTURES.mkdir(parents=True, exist_ok=True)
    names = byte_names()
    for name in NAMES:
        source = folder / f"ggml-vocab-{name}.gguf"
        fields = {key.removeprefix("tokenizer.ggml."): field.contents() for key, field in gguf.GGUFReader(source).fields.items() if key.startswith("tokenizer.ggml.")}
        texts = (folder / f"{source.name}.inp").read_bytes().decode()
        if fields["model"] == "gpt2":
            text = "".join(names[byte] for byte in texts.encode())
        else:
            text = "\u2581" + texts.replace(" ", "\u2581")
        used = {int(id) for line in (folder / f"{source.name}.out").read_text().splitlines() for id in line.split()}
        kinds = fields["token_type"]
        special = {fields[key] for key in FIELDS.values() if key.endswith("_id") and key in fields}
        keep = [id for id, token in enumerate(fields["tokens"]) if token in text or kinds[id] == 6 or id in used | special]
        tokens = {fields["tokens"][id] for id in keep}
        merges = [merge for merge in fields.get("merges", []) if {*merge.split(" "), merge.replace(" ", "")} <= tokens]
        out = {
            "model": fields["model"], "size": len(fields["tokens"]), "tokens": {id: fields["tokens"][id] for id in keep},
            "scores": {id: fields["scores"][id] for id in keep} if fields["model"] == "llama" else {},
            "token_types": {id: kinds[id] for id in keep if kinds[id] != 1}, "merges": merges,
            **{key: fields[field] for key, field in FIELDS.items() if field in fields}}
        path = FIXTURES / f"{name}.json"
        path.write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")
        shutil.copyfile(folder / f"{source.name}.out", FIXTURES / f"{name}.out")
        print(f"{path.name}: {path.stat().st_size} bytes, {len(keep)} of {len(fields['tokens'])} tokens, {len(merges)} merges")
    # The texts are the same for all of them.
    shutil.copyfile(folder / "ggml-vocab-gpt-2.gguf.inp", FIXTURES / "texts.inp")
    assert len({(folder / f"ggml-vocab-{name}.gguf.inp").read_bytes() for name in NAMES}) == 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
