//! SmolLM2-135M against TRL: ten steps each of supervised fine-tuning, DPO and a reward model, where the environment names the folder
//! that scripts/align_real_training.py has written: `ETUDE_TEST_TRAINING`. Without it the test says that it skips. Run with `--release`.
#![expect(
    clippy::print_stdout,
    reason = "figures, and that a test is skipped, are for whoever looks"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use etude_align::data::{DataFiles, DataOptions, ExampleTokenizer, Examples, Format, LossOptions, Packed, Record};
use etude_align::preference::{Dpo, PreferenceExample, PreferenceOptions, ReferenceLogProbabilities, WithReference};
use etude_align::reward::{RewardExample, RewardModel, RewardModeling, RewardOptions};
use etude_align::sft::Sft;
use etude_align::training::{Objective, Trainer};
use etude_kernels::Precision;
use etude_lm::Source;
use etude_lm::decoder::Decoder;
use etude_train::Seed;
use serde_json::Value;

use crate::common::truncation;
use crate::trl::{Run, STATISTICS};

/// What losses, norms, rewards and log-probabilities may differ by, relative to the number where it is above 1.
const TOLERANCE: f64 = 1e-3;

struct Runs {
    folder: PathBuf,
    runs: Value,
}

impl Runs {
    fn run(&self, name: &str) -> Run {
        Run(self.runs[name].clone())
    }

    fn source(&self, name: &str) -> Source {
        Source::open(self.folder.join(name).to_str().unwrap()).unwrap()
    }

    fn records(&self, name: &str) -> Vec<Record> {
        let files = DataFiles::find(&[self.folder.join(name)]).unwrap();
        // To TRL the transcripts of HH are texts.
        let options = DataOptions {
            format: (!name.starts_with("sft")).then_some(Format::Preference),
            ..DataOptions::default()
        };
        files.records(&options).map(Result::unwrap).collect()
    }

    /// Steps through a run, and compares and prints.
    fn follow<O: Objective>(
        &self,
        name: &str,
        objective: &O,
        model: O::Model,
        examples: &impl Examples<Example = O::Example>,
    ) {
        let run = self.run(name);
        let mut trainer = Trainer::new(model, run.arguments(), examples.len()).unwrap();
        let mut largest: BTreeMap<String, f64> = BTreeMap::new();
        for expected in run.0["steps"].as_array().unwrap() {
            let metrics;
            (trainer, metrics) = trainer.step(objective, examples).unwrap();
            for (name, found) in metrics.iter() {
                let tie = name.ends_with("accuracies") && expected["rewards/margins"] == 0.0;
                // In TRL these are means over batches, and here over tokens.
                let several = run.arguments().gradient_accumulation_steps > 1 && STATISTICS.contains(&name);
                if let (Some(expected), false) = (expected.get(name).and_then(Value::as_f64), tie || several) {
                    let difference = (found - expected).abs() / expected.abs().max(1.0);
                    let most = largest.entry(name.to_owned()).or_default();
                    *most = most.max(difference);
                }
            }
        }
        println!("{name}: {largest:?}");
        assert!(largest.contains_key("loss") && largest.contains_key("grad_norm"));
        assert!(
            largest.values().all(|difference| *difference < TOLERANCE),
            "{name}: {largest:?}"
        );
    }
}

#[test]
fn ten_steps_of_a_real_model_are_trls() {
    let Ok(folder) = std::env::var("ETUDE_TEST_TRAINING") else {
        println!("skipped: ETUDE_TEST_TRAINING names no folder that scripts/align_real_training.py has written");
        return;
    };
    let folder = Path::new(&folder).to_owned();
    let runs = serde_json::from_str(&std::fs::read_to_string(folder.join("trl.json")).unwrap()).unwrap();
    let runs = Runs { folder, runs };
    let source = runs.source("model");
    let tokenizer = ExampleTokenizer::new(&source.tokenizer, source.chat_template.as_ref());
    let load = |device: &Device| Decoder::load(source.config.clone(), &*source.checkpoint, device).unwrap();
    let device = Device::flex().autodiff();

    let records = runs.records("sft.jsonl");
    let cut = truncation(runs.run("sft").max_length());
    let sequences = records
        .iter()
        .map(|record| tokenizer.language_modeling(record, &LossOptions::default()).unwrap());
    let examples: Vec<Packed> = sequences
        .filter_map(|sequence| sequence.truncated(&cut).map(Packed::from))
        .collect();
    runs.follow("sft", &Sft, load(&device), &examples);

    let records = runs.records("dpo.jsonl");
    let cut = truncation(runs.run("dpo").max_length());
    let dpo = Dpo::new(PreferenceOptions::default()).unwrap();
    let pairs = records
        .iter()
        .filter_map(|record| tokenizer.preference(record).unwrap().sequences(&cut));
    let examples: Vec<_> = pairs.map(PreferenceExample::new).collect();
    let reference = load(&Device::flex());
    let kept = tempfile::tempdir().unwrap();
    let mut known = ReferenceLogProbabilities::open(kept.path(), &reference).unwrap();
    let places: Vec<usize> = (0..examples.len()).collect();
    let said = known
        .ask(dpo.options().aggregation(), &reference, &examples, &places, 2, |_| true)
        .unwrap();
    let examples = WithReference::new(examples, said);
    drop(reference);
    runs.follow("dpo", &dpo, load(&device), &examples);

    let run = runs.run("reward");
    let source = runs.source("reward_model");
    let pad = source.config.pad_token.or(source.tokenizer.special_ids().eos);
    let model = RewardModel::load(
        source.config,
        &*source.checkpoint,
        Precision::F32,
        pad,
        Seed(0),
        &device,
    )
    .unwrap();
    let objective = RewardModeling::new(RewardOptions {
        center_rewards_coefficient: run.0["arguments"]["center_rewards_coefficient"].as_f64(),
    })
    .unwrap();
    let records = runs.records("reward.jsonl");
    let examples: Vec<RewardExample> = records
        .iter()
        .filter_map(|record| {
            let sequences = tokenizer.ranking(record).unwrap().sequences(run.max_length())?;
            Some(RewardExample { sequences, margin: 0.0 })
        })
        .collect();
    runs.follow("reward", &objective, model, &examples);
}
