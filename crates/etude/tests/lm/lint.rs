//! `etude lm lint` as its users see it.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{command, etude, failure, lines, model, text};

/// A folder with the model, and these records in data.jsonl.
fn data(records: &[Value]) -> TempDir {
    let folder = model();
    let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
    fs::write(folder.path().join("data.jsonl"), lines.join("\n")).unwrap();
    folder
}

fn answer(question: &str, answer: &str) -> Value {
    json!({
        "prompt": [{ "role": "user", "content": question }],
        "completion": [{ "role": "assistant", "content": answer }],
        "source": "book",
    })
}

#[test]
fn sound_data_are_shown_and_counted() {
    let folder = data(&[
        answer("Who?", "Chopin."),
        answer("What?", "Études."),
        answer("How many?", "27."),
    ]);
    let output = etude(&folder, &["lint", "data.jsonl", "--model", ".", "--show", "2"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    insta::assert_snapshot!(text(&output.stdout));
    let report = &lines(&folder, &["lint", "data.jsonl", "--model", "."])[0];
    assert_eq!((&report["records"], &report["findings"]), (&json!(3), &json!([])));
    assert_eq!(
        report["shown"][0]["sequences"][0]["pieces"][1]["text"],
        "Chopin.<|im_end|>\n"
    );
}

#[test]
fn what_would_ruin_a_run_is_told_with_its_place() {
    let pair = |prompt: &str, chosen: &str, rejected: &str| json!({ "prompt": prompt, "chosen": chosen, "rejected": rejected });
    let folder = data(&[
        pair(
            "Who wrote the études?",
            " Chopin did, in two books of twelve.",
            " Liszt.",
        ),
        pair("Who?", " Chopin.", " Chopin."),
        pair("Who?", " Chopin.", " Chopin."),
        json!({ "prompt": "And when?", "chosen": "1833" }),
    ]);
    let arguments = [
        "lint",
        "data.jsonl",
        "--model",
        ".",
        "--max-length",
        "40",
        "--show",
        "1",
    ];
    let output = etude(&folder, &arguments);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(format!("{}\n{}", text(&output.stdout), text(&output.stderr)));
    let json = command(&folder, &[&arguments[..], &["--json"]].concat())
        .output()
        .unwrap();
    assert_eq!(json.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["findings"][0]["check"], "unreadable");
    assert_eq!(report["findings"][0]["severity"], "error");
}

#[test]
fn columns_can_be_named() {
    let folder = data(&[json!({ "question": "1 + 1?", "answer": "2" })]);
    let columns = "instruction=question,output=answer";
    let report = &lines(&folder, &["lint", "data.jsonl", "--model", ".", "--columns", columns])[0];
    assert_eq!((&report["format"], &report["findings"]), (&json!("alpaca"), &json!([])));
    let told = failure(
        &folder,
        &["lint", "data.jsonl", "--model", ".", "--columns", "question"],
        2,
    );
    assert!(told.contains("expected NAME=COLUMN"), "{told}");
}

#[test]
fn data_that_cannot_be_opened_are_bad_input() {
    let folder = data(&[]);
    fs::write(folder.path().join("pairs.parquet"), "no Parquet").unwrap();
    for (arguments, expected) in [
        (&["nowhere.jsonl"][..], "cannot read nowhere.jsonl"),
        (&["config.toml"], "config.toml"),
        (
            &["pairs.parquet"],
            "pairs.parquet: after record 0: it is no Parquet that can be read",
        ),
        (
            &["data.jsonl", "--format", "chat"],
            "no format is called \"chat\", expected language-modeling",
        ),
        (
            &["data.jsonl", "--truncation-mode", "middle"],
            "expected keep_start or keep_end",
        ),
    ] {
        let told = failure(&folder, &[&["lint", "--model", "."], arguments].concat(), 2);
        assert!(told.contains(expected), "{told}");
    }
}
