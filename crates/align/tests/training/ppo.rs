//! PPO: what a step must not change, and what it must.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use burn::module::Module as _;
use burn::tensor::Device;
use etude_align::AlignError;
use etude_align::data::Tokenized;
use etude_align::ppo::{ActorCritic, Drawing, Ppo, PpoOptions, PpoTrainer, Question, Rollout};
use etude_align::reward::{
    Answer, RewardCommand, RewardFunction, RewardModel, Rewards, Rule, RuleReward, total_rewards,
};
use etude_align::training::{Metrics, TrainingArguments};
use etude_hub::Checkpoint as _;
use etude_kernels::Precision;
use etude_lm::Source;
use etude_lm::decoder::{Decoder, LoraOptions};
use etude_train::Seed;
use serde_json::{Map, Value, json};

use crate::common::{arguments, decoder, fixtures, records, source};

static SOURCE: LazyLock<Source> = LazyLock::new(|| source("model"));

/// The questions of the fixtures.
fn questions() -> Vec<Question> {
    let question = |record: etude_align::data::Record| {
        let tokens = etude_align::data::ExampleTokenizer::new(&SOURCE.tokenizer, None)
            .prompt_only(&record)
            .unwrap();
        Question {
            text: SOURCE.tokenizer.decode(&tokens, false).unwrap(),
            tokens,
            record,
        }
    };
    records("completions.jsonl").into_iter().map(question).collect()
}

/// The share of an answer's tokens that are odd.
struct Odd;

impl RewardFunction for Odd {
    fn name(&self) -> &'static str {
        "odd"
    }

    fn score(&mut self, answers: &[Answer<'_>]) -> Result<Vec<f32>, AlignError> {
        let share = |answer: &Answer<'_>| {
            let prompt = SOURCE.tokenizer.encode(answer.prompt, true).unwrap().len();
            let tokens = &answer.tokens[prompt.min(answer.tokens.len() - 1)..];
            tokens.iter().filter(|token| **token % 2 == 1).count() as f32 / tokens.len() as f32
        };
        Ok(answers.iter().map(share).collect())
    }
}

fn ppo_arguments() -> TrainingArguments {
    TrainingArguments {
        per_device_train_batch_size: 4,
        gradient_accumulation_steps: 1,
        ..arguments()
    }
}

fn options() -> PpoOptions {
    PpoOptions {
        response_length: 7,
        temperature: 1.0,
        num_ppo_epochs: 2,
        num_mini_batches: 2,
        ..PpoOptions::default()
    }
}

fn trainer(
    policy: Decoder,
    critic: Option<Decoder>,
    options: PpoOptions,
    arguments: TrainingArguments,
) -> PpoTrainer<'static> {
    let device = Device::flex().autodiff();
    // With adapters the base, and without them the model as it is now.
    let reference = policy.base().valid();
    let model = ActorCritic::new(policy, critic, &[0.01; 32], &device);
    let drawing = Drawing {
        tokenizer: &SOURCE.tokenizer,
        stop_tokens: &SOURCE.stop_tokens,
        length: options.response_length,
        temperature: options.temperature,
    };
    let count = questions().len();
    let objective = Ppo::new(options).unwrap();
    PpoTrainer::new(
        objective,
        model,
        reference,
        drawing,
        vec![Box::new(Odd)],
        arguments,
        count,
    )
    .unwrap()
}

fn steps(mut trainer: PpoTrainer<'static>, count: usize) -> (PpoTrainer<'static>, Vec<Metrics>) {
    let questions = questions();
    let mut all = Vec::new();
    for _ in 0..count {
        let metrics;
        (trainer, metrics) = trainer.step(&questions).unwrap();
        all.push(metrics);
    }
    (trainer, all)
}

