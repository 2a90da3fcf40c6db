//! What TRL 1.16 makes of the same records: `scripts/align_data_fixtures.py` asks it.

use std::collections::BTreeMap;

use etude_align::data::{
    ExampleTokenizer, Examples as _, LossOptions, PackingStrategy, Packs, Record, Tokenized, Truncation, TruncationMode,
};
use etude_lm::chat_template::{ChatTemplate, SpecialTokens};
use serde::Deserialize;
use serde_json::Value;

use crate::model::{parts, record, tokenizer};

#[derive(Deserialize)]
struct Fixture {
    templates: BTreeMap<String, String>,
    cases: Vec<Case>,
    prompts: Vec<Prompt>,
    packing: Vec<Packing>,
}

#[derive(Deserialize)]
struct Case {
    trainer: String,
    tokenizer: String,
    template: Option<String>,
    options: Options,
    rows: Vec<String>,
    /// What each row becomes: nothing where it is dropped, and otherwise one entry.
    expected: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct Options {
    max_length: Option<usize>,
    truncation_mode: Option<String>,
    #[serde(default = "yes")]
    completion_only_loss: bool,
    #[serde(default)]
    assistant_only_loss: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Prompt {
    row: String,
    expected: String,
}

#[derive(Deserialize)]
struct Packing {
    ids: Vec<Vec<u32>>,
    labels: Vec<Vec<i64>>,
    max_length: usize,
    packed: BTreeMap<String, TrlPacks>,
}

#[derive(Deserialize)]
struct TrlPacks {
    input_ids: Vec<Vec<u32>>,
    labels: Vec<Vec<i64>>,
    /// Absent where sequences are wrapped: TRL does not keep them apart.
    seq_lengths: Option<Vec<Vec<usize>>>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/data/trl.json")).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Labels, or a mask, as a loss mask: the first token of a sequence does not count.
fn loss(values: &Value, counts: impl Fn(i64) -> bool) -> Vec<bool> {
    let values: Vec<i64> = serde_json::from_value(values.clone()).unwrap();
    let counts = |(index, value): (usize, &i64)| index > 0 && counts(*value);
    values.iter().enumerate().map(counts).collect()
}

/// A record as TRL's trainer has it, in the fields of the fixture; none where it is dropped.
fn prepared(case: &Case, record: &Record, tokenizer: &ExampleTokenizer<'_>) -> Option<Vec<(Vec<u32>, Vec<bool>)>> {
    let truncation = Truncation {
        max_length: case.options.max_length,
        mode: match case.options.truncation_mode.as_deref() {
            None => TruncationMode::KeepStart,
            Some(name) => name.parse().unwrap(),
        },
    };
    let plain = |ids: &[u32]| (ids.to_vec(), Vec::new());
    let masked = |sequence: Tokenized| (sequence.ids, sequence.loss);
    Some(match case.trainer.as_str() {
        "sft" => {
            let options = LossOptions {
                completion_only_loss: case.options.completion_only_loss,
                assistant_only_loss: case.options.assistant_only_loss,
            };
            let sequence = tokenizer.language_modeling(record, &options).unwrap();
            let whole = truncation.max_length.is_none();
            vec![masked(if whole {
                sequence
            } else {
                sequence.truncated(&truncation)?
            })]
        }
        "dpo" => {
            let pair = tokenizer.preference(record).unwrap();
            let [chosen, rejected] = pair.sequences(&truncation)?;
            vec![
                plain(&pair.prompt),
                plain(&pair.chosen),
                plain(&pair.rejected),
                masked(chosen),
                masked(rejected),
            ]
        }
        "reward" => {
            let ranking = tokenizer.ranking(record).unwrap();
            let whole = ranking.sequences(truncation.max_length.unwrap_or(usize::MAX))?;
            whole.iter().map(|sequence| plain(&sequence.ids)).collect()
        }
        "kto" => {
            let answer = tokenizer.unpaired_preference(record).unwrap();
            answer.sequence(&truncation)?;
            let label = vec![u32::from(answer.label)];
            vec![plain(&answer.prompt), plain(&answer.completion), (label, Vec::new())]
        }
        other => panic!("{other}"),
    })
}

fn expected(trainer: &str, value: &Value) -> Vec<(Vec<u32>, Vec<bool>)> {
    let plain = |name: &str| (ids(&value[name]), Vec::new());
    match trainer {
        "sft" => vec![(ids(&value["ids"]), loss(&value["labels"], |label| label != -100))],
        "dpo" => {
            let cut = value["cut"].as_array().unwrap().iter();
            let cut = cut.map(|cut| (ids(&cut["ids"]), loss(&cut["mask"], |bit| bit == 1)));
            ["prompt", "chosen", "rejected"]
                .into_iter()
                .map(plain)
                .chain(cut)
                .collect()
        }
        "reward" => ["chosen", "rejected"].map(plain).to_vec(),
        _ => {
            let label = u32::from(value["label"].as_bool().unwrap());
            vec![plain("prompt"), plain("completion"), (vec![label], Vec::new())]
        }
    }
}

#[test]
fn trainers_get_the_tokens_and_masks_of_trl() {
    let fixture = fixture();
    let mut compared = 0;
    for case in &fixture.cases {
        let tokens = tokenizer(&case.tokenizer);
        let template = case
            .template
            .as_ref()
            .map(|name| ChatTemplate::new(&fixture.templates[name], SpecialTokens::default()).unwrap());
        let examples = ExampleTokenizer::new(&tokens, template.as_ref());
        for (line, told) in case.rows.iter().zip(&case.expected) {
            let found = prepared(case, &record(line), &examples);
            let told = told.first().map(|value| expected(&case.trainer, value));
            assert_eq!(found, told, "{} {:?} {line}", case.trainer, case.template);
            compared += 1;
        }
    }
    assert!(compared > 150, "{compared}");
}

#[test]
fn an_implicit_prompt_is_that_of_trl() {
    for Prompt { row, expected } in fixture().prompts {
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let told = ["prompt", "chosen", "rejected"].map(|name| expected[name].clone());
        assert_eq!(parts(&record(&row).example), told, "{row}");
    }
}

#[test]
fn packs_are_those_of_trl() {
    for case in fixture().packing {
        let sequence = |(ids, labels): (&Vec<u32>, &Vec<i64>)| Tokenized {
            ids: ids.clone(),
            loss: labels.iter().map(|label| *label != -100).collect(),
            lost_prompt: Vec::new(),
        };
        let sequences: Vec<Tokenized> = case.ids.iter().zip(&case.labels).map(sequence).collect();
        for (name, told) in &case.packed {
            let strategy: PackingStrategy = name.parse().unwrap();
            let packs = Packs::new(sequences.clone(), case.max_length, strategy).unwrap();
            let found: Vec<_> = packs.examples().map(Result::unwrap).collect();
            let ids: Vec<_> = found.iter().map(|pack| pack.ids.clone()).collect();
            assert_eq!(ids, told.input_ids, "{name} {}", case.max_length);
            for (index, pack) in found.iter().enumerate() {
                let lengths: Vec<usize> = pack.offsets.windows(2).map(|ends| ends[1] - ends[0]).collect();
                if let Some(told) = &told.seq_lengths {
                    assert_eq!(lengths, told[index]);
                }
                let mut loss: Vec<bool> = told.labels[index].iter().map(|label| *label != -100).collect();
                for &start in &pack.offsets[..pack.offsets.len() - 1] {
                    loss[start] = false;
                }
                assert_eq!(pack.loss, loss);
            }
        }
    }
}
