"""Trains small tokenizers and computes the ids that the tests of `crates/lm` compare with, by transformers.

    python scripts/lm_tokenizer_fixtures.py        writes crates/lm/tests/fixtures/tokenizer/*.json

Needs transformers 5.24, tokenizers and sentencepiece. Every tokenizer is trained on TEXTS below, so that vocabularies are small
and have words of many scripts in them. For each there are

NAME.json: `tokenizer.json` as transformers saves it, `gguf`: the same vocabulary as a GGUF file holds it, and for each text of
CASES the ids with and without special tokens, the byte offsets of tokens, and what the ids decode to. `gguf` is absent where
transformers' tokenizer cuts text in a way that no name in llama.cpp stands for.

The families are those of SmolLM2 (GPT-2's words, single digits), Llama 3 (words by its expression, digits in threes, words of the
vocabulary kept whole), Qwen 2 (composed text, single digits), Llama 2 (SentencePiece with a space before the text, unknown
characters as bytes) and Gemma (SentencePiece without that space).
"""

import io
import json
import tempfile
from pathlib import Path

import sentencepiece
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast
from transformers.tokenization_utils_base import generate_merges

FOLDER = Path(__file__).parent.parent / "crates/lm/tests/fixtures/tokenizer"

TEXTS = [
    "The quick brown fox jumps over the lazy dog. It didn't want to, but they've seen that we'll all be there, isn't it?",
    "Reinforcement learning learns what to do: how to map situations to actions so as to maximise a reward signal.",
    "Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Verpflichtung aller staatlichen Gewalt.",
    "L'élève préfère l'été à l'hiver, où les forêts deviennent grises; le garçon naïf a reçu une lettre d'où ça venait.",
    "El niño comió una piña en la montaña. ¿Cuándo volverá mañana? ¡Qué alegría!",
    "Все люди рождаются свободными и равными в своём достоинстве и правах.",
    "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا.",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "כל בני אדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
    "def attention(q, k, v):\n    scores = q @ k.T / math.sqrt(k.shape[-1])\n    return softmax(scores, axis=-1) @ v\n",
    "fn main() {\n\tlet xs: Vec<u32> = (0..10).map(|x| x * x).collect();\n\tprintln!(\"{xs:?}\");\n}\n",
    "Call 555-0100 or 0049 30 1234567 before 12:30 on 2024-02-29; it costs 1,234.50 or 99%.",
    "Emoji: \U0001F600\U0001F680 family \U0001F468‍\U0001F469‍\U0001F467, flag \U0001F1E9\U0001F1EA, thumbs \U0001F44D\U0001F3FD.",
]

CASES = TEXTS[:13] + [
    "",
    " ",
    "a",
    " a",
    "Hello world",
    "   three spaces before, two after  ",
    "a\n\n\nb\r\n\r\nc\t\td \n e  \n\n  f",
    " " * 33 + "x" + " " * 12,
    "\t\t\tif x:\n\t\t\t\treturn\n\n\n",
    "1234567890 12 123 1234 ١٢٣٤ १२३४ ½ ² Ⅷ",
    "I'm you'll HE'S WE'VE it'd they'RE don't O'Neil 's'",
    "caf\u00e9 cafe\u0301 \u212b \ufb01 \uff21\uff22\uff23 e\u0323\u0302 \u1e09\u0323",
    "x\u200by\u00a0z\u3000w\u2028v\u0085u",
    "\U0001F468‍\U0001F469‍\U0001F467‍\U0001F466 \U0001F3F4\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F \U0001F1E8\U0001F1ED ❤️ 1️⃣",
    "\u0000\u0001\u007f\ufffd\ufeff\ue000\U0010ffff",
    "<|im_start|>user\nHi there<|im_end|>\n<|im_start|>assistant\n",
    "<s>[INST] hello </s><bos><eos><pad><unk>  <s> x",
    "<|im_start| >< |im_start|> <|im_end|><|im_end|>text<|im_start|>",
    "▁under▁line▁ __init__ <0x0A> <0xFF>",
    "https://example.org/a_b?c=d&e=%20f#g user@example.com C++ a->b !== != ## ### ... --- ===",
    "ⲁⲃⲅ ᚠᚢᚦ \U00010330\U00010331 ꙮ \U0001D49C\U0001D4B7 ฟังเพลง ສະບາຍດີ ქართული Ελληνικά հայերեն",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "ThisIsCamelCase snake_case_name SCREAMING_CASE kebab-case mixedCASEWords",
]

GPT_2 = None
LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")


def byte_level(words, special, **options):
    """Byte-level merges over words, with `special` tokens before the others."""
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def smollm():
    words = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer = byte_level(words, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    config = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "unk_token": "<|endoftext|>"}
    return tokenizer, config, {"pre_tokenizer": "smollm", "add_bos": False}