#[test]
#[expect(clippy::float_cmp, reason = "1 and 0 exactly are what is promised")]
fn training_gives_tokens_the_probabilities_that_they_were_drawn_by() {
    let lora = || decoder().with_lora(&LoraOptions::default(), 1).unwrap();
    let bf16 = || decoder().with_precision(Precision::Bf16);
    for (policy, critic, temperature) in [
        (decoder as fn() -> Decoder, None, 1.0),
        (decoder, Some(decoder as fn() -> Decoder), 0.7),
        (bf16, None, 1.0),
        (lora, Some(lora as fn() -> Decoder), 1.0),
    ] {
        let options = PpoOptions {
            temperature,
            ..options()
        };
        let adapted = policy().lora().is_some();
        let (_, metrics) = steps(
            trainer(policy(), critic.map(|make| make()), options, ppo_arguments()),
            3,
        );
        for metrics in &metrics {
            assert_eq!(metrics.get("val/first_ratio"), Some(1.0));
            // Merged adapters are other sums.
            if let Some(difference) = metrics.get("val/engine_difference").filter(|_| !adapted) {
                assert_eq!(difference, 0.0);
            }
        }
        assert!(metrics[2].get("policy/approxkl_avg").unwrap() > 0.0);
        assert_eq!(metrics[0].get("objective/kl"), Some(0.0), "the policy is its reference");
        assert!(metrics[2].get("objective/kl").unwrap() != 0.0);
    }
}

#[test]
fn it_does_not_matter_how_a_minibatch_is_cut() {
    let [one, four] = [(1, 4), (4, 1)].map(|(batch, accumulation)| {
        let arguments = TrainingArguments {
            per_device_train_batch_size: batch,
            gradient_accumulation_steps: accumulation,
            per_device_eval_batch_size: batch + 1,
            ..ppo_arguments()
        };
        steps(trainer(decoder(), None, options(), arguments), 2).1
    });
    for (one, four) in one.iter().zip(&four) {
        for (name, value) in one.iter() {
            let other = four.get(name).unwrap();
            assert!(
                (value - other).abs() <= 2e-5 * value.abs().max(1.0),
                "{name}: {value}, {other}"
            );
        }
    }
}

#[test]
fn activations_that_are_computed_again_give_the_same_numbers() {
    for critic in [None, Some(decoder as fn() -> Decoder)] {
        let [kept, again] = [false, true].map(|gradient_checkpointing| {
            let arguments = TrainingArguments {
                gradient_checkpointing,
                ..ppo_arguments()
            };
            steps(trainer(decoder(), critic.map(|make| make()), options(), arguments), 2).1
        });
        assert_eq!(kept, again);
    }
}

#[test]
fn more_answers_than_can_be_counted_are_one_to_each_question() {
    let options = PpoOptions {
        num_mini_batches: usize::MAX,
        num_ppo_epochs: 1,
        ..options()
    };
    let (_, metrics) = steps(trainer(decoder(), None, options, ppo_arguments()), 2);
    let asked = questions().len() as f64;
    assert_eq!(
        metrics.iter().map(|step| step.get("episode")).collect::<Vec<_>>(),
        [Some(asked), Some(2.0 * asked)]
    );
}

#[test]
fn without_answers_there_is_nothing_to_learn() {
    let error = trainer(decoder(), None, options(), ppo_arguments()).judge_drawn(Vec::new());
    assert!(matches!(error, Err(AlignError::NoExamples)));
}

#[test]
fn what_is_rewarded_is_done_more_often() {
    let arguments = TrainingArguments {
        per_device_train_batch_size: 8,
        max_steps: Some(15),
        learning_rate: Some(1e-2),
        shuffle: true,
        ..ppo_arguments()
    };
    let options = PpoOptions {
        kl_coef: 1e-3,
        reward_normalization: Some(16),
        ..options()
    };
    let (_, metrics) = steps(trainer(decoder(), Some(decoder()), options, arguments), 15);
    let [first, last] = [0, 14].map(|step: usize| metrics[step].get("rewards/odd").unwrap());
    assert!(first < 0.7 && last > first + 0.2, "{first}, {last}");
}

#[test]
fn a_coefficient_that_is_adapted_moves_towards_its_target() {
    let options = PpoOptions {
        target_kl: Some(1e6),
        horizon: 100.0,
        ..options()
    };
    let (trainer, metrics) = steps(trainer(decoder(), None, options, ppo_arguments()), 1);
    assert_eq!(metrics[0].get("objective/kl_coef"), Some(0.05));
    let now = trainer.state().coefficient.value();
    assert!((now - 0.05 * (1.0 - 0.2 * 8.0 / 100.0)).abs() < 1e-12, "{now}");
}

