//! Ten steps of each trainer against TRL's: losses, norms of gradients, learning rates, metrics, and the parameters at the end.
//!
//! The fixtures are made by scripts/align_training_fixtures.py.

use burn::tensor::Device;
use etude_align::data::{LossOptions, PackingStrategy};
use etude_align::preference::{Cpo, Dpo, Kto, Orpo, PreferenceExample, SyncedPolicy, TrDpo};
use etude_align::reward::{RewardModel, RewardModeling, RewardOptions};
use etude_align::sft::Sft;
use etude_align::training::{Metrics, Objective, Schedule, Trained as _, Trainer, TrainingArguments};
use etude_hub::Checkpoint;
use etude_kernels::Precision;
use etude_train::Seed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::common::{
    decoder, fixtures, kto_examples, pairs, preference_examples, reward_examples, sft_examples, source,
};

/// What is known of the distributions of tokens.
pub(crate) const STATISTICS: [&str; 4] = ["entropy", "mean_token_accuracy", "logits/chosen", "logits/rejected"];

/// A run of TRL's.
pub(crate) struct Run(pub(crate) Value);

impl Run {
    fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(fixtures().join(format!("{name}.json"))).unwrap();
        Self(serde_json::from_str(&text).unwrap())
    }

    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap()
    }

    pub(crate) fn max_length(&self) -> usize {
        self.0["arguments"]["max_length"].as_u64().unwrap() as usize
    }

    /// The examples that TRL had.
    fn take<T>(&self, mut examples: Vec<T>) -> Vec<T> {
        examples.truncate(self.0["examples"].as_u64().unwrap_or(u64::MAX) as usize);
        examples
    }

    pub(crate) fn arguments(&self) -> TrainingArguments {
        let known = serde_json::to_value(TrainingArguments::default()).unwrap();
        let mut fields = self.0["arguments"].as_object().unwrap().clone();
        assert_eq!(fields["train_sampling_strategy"], "sequential");
        fields.retain(|name, _| known.get(name).is_some());
        fields.insert("shuffle".to_owned(), json!(false));
        serde_json::from_value(Value::Object(fields)).unwrap()
    }

    /// Steps through the run and compares each step, and then the parameters.
    fn compare<O: Objective>(
        &self,
        name: &str,
        objective: &O,
        model: O::Model,
        [examples, held_out]: [Vec<O::Example>; 2],
        checkpoint: impl Fn(&O::Model, &dyn Fn(&dyn Checkpoint)),
    ) {
        let mut trainer = Trainer::new(model, self.arguments(), examples.len()).unwrap();
        self.compare_evaluation(name, &trainer.evaluate(objective, &held_out).unwrap());
        self.compare_statistics(name, objective, &trainer, &examples);
        for expected in self.0["steps"].as_array().unwrap() {
            let step = expected["step"].as_u64().unwrap();
            let metrics;
            (trainer, metrics) = trainer.step(objective, &examples).unwrap();
            assert_eq!(trainer.step_count(), step);
            for name_of in ["loss", "grad_norm", "learning_rate"] {
                close(&format!("{name}, step {step}"), name_of, &metrics, expected, 2e-5);
            }
            for (name_of, value) in metrics.iter() {
                // Before the first step that moves anything policy and reference are equal, and who is greater is rounding.
                let tie = name_of.ends_with("accuracies") && expected["rewards/margins"] == 0.0;
                // TRL gives batches of a step the same weight, whatever their sizes, and has the means of their least and greatest.
                let whole = self.0["examples"].is_null();
                let known = expected.get(name_of).is_some() && whole && !tie;
                let compared = ["loss", "grad_norm", "learning_rate"].contains(&name_of);
                if known && !compared && !STATISTICS.contains(&name_of) {
                    assert!(value.is_finite());
                    close(&format!("{name}, step {step}"), name_of, &metrics, expected, 3e-5);
                }
            }
        }
        checkpoint(trainer.model(), &|checkpoint| {
            for (tensor, expected) in self.0["parameters"].as_object().unwrap() {
                let numbers = checkpoint.read_f32(tensor).unwrap();
                let sum: f64 = numbers.iter().map(|number| f64::from(*number)).sum();
                let squares: f64 = numbers.iter().map(|number| f64::from(*number).powi(2)).sum();
                let [expected_sum, expected_squares] =
                    ["sum", "sum_of_squares"].map(|name| expected[name].as_f64().unwrap());
                assert!(
                    (sum - expected_sum).abs() < 1e-4,
                    "{name}, {tensor}: {sum}, {expected_sum}"
                );
                let relative = (squares - expected_squares).abs() / expected_squares;
                assert!(relative < 1e-6, "{name}, {tensor}: {squares}, {expected_squares}");
            }
        });
    }

    /// In TRL the means over tokens of a step's batches weigh alike; here all tokens do. So the first step's batches are looked at one by
    /// one.
    fn compare_statistics<O: Objective>(
        &self,
        name: &str,
        objective: &O,
        trainer: &Trainer<O::Model>,
        examples: &[O::Example],
    ) {
        let batches = trainer.order().step(0);
        for name_of in STATISTICS {
            let Some(expected) = self.0["steps"][0][name_of].as_f64() else {
                continue;
            };
            // TRL's trainers of CPO and ORPO have the logits of prompts and of padding in it, and there are none here.
            if name_of.starts_with("logits/") && !["dpo", "kto"].contains(&self.text("trainer")) {
                continue;
            }
            let of_batch = |places: &Vec<usize>| {
                let examples = &examples[places[0]..=places[places.len() - 1]];
                trainer.evaluate(objective, examples).unwrap().get(name_of)
            };
            // A batch of KTO may have answers of one kind alone.
            let found: Vec<f64> = batches.iter().filter_map(of_batch).collect();
            let found = found.iter().sum::<f64>() / found.len() as f64;
            assert!(
                (found - expected).abs() < 2e-5,
                "{name}, {name_of}: {found}, {expected}"
            );
        }
    }

    /// TRL's mean loss of an evaluation is over examples. So is that of pairs here; that of tokens is over tokens.
    fn compare_evaluation(&self, name: &str, metrics: &Metrics) {
        if self.text("trainer") != "sft" {
            let (found, expected) = (
                metrics.get("loss").unwrap(),
                self.0["evaluation"]["eval_loss"].as_f64().unwrap(),
            );
            assert!(
                (found - expected).abs() < 1e-5,
                "{name}, eval_loss: {found}, {expected}"
            );
        }
    }
}

