//! Records to train on, and their tokens. The first byte says what kind of file follows, the second which format its columns have.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use etude_align::data::{
    DataOptions, Example, ExampleTokenizer, Examples, Format, LossOptions, PackingStrategy, Packs, Record, Records,
    StoredExamples, Tokenized, Truncation, TruncationMode,
};
use etude_align::ppo::Question;
use etude_lm::chat_template::{ChatTemplate, SpecialTokens};
use etude_lm::tokenizer::Tokenizer;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    let fixture = include_str!("../../crates/lm/tests/fixtures/tokenizer/qwen_2.json");
    let fixture: Value = serde_json::from_str(fixture).expect("a fixture");
    Tokenizer::from_json(fixture["tokenizer"].to_string().as_bytes())
        .expect("a fixture")
        .with_config(&json!({ "eos_token": "<|im_end|>" }))
});

static TEMPLATE: LazyLock<ChatTemplate> = LazyLock::new(|| {
    let source = "{% if tools %}{{ tools | tojson }}{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}\n\
                  {% if message.content is string %}{{ message.content }}{% else %}{{ message | tojson }}{% endif %}<|im_end|>\n\
                  {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    ChatTemplate::new(source, SpecialTokens::default()).expect("a template")
});

fuzz_target!(|bytes: &[u8]| {
    let [kind, format, file @ ..] = bytes else { return };
    let name = ["a.jsonl", "a.json", "a.csv"][usize::from(kind % 3)];
    let options = DataOptions {
        format: Format::ALL.get(usize::from(format % 16)).copied(),
        ..DataOptions::default()
    };
    let examples = ExampleTokenizer::new(&TOKENIZER, Some(&TEMPLATE));
    let mut sequences = Vec::new();
    for record in Records::of_bytes(Path::new(name), file.to_vec(), &options) {
        match record {
            Ok(record) => {
                sequences.extend(tokens(&examples, &record, kind & 64 != 0));
                stored(record);
            }
            Err(error) => assert!(error.to_string().contains(name)),
        }
    }
    for sequence in &sequences {
        assert_eq!(sequence.ids.len(), sequence.loss.len());
        assert!(sequence.loss.first() != Some(&true));
        assert!(sequence.ids.iter().all(|id| (*id as usize) < TOKENIZER.vocabulary_size()));
    }
    for strategy in PackingStrategy::ALL {
        let packs = Packs::new(sequences.clone(), 16, strategy).expect("16 is a length");
        let packs: Vec<_> = packs.examples().map(|pack| pack.expect("they are in memory")).collect();
        let most = if strategy == PackingStrategy::Bfd { 16 } else { usize::MAX };
        let kept: usize = sequences.iter().map(|sequence| sequence.ids.len().min(most)).sum();
        assert_eq!(packs.iter().map(|pack| pack.ids.len()).sum::<usize>(), kept);
        assert!(packs.iter().all(|pack| pack.ids.len() <= 16 && pack.offsets.is_sorted()));
    }
});

/// A record is found again as it was.
fn stored(record: Record) {
    let question = Question {
        tokens: Vec::new(),
        text: String::new(),
        record,
    };
    let mut stored = StoredExamples::new();
    stored.push(&question).expect("it is in memory");
    assert_eq!(*stored.example(0).expect("it is in memory"), question);
}

/// The sequences that trainers make of a record; none where the model does not take it.
fn tokens(examples: &ExampleTokenizer<'_>, record: &Record, assistant_only_loss: bool) -> Vec<Tokenized> {
    let options = LossOptions {
        assistant_only_loss,
        ..LossOptions::default()
    };
    let truncation = Truncation {
        max_length: Some(24),
        mode: TruncationMode::KeepEnd,
    };
    let sequences = match &record.example {
        Example::LanguageModeling(_) | Example::PromptCompletion { .. } => {
            examples.language_modeling(record, &options).map(|sequence| vec![sequence])
        }
        Example::PromptOnly(_) => examples.prompt_only(record).map(|_| Vec::new()),
        Example::Preference { .. } => {
            let pair = examples.preference(record);
            pair.map(|pair| pair.sequences(&truncation).into_iter().flatten().collect())
        }
        Example::Ranking { .. } => {
            let ranking = examples.ranking(record);
            ranking.map(|ranking| ranking.sequences(24).unwrap_or_default())
        }
        Example::UnpairedPreference { .. } => {
            let answer = examples.unpaired_preference(record);
            answer.map(|answer| answer.sequence(&truncation).into_iter().collect())
        }
    };
    sequences.unwrap_or_default()
}
