//! The same records from files of every kind.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use etude_align::data::{DataFiles, DataOptions, Example, Format, Record};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::model::{parts, read};

const LINES: &str = "{\"prompt\": \"The sky is\", \"completion\": \" blue, \\\"very\\\" blue.\"}\n\n\
                     {\"prompt\": \"Zwei\\nZeilen [{\", \"completion\": \"}], ja\"}\n";
const ARRAY: &str = " [ {\"prompt\": \"The sky is\", \"completion\": \" blue, \\\"very\\\" blue.\"} ,\n\
                     {\"prompt\": \"Zwei\\nZeilen [{\", \"completion\": \"}], ja\"}\n ] ";
const CELLS: &str =
    "prompt,completion\r\nThe sky is,\" blue, \"\"very\"\" blue.\"\r\n\"Zwei\nZeilen [{\",\"}], ja\"\r\n";

fn found(path: &Path) -> Vec<Vec<Value>> {
    let files = DataFiles::find(&[path.to_owned()]).unwrap();
    let records = files.records(&DataOptions::default());
    records.map(|record| parts(&record.unwrap().example)).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_container_holds_the_same_records() {
    let folder = tempfile::tempdir().unwrap();
    let expected = [
        [json!("The sky is"), json!(" blue, \"very\" blue.")],
        [json!("Zwei\nZeilen [{"), json!("}], ja")],
    ];
    for (name, text) in [
        ("a.jsonl", LINES),
        ("a.ndjson", LINES),
        ("a.json", ARRAY),
        ("lines.json", LINES),
        ("a.csv", CELLS),
    ] {
        for (name, bytes) in [
            (name.to_owned(), text.as_bytes().to_vec()),
            (format!("{name}.gz"), gzip(text)),
            // Two files of gzip side by side are one, as `cat` makes them.
            (
                format!("joined.{name}.gz"),
                [gzip(&text[..40]), gzip(&text[40..])].concat(),
            ),
            (format!("marked.{name}"), [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            assert_eq!(found(&path), expected, "{}", path.display());
        }
    }
}

#[test]
fn parquet_has_conversations_and_numbers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/conversations.parquet");
    let files = DataFiles::find(&[path]).unwrap();
    let mut records = files.records(&DataOptions::default());
    let records: Vec<Record> = records.by_ref().map(Result::unwrap).collect();
    let [first, second] = &records[..] else {
        panic!("{records:?}")
    };
    let said = |role: &str, content: &str| json!([{ "role": role, "content": content }]);
    assert_eq!(
        parts(&first.example),
        [
            said("user", "What is the reward signal?"),
            said("assistant", "It is what the agent maximises."),
            said("assistant", "No idea, ask the lazy dog"),
        ]
    );
    assert_eq!((first.margin, second.margin), (Some(0.5), None));
    assert_eq!(first.other.len(), 1);
    assert_eq!(first.other[0].0, "score");
    assert_eq!(serde_json::to_value(&second.other[0].1).unwrap(), -1);
    assert_eq!((first.place.record, second.place.record), (1, 2));
}

#[test]
fn a_folder_is_read_by_name_and_files_as_given() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("b.jsonl", "{\"text\": \"b\"}\n");
    write("a.json", "[{\"text\": \"a\"}]");
    write("README.md", "no data");
    fs::create_dir(folder.path().join("c.jsonl")).unwrap();
    assert_eq!(found(folder.path()), [[json!("a")], [json!("b")]]);
    let named: Vec<PathBuf> = ["b.jsonl", "a.json"].map(|name| folder.path().join(name)).to_vec();
    let files = DataFiles::find(&named).unwrap();
    assert_eq!(files.paths().collect::<Vec<_>>(), named);
    let mut records = files.records(&DataOptions::default());
    assert_eq!(records.format(), None);
    let last = records.by_ref().last().unwrap().unwrap();
    assert_eq!((last.place.file.ends_with("a.json"), last.place.record), (true, 1));
    assert_eq!(records.format(), Some(Format::LanguageModeling));
}

#[test]
fn columns_can_be_given_other_names() {
    let options = DataOptions {
        format: None,
        columns: vec![
            ("instruction".into(), "question".into()),
            ("output".into(), "answer".into()),
        ],
    };
    let line = json!({ "question": "1 + 1?", "answer": "2", "output": "not this" });
    let records = crate::model::read_with("a.jsonl", line.to_string(), &options);
    let record = records.into_iter().next().unwrap().unwrap();
    assert!(matches!(record.example, Example::PromptCompletion { .. }));
    assert_eq!(
        parts(&record.example),
        [
            json!([{ "role": "user", "content": "1 + 1?" }]),
            json!([{ "role": "assistant", "content": "2" }])
        ]
    );
}

#[test]
fn cells_of_csv_can_be_conversations() {
    let cells = "messages,margin\n\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"Hello\"\"}]\",\n";
    let record = read("a.csv", cells).remove(0).unwrap();
    assert_eq!(
        parts(&record.example),
        [json!([{ "role": "user", "content": "Hello" }])]
    );
    assert_eq!(record.margin, None);
    let labels = "prompt,completion,label\na,b,True\nc,d,false\n";
    let label = |record: Record| matches!(record.example, Example::UnpairedPreference { label: true, .. });
    let labels: Vec<bool> = read("a.csv", labels)
        .into_iter()
        .map(|record| label(record.unwrap()))
        .collect();
    assert_eq!(labels, [true, false]);
}

/// Bytes of every shape: those of formats as often as any others.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(
            &[
                "{",
                "}",
                "[",
                "]",
                ",",
                ":",
                "\"",
                "\\",
                "\n",
                " ",
                "null",
                "true",
                "1",
                "\"prompt\"",
                "\"text\":\"a\"",
                "{\"text\":\"a\"}",
                "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
                "prompt,completion\n",
                "\u{feff}",
            ][..]
        )
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_records_or_errors(bytes in bytes(), name in prop::sample::select(&["a.jsonl", "a.json", "a.csv"][..])) {
        let records = read(name, bytes.clone());
        prop_assert!(records.len() <= bytes.len() + 1);
        for error in records.into_iter().filter_map(Result::err) {
            prop_assert!(error.to_string().starts_with("a."), "{error}");
        }
    }

    #[test]
    fn lines_and_arrays_hold_the_same(texts in prop::collection::vec("\\PC{0,12}", 1..8)) {
        let objects: Vec<String> = texts.iter().map(|text| json!({ "text": text, "n": [1, { "k": text }] }).to_string()).collect();
        let lines = read("a.jsonl", objects.join("\n"));
        let array = read("a.json", format!("[{}]", objects.join(" ,\n")));
        let said = |records: Vec<Result<Record, _>>| -> Vec<_> {
            records.into_iter().map(|record: Result<Record, etude_align::AlignError>| parts(&record.unwrap().example)).collect()
        };
        let expected: Vec<Vec<Value>> = texts.iter().map(|text| vec![json!(text)]).collect();
        prop_assert_eq!(said(lines), expected.clone());
        prop_assert_eq!(said(array), expected);
    }
}
