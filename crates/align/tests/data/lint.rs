//! What the lint finds, and what it leaves alone.

use std::path::Path;

use etude_align::data::lint::{Check, LintModel, LintOptions, LintReport, PieceKind, Severity, lint};
use etude_align::data::{DataOptions, Records, Truncation};
use etude_lm::chat_template::{ChatTemplate, SpecialTokens};
use serde_json::{Value, json};

use crate::model::tokenizer;

const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n\
                      {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

fn look(lines: &[Value], template: Option<&str>, stop: &str, options: &LintOptions) -> LintReport {
    let tokens = tokenizer("qwen_2");
    let template = template.map(|source| ChatTemplate::new(source, SpecialTokens::default()).unwrap());
    let model = LintModel {
        tokenizer: &tokens,
        chat_template: template.as_ref(),
        stop_tokens: &[tokens.token_id(stop).unwrap()],
        context: 256,
    };
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let mut records = Records::of_bytes(
        Path::new("a.jsonl"),
        lines.join("\n").into_bytes(),
        &DataOptions::default(),
    );
    lint(&mut records, &model, options, |_| true).unwrap()
}

fn look_at(lines: &[Value]) -> LintReport {
    look(lines, Some(CHATML), "<|im_end|>", &LintOptions::default())
}

/// What was found, with how often.
fn found(report: &LintReport) -> Vec<(Check, Severity, usize, usize)> {
    let findings = report.findings.iter();
    findings
        .map(|finding| (finding.check, finding.severity, finding.count, finding.of))
        .collect()
}

fn answer(question: &str, answer: &str) -> Value {
    json!({
        "prompt": [{ "role": "user", "content": question }],
        "completion": [{ "role": "assistant", "content": answer }],
    })
}

#[test]
fn sound_data_are_left_alone() {
    let report = look_at(&[
        answer("one", "two"),
        answer("three", "four"),
        json!({
            "prompt": [{ "role": "user", "content": "five" }], "completion": [{ "role": "assistant", "content": "six" }], "score": 1,
        }),
    ]);
    assert_eq!(found(&report), []);
    assert!(!report.is_ruinous());
    assert_eq!((report.records, report.format), (3, Some("prompt-completion")));
    assert_eq!(report.other_columns, ["score"]);
    assert_eq!(report.tokens.sequences, 3);
    assert!(report.tokens.supervised < report.tokens.total);
}

#[test]
fn answers_that_do_not_stop_ruin_a_run() {
    let report = look(
        &[answer("one", "two")],
        Some(CHATML),
        "<|endoftext|>",
        &LintOptions::default(),
    );
    assert_eq!(found(&report), [(Check::StopToken, Severity::Error, 1, 1)]);
    // The end is there, and the model does not learn it.
    let open = CHATML.replace(
        "<|im_end|>\n{% endfor",
        "{% if message.role == 'user' %}<|im_end|>\n{% endif %}{% endfor",
    );
    let report = look(
        &[answer("one", "two")],
        Some(&open),
        "<|im_end|>",
        &LintOptions::default(),
    );
    assert_eq!(found(&report), [(Check::StopToken, Severity::Error, 1, 1)]);
}

#[test]
fn what_most_records_have_ruins_a_run_and_what_few_have_does_not() {
    let sound: Vec<Value> = (0..8)
        .map(|index| answer(&format!("question {index}"), "yes"))
        .collect();
    let bad = [answer("one", " "), answer("one", " "), json!({ "prompt": 1 })];
    let report = look_at(&[&sound[..], &bad[..2]].concat());
    assert_eq!(
        found(&report),
        [
            (Check::EmptyCompletion, Severity::Warning, 2, 10),
            (Check::Duplicate, Severity::Warning, 1, 10),
        ]
    );
    let report = look_at(&[&sound[..1], &bad[..]].concat());
    assert_eq!(
        found(&report),
        [
            (Check::Unreadable, Severity::Error, 1, 4),
            (Check::EmptyCompletion, Severity::Error, 2, 3),
            (Check::Duplicate, Severity::Warning, 1, 3),
        ]
    );
    let first = report.findings[0].first.as_deref().unwrap();
    assert!(first.starts_with("a.jsonl, record 4: \"prompt\" is 1"), "{first}");
}

#[test]
fn pairs_without_a_difference_or_with_a_bias_are_seen() {
    let pair = |index: usize, chosen: &str, rejected: &str| json!({ "prompt": format!("Question {index}:"), "chosen": chosen, "rejected": rejected });
    let long = "a long answer with many words in it";
    let pairs: Vec<Value> = (0..20).map(|index| pair(index, long, "no")).collect();
    let report = look_at(&pairs);
    assert_eq!(found(&report), [(Check::ChosenLonger, Severity::Warning, 20, 20)]);
    let lengths = report.pairs.unwrap();
    assert!(lengths.chosen_tokens > lengths.rejected_tokens && lengths.chosen_longer > 0.99);
    let pairs: Vec<Value> = (0..20).map(|index| pair(index, "no", long)).collect();
    assert_eq!(
        found(&look_at(&pairs)),
        [(Check::ChosenShorter, Severity::Warning, 20, 20)]
    );
    let report = look_at(&[pair(1, "same", "same"), pair(2, "one", "two")]);
    assert_eq!(found(&report), [(Check::IdenticalPair, Severity::Warning, 1, 2)]);
    // A prompt in which nothing is asked.
    let report = look_at(&[json!({ "chosen": "yes", "rejected": "no" })]);
    assert_eq!(found(&report), [(Check::EmptyPrompt, Severity::Error, 1, 1)]);
}

#[test]
fn labels_that_are_all_the_same_ruin_a_run() {
    let labelled = |label: bool, prompt: &str| json!({ "prompt": prompt, "completion": " yes", "label": label });
    let report = look_at(&[labelled(true, "a"), labelled(true, "b")]);
    assert_eq!(found(&report), [(Check::OneLabel, Severity::Error, 2, 2)]);
    let report = look_at(&[labelled(true, "a"), labelled(false, "b")]);
    assert_eq!(found(&report), []);
    let labels = report.labels.unwrap();
    assert_eq!((labels.desirable, labels.undesirable), (1, 1));
}

#[test]
fn truncation_is_told_by_what_it_loses() {
    let options = |length: usize| LintOptions {
        truncation: Truncation {
            max_length: Some(length),
            ..Truncation::default()
        },
        shown: 1,
        ..LintOptions::default()
    };
    let lines = [answer("one", "an answer that is rather long"), answer("two", "yes")];
    let whole = look_at(&lines);
    let cut = look(&lines, Some(CHATML), "<|im_end|>", &options(whole.tokens.longest - 2));
    // One of two is no majority.
    assert_eq!(
        found(&cut),
        [
            (Check::StopTokenCut, Severity::Warning, 1, 2),
            (Check::Truncated, Severity::Warning, 1, 2),
        ]
    );
    assert_eq!(
        (
            cut.truncation.sequences,
            cut.truncation.tokens,
            cut.truncation.supervised
        ),
        (1, 2, 2)
    );
    let kinds: Vec<PieceKind> = cut.shown[0].sequences[0]
        .pieces
        .iter()
        .map(|piece| piece.kind)
        .collect();
    assert_eq!(kinds, [PieceKind::Context, PieceKind::Supervised, PieceKind::Cut]);
    assert_eq!(cut.shown[0].sequences[0].pieces[2].text, "<|im_end|>\n");
    let nothing = look(&lines, Some(CHATML), "<|im_end|>", &options(2));
    assert!(found(&nothing).contains(&(Check::NothingLeft, Severity::Error, 2, 2)));
    let long = answer("one", &"word ".repeat(300));
    let beyond = look(&[long], Some(CHATML), "<|im_end|>", &options(1024));
    assert!(found(&beyond).contains(&(Check::Context, Severity::Error, 1, 1)));
}

#[test]
fn a_prompt_that_changes_before_an_answer_is_seen() {
    let thinking = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif");
    let report = look(
        &[answer("one", "two")],
        Some(&thinking),
        "<|im_end|>",
        &LintOptions::default(),
    );
    assert_eq!(found(&report), [(Check::PromptDiffers, Severity::Warning, 1, 1)]);
}

#[test]
fn what_the_model_does_not_take_ruins_a_run() {
    let report = look(&[answer("one", "two")], None, "<|im_end|>", &LintOptions::default());
    assert_eq!(found(&report), [(Check::Refused, Severity::Error, 1, 1)]);
    assert!(
        report.findings[0]
            .first
            .as_ref()
            .unwrap()
            .contains("the model has no chat template")
    );
    let report = look_at(&[]);
    assert_eq!(found(&report).len(), 1);
    assert_eq!(report.findings[0].check, Check::NoRecords);
    assert!(report.is_ruinous());
}

#[test]
fn text_that_comes_back_otherwise_is_seen() {
    // The tokenizer composes letters.
    let report = look_at(&[json!({ "text": "cafe\u{301}" })]);
    assert_eq!(found(&report), [(Check::RoundTrip, Severity::Warning, 1, 1)]);
}

#[test]
fn rankings_are_looked_over_pair_by_pair() {
    let assistant = |answer: &str| json!([{ "role": "assistant", "content": answer }]);
    let ranking = |question: &str, answers: &[&str]| {
        let completions: Vec<Value> = answers.iter().map(|answer| assistant(answer)).collect();
        json!({ "prompt": [{ "role": "user", "content": question }], "completions": completions })
    };
    let sound = [
        ranking("one", &["two", "three", "four"]),
        ranking("five", &["six", "seven"]),
    ];
    let options = LintOptions {
        shown: 1,
        ..LintOptions::default()
    };
    let report = look(&sound, Some(CHATML), "<|im_end|>", &options);
    assert_eq!((report.format, report.tokens.sequences), (Some("ranking"), 5));
    assert_eq!(found(&report), []);
    let names: Vec<&str> = report.shown[0].sequences.iter().map(|shown| shown.name).collect();
    assert_eq!(names, ["best", "next best", "next best"]);
    let report = look_at(&[ranking("one", &["two", "three", "two"]), ranking("five", &["six", " "])]);
    assert_eq!(
        found(&report),
        [
            (Check::EmptyCompletion, Severity::Warning, 1, 2),
            (Check::IdenticalPair, Severity::Warning, 1, 2),
        ]
    );
    // Of each ranking's six pairs all have the longer answer first.
    let long: Vec<Value> = (0..10)
        .map(|index| {
            ranking(
                &index.to_string(),
                &["one two three four", "one two three", "one two", "one"],
            )
        })
        .collect();
    assert_eq!(
        found(&look_at(&long)),
        [(Check::ChosenLonger, Severity::Warning, 60, 60)]
    );
}