fn close(place: &str, name: &str, metrics: &Metrics, expected: &Value, tolerance: f64) {
    let found = metrics.get(name).unwrap();
    let expected = expected[name].as_f64().unwrap();
    let difference = (found - expected).abs();
    assert!(
        difference <= tolerance * expected.abs().max(1.0),
        "{place}: {name} is {found}, expected {expected}"
    );
}

fn sft(name: &str, options: LossOptions, packing: Option<PackingStrategy>) {
    let run = Run::read(name);
    let examples = ["data", "eval_data"].map(|data| sft_examples(run.text(data), run.max_length(), options, packing));
    let [examples, held_out] = examples;
    let examples = [run.take(examples), held_out];
    run.compare(name, &Sft, decoder(), examples, |model, look| look(&model.checkpoint()));
}

#[test]
fn supervised_fine_tuning_is_trls() {
    let completions = LossOptions::default();
    let whole = completions;
    let assistant = LossOptions {
        assistant_only_loss: true,
        ..completions
    };
    sft("sft", completions, None);
    sft("sft_epochs", completions, None);
    sft("sft_cosine", whole, None);
    sft("sft_assistant_only", assistant, None);
    sft("sft_packing", completions, Some(PackingStrategy::Bfd));
}

#[test]
fn direct_preference_optimisation_is_trls() {
    for name in ["dpo", "dpo_ipo", "dpo_mixture", "dpo_wpo", "dpo_ld", "dpo_epochs"] {
        let run = Run::read(name);
        let dpo = Dpo::new(constants(&run)).unwrap();
        let [examples, held_out] =
            ["data", "eval_data"].map(|data| preference_examples(run.text(data), run.max_length(), &dpo));
        let examples = [run.take(examples), held_out];
        run.compare(name, &dpo, decoder(), examples, |model, look| look(&model.checkpoint()));
    }
}

/// What TRL was told, of the constants that ours have.
fn constants<O: Default + Serialize + DeserializeOwned>(run: &Run) -> O {
    let known = serde_json::to_value(O::default()).unwrap();
    let mut fields = run.0["arguments"].as_object().unwrap().clone();
    fields.retain(|name, _| known.get(name).is_some());
    serde_json::from_value(Value::Object(fields)).unwrap()
}

