//! How a step is cut, what is kept of it, and whether a run is interrupted: nothing of it changes what is learnt.

use burn::tensor::Device;
use etude_align::data::{LossOptions, PackingStrategy, TokenizedPreference};
use etude_align::preference::{Dpo, PreferenceOptions};
use etude_align::reward::{RewardExample, RewardModel, RewardModeling, RewardOptions};
use etude_align::sft::Sft;
use etude_align::training::{
    Metrics, Objective, Optim, OptimizerState, Trained, Trainer, TrainerState, TrainingArguments, checkpoint,
};
use etude_hub::Checkpoint as _;
use etude_kernels::Precision;
use etude_lm::decoder::{Decoder, LoraOptions};
use etude_train::Seed;

use crate::common::{arguments, decoder, preference_examples, reward_examples, sft_examples, source, truncation};

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
    for neftune_noise_alpha in [None, Some(5.0)] {
        let [one, eight] = [(1, 8), (8, 1)].map(|(batch, accumulation)| {
            let arguments = TrainingArguments {
                per_device_train_batch_size: batch,
                gradient_accumulation_steps: accumulation,
                neftune_noise_alpha,
                ..arguments()
            };
            train(&Sft, decoder(), arguments, &examples).1
        });
        assert_near(&one, &eight, 1e-5);
    }
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
    let plain = decoder as fn() -> Decoder;
    for (model, neftune_noise_alpha) in [(plain, None), (lora, None), (plain, Some(5.0))] {
        let [kept, again] = [false, true].map(|gradient_checkpointing| {
            let arguments = TrainingArguments {
                gradient_checkpointing,
                neftune_noise_alpha,
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
    let with_adam_w = TrainingArguments {
        shuffle: true,
        ..arguments()
    };
    let with_muon = TrainingArguments {
        optim: Optim::Muon,
        ema_decay: Some(0.7),
        ..with_adam_w.clone()
    };
    let with_noise = TrainingArguments {
        neftune_noise_alpha: Some(5.0),
        ..with_adam_w.clone()
    };
    resumed(with_adam_w);
    resumed(with_muon);
    resumed(with_noise);
}

fn resumed(arguments: TrainingArguments) {
    let dpo = Dpo::new(PreferenceOptions::default()).unwrap();
    let examples = preference_examples("pairs.jsonl", 96, &dpo);
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
    let model = Decoder::load(config, &file, &Device::flex().autodiff()).unwrap();
    let resumed = Trainer::new(model, arguments, examples.len()).unwrap();
    let mut resumed = resumed.resumed(state.global_step, moments).unwrap();
    for expected in &metrics[3..] {
        let metrics;
        (resumed, metrics) = resumed.step(&dpo, &examples).unwrap();
        assert_eq!(&metrics, expected);
    }
    assert!(bits(resumed.model()) == bits(straight.model()), "parameters");
    assert!(bits(&resumed.averaged()) == bits(&straight.averaged()), "averages");
}

#[test]
fn embeddings_have_noise_in_steps_and_none_in_evaluations() {
    let examples = sft_examples("completions.jsonl", 96, LossOptions::default(), None);
    let [plain, noisy, again] = [None, Some(5.0), Some(5.0)].map(|neftune_noise_alpha| {
        let arguments = TrainingArguments {
            neftune_noise_alpha,
            ..arguments()
        };
        let trainer = Trainer::new(decoder(), arguments, examples.len()).unwrap();
        let evaluation = trainer.evaluate(&Sft, &examples).unwrap();
        (evaluation, trainer.step(&Sft, &examples).unwrap().1)
    });
    assert_eq!(plain.0, noisy.0);
    assert_ne!(plain.1.get("loss"), noisy.1.get("loss"));
    assert_eq!(noisy, again);
}

/// What a ranking costs is the mean of what its pairs cost, and so are its gradients.
#[test]
fn a_ranking_is_the_mean_of_its_pairs() {
    let reward = || {
        let opened = source("reward_model");
        let (config, device) = (opened.config, Device::flex().autodiff());
        let pad = config.pad_token;
        RewardModel::load(config, &*opened.checkpoint, Precision::F32, pad, Seed(0), &device).unwrap()
    };
    let examples = reward_examples("reward_model", "pairs.jsonl", 96);
    let answers: Vec<_> = examples
        .iter()
        .flat_map(|example| example.sequences.clone())
        .take(4)
        .collect();
    let example = |sequences: Vec<_>| RewardExample {
        sequences,
        margin: 0.25,
    };
    let pairs: Vec<RewardExample> = (0..4)
        .flat_map(|better| (better + 1..4).map(move |worse| [better, worse]))
        .map(|pair| example(pair.map(|answer| answers[answer].clone()).to_vec()))
        .collect();
    let objective = RewardModeling::new(RewardOptions {
        center_rewards_coefficient: Some(0.01),
    })
    .unwrap();
    let all = TrainingArguments {
        per_device_train_batch_size: 6,
        gradient_accumulation_steps: 1,
        max_steps: Some(2),
        ..arguments()
    };
    let (_, of_pairs) = train(&objective, reward(), all.clone(), &pairs);
    let (_, of_ranking) = train(&objective, reward(), all, &[example(answers)]);
    assert_near(&of_pairs, &of_ranking, 1e-5);
    for name in ["accuracy", "margin", "mean_reward", "min_reward", "max_reward"] {
        for (one, other) in of_pairs.iter().zip(&of_ranking) {
            let [one, other] = [one, other].map(|metrics| metrics.get(name).unwrap());
            assert!((one - other).abs() < 1e-5, "{name}: {one}, {other}");
        }
    }
}

#[test]
fn muon_takes_the_matrices_of_layers_and_adam_w_the_rest() {
    let examples = sft_examples("completions.jsonl", 96, LossOptions::default(), None);
    let arguments = TrainingArguments {
        optim: Optim::Muon,
        max_steps: Some(1),
        ..arguments()
    };
    let (trainer, _) = train(&Sft, decoder(), arguments.clone(), &examples);
    let state = state_of(&trainer, &arguments);
    let is_matrix = |name: &str| name.ends_with("_proj.weight");
    assert_eq!(state.momenta.len(), 2 * 7, "of two layers");
    assert!(state.momenta.iter().all(|(name, _)| is_matrix(name)));
    assert_eq!(state.moments.len(), 1 + 2 * 2 + 1, "the embedding and the norms");
    assert!(!state.moments.iter().any(|(name, _)| is_matrix(name)));

    let pairs = reward_examples("reward_model", "pairs.jsonl", 96);
    let source = source("reward_model");
    let (pad, device) = (source.config.pad_token, Device::flex().autodiff());
    let model = RewardModel::load(
        source.config,
        &*source.checkpoint,
        Precision::F32,
        pad,
        Seed(0),
        &device,
    )
    .unwrap();
    let (trainer, _) = train(&RewardModeling::default(), model, arguments.clone(), &pairs);
    let state = state_of(&trainer, &arguments);
    assert_eq!(state.momenta.len(), 2 * 7);
    assert!(state.moments.iter().any(|(name, _)| name == "score"));
}

/// What a checkpoint keeps of the optimiser.
fn state_of<M: Trained>(trainer: &Trainer<M>, arguments: &TrainingArguments) -> OptimizerState {
    let run = tempfile::tempdir().unwrap();
    let state = TrainerState::default();
    checkpoint::save(run.path(), &state, trainer.optimizer(), arguments, |_| Ok(())).unwrap();
    checkpoint::load(&run.path().join("checkpoint-0")).unwrap().1
}

#[test]
fn what_is_evaluated_is_the_moving_average_of_all_steps() {
    let decay = 0.8;
    let examples = sft_examples("completions.jsonl", 96, LossOptions::default(), None);
    let arguments = TrainingArguments {
        ema_decay: Some(decay),
        ..arguments()
    };
    let name = "model.layers.1.mlp.up_proj.weight";
    let numbers = |model: &Decoder| model.checkpoint().read_f32(name).unwrap();
    let mut trainer = Trainer::new(decoder(), arguments.clone(), examples.len()).unwrap();
    let mut expected: Vec<f64> = numbers(trainer.model()).into_iter().map(f64::from).collect();
    while trainer.step_count() < trainer.steps() {
        (trainer, _) = trainer.step(&Sft, &examples).unwrap();
        for (mean, number) in expected.iter_mut().zip(numbers(trainer.model())) {
            *mean = decay * *mean + (1.0 - decay) * f64::from(number);
        }
    }
    for (found, expected) in numbers(&trainer.averaged()).into_iter().zip(&expected) {
        assert!((f64::from(found) - expected).abs() < 1e-6, "{found}, {expected}");
    }
    let of_average = trainer.evaluate(&Sft, &examples).unwrap();
    let plain = TrainingArguments {
        ema_decay: None,
        ..arguments
    };
    let averaged = Trainer::new(trainer.averaged(), plain.clone(), examples.len()).unwrap();
    assert_eq!(averaged.evaluate(&Sft, &examples).unwrap(), of_average);
    let last = Trainer::new(trainer.model().clone(), plain, examples.len()).unwrap();
    assert_ne!(last.evaluate(&Sft, &examples).unwrap(), of_average);
}

#[test]
fn a_policy_that_is_its_reference_has_the_loss_ln_2() {
    let dpo = Dpo::new(PreferenceOptions::default()).unwrap();
    let examples = preference_examples("pairs.jsonl", 96, &dpo);
    let trainer = Trainer::new(decoder(), arguments(), examples.len()).unwrap();
    let loss = trainer.evaluate(&dpo, &examples).unwrap().get("loss").unwrap();
    assert!((loss - std::f64::consts::LN_2).abs() < 1e-6, "{loss}");
    let adapted = decoder().with_lora(&LoraOptions::default(), 1).unwrap();
    let trainer = Trainer::new(adapted, arguments(), examples.len()).unwrap();
    let loss = trainer.evaluate(&dpo, &examples).unwrap().get("loss").unwrap();
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
