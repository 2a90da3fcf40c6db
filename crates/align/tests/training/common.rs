//! The tiny model of the fixtures, its data, and their objectives.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use etude_align::data::{
    DataFiles, DataOptions, ExampleTokenizer, Examples, LossOptions, Packed, PackingStrategy, Packs, Record, Tokenized,
    Truncation,
};
use etude_align::preference::{
    Aggregation, Dpo, KtoExample, Mismatched, PreferenceExample, ReferenceLogProbabilities, Referenced, WithReference,
};
use etude_align::reward::RewardExample;
use etude_align::training::TrainingArguments;
use etude_lm::Source;
use etude_lm::decoder::Decoder;

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/training")
}

/// A model's folder, opened.
pub(crate) fn source(name: &str) -> Source {
    Source::open(fixtures().join(name).to_str().unwrap()).unwrap()
}

pub(crate) fn decoder() -> Decoder {
    let source = source("model");
    Decoder::load(source.config, &*source.checkpoint, &Device::flex().autodiff()).unwrap()
}

pub(crate) fn records(name: &str) -> Vec<Record> {
    let files = DataFiles::find(&[fixtures().join(name)]).unwrap();
    files.records(&DataOptions::default()).map(Result::unwrap).collect()
}

pub(crate) fn truncation(max_length: usize) -> Truncation {
    Truncation {
        max_length: Some(max_length),
        ..Truncation::default()
    }
}

pub(crate) fn sft_examples(
    data: &str,
    max_length: usize,
    options: LossOptions,
    packing: Option<PackingStrategy>,
) -> Vec<Packed> {
    let source = source("model");
    let tokenizer = ExampleTokenizer::new(&source.tokenizer, source.chat_template.as_ref());
    let sequences: Vec<_> = records(data)
        .iter()
        .map(|record| tokenizer.language_modeling(record, &options).unwrap())
        .collect();
    if let Some(strategy) = packing {
        return all(&Packs::new(sequences, max_length, strategy).unwrap());
    }
    let cut = sequences
        .into_iter()
        .filter_map(|sequence| sequence.truncated(&truncation(max_length)));
    cut.map(Packed::from).collect()
}

/// A better and a worse answer each.
pub(crate) fn pairs(data: &str, max_length: usize) -> Vec<[Tokenized; 2]> {
    let source = source("model");
    let tokenizer = ExampleTokenizer::new(&source.tokenizer, source.chat_template.as_ref());
    let sequences = |record: &Record| {
        let pair = tokenizer.preference(record).unwrap();
        pair.sequences(&truncation(max_length))
    };
    records(data).iter().filter_map(sequences).collect()
}

fn all<S: Examples>(examples: &S) -> Vec<S::Example> {
    examples
        .examples()
        .map(|example| example.unwrap().into_owned())
        .collect()
}

/// The examples with what the model itself says before it is trained.
fn asked<S: Examples<Example: Referenced>>(aggregation: Aggregation, examples: S) -> Vec<S::Example> {
    let source = source("model");
    let reference = Decoder::load(source.config, &*source.checkpoint, &Device::flex()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut known = ReferenceLogProbabilities::open(folder.path(), &reference).unwrap();
    let places: Vec<usize> = (0..examples.len()).collect();
    let said = known
        .ask(aggregation, &reference, &examples, &places, 3, |_| true)
        .unwrap();
    all(&WithReference::new(examples, said))
}

pub(crate) fn preference_examples(data: &str, max_length: usize, dpo: &Dpo) -> Vec<PreferenceExample> {
    let examples = pairs(data, max_length).into_iter().map(PreferenceExample::new);
    asked(dpo.options().aggregation(), examples.collect::<Vec<_>>())
}

/// Of the first `most` records.
pub(crate) fn kto_examples(data: &str, max_length: usize, together: usize, most: usize) -> Vec<KtoExample> {
    let source = source("model");
    let tokenizer = ExampleTokenizer::new(&source.tokenizer, source.chat_template.as_ref());
    let records = records(data);
    let answers: Vec<_> = records
        .iter()
        .take(most)
        .map(|record| tokenizer.unpaired_preference(record).unwrap())
        .collect();
    let batches = (0..answers.len()).collect::<Vec<_>>();
    let batches = batches.chunks(together).map(<[usize]>::to_vec);
    asked(
        Aggregation::Sum,
        Mismatched::new(answers, truncation(max_length), batches).unwrap(),
    )
}

pub(crate) fn reward_examples(model: &str, data: &str, max_length: usize) -> Vec<RewardExample> {
    let source = source(model);
    let tokenizer = ExampleTokenizer::new(&source.tokenizer, source.chat_template.as_ref());
    let pairs = records(data);
    let examples = pairs.iter().filter_map(|record| {
        let sequences = tokenizer.ranking(record).unwrap().sequences(max_length)?;
        Some(RewardExample {
            sequences,
            margin: record.margin.unwrap_or(0.0) as f32,
        })
    });
    examples.collect()
}

pub(crate) fn arguments() -> TrainingArguments {
    TrainingArguments {
        per_device_train_batch_size: 2,
        gradient_accumulation_steps: 2,
        max_steps: Some(6),
        learning_rate: Some(1e-3),
        shuffle: false,
        ..TrainingArguments::default()
    }
}