#[test]
fn preferences_with_a_reference_that_follows_are_trls() {
    let run = Run::read("dpo_sync");
    let dpo = Dpo::new(constants(&run)).unwrap();
    let sync = dpo.options().reference_sync().unwrap();
    let examples = ["data", "eval_data"].map(|data| {
        let pairs = pairs(run.text(data), run.max_length());
        pairs.into_iter().map(PreferenceExample::new).collect()
    });
    let policy = SyncedPolicy::new(decoder(), decoder(), sync);
    run.compare("dpo_sync", &TrDpo(dpo), policy, examples, |model, look| {
        look(&model.decoder().checkpoint());
    });
}

#[test]
fn preferences_without_a_reference_are_trls() {
    for name in ["cpo", "cpo_hinge", "cpo_ipo", "cpo_epochs", "simpo"] {
        let run = Run::read(name);
        let cpo = Cpo::new(constants(&run)).unwrap();
        let [examples, held_out] = ["data", "eval_data"].map(|data| pairs(run.text(data), run.max_length()));
        let examples = [run.take(examples), held_out];
        run.compare(name, &cpo, decoder(), examples, |model, look| look(&model.checkpoint()));
    }
    let run = Run::read("orpo");
    let orpo = Orpo::new(constants(&run)).unwrap();
    let examples = ["data", "eval_data"].map(|data| pairs(run.text(data), run.max_length()));
    run.compare("orpo", &orpo, decoder(), examples, |model, look| {
        look(&model.checkpoint());
    });
}

#[test]
fn answers_that_are_good_or_bad_by_themselves_are_learnt_as_by_trl() {
    for name in ["kto", "kto_apo_zero", "kto_epochs"] {
        let run = Run::read(name);
        let kto = Kto::new(constants(&run)).unwrap();
        let together = run.arguments().per_device_train_batch_size;
        // Which answers are mismatched depends on how many there are.
        let most = run.0["examples"].as_u64().unwrap_or(u64::MAX) as usize;
        let examples = ["data", "eval_data"].map(|data| kto_examples(run.text(data), run.max_length(), together, most));
        run.compare(name, &kto, decoder(), examples, |model, look| look(&model.checkpoint()));
    }
}

#[test]
fn reward_models_are_trls() {
    for name in ["reward", "reward_margin", "reward_epochs", "reward_pad_is_eos"] {
        let run = Run::read(name);
        let coefficient = run.0["arguments"]["center_rewards_coefficient"].as_f64();
        let objective = RewardModeling::new(RewardOptions {
            center_rewards_coefficient: coefficient,
        })
        .unwrap();
        let folder = run.text("model");
        let opened = source(folder);
        let device = Device::flex().autodiff();
        // Where the end-of-sequence token pads, the score is read before it.
        let pad = if name == "reward_pad_is_eos" {
            opened.tokenizer.special_ids().eos
        } else {
            opened.config.pad_token
        };
        let model = RewardModel::load(
            opened.config,
            &*opened.checkpoint,
            Precision::F32,
            pad,
            Seed(0),
            &device,
        )
        .unwrap();
        let [examples, held_out] =
            ["data", "eval_data"].map(|data| reward_examples(folder, run.text(data), run.max_length()));
        let examples = [run.take(examples), held_out];
        run.compare(name, &objective, model, examples, |model, look| {
            let saved = tempfile::tempdir().unwrap();
            model.save(saved.path()).unwrap();
            look(&etude_hub::SafetensorsCheckpoint::open(saved.path()).unwrap());
        });
    }
}

#[test]
fn learning_rates_are_those_of_transformers() {
    let text = std::fs::read_to_string(fixtures().join("schedules.json")).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
    // Decay over the last tenth, along a cosine and to 0, is what is chosen here; transformers has no default.
    let ours =
        |case: &&Value| ["{}", r#"{"num_decay_steps":2}"#].contains(&case["lr_scheduler_kwargs"].to_string().as_str());
    for case in cases.as_array().unwrap().iter().filter(ours) {
        let schedule: Schedule = serde_json::from_value(case["lr_scheduler_type"].clone()).unwrap();
        let [warmup, steps] = ["warmup_steps", "max_steps"].map(|name| case[name].as_u64().unwrap());
        for (step, expected) in (0..).zip(case["learning_rates"].as_array().unwrap()) {
            let (found, expected) = (0.001 * schedule.factor(step, warmup, steps), expected.as_f64().unwrap());
            assert!(
                (found - expected).abs() < 1e-12,
                "{schedule:?}, step {step}: {found}, {expected}"
            );
        }
    }
}
