//! How a step is cut, what is kept of it, and whether a run is interrupted: nothing of it changes what is learnt.

use etude_align::data::{LossOptions, PackingStrategy, TokenizedPreference};
use etude_align::preference::{Dpo, PreferenceOptions};
use etude_align::sft::Sft;
use etude_align::training::{Metrics, Objective, Trainer, TrainerState, TrainingArguments, checkpoint};
use etude_hub::Checkpoint as _;
use etude_lm::decoder::{Decoder, LoraOptions};

use crate::common::{arguments, decoder, preference_examples, sft_examples, truncation};

/// The fields of transformers' `TrainerState`, which takes no others.
const TRAINER_STATE: [&str; 20] = [
    "best_global_step",
    "best_metric",
    "best_model_checkpoint",
    "epoch",
    "eval_steps",
    "global_step",
    "is_hyper_param_search",
    "is_local_process_zero",
    "is_world_process_zero",
    "log_history",
    "logging_steps",
    "max_steps",
    "num_input_tokens_seen",
    "num_train_epochs",
    "save_steps",
    "stateful_callbacks",
    "total_flos",
    "train_batch_size",
    "trial_name",
    "trial_params",
];

fn train<O: Objective>(
    objective: &O,
    model: O::Model,
    arguments: TrainingArguments,
    examples: &[O::Example],
) -> (Trainer<O::Model>, Vec<Metrics>) {
    let mut trainer = Trainer::new(model, arguments, examples.len()).unwrap();
    let mut all = Vec::new();
    while trainer.step_count() < trainer.steps() {
        let metrics;
        (trainer, metrics) = trainer.step(objective, examples).unwrap();
        all.push(metrics);
    }
    (trainer, all)
}

/// The bits of all parameters.
fn bits(decoder: &Decoder) -> Vec<(String, Vec<u8>)> {
    let checkpoint = decoder.checkpoint();
    let tensors = checkpoint.tensors().iter();
    let bytes = |name: &str| checkpoint.raw(name).unwrap().bytes.into_owned();
    tensors
        .map(|tensor| (tensor.name.clone(), bytes(&tensor.name)))
        .collect()
}

fn assert_near(one: &[Metrics], other: &[Metrics], tolerance: f64) {
    for name in ["loss", "grad_norm"] {
        for (one, other) in one.iter().zip(other) {
            let [one, other] = [one, other].map(|metrics| metrics.get(name).unwrap());
            assert!(
                (one - other).abs() <= tolerance * one.abs().max(1.0),
                "{name}: {one}, {other}"
            );
        }
    }
}

#[test]
fn eight_batches_of_one_are_one_batch_of_eight() {
    let examples = sft_examples("completions.jsonl", 96, LossOptions::default(), None);
    let [one, eight] = [(1, 8), (8, 1)].map(|(batch, accumulation)| {
        let arguments = TrainingArguments {
            per_device_train_batch_size: batch,
            gradient_accumulation_steps: accumulation,
            ..arguments()
        };
        train(&Sft, decoder(), arguments, &examples).1
    });
    assert_near(&one, &eight, 1e-5);
}

#[test]
fn packed_sequences_are_sequences_beside_each_other() {
    let options = LossOptions::default();
    let alone = sft_examples("completions.jsonl", 96, options, None);
    let packed = sft_examples("completions.jsonl", 96, options, Some(PackingStrategy::Bfd));
    assert!(packed.len() < alone.len());
    let all = |count: usize| TrainingArguments {
        per_device_train_batch_size: count,
        gradient_accumulation_steps: 1,
        ..arguments()
    };
    let (_, of_alone) = train(&Sft, decoder(), all(alone.len()), &alone);
    let (_, of_packed) = train(&Sft, decoder(), all(packed.len()), &packed);
    assert_near(&of_alone, &of_packed, 1e-5);
}

#[test]
fn activations_that_are_computed_again_give_the_same_bits() {
    let examples = sft_examples("completions.jsonl", 96, LossOptions::default(), None);
    let lora = || decoder().with_lora(&LoraOptions::default(), 1).unwrap();
    for model in [decoder as fn() -> Decoder, lora] {
        let [kept, again] = [false, true].map(|gradient_checkpointing| {
            let arguments = TrainingArguments {
                gradient_checkpointing,
                ..arguments()
            };
            let (trainer, metrics) = train(&Sft, model(), arguments, &examples);
            (bits(trainer.model()), metrics)
        });
        assert_eq!(kept.1, again.1);
        assert!(kept.0 == again.0, "parameters");
    }
}

