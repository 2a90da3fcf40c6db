//! llama.cpp's own test vectors: texts and the ids that its tokenizers give them. Those that are committed have a vocabulary of the
//! tokens that the texts need; `scripts/lm_llama_cpp_fixtures.py` makes them, and `fixtures/llama_cpp/LICENSE` is theirs.

#![expect(
    clippy::print_stdout,
    reason = "says what it skips, and which vocabularies there are"
)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use etude_lm::LmError;
use etude_lm::tokenizer::{GgufVocabulary, Tokenizer};
use serde::Deserialize;

const SEPARATOR: &str = "\n__ggml_vocab_test__\n";

/// The texts of a file `.inp`, and the ids of a file `.out`.
fn vectors<'v>(texts: &'v str, ids: &str) -> Vec<(&'v str, Vec<u32>)> {
    let ids = ids
        .lines()
        .map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect());
    let pairs: Vec<_> = texts.split(SEPARATOR).zip(ids).collect();
    assert!(pairs.len() >= 40, "{} texts", pairs.len());
    pairs
}

/// How many of the texts get other ids, and a description of these.
fn differences(tokenizer: &Tokenizer, vectors: &[(&str, Vec<u32>)]) -> Vec<String> {
    let wrong = vectors.iter().filter_map(|(text, ids)| {
        let found = tokenizer.encode(text, false).unwrap();
        (found != *ids).then(|| format!("{text:?}\n  expected {ids:?}\n  found    {found:?}"))
    });
    wrong.collect()
}

#[derive(Deserialize)]
struct Fixture {
    model: String,
    pre_tokenizer: Option<String>,
    size: usize,
    tokens: BTreeMap<usize, String>,
    scores: BTreeMap<usize, f32>,
    token_types: BTreeMap<usize, i32>,
    merges: Vec<String>,
    bos: Option<u32>,
    eos: Option<u32>,
    unknown: Option<u32>,
    add_space_prefix: Option<bool>,
}

/// The vocabulary in its full length, with tokens that no text has in the gaps.
fn restore(fixture: Fixture) -> GgufVocabulary {
    let tokens = (0..fixture.size).map(|id| fixture.tokens.get(&id).cloned().unwrap_or_else(|| format!("gap {id}")));
    let scored = fixture.model == "llama";
    GgufVocabulary {
        tokens: tokens.collect(),
        scores: (0..fixture.size)
            .filter(|_| scored)
            .map(|id| fixture.scores.get(&id).copied().unwrap_or(-1e9))
            .collect(),
        token_types: (0..fixture.size)
            .map(|id| fixture.token_types.get(&id).copied().unwrap_or(1))
            .collect(),
        model: fixture.model,
        pre_tokenizer: fixture.pre_tokenizer,
        merges: fixture.merges,
        bos: fixture.bos,
        eos: fixture.eos,
        unknown: fixture.unknown,
        add_space_prefix: fixture.add_space_prefix,
        ..GgufVocabulary::default()
    }
}

#[test]
fn the_published_ids_come_out() {
    let texts = include_str!("fixtures/llama_cpp/texts.inp");
    for (name, fixture, ids) in [
        (
            "gpt-2",
            include_str!("fixtures/llama_cpp/gpt-2.json"),
            include_str!("fixtures/llama_cpp/gpt-2.out"),
        ),
        (
            "llama-bpe",
            include_str!("fixtures/llama_cpp/llama-bpe.json"),
            include_str!("fixtures/llama_cpp/llama-bpe.out"),
        ),
        (
            "qwen2",
            include_str!("fixtures/llama_cpp/qwen2.json"),
            include_str!("fixtures/llama_cpp/qwen2.out"),
        ),
        (
            "llama-spm",
            include_str!("fixtures/llama_cpp/llama-spm.json"),
            include_str!("fixtures/llama_cpp/llama-spm.out"),
        ),
        (
            "starcoder",
            include_str!("fixtures/llama_cpp/starcoder.json"),
            include_str!("fixtures/llama_cpp/starcoder.out"),
        ),
        (
            "falcon",
            include_str!("fixtures/llama_cpp/falcon.json"),
            include_str!("fixtures/llama_cpp/falcon.out"),
        ),
    ] {
        let tokenizer = Tokenizer::from_gguf(&restore(serde_json::from_str(fixture).unwrap())).unwrap();
        let wrong = differences(&tokenizer, &vectors(texts, ids));
        assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
    }
}

/// The folder `models` of llama.cpp's sources, with a vocabulary, texts and ids for every kind of tokenizer.
#[test]
fn all_vocabularies_that_are_published_give_their_ids() {
    let Some(folder) = std::env::var_os("ETUDE_TEST_LLAMA_VOCABS") else {
        println!("skipped: ETUDE_TEST_LLAMA_VOCABS does not name the folder models of llama.cpp");
        return;
    };
    let mut files: Vec<_> = Path::new(&folder)
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "gguf"));
    files.sort();
    let mut wrong = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let [texts, ids] =
            ["inp", "out"].map(|kind| std::fs::read_to_string(path.with_extension(format!("gguf.{kind}"))));
        let (Ok(texts), Ok(ids)) = (texts, ids) else {
            println!("{name}: no vectors");
            continue;
        };
        match Tokenizer::from_gguf(&common::vocabulary(&path)) {
            Ok(tokenizer) => {
                let vectors = vectors(&texts, &ids);
                let differences = differences(&tokenizer, &vectors);
                println!(
                    "{name}: {} of {} texts",
                    vectors.len() - differences.len(),
                    vectors.len()
                );
                wrong.extend(
                    differences
                        .into_iter()
                        .map(|difference| format!("{name}: {difference}")),
                );
            }
            Err(error @ (LmError::PreTokenizer { .. } | LmError::TokenizerPart { .. })) => println!("{name}: {error}"),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
