//! Files that are wrong: the error names the file, the record and the field.

use std::fs;
use std::path::PathBuf;

use etude_align::AlignError;
use etude_align::data::{DataFiles, DataOptions, ExampleTokenizer, Format, LossOptions};
use etude_lm::chat_template::{ChatTemplate, SpecialTokens};
use serde_json::{Value, json};

use crate::model::{failure, read, read_with, record, tokenizer};

#[test]
fn fields_are_named_with_what_they_hold() {
    let user = json!({ "role": "user", "content": "a" });
    for (line, expected) in [
        (
            json!({ "prompt": "a", "completion": "b", "label": "maybe" }),
            "\"label\" is \"maybe\", expected true or false",
        ),
        (
            json!({ "prompt": "a", "completion": "b", "label": 2 }),
            "\"label\" is 2, expected true or false",
        ),
        (
            json!({ "prompt": "a", "label": true }),
            "\"completion\" is missing, expected text, or a list of messages",
        ),
        (
            json!({ "prompt": "a", "chosen": "b" }),
            "\"rejected\" is missing, expected text, or a list of messages",
        ),
        (
            json!({ "prompt": 7, "completion": "b" }),
            "\"prompt\" is 7, expected text, or a list of messages",
        ),
        (json!({ "text": ["a"] }), "\"text\" is [\"a\"], expected text"),
        (
            json!({ "prompt": [user], "completion": "b" }),
            "\"prompt\" is a list of messages and \"completion\" is text, expected both to be of one kind",
        ),
        (
            json!({ "messages": [] }),
            "\"messages\" is [], expected a list of messages, each an object with role and content",
        ),
        (
            json!({ "messages": ["a"] }),
            "\"messages[0]\" is \"a\", expected a message with role and content",
        ),
        (
            json!({ "messages": [user, { "content": "b" }] }),
            "\"messages[1].role\" is missing, expected who says it, such as user or assistant",
        ),
        (
            json!({ "messages": [{ "role": "user" }] }),
            "\"messages[0].content\" is missing, expected text, or a list of parts",
        ),
        (
            json!({ "messages": [{ "role": "assistant", "content": "a", "weight": 0.5 }] }),
            "\"messages[0].weight\" is 0.5, expected 0 or 1",
        ),
        (
            json!({ "conversations": [{ "from": "narrator", "value": "a" }] }),
            "\"conversations[0].from\" is \"narrator\", expected human, user, gpt, chatgpt, assistant, model, system, tool or \
             observation",
        ),
        (
            json!({ "chosen": "ab", "rejected": "ac", "margin": "wide" }),
            "\"margin\" is \"wide\", expected a finite number",
        ),
        (
            json!({ "prompt": "a", "tools": "{" }),
            "\"tools\" is \"{\", expected a list of tools, each a JSON schema",
        ),
        (
            json!({ "prompt": "a", "chat_template_kwargs": [1] }),
            "\"chat_template_kwargs\" is [1], expected an object with variables of the chat template",
        ),
        (
            json!({ "instruction": "a", "output": "b", "history": ["c"] }),
            "\"history\" is \"c\", expected a list of pairs, each what was asked and what was answered",
        ),
        (
            json!({ "question": "a", "answer": "b" }),
            "no format has its columns (answer, question), expected text, messages, conversations, prompt, completion, chosen and \
             rejected, or instruction and output; columns can be given these names",
        ),
        (json!([1]), "it is [1], expected an object with columns as fields"),
    ] {
        assert_eq!(
            failure("train.jsonl", line.to_string()),
            format!("train.jsonl, record 1: {expected}"),
            "{line}"
        );
    }
}

#[test]
fn the_record_is_named_by_its_line_or_its_place() {
    let good = "{\"prompt\": \"a\", \"completion\": \"b\", \"label\": true}";
    let bad = "{\"prompt\": \"a\", \"completion\": \"b\", \"label\": \"maybe\"}";
    let lines = format!("{good}\n\n{bad}\n{good}\n{{\"prompt\"\n{good}");
    let told: Vec<Option<String>> = read("train.jsonl", lines)
        .into_iter()
        .map(|record| record.err().map(|error| error.to_string()))
        .collect();
    assert_eq!(
        told,
        [
            None,
            Some("train.jsonl, record 3: \"label\" is \"maybe\", expected true or false".into()),
            None,
            Some("train.jsonl, record 5: it is no JSON: EOF while parsing an object at line 1 column 9".into()),
            None,
        ]
    );
    let array = read("train.json", format!("[{good}, {bad}, {good}]"));
    assert!(
        array[1]
            .as_ref()
            .unwrap_err()
            .to_string()
            .starts_with("train.json, record 2: \"label\"")
    );
    assert!(array[2].is_ok());
    let cells = read("train.csv", "prompt,completion,label\na,\"b\nb\",true\nc,d\ne,f,true\n");
    let error = cells[1].as_ref().unwrap_err().to_string();
    assert_eq!(
        error,
        "train.csv, record 2: it has 2 cells, expected 3 as in the header"
    );
    assert!(cells[0].is_ok() && cells[2].is_ok());
}

#[test]
fn a_record_without_end_is_an_error() {
    for (name, start, rest) in [
        ("a.jsonl", "{\"text\": \"", "a"),
        ("a.json", "[{\"text\": \"", "a"),
        ("a.csv", "text\n\"", "a"),
    ] {
        let bytes = [start.as_bytes(), rest.repeat(65 << 20).as_bytes()].concat();
        let error = failure(name, bytes);
        assert_eq!(
            error,
            format!("{name}, record 1: it has more than 64 MiB, expected records of a dataset")
        );
        assert_eq!(read(name, format!("{start}{rest}")).len(), 1);
    }
}

