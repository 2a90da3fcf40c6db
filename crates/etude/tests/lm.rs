//! `etude lm` as its users see it, on a model of a few thousand random weights.

#[path = "lm/frontier.rs"]
mod frontier;
#[path = "lm/lint.rs"]
mod lint;
#[path = "lm/ranks.rs"]
mod ranks;
#[path = "lm/train.rs"]
mod train;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

const HIDDEN: usize = 16;
const INNER: usize = 24;
const LAYERS: usize = 2;
const VOCABULARY: usize = 259;
const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const TEMPLATE: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}\
                        {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// The folder of a model whose tokens are bytes.
fn model() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, value: &Value| fs::write(folder.path().join(name), value.to_string()).unwrap();
    write(
        "config.json",
        &json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
            "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": true,
            "bos_token_id": 256, "eos_token_id": 258, "rope_theta": 10000.0, "torch_dtype": "float32",
        }),
    );
    write("generation_config.json", &json!({ "eos_token_id": [256, 258] }));
    write("tokenizer.json", &tokenizer());
    write(
        "tokenizer_config.json",
        &json!({ "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "chat_template": TEMPLATE }),
    );
    save(&folder, &weights());
    folder
}

/// Byte-level pairs without a single merge: GPT-2's letters for the 256 bytes.
fn tokenizer() -> Value {
    let mut vocabulary = Map::new();
    let mut others = 256_u32..;
    for byte in 0..=255_u32 {
        let printable = matches!(byte, 33..=126 | 161..=172 | 174..=255);
        let letter = if printable { byte } else { others.next().unwrap() };
        vocabulary.insert(char::from_u32(letter).unwrap().to_string(), json!(byte));
    }
    let added: Vec<Value> = (256..)
        .zip(SPECIAL)
        .map(|(id, content)| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                "special": true })
        })
        .collect();
    let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": bytes, "post_processor": null, "decoder": bytes,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": [] },
    })
}

type Weights = Vec<(String, Vec<usize>, Vec<f32>)>;

fn weights() -> Weights {
    let mut state = 1_u32;
    let mut random = || {
        // Numerical Recipes' generator: any numbers will do.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut weights = Weights::new();
    let mut add = |name: String, shape: &[usize], scale: f32, middle: f32| {
        let entries = (0..shape.iter().product()).map(|_| middle + scale * random()).collect();
        weights.push((name, shape.to_vec(), entries));
    };
    add("model.embed_tokens.weight".into(), &[VOCABULARY, HIDDEN], 1.0, 0.0);
    add("model.norm.weight".into(), &[HIDDEN], 0.2, 1.0);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        for (part, outputs, inputs) in [
            ("self_attn.q_proj", HIDDEN, HIDDEN),
            ("self_attn.k_proj", HIDDEN / 2, HIDDEN),
            ("self_attn.v_proj", HIDDEN / 2, HIDDEN),
            ("self_attn.o_proj", HIDDEN, HIDDEN),
            ("mlp.gate_proj", INNER, HIDDEN),
            ("mlp.up_proj", INNER, HIDDEN),
            ("mlp.down_proj", HIDDEN, INNER),
        ] {
            add(name(part), &[outputs, inputs], 0.6, 0.0);
        }
        add(name("input_layernorm"), &[HIDDEN], 0.2, 1.0);
        add(name("post_attention_layernorm"), &[HIDDEN], 0.2, 1.0);
    }
    weights
}

fn save(folder: &TempDir, weights: &Weights) {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = weights
        .iter()
        .map(|(name, shape, entries)| {
            (
                name,
                shape,
                entries.iter().flat_map(|entry| entry.to_le_bytes()).collect(),
            )
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F32, (*shape).clone(), bytes).unwrap()));
    let metadata = Some([("format".to_owned(), "pt".to_owned())].into());
    safetensors::serialize_to_file(views, metadata, &folder.path().join("model.safetensors")).unwrap();
}

fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etude"));
    command
        .arg("lm")
        .args(arguments)
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