/// Gives all answers this score, and counts them.
struct Constant(f32, Rc<RefCell<usize>>);

impl RewardFunction for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn score(&mut self, answers: &[Answer<'_>]) -> Result<Vec<f32>, AlignError> {
        *self.1.borrow_mut() += answers.len();
        Ok(vec![self.0; answers.len()])
    }
}

#[test]
fn several_rewards_are_added_up_and_what_is_no_number_is_an_error_that_names_the_record() {
    let questions = questions();
    let answers: Vec<Answer<'_>> = questions
        .iter()
        .map(|question| Answer {
            record: &question.record,
            prompt: &question.text,
            text: " It is white.",
            tokens: &question.tokens,
        })
        .collect();
    let count = Rc::default();
    let constant = |value| -> Box<dyn RewardFunction> { Box::new(Constant(value, Rc::clone(&count))) };
    let Rewards { total, parts } = total_rewards(&mut [constant(1.0), constant(0.5)], &answers).unwrap();
    assert!(total.iter().all(|score| (score - 1.5).abs() < 1e-6));
    assert_eq!((parts.len(), *count.borrow()), (2, 2 * answers.len()));
    let error = total_rewards(&mut [constant(1.0), constant(f32::NAN)], &answers).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("completions.jsonl, record 1") && text.contains("NaN"),
        "{text}"
    );

    let mut model = reward_model();
    let together = model.score(&answers).unwrap();
    let alone: Vec<f32> = answers
        .iter()
        .flat_map(|answer| model.score(&[*answer]).unwrap())
        .collect();
    assert_eq!(together, alone);
}

fn reward_model() -> RewardModel {
    reward_model_on(&Device::flex())
}

fn reward_model_on(device: &Device) -> RewardModel {
    let source = source("reward_model");
    let (config, pad) = (source.config.clone(), source.config.pad_token);
    RewardModel::load(config, &*source.checkpoint, Precision::F32, pad, Seed(0), device).unwrap()
}

#[test]
fn rules_are_followed_or_not() {
    let mut record = records("completions.jsonl").remove(0);
    record.other = vec![
        ("answer".to_owned(), "18".into()),
        ("solution".to_owned(), "so #### 1,018".into()),
    ];
    let answer = |text| Answer {
        record: &record,
        prompt: "",
        text,
        tokens: &[1],
    };
    let score = |rule: Rule, text| RuleReward::new(&rule).unwrap().score(&[answer(text)]);
    let equals = || Rule::Equals {
        column: "answer".to_owned(),
        weight: 2.0,
    };
    assert_eq!(score(equals(), " 18\n").unwrap(), [2.0]);
    assert_eq!(score(equals(), "18 ducks").unwrap(), [0.0]);
    let last = || Rule::LastNumber {
        column: "solution".to_owned(),
        weight: 1.0,
    };
    assert_eq!(score(last(), "9 + 9, that is $1018.").unwrap(), [1.0]);
    assert_eq!(score(last(), "1018 or 17").unwrap(), [0.0]);
    assert_eq!(score(last(), "no number").unwrap(), [0.0]);
    let matches = |pattern: &str| Rule::Matches {
        pattern: pattern.to_owned(),
        weight: -1.0,
    };
    assert_eq!(score(matches("(?i)sorry"), "Sorry, no").unwrap(), [-1.0]);
    let error = RuleReward::new(&matches("(")).unwrap_err().to_string();
    assert!(error.contains("pattern"), "{error}");
    let missing = Rule::Equals {
        column: "nothing".to_owned(),
        weight: 1.0,
    };
    let error = score(missing, "18").unwrap_err().to_string();
    assert!(error.contains("record 1") && error.contains("nothing"), "{error}");
}

/// Runs a command of the shell on two answers, and then twice on one more: what it says too much is noticed then, or the time after.
fn shell(script: &str, timeout: f64) -> Result<Vec<f32>, String> {
    let records = records("completions.jsonl");
    let answers: Vec<Answer<'_>> = records
        .iter()
        .take(3)
        .map(|record| Answer {
            record,
            prompt: "a prompt",
            text: "an \"answer\"\nof two lines",
            tokens: &[1],
        })
        .collect();
    let command = ["sh", "-c", script].map(str::to_owned);
    let mut command = RewardCommand::start(&command, Duration::from_secs_f64(timeout)).unwrap();
    let mut rewards = command.score(&answers[..2]).map_err(|error| error.to_string())?;
    for _ in 0..2 {
        rewards.extend(command.score(&answers[2..]).map_err(|error| error.to_string())?);
    }
    Ok(rewards)
}