#[test]
fn a_run_that_is_resumed_is_the_run_that_never_stopped() {
    let dpo = Dpo::new(PreferenceOptions::default()).unwrap();
    let examples = preference_examples("pairs.jsonl", 96, &dpo);
    let arguments = TrainingArguments {
        shuffle: true,
        ..arguments()
    };
    let (straight, metrics) = train(&dpo, decoder(), arguments.clone(), &examples);

    let run = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(decoder(), arguments.clone(), examples.len()).unwrap();
    for _ in 0..3 {
        (trainer, _) = trainer.step(&dpo, &examples).unwrap();
        let mut state = TrainerState {
            global_step: trainer.step_count(),
            epoch: trainer.epoch(),
            ..TrainerState::default()
        };
        state.log([("loss", 0.5)]);
        let model = |folder: &std::path::Path| Ok(trainer.model().save(folder)?);
        checkpoint::save(run.path(), &state, trainer.optimizer(), &arguments, model).unwrap();
    }
    drop(trainer);

    let folder = checkpoint::latest(run.path()).unwrap().unwrap();
    assert!(folder.ends_with("checkpoint-3"));
    assert_eq!(std::fs::read_dir(run.path()).unwrap().count(), 2);
    let (state, moments) = checkpoint::load(&folder).unwrap();
    assert_eq!(state.series("loss"), [(3, 0.5)]);
    let written = std::fs::read_to_string(folder.join("trainer_state.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    let names: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, TRAINER_STATE);
    let file = etude_hub::SafetensorsCheckpoint::open(&folder.join("model.safetensors")).unwrap();
    let config = decoder().config().clone();
    let model = Decoder::load(config, &file, &burn::tensor::Device::flex().autodiff()).unwrap();
    let resumed = Trainer::new(model, arguments, examples.len()).unwrap();
    let mut resumed = resumed.resumed(state.global_step, moments).unwrap();
    for expected in &metrics[3..] {
        let metrics;
        (resumed, metrics) = resumed.step(&dpo, &examples).unwrap();
        assert_eq!(&metrics, expected);
    }
    assert!(bits(resumed.model()) == bits(straight.model()), "parameters");
}

#[test]
fn a_policy_that_is_its_reference_has_the_loss_ln_2() {
    let dpo = Dpo::new(PreferenceOptions::default()).unwrap();
    let examples = preference_examples("pairs.jsonl", 96, &dpo);
    let trainer = Trainer::new(decoder(), arguments(), examples.len()).unwrap();
    let loss = trainer.evaluate(&dpo, &examples).get("loss").unwrap();
    assert!((loss - std::f64::consts::LN_2).abs() < 1e-6, "{loss}");
    let adapted = decoder().with_lora(&LoraOptions::default(), 1).unwrap();
    let trainer = Trainer::new(adapted, arguments(), examples.len()).unwrap();
    let loss = trainer.evaluate(&dpo, &examples).get("loss").unwrap();
    assert!((loss - std::f64::consts::LN_2).abs() < 1e-6, "with adapters: {loss}");
}

#[test]
fn what_cannot_be_trained_is_an_error() {
    let none = Trainer::new(decoder(), arguments(), 0).unwrap_err();
    assert!(none.to_string().contains("no examples"), "{none}");
    for (arguments, name) in [
        (
            TrainingArguments {
                learning_rate: None,
                ..arguments()
            },
            "learning_rate",
        ),
        (
            TrainingArguments {
                max_steps: Some(0),
                ..arguments()
            },
            "max_steps",
        ),
        (
            TrainingArguments {
                adam_beta2: 1.0,
                ..arguments()
            },
            "adam_beta2",
        ),
        (
            TrainingArguments {
                num_train_epochs: f64::NAN,
                ..arguments()
            },
            "num_train_epochs",
        ),
    ] {
        let error = Trainer::new(decoder(), arguments, 1).unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
    let examples = sft_examples("completions.jsonl", 96, LossOptions::default(), None);
    let mut trainer = Trainer::new(
        decoder(),
        TrainingArguments {
            learning_rate: Some(1e30),
            max_grad_norm: 0.0,
            ..arguments()
        },
        examples.len(),
    )
    .unwrap();
    let error = loop {
        match trainer.step(&Sft, &examples) {
            Ok((next, _)) => trainer = next,
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("examples, counted from 0"), "{error}");
}

#[test]
fn a_pair_without_any_token_is_left_out() {
    let pair = |chosen: Vec<u32>| TokenizedPreference {
        prompt: Vec::new(),
        chosen,
        rejected: Vec::new(),
        lost_prompt: Vec::new(),
    };
    for chosen in [Vec::new(), vec![1]] {
        assert_eq!(pair(chosen).sequences(&truncation(8)), None);
    }
}