#[test]
fn arrays_that_are_broken_off_say_where() {
    for (text, expected) in [
        (
            "[{\"text\": \"a\"}, {\"te",
            "record 2: the file ends within it, expected the ] of the array",
        ),
        (
            "[{\"text\": \"a\"}",
            "record 1: the file ends within it, expected the ] of the array",
        ),
        (
            "[{\"text\": \"a\"} {\"text\": \"b\"}]",
            "record 1: it is no JSON: trailing characters at line 1 column 15",
        ),
    ] {
        let last = read("a.json", text).pop().unwrap().unwrap_err().to_string();
        assert_eq!(last, format!("a.json, {expected}"), "{text}");
    }
    assert!(read("a.json", "[]").is_empty() && read("a.jsonl", "\n \n").is_empty() && read("a.csv", "").is_empty());
}

#[test]
fn files_and_folders_that_hold_no_data_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let fails = |path: PathBuf| match DataFiles::find(std::slice::from_ref(&path)) {
        Ok(files) => files.records(&DataOptions::default()).next().unwrap().unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(fails(path("none.jsonl")), AlignError::Read { .. }));
    let empty = fails(folder.path().to_owned()).to_string();
    assert!(
        empty.contains("there are no data in this folder, expected files that end in .jsonl"),
        "{empty}"
    );
    fs::write(path("a.txt"), "a").unwrap();
    let unknown = fails(path("a.txt")).to_string();
    assert!(
        unknown.contains("a.txt: the name does not say how it is written"),
        "{unknown}"
    );
    for (name, bytes) in [
        ("a.parquet", &b"PAR1 no PAR1"[..]),
        ("b.parquet", b""),
        ("a.jsonl.gz", b"no gzip"),
    ] {
        fs::write(path(name), bytes).unwrap();
        let error = fails(path(name)).to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn damaged_parquet_is_an_error() {
    let sound = include_bytes!("../fixtures/data/conversations.parquet");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let files = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let files = DataFiles::find(std::slice::from_ref(&path)).unwrap();
        files.records(&DataOptions::default()).collect::<Vec<_>>()
    };
    for length in (0..sound.len()).step_by(97) {
        assert!(files(&sound[..length]).iter().any(Result::is_err), "{length}");
    }
    // Nothing else is asked of a file in which a byte is wrong than to end.
    for place in (0..sound.len()).step_by(41) {
        let mut bytes = sound.to_vec();
        bytes[place] ^= 0x55;
        assert!(files(&bytes).len() < 100);
    }
}

#[test]
fn a_model_that_cannot_take_a_record_is_told_which() {
    let tokens = tokenizer("qwen_2");
    let conversation = record(r#"{"messages": [{"role": "user", "content": "a"}]}"#);
    let options = LossOptions::default();
    let refuse = |template: Option<&ChatTemplate>, options: &LossOptions, record| {
        let examples = ExampleTokenizer::new(&tokens, template);
        examples.language_modeling(record, options).unwrap_err().to_string()
    };
    assert_eq!(
        refuse(None, &options, &conversation),
        "a.jsonl, record 1: the model has no chat template; expected chat_template.jinja or the key chat_template beside it"
    );
    let template = |source| ChatTemplate::new(source, SpecialTokens::default()).unwrap();
    let raises = template("{{ raise_exception('roles must alternate') }}");
    assert_eq!(
        refuse(Some(&raises), &options, &conversation),
        "a.jsonl, record 1: the chat template refuses the conversation: roles must alternate"
    );
    let assistant_only = LossOptions {
        assistant_only_loss: true,
        ..options
    };
    let silent = template("{% for message in messages %}{{ message.content }}{% endfor %}");
    assert_eq!(
        refuse(Some(&silent), &assistant_only, &conversation),
        "a.jsonl, record 1: the assistant says nothing in it that counts, expected at least one answer"
    );
    let answered = record(r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#);
    let backwards = template("{% for message in messages | reverse %}{{ message.content }}{% endfor %}");
    let error = refuse(Some(&backwards), &assistant_only, &answered);
    assert!(
        error.contains("the chat template does not show what the assistant says"),
        "{error}"
    );
    let pair = record(r#"{"chosen": "ab", "rejected": "ac"}"#);
    assert_eq!(
        refuse(None, &options, &pair),
        "a.jsonl, record 1: it is of the kind preference, expected language modeling, or prompt and completion"
    );
}

#[test]
fn a_format_that_is_said_is_the_one_that_is_read() {
    let options = DataOptions {
        format: Some("preference".parse().unwrap()),
        ..DataOptions::default()
    };
    let error = read_with("a.jsonl", json!({ "text": "a" }).to_string(), &options)
        .remove(0)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "a.jsonl, record 1: \"chosen\" is missing, expected text, or a list of messages"
    );
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
        // Nothing that is wrong for it makes it do more than say so.
        for value in [
            json!({}),
            json!({ "messages": 1, "chosen": 1, "input": 1, "conversations": 1, "instruction": 1, "text": 1 }),
        ] {
            let options = DataOptions {
                format: Some(format),
                ..DataOptions::default()
            };
            assert!(
                read_with("a.jsonl", value.to_string(), &options)[0].is_err(),
                "{format}"
            );
        }
    }
    assert!(
        "parquet"
            .parse::<Format>()
            .unwrap_err()
            .contains("language-modeling, prompt-only")
    );
    let columns = DataOptions {
        columns: vec![("prompt".into(), "question".into())],
        ..DataOptions::default()
    };
    let line: Value = json!({ "prompt": "a" });
    let error = read_with("a.jsonl", line.to_string(), &columns).remove(0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a.jsonl, record 1: \"question\" is missing, expected the column that the settings name"
    );
}