#[cfg(unix)]
#[test]
fn a_command_scores_answers_over_json_lines() {
    let script = r#"while read -r line; do case "$line" in
        *'"completion":"an \"answer\"\nof two lines"'*'"prompt":"a prompt"'*) echo '{"reward": 0.5}';;
        *) echo '{"reward": -1}';; esac; done"#;
    assert_eq!(shell(script, 20.0).unwrap(), [0.5; 4]);
}

#[cfg(unix)]
#[test]
fn a_command_that_fails_is_an_error_that_names_the_record() {
    for (script, record, words) in [
        ("echo broken >&2; exit 3", 1, "3"),
        ("read -r l; echo '{\"reward\": 1}'; echo why >&2; kill -9 $$", 2, "why"),
        ("read -r l; read -r l; echo 'nonsense'; cat > /dev/null", 1, "nonsense"),
        ("read -r l; echo '{\"reward\": null}'; cat > /dev/null", 1, "null"),
        (
            "read -r l; echo '{\"reward\": 1}'; cat > /dev/null",
            2,
            "has not answered for 0.5 s",
        ),
        (
            "read -r l; read -r l; for i in 1 2 3; do echo '{\"reward\": 1}'; done; cat > /dev/null",
            3,
            "",
        ),
    ] {
        let error = shell(script, 0.5).unwrap_err();
        let place = format!("completions.jsonl, record {record}");
        assert!(error.contains(&place) && error.contains(words), "{script}: {error}");
    }
    let error = RewardCommand::start(&[], Duration::from_secs(1)).unwrap_err();
    assert!(error.to_string().contains("cannot start"));
    let error = RewardCommand::start(&["/nowhere/at/all".to_owned()], Duration::from_secs(1)).unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"));
}