fn etude(folder: &TempDir, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The JSON objects that a run prints.
fn lines(folder: &TempDir, arguments: &[&str]) -> Vec<Value> {
    let output = etude(folder, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What a failed run says.
fn failure(folder: &TempDir, arguments: &[&str], code: i32) -> String {
    let output = etude(folder, arguments);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(output.stdout.is_empty() && !told.contains("panicked"), "{told}");
    told
}

#[test]
fn prompts_are_continued() {
    let folder = model();
    let answers = lines(
        &folder,
        &[
            "generate",
            ".",
            "Once",
            "--max-tokens",
            "20",
            "--logprobs",
            "2",
            "--ignore-eos",
        ],
    );
    let [answer] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(answer["prompt"], "Once");
    assert_eq!(answer["finish_reason"], "length");
    assert_eq!(answer["tokens"].as_array().unwrap().len(), 20);
    assert!(answer["prompt_tokens_per_second"].as_f64().unwrap() > 0.0);
    assert!(answer["tokens_per_second"].as_f64().unwrap() > 0.0);
    for (token, log) in answer["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .zip(answer["logprobs"].as_array().unwrap())
    {
        // Greedy: the likeliest of the two is the one.
        assert_eq!((&log["token"], &log["top"][0]["token"]), (token, token));
        assert_eq!(log["logprob"], log["top"][0]["logprob"]);
        assert_eq!(log["top"].as_array().unwrap().len(), 2);
    }
    // The same on one thread.
    let single = lines(
        &folder,
        &[
            "generate",
            ".",
            "Once",
            "--max-tokens",
            "20",
            "--ignore-eos",
            "--threads",
            "1",
        ],
    );
    assert_eq!(
        (&single[0]["tokens"], &single[0]["text"]),
        (&answer["tokens"], &answer["text"])
    );
    // And for people: the prompt and the text, nothing else on standard output.
    let output = etude(
        &folder,
        &["generate", ".", "Once", "--max-tokens", "20", "--ignore-eos"],
    );
    assert_eq!(
        text(&output.stdout),
        format!("Once{}\n", answer["text"].as_str().unwrap())
    );
}

#[test]
fn many_prompts_give_what_each_gives_alone() {
    let folder = model();
    fs::write(folder.path().join("prompts.txt"), "one\n\ntwo and more\nthree\n").unwrap();
    fs::write(
        folder.path().join("prompts.jsonl"),
        "{\"prompt\": \"one\"}\n{\"prompt\": \"two and more\"}\n{\"prompt\": \"three\"}\n",
    )
    .unwrap();
    let common = ["--max-tokens", "12", "--temperature", "1", "--seed", "7"];
    let together = |file| {
        lines(
            &folder,
            &[&["generate", ".", "--prompts", file, "--batch", "2"], &common[..]].concat(),
        )
    };
    let answers = together("prompts.txt");
    assert_eq!(answers.len(), 3);
    for answer in &answers {
        let prompt = answer["prompt"].as_str().unwrap();
        let alone = lines(&folder, &[&["generate", ".", prompt], &common[..]].concat());
        assert_eq!(alone[0]["tokens"], answer["tokens"], "{prompt}");
    }
    let tokens = |answers: &[Value]| {
        answers
            .iter()
            .map(|answer| answer["tokens"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(tokens(&answers), tokens(&together("prompts.jsonl")));
    // More samples of one prompt have seeds of their own.
    let samples = lines(
        &folder,
        &[&["generate", ".", "one", "--samples", "2"], &common[..]].concat(),
    );
    assert_eq!(samples[0]["tokens"], answers[0]["tokens"]);
    assert_ne!(samples[1]["tokens"], answers[0]["tokens"]);
}

#[test]
fn a_stop_string_ends_an_answer() {
    let folder = model();
    let free = &lines(
        &folder,
        &["generate", ".", "Once", "--max-tokens", "30", "--ignore-eos"],
    )[0];
    let whole: Vec<char> = free["text"].as_str().unwrap().chars().collect();
    let stop: String = whole[5..7].iter().collect();
    let expected = free["text"].as_str().unwrap().split(&stop).next().unwrap();
    let cut = &lines(
        &folder,
        &[
            "generate",
            ".",
            "Once",
            "--max-tokens",
            "30",
            "--ignore-eos",
            "--stop",
            &stop,
        ],
    )[0];
    assert_eq!(
        (&cut["text"], &cut["finish_reason"]),
        (&json!(expected), &json!("stop"))
    );
}

#[test]
fn a_conversation_is_held_through_a_pipe() {
    let folder = model();
    let mut child = command(
        &folder,
        &["chat", ".", "--system", "Be brief.", "--max-tokens", "8", "--seed", "3"],
    )
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let said =
        "hello\n\n/history\n/system Be long.\n/history\n/nonsense\n/help\nagain\n/reset\n/history\n/exit\nnever read\n";
    child.stdin.take().unwrap().write_all(said.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (shown, notes) = (String::from_utf8_lossy(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{notes}");
    assert!(shown.contains("system: Be brief.\nuser: hello\nassistant: "), "{shown}");
    assert_eq!(shown.matches("system: Be long.").count(), 2, "{shown}");
    assert!(
        !shown.contains("never read") && !shown.contains("user: again"),
        "{shown}"
    );
    assert!(
        notes.contains("There is no /nonsense") && notes.contains("/system TEXT"),
        "{notes}"
    );

    let answers = {
        let mut child = command(&folder, &["chat", ".", "--max-tokens", "8", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"hello\nand then?").unwrap();
        child.wait_with_output().unwrap().stdout
    };
    let answers: Vec<Value> = text(&answers)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        answers.len() == 2 && answers.iter().all(|answer| answer["role"] == "assistant"),
        "{answers:?}"
    );
}

#[test]
fn texts_and_choices_are_judged() {
    let folder = model();
    fs::write(
        folder.path().join("text.txt"),
        "What a random model thinks of this text is nothing. ".repeat(8),
    )
    .unwrap();
    let judged = &lines(&folder, &["eval", ".", "--text", "text.txt", "--window", "64"])[0];
    assert_eq!((&judged["tokens"], &judged["bytes"]), (&json!(415), &json!(416)));
    let (perplexity, mean) = (
        judged["perplexity"].as_f64().unwrap(),
        judged["negative_log_likelihood"].as_f64().unwrap(),
    );
    assert!((perplexity - mean.exp()).abs() < 1e-9 && perplexity > 1.0, "{judged}");
    // In one window every token sees all before it, which no stride changes.
    let whole = |stride| {
        lines(
            &folder,
            &[
                "eval",
                ".",
                "--text",
                "short.txt",
                "--window",
                "200",
                "--stride",
                stride,
            ],
        )[0]
        .clone()
    };
    fs::write(folder.path().join("short.txt"), "All of it at once.").unwrap();
    assert_eq!(whole("10"), {
        let mut other = whole("150");
        other["stride"] = json!(10);
        other
    });

    let questions = [
        json!({ "question": "A", "choices": ["b", "b"], "answer": 0 }),
        json!({ "question": "A", "choices": ["b", "b", "b"], "answer": 2 }),
    ];
    fs::write(
        folder.path().join("questions.jsonl"),
        questions.map(|question| question.to_string()).join("\n"),
    )
    .unwrap();
    let judged = &lines(&folder, &["eval", ".", "--choices", "questions.jsonl"])[0];
    // Between equals the first is taken.
    assert_eq!((&judged["accuracy"], &judged["questions"]), (&json!(0.5), &json!(2)));
    assert!((judged["chance"].as_f64().unwrap() - 5.0 / 12.0).abs() < 1e-12);
}

#[test]
fn a_checkpoint_is_looked_over() {
    let folder = model();
    let output = etude(&folder, &["inspect", ".", "--tensors"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout).replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(shown);
    let found = &lines(&folder, &["inspect", "."])[0];
    let parameters: usize = weights().iter().map(|(_, _, entries)| entries.len()).sum();
    assert_eq!(found["parameters"], parameters);
    assert_eq!(found["tensors"].as_array().unwrap().len(), weights().len());
    assert_eq!(found["memory"]["weights"], 4 * parameters);
    assert_eq!(found["tokenizer"]["vocabulary"], VOCABULARY);
}

#[test]
fn bad_input_is_told() {
    let folder = model();
    let told = failure(&folder, &["generate", "nowhere/model", "x"], 2);
    assert!(told.contains("nowhere/model"), "{told}");
    let told = failure(&folder, &["generate", ".", &"long ".repeat(100)], 2);
    assert!(told.contains("256") && told.contains("--max-tokens"), "{told}");
    let told = failure(&folder, &["generate", ".", "x", "--top-p", "3"], 2);
    assert!(told.contains("top_p") && told.contains('3'), "{told}");
    let told = failure(&folder, &["generate", ".", ""], 2);
    assert!(told.contains("empty"), "{told}");
    fs::write(
        folder.path().join("q.jsonl"),
        "{\"question\": \"A\", \"choices\": [\"b\"], \"answer\": 0}",
    )
    .unwrap();
    let told = failure(&folder, &["eval", ".", "--choices", "q.jsonl"], 2);
    assert!(told.contains("line 1") && told.contains("choices"), "{told}");

    let mut broken = weights();
    broken[3].2[7] = f32::NAN;
    save(&folder, &broken);
    let told = failure(&folder, &["generate", ".", "x"], 2);
    assert!(told.contains(&broken[3].0) && told.contains("NaN"), "{told}");

    let file = folder.path().join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let told = failure(&folder, &["generate", ".", "x"], 2);
    assert!(told.contains("model.safetensors"), "{told}");

    fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    save(&folder, &weights());
    let told = failure(&folder, &["generate", ".", "x"], 2);
    assert!(told.contains("tokenizer.json"), "{told}");
}