def llama_3():
    words = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA_3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer = byte_level(words, ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"], ignore_merges=True)
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)])])
    config = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}
    return tokenizer, config, {"pre_tokenizer": "llama-bpe"}


def qwen_2():
    words = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN_2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer = byte_level(words, [])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    config = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return tokenizer, config, {"pre_tokenizer": "qwen2", "add_bos": False}


def sentence_piece(prefix, special, user_defined):
    """A model trained by SentencePiece, as transformers converts such models. Returns it with the pieces and their scores."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=model, model_type="bpe", vocab_size=900, character_coverage=0.98, byte_fallback=True,
        add_dummy_prefix=prefix, remove_extra_whitespaces=False, normalization_rule_name="identity", split_digits=True,
        allow_whitespace_only_pieces=True, user_defined_symbols=user_defined, minloglevel=2, **special)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(len(processor))]
    kinds = []
    for i in range(len(processor)):
        kind = 2 if processor.is_unknown(i) else 3 if processor.is_control(i) else 6 if processor.is_byte(i) else 1
        kinds.append(4 if processor.id_to_piece(i) in user_defined else kind)
    vocab = {piece: i for i, (piece, _) in enumerate(pieces)}
    unknown = next(piece for (piece, _), kind in zip(pieces, kinds) if kind == 2)
    merges = generate_merges(vocab, dict(pieces))
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace]) if prefix else replace
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps + [decoders.Strip(" ", 1, 0)] if prefix else steps)
    tokenizer.add_special_tokens([AddedToken(p, normalized=False, special=True) for (p, _), kind in zip(pieces, kinds) if kind in (2, 3)])
    tokenizer.add_tokens([AddedToken(p, normalized=False, special=False) for (p, _), kind in zip(pieces, kinds) if kind == 4])
    bos = next(p for (p, _), kind in zip(pieces, kinds) if kind == 3 and p in ("<s>", "<bos>"))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, vocab[bos])])
    gguf = {"model": "llama", "scores": [score for _, score in pieces], "token_types": kinds, "add_bos": True, "add_space_prefix": prefix}
    return tokenizer, gguf


def llama_2():
    tokenizer, gguf = sentence_piece(True, {"unk_id": 0, "bos_id": 1, "eos_id": 2}, [])
    return tokenizer, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, gguf


def gemma():
    special = {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>"}
    tokenizer, gguf = sentence_piece(False, special, ["<start_of_turn>", "<end_of_turn>", "\n\n"])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    return tokenizer, {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}, gguf


def byte_offsets(text, offsets):
    """Offsets of characters as offsets of bytes."""
    places = [0]
    for character in text:
        places.append(places[-1] + len(character.encode()))
    return [[places[start], places[end]] for start, end in offsets]


def write(name, build):
    inner, config, gguf = build()
    with tempfile.TemporaryDirectory() as folder:
        PreTrainedTokenizerFast(tokenizer_object=inner, clean_up_tokenization_spaces=False, **config).save_pretrained(folder)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        saved = json.loads((Path(folder) / "tokenizer.json").read_text())
        config = json.loads((Path(folder) / "tokenizer_config.json").read_text())
    size = len(tokenizer)
    tokens = tokenizer.convert_ids_to_tokens(range(size))
    ids = {key: tokens.index(config[f"{name}_token"]) for key, name in
           [("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad")] if config.get(f"{name}_token")}
    special = set(tokenizer.all_special_ids) | {t["id"] for t in saved["added_tokens"] if t["special"]}
    gguf = {
        "model": "gpt2", "tokens": tokens, "token_types": [3 if i in special else 1 for i in range(size)],
        "merges": [" ".join(merge) for merge in saved["model"]["merges"]], **ids, **gguf}
    if gguf["model"] == "llama":
        del gguf["merges"]
    cases = []
    for text in CASES:
        plain = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        framed = tokenizer(text, add_special_tokens=True)["input_ids"]
        cases.append({
            "text": text, "ids": plain["input_ids"], "framed": framed, "offsets": byte_offsets(text, plain["offset_mapping"]),
            "decoded": tokenizer.decode(framed, skip_special_tokens=False), "skipped": tokenizer.decode(framed, skip_special_tokens=True)})
    out = {"tokenizer": saved, "config": config, "gguf": gguf, "cases": cases}
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":"), sort_keys=False) + "\n")
    print(f"{path.name}: {path.stat().st_size} bytes, {size} tokens, {len(cases)} texts, transformers {transformers.__version__}")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, build in [("smollm", smollm), ("llama_3", llama_3), ("qwen_2", qwen_2), ("llama_2", llama_2), ("gemma", gemma)]:
        write(name, build)