#[test]
fn what_cannot_be_learnt_so_is_an_error() {
    for (options, name) in [
        (
            PpoOptions {
                temperature: 0.0,
                ..options()
            },
            "temperature",
        ),
        (PpoOptions { lam: 1.5, ..options() }, "lam"),
        (
            PpoOptions {
                num_mini_batches: 0,
                ..options()
            },
            "num_mini_batches",
        ),
        (
            PpoOptions {
                kl_coef: f64::NAN,
                ..options()
            },
            "kl_coef",
        ),
    ] {
        let error = Ppo::new(options).unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
}

/// The settings of a fixture that `names` lists.
fn chosen(arguments: &Value, names: &[&str]) -> Map<String, Value> {
    let named = names.iter().map(|name| ((*name).to_owned(), arguments[*name].clone()));
    named.filter(|(_, value)| !value.is_null()).collect()
}

/// étude's settings of a fixture.
fn settings(given: &Value) -> (PpoOptions, TrainingArguments) {
    let mut options = chosen(
        given,
        &[
            "num_mini_batches",
            "num_ppo_epochs",
            "response_length",
            "temperature",
            "kl_coef",
            "kl_estimator",
            "whiten_rewards",
            "vf_coef",
            "cliprange",
            "cliprange_value",
            "gamma",
            "lam",
        ],
    );
    if let Some(penalty) = given["missing_eos_penalty"].as_f64() {
        options.insert("missing_eos".to_owned(), json!({ "subtract": penalty }));
    }
    let options: PpoOptions = serde_json::from_value(Value::Object(options)).unwrap();
    let mut arguments = chosen(
        given,
        &[
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "learning_rate",
            "lr_scheduler_type",
            "weight_decay",
            "adam_beta1",
            "adam_beta2",
            "adam_epsilon",
            "max_grad_norm",
        ],
    );
    arguments.insert("max_steps".to_owned(), json!(3));
    arguments.insert("shuffle".to_owned(), json!(false));
    let arguments: TrainingArguments = serde_json::from_value(Value::Object(arguments)).unwrap();
    (options, arguments)
}

/// The parameters after the last step.
fn compare_parameters(name: &str, fixture: &Value, model: &ActorCritic) {
    let compare = |of: &str, tensor: &str, numbers: &[f32]| {
        let expected = &fixture[of][tensor];
        let entries: Vec<f32> = serde_json::from_value(expected["entries"].clone()).unwrap();
        let stride = expected["stride"].as_u64().unwrap() as usize;
        for (found, expected) in numbers.iter().step_by(stride).zip(&entries) {
            assert!(
                (found - expected).abs() < 2e-5,
                "{name}, {of}, {tensor}: {found}, {expected}"
            );
        }
    };
    for (of, decoder) in [("policy", model.policy()), ("value_model", model.critic().unwrap())] {
        let checkpoint = decoder.checkpoint();
        for tensor in checkpoint
            .tensors()
            .iter()
            .filter(|tensor| tensor.name != "lm_head.weight")
        {
            compare(of, &tensor.name, &checkpoint.read_f32(&tensor.name).unwrap());
        }
    }
    compare("value_model", "score.weight", &model.value());
}

/// Of the last version of TRL that had the trainer, 1.12, on answers that were given; its gradients are never clipped.
#[test]
fn three_steps_are_those_of_trl() {
    for name in ["ppo", "ppo_k3", "ppo_whiten"] {
        let text = std::fs::read_to_string(fixtures().join(format!("{name}.json"))).unwrap();
        let fixture: Value = serde_json::from_str(&text).unwrap();
        let given = &fixture["arguments"];
        let (options, arguments) = settings(given);
        let device = Device::flex().autodiff();
        let (critic, value) = reward_model_on(&device).into_parts();
        let policy = decoder();
        let reference = policy.base().valid();
        let model = ActorCritic::new(policy, Some(critic), &value, &device);
        let drawing = Drawing {
            tokenizer: &SOURCE.tokenizer,
            stop_tokens: &SOURCE.stop_tokens,
            length: options.response_length,
            temperature: options.temperature,
        };
        let objective = Ppo::new(options).unwrap();
        let rewards: Vec<Box<dyn RewardFunction>> = vec![Box::new(reward_model())];
        let mut trainer = PpoTrainer::new(objective, model, reference, drawing, rewards, arguments, 1000).unwrap();
        for step in fixture["steps"].as_array().unwrap() {
            let tokens = |name: &str| -> Vec<Vec<u32>> { serde_json::from_value(step[name].clone()).unwrap() };
            let asked: Vec<Question> = tokens("prompts")
                .into_iter()
                .map(|tokens| Question {
                    tokens,
                    text: String::new(),
                    record: records("completions.jsonl").remove(0),
                })
                .collect();
            let rollouts = asked.iter().zip(tokens("answers")).map(|(question, answer)| Rollout {
                question,
                sequence: Tokenized::answer(&question.tokens, &answer),
                text: String::new(),
                ended: false,
                log_probabilities: Vec::new(),
            });
            let metrics;
            let judged = trainer.judge_drawn(rollouts.collect()).unwrap();
            (trainer, metrics) = trainer.learn(&judged).unwrap();
            let scores: Vec<f64> = serde_json::from_value(step["scores"].clone()).unwrap();
            let mean = scores.iter().sum::<f64>() / scores.len() as f64;
            assert!((metrics.get("rewards/reward model").unwrap() - mean).abs() < 2e-5);
            let mut compared = 0;
            for (metric, expected) in step["metrics"].as_object().unwrap() {
                // TRL's variance is over the batches of minibatches.
                if name == "ppo_whiten" && metric == "val/ratio_var" {
                    continue;
                }
                let (Some(found), Some(expected)) = (metrics.get(metric), expected.as_f64()) else {
                    continue;
                };
                compared += 1;
                assert!(
                    (found - expected).abs() <= 1e-4 * expected.abs().max(1.0),
                    "{name}, step {}: {metric} is {found}, expected {expected}",
                    trainer.trainer().step_count()
                );
            }
            assert!(compared >= 14, "{compared} compared");
        }
        compare_parameters(name, &fixture, &trainer.trainer().model().valid());
    }
}
