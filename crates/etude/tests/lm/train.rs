//! `etude lm sft`, `reward`, `dpo` and its kin: what a run leaves behind, and that one which is killed goes on as if it had not been.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::model;

/// Pairs with prompts, of which the better answer is the shorter one.
fn pairs(folder: &Path, count: usize) -> String {
    let lines = (0..count).map(|index| {
        format!("{{\"prompt\": \"{index} is\", \"chosen\": \" odd\", \"rejected\": \" not even, {index}\"}}\n")
    });
    let path = folder.join("pairs.jsonl");
    fs::write(&path, lines.collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Answers that are good or bad.
fn labels(folder: &Path) -> String {
    let lines = (0..20).map(|index| {
        let label = index % 3 != 0;
        format!("{{\"prompt\": \"{index} and\", \"completion\": \" {index}\", \"label\": {label}}}\n")
    });
    let path = folder.join("labels.jsonl");
    fs::write(&path, lines.collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Prompts with answers.
fn completions(folder: &Path) -> String {
    let lines = (0..20).map(|index| format!("{{\"prompt\": \"{index} and\", \"completion\": \" {}\"}}\n", index + 1));
    let path = folder.join("completions.jsonl");
    fs::write(&path, lines.collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn etude(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_etude"))
        .args(arguments)
        .output()
        .unwrap()
}

/// What it prints, where it must succeed.
fn output_of(arguments: &[&str]) -> String {
    let output = etude(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_run_leaves_a_model_that_can_be_used_and_a_report() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let name = model.path().to_str().unwrap();
    let data = completions(scratch.path());
    let run = scratch.path().join("run");
    let out = run.to_str().unwrap();
    let found = output_of(&[
        "lm",
        "sft",
        "--model",
        name,
        "--data",
        &data,
        "--steps",
        "6",
        "--out",
        out,
        "--json",
        "--set",
        "training.learning_rate=1e-2",
        "--set",
        "data.eval_examples=4",
        "--set",
        "training.eval_steps=2",
        "--set",
        "training.logging_steps=1",
    ]);
    let result: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(result["steps"], 6);
    for file in [
        "config.toml",
        "metrics.jsonl",
        "report.html",
        "checkpoint-6/trainer_state.json",
        "best/config.json",
    ] {
        assert!(run.join(file).exists(), "{file}");
    }
    let state: Value = serde_json::from_slice(&read(&run.join("checkpoint-6/trainer_state.json"))).unwrap();
    let losses: Vec<f64> = (state["log_history"].as_array().unwrap().iter())
        .filter_map(|line| line["loss"].as_f64())
        .collect();
    assert_eq!(losses.len(), 6);
    assert!(losses[5] < losses[0], "{losses:?}");
    let report = String::from_utf8(read(&run.join("report.html"))).unwrap();
    for words in [
        "Supervised fine-tuning",
        "what healthy looks like",
        "before",
        "held out",
    ] {
        assert!(report.contains(words), "{words}");
    }
    output_of(&[
        "lm",
        "generate",
        run.join("model").to_str().unwrap(),
        "1 and",
        "--max-tokens",
        "2",
        "--json",
    ]);
}

#[test]
fn a_run_that_is_killed_goes_on_as_if_it_had_not_been() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let name = model.path().to_str().unwrap();
    let data = pairs(scratch.path(), 64);
    let arguments = |out: &Path| -> Vec<String> {
        let out = out.to_str().unwrap();
        let all = [
            "lm",
            "dpo",
            "--model",
            name,
            "--data",
            &data,
            "--steps",
            "400",
            "--out",
            out,
            "--json",
            "--set",
            "training.learning_rate=1e-3",
            "--set",
            "training.save_steps=20",
            "--set",
            "training.logging_steps=7",
        ];
        all.map(str::to_owned).to_vec()
    };
    let (straight, killed) = (scratch.path().join("straight"), scratch.path().join("killed"));
    let start = |out: &Path| -> Child {
        let command = Command::new(env!("CARGO_BIN_EXE_etude"))
            .args(arguments(out))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        command.unwrap()
    };
    assert!(start(&straight).wait().unwrap().success());

    let mut child = start(&killed);
    let since = Instant::now();
    while !killed.join("checkpoint-20").exists() {
        assert!(since.elapsed() < Duration::from_mins(2), "no checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.join("model").exists(), "it had ended before it was killed");
    output_of(&["lm", "dpo", "--out", killed.to_str().unwrap(), "--resume", "--json"]);
    let same = |file: &str| read(&straight.join(file)) == read(&killed.join(file));
    assert!(same("model/model.safetensors"), "parameters");
    assert!(same("checkpoint-400/optimizer.safetensors"), "moments");
    let metrics = |run: &Path| -> Vec<String> {
        let text = String::from_utf8(read(&run.join("metrics.jsonl"))).unwrap();
        let lines = text.lines().filter(|line| !line.contains("tokens_per_second"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(metrics(&straight), metrics(&killed));
}

#[test]
fn settings_of_trl_are_a_recipe_and_what_cannot_be_mapped_is_told() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let recipe = scratch.path().join("reward.yaml");
    let text = format!(
        "model_name_or_path: {}\ndataset_name: {}\nmax_steps: 2\nlearning_rate: 1.0e-4\ncenter_rewards_coefficient: 0.01\nreport_to: wandb\n",
        model.path().display(),
        pairs(scratch.path(), 8)
    );
    fs::write(&recipe, text).unwrap();
    let run = scratch.path().join("run");
    let output = etude(&["lm", "reward", recipe.to_str().unwrap(), "--out", run.to_str().unwrap()]);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{notes}");
    assert!(
        notes.contains("left out, for want of a counterpart: report_to: \"wandb\""),
        "{notes}"
    );
    let config: Value = serde_json::from_slice(&read(&run.join("model/config.json"))).unwrap();
    assert_eq!(config["architectures"][0], "LlamaForSequenceClassification");
}

#[test]
fn what_cannot_be_trained_is_told_before_anything_is_written() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let name = model.path().to_str().unwrap();
    let (data, labels) = (pairs(scratch.path(), 4), labels(scratch.path()));
    let bad = scratch.path().join("bad.jsonl");
    fs::write(
        &bad,
        "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\", \"completion\": 3}\n",
    )
    .unwrap();
    let bad = bad.to_str().unwrap();
    let run = scratch.path().join("run");
    for (arguments, words) in [
        (&["dpo", "--data", &data, "--set", "dpo.beta=-1"][..], "dpo.beta"),
        (
            &["dpo", "--data", &data, "--set", "training.adam_beta2=2"],
            "training.adam_beta2",
        ),
        (
            &["dpo", "--data", &data, "--set", "training.ema_decay=1.0"],
            "training.ema_decay",
        ),
        (&["dpo", "--data", &data, "--set", "training.optim=lion"], "muon"),
        (
            &["dpo", "--data", &data, "--set", "training.lr_scheduler_type=steps"],
            "constant",
        ),
        (
            &["dpo", "--data", &data, "--set", "dpo.ref_model_mixup_alpha=1.5"],
            "dpo.ref_model_mixup_alpha",
        ),
        (
            &[
                "dpo",
                "--data",
                &data,
                "--set",
                "lora.r=4",
                "--set",
                "dpo.sync_ref_model=true",
            ],
            "dpo.sync_ref_model",
        ),
        (
            &["kto", "--data", &labels, "--set", "kto.desirable_weight=0"],
            "kto.desirable_weight",
        ),
        (
            &[
                "kto",
                "--data",
                &labels,
                "--set",
                "training.per_device_train_batch_size=1",
            ],
            "training.per_device_train_batch_size",
        ),
        (&["kto", "--data", &data], "unpaired preference"),
        (
            &["cpo", "--data", &data, "--set", "cpo.simpo_gamma=-1"],
            "cpo.simpo_gamma",
        ),
        (&["orpo", "--data", &data, "--set", "orpo.beta=0"], "orpo.beta"),
        (
            &["sft", "--data", &data, "--set", "training.neftune_noise_alpha=0"],
            "training.neftune_noise_alpha",
        ),
        (
            &["ppo", "--data", &data, "--set", "training.neftune_noise_alpha=5"],
            "training.neftune_noise_alpha",
        ),
        (&["sft", "--data", &data], "language modeling"),
        (&["sft", "--data", bad], "bad.jsonl"),
        (&["sft", "--data", "nowhere.jsonl"], "nowhere.jsonl"),
        (&["dpo", "--data", &data, "--set", "lora.r=17"], "lora.r"),
        (
            &["dpo", "--data", &data, "--set", "training.early_stopping_patience=2"],
            "held-out",
        ),
        (&["dpo", "--data", &data, "--set", "data.max_length=2"], "no examples"),
        (&["sft"], "data"),
    ] {
        let mut all = vec!["lm", arguments[0], "--model", name, "--out", run.to_str().unwrap()];
        all.extend(&arguments[1..]);
        let output = etude(&all);
        let notes = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {notes}");
        assert!(notes.contains(words), "{arguments:?}: {notes}");
        assert!(!run.exists(), "{arguments:?}");
    }
}

/// Also of a model whose configuration names no token that pads, and with adapters.
#[test]
fn every_stage_goes_on_from_its_checkpoint() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let name = model.path().to_str().unwrap();
    let (pairs, completions) = (pairs(scratch.path(), 16), completions(scratch.path()));
    let labels = labels(scratch.path());
    for (index, (stage, data, more)) in [
        ("sft", &completions, "lora.r=4"),
        ("sft", &completions, "training.gradient_accumulation_steps=2"),
        ("reward", &pairs, "reward.center_rewards_coefficient=0.01"),
        ("dpo", &pairs, "lora.use_dora=true"),
        ("reward", &pairs, "lora.r=4"),
        // The reference moves after step 2 and after step 4, in two numbers.
        (
            "dpo",
            &pairs,
            "dpo={sync_ref_model=true, ref_model_sync_steps=2, ref_model_mixup_alpha=0.3}",
        ),
        ("kto", &labels, "kto.undesirable_weight=1.5"),
        ("sft", &completions, "training.optim=muon"),
        ("sft", &completions, "training.neftune_noise_alpha=5"),
        ("reward", &pairs, "training.ema_decay=0.5"),
        ("cpo", &pairs, "cpo={loss_type=\"simpo\", beta=2.0, cpo_alpha=0.0}"),
        ("orpo", &pairs, "lora.r=4"),
    ]
    .into_iter()
    .enumerate()
    {
        let run = scratch.path().join(format!("run-{index}"));
        let out = run.to_str().unwrap();
        output_of(&[
            "lm",
            stage,
            "--model",
            name,
            "--data",
            data,
            "--steps",
            "6",
            "--out",
            out,
            "--json",
            "--set",
            more,
            "--set",
            "training.save_steps=3",
            "--set",
            "training.learning_rate=1e-2",
            "--set",
            "training.per_device_train_batch_size=4",
            "--set",
            "samples.count=1",
        ]);
        let files = ["model/model.safetensors", "checkpoint-6/optimizer.safetensors"];
        let straight = files.map(|file| read(&run.join(file)));
        let adapted = more.starts_with("lora");
        assert_eq!(
            run.join("model/adapter/adapter_config.json").exists(),
            adapted,
            "{stage}, {more}"
        );
        assert!(
            !run.join("model/adapter_config.json").exists(),
            "transformers would take it for adapters alone"
        );
        fs::remove_dir_all(run.join("checkpoint-6")).unwrap();
        fs::remove_dir_all(run.join("model")).unwrap();
        output_of(&["lm", stage, "--out", out, "--resume", "--json"]);
        assert!(straight == files.map(|file| read(&run.join(file))), "{stage}, {more}");
    }
}

#[test]
fn a_run_ends_early_where_the_evaluation_does_not_become_better() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let data = completions(scratch.path());
    let run = scratch.path().join("run");
    let found = output_of(&[
        "lm",
        "sft",
        "--model",
        model.path().to_str().unwrap(),
        "--data",
        &data,
        "--steps",
        "100",
        "--out",
        run.to_str().unwrap(),
        "--json",
        "--set",
        "data.eval_examples=4",
        "--set",
        "training.eval_steps=1",
        "--set",
        "training.early_stopping_patience=2",
        "--set",
        "training.learning_rate=10.0",
        "--set",
        "samples.count=0",
    ]);
    let result: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(result["steps"], 2);
    let resumed = output_of(&["lm", "sft", "--out", run.to_str().unwrap(), "--resume", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&resumed).unwrap()["steps"], 2);
}

/// The last records of the data are held out, so that they are read to their end only where some are.
#[test]
fn no_more_records_are_read_than_are_asked_for() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let data = scratch.path().join("data.jsonl");
    let lines: Vec<String> = (0..3)
        .map(|index| serde_json::json!({ "prompt": format!("{index}"), "completion": " b" }).to_string())
        .collect();
    fs::write(&data, lines.join("\n") + "\nbroken\n").unwrap();
    let (run, data) = (scratch.path().join("run"), data.to_str().unwrap());
    let mut arguments = vec!["lm", "sft", "--model", model.path().to_str().unwrap(), "--data", data];
    arguments.extend(["--steps", "1", "--json", "--out", run.to_str().unwrap()]);
    arguments.extend(["--set", "samples.count=0", "--set", "data.train_examples=3"]);
    let result: Value = serde_json::from_str(&output_of(&arguments)).unwrap();
    assert_eq!(result["steps"], 1);
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("train_examples = 3"), "{config}");

    let another = scratch.path().join("another");
    arguments.extend(["--set", "data.eval_examples=1"]);
    *arguments
        .iter_mut()
        .find(|argument| **argument == run.to_str().unwrap())
        .unwrap() = another.to_str().unwrap();
    let output = etude(&arguments);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains("record 4"), "{notes}");
    assert!(!another.exists());
}

#[test]
fn what_is_longer_than_the_context_is_cut_to_it() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let data = scratch.path().join("long.jsonl");
    let line = serde_json::json!({ "prompt": "a", "completion": "b".repeat(1000) });
    // Nor is a prompt a sample that leaves no room for an answer.
    let prompt = serde_json::json!({ "prompt": "a".repeat(1000), "completion": "b" });
    fs::write(&data, format!("{prompt}\n{line}\n")).unwrap();
    let run = scratch.path().join("run");
    let found = output_of(&[
        "lm",
        "sft",
        "--model",
        model.path().to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
        "--steps",
        "1",
        "--out",
        run.to_str().unwrap(),
        "--json",
        "--set",
        "data.max_length=0",
    ]);
    let result: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(result["tokens"], 256);
}

/// Every metric of a run has a line of its page that says what healthy looks like.
fn assert_explained(run: &Path, step: u64) {
    let state: Value =
        serde_json::from_slice(&read(&run.join(format!("checkpoint-{step}/trainer_state.json")))).unwrap();
    let report = String::from_utf8(read(&run.join("report.html"))).unwrap();
    let (_, healthy) = report.split_once("what healthy looks like").unwrap();
    let healthy = healthy
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'");
    for line in state["log_history"].as_array().unwrap() {
        for name in line.as_object().unwrap().keys() {
            let name = name.strip_prefix("eval_").unwrap_or(name);
            let known = ["step", "epoch"].contains(&name) || healthy.contains(&format!(">{name}<"));
            assert!(known, "{name} has no line");
        }
    }
}

#[test]
fn every_metric_has_a_line_on_what_healthy_looks_like() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let name = model.path().to_str().unwrap();
    let [pairs, completions] = [pairs(scratch.path(), 8), completions(scratch.path())];
    for (stage, data, more) in [
        ("sft", &completions, "training.logging_steps=1"),
        ("dpo", &pairs, "dpo.loss_type=ipo"),
        ("reward", &pairs, "training.logging_steps=1"),
        ("cpo", &pairs, "training.logging_steps=1"),
        ("orpo", &pairs, "training.logging_steps=1"),
    ] {
        let run = scratch.path().join(stage);
        let out = run.to_str().unwrap();
        output_of(&[
            "lm",
            stage,
            "--model",
            name,
            "--data",
            data,
            "--steps",
            "1",
            "--out",
            out,
            "--json",
            "--set",
            more,
            "--set",
            "data.eval_examples=2",
            "--set",
            "samples.count=0",
        ]);
        assert_explained(&run, 1);
    }
}

/// Questions whose right answer is a column.
fn questions(folder: &Path) -> String {
    let lines = (0..24).map(|index| format!("{{\"prompt\": \"{index} and\", \"answer\": \"{}\"}}\n", index % 10));
    let path = folder.join("questions.jsonl");
    fs::write(&path, lines.collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The arguments of a short run of PPO.
fn ppo<'a>(model: &'a str, data: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let fixed = [
        "lm",
        "ppo",
        "--model",
        model,
        "--data",
        data,
        "--out",
        out,
        "--json",
        "--set",
        "ppo.response_length=6",
        "--set",
        "training.per_device_train_batch_size=4",
        "--set",
        "training.learning_rate=1e-3",
        "--set",
        "data.eval_examples=4",
        "--set",
        "samples.count=1",
    ];
    [&fixed[..], more].concat()
}

/// One point for each answer that has a digit in it.
const DIGIT: &str = "rewards.rules=[{rule = \"matches\", pattern = \"[0-9]\"}]";

#[test]
fn ppo_that_is_killed_goes_on_as_if_it_had_not_been() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let name = model.path().to_str().unwrap();
    let data = questions(scratch.path());
    for more in [
        &["--set", "ppo.value_model=policy", "--set", "ppo.target_kl=0.5"][..],
        &["--set", "lora.r=2", "--set", "ppo.value_model=policy"],
        &["--set", "ppo.reward_normalization=64"],
    ] {
        let runs = scratch.path().join(more.concat());
        let paths = ["straight", "killed"].map(|run| runs.join(run).to_str().unwrap().to_owned());
        let all = [
            &["--steps", "60", "--set", DIGIT, "--set", "training.save_steps=4"][..],
            more,
        ]
        .concat();
        output_of(&ppo(name, &data, &paths[0], &all));
        let command = Command::new(env!("CARGO_BIN_EXE_etude"))
            .args(ppo(name, &data, &paths[1], &all))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let (mut child, killed) = (command.unwrap(), Path::new(&paths[1]));
        let since = Instant::now();
        while !killed.join("checkpoint-4").exists() {
            assert!(since.elapsed() < Duration::from_mins(2), "no checkpoint");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!killed.join("model").exists(), "it had ended before it was killed");
        output_of(&["lm", "ppo", "--out", &paths[1], "--resume", "--json"]);
        let same = |file: &str| read(&Path::new(&paths[0]).join(file)) == read(&killed.join(file));
        for file in [
            "model/model.safetensors",
            "checkpoint-60/optimizer.safetensors",
            "checkpoint-60/value_head.safetensors",
            "checkpoint-60/ppo_state.json",
        ] {
            assert!(same(file), "{more:?}: {file}");
        }
    }
}

#[test]
fn ppo_reports_what_it_has_scored_and_how_far_it_is_from_its_reference() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let name = model.path().to_str().unwrap();
    let data = questions(scratch.path());
    let reward = scratch.path().join("reward");
    let pairs = pairs(scratch.path(), 8);
    output_of(&[
        "lm",
        "reward",
        "--model",
        name,
        "--data",
        &pairs,
        "--steps",
        "2",
        "--out",
        reward.to_str().unwrap(),
        "--json",
    ]);
    let (run, reward) = (scratch.path().join("run"), reward.join("model"));
    let reward = format!("rewards.model={:?}", reward.to_str().unwrap());
    let more = [
        "--steps",
        "3",
        "--set",
        &reward,
        "--set",
        "ppo.value_model=reward_model",
        "--set",
        "training.logging_steps=1",
        "--set",
        "rewards.command=[\"sh\", \"-c\", \"while read -r l; do echo '{\\\"reward\\\": 0.25}'; done\"]",
    ];
    output_of(&ppo(name, &data, run.to_str().unwrap(), &more));
    let state: Value = serde_json::from_slice(&read(&run.join("checkpoint-3/trainer_state.json"))).unwrap();
    let series = |name: &str| -> Vec<f64> {
        let lines = state["log_history"].as_array().unwrap().iter();
        lines.filter_map(|line| line[name].as_f64()).collect()
    };
    assert_eq!(series("val/first_ratio"), [1.0; 3]);
    assert_eq!(series("episode"), [4.0, 8.0, 12.0]);
    assert_eq!(
        series("eval_objective/scores").len(),
        2,
        "before the first step and after the last"
    );
    let parts = [series("rewards/reward model"), series("objective/scores")];
    for (model, score) in parts[0].iter().zip(&parts[1]) {
        assert!((model + 0.25 - score).abs() < 1e-5, "{model}, {score}");
    }
    assert_explained(&run, 3);
    let report = String::from_utf8(read(&run.join("report.html"))).unwrap();
    for words in ["Proximal policy optimisation", "objective/kl", "exactly 1"] {
        assert!(report.contains(words), "{words}");
    }
}

/// Policy, critic, reference and reward model on one base: the scores are those of the merged reward model.
#[test]
fn a_reward_model_may_be_adapters_to_the_base_of_the_policy() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let name = model.path().to_str().unwrap();
    let (data, pairs) = (questions(scratch.path()), pairs(scratch.path(), 16));
    let reward = scratch.path().join("reward");
    let out = reward.to_str().unwrap();
    let more = ["lora.r=4", "training.learning_rate=1e-2"];
    let mut arguments = vec![
        "lm", "reward", "--model", name, "--data", &pairs, "--steps", "4", "--out", out, "--json",
    ];
    arguments.extend(more.iter().flat_map(|value| ["--set", value]));
    output_of(&arguments);
    let merged = format!("rewards.model={:?}", reward.join("model").to_str().unwrap());
    let adapters = format!("rewards.model={:?}", reward.join("model/adapter").to_str().unwrap());
    let fixed = [
        "--steps",
        "6",
        "--set",
        "training.save_steps=3",
        "--set",
        "training.logging_steps=1",
    ];
    let runs = [("merged", &merged), ("adapters", &adapters)].map(|(name_of_run, rewards)| {
        let run = scratch.path().join(name_of_run);
        let more = [
            "--set",
            rewards,
            "--set",
            "lora.r=2",
            "--set",
            "ppo.value_model=reward_model",
        ];
        output_of(&ppo(name, &data, run.to_str().unwrap(), &[&fixed[..], &more].concat()));
        run
    });
    let scores = runs.each_ref().map(|run| -> Vec<f64> {
        let state: Value = serde_json::from_slice(&read(&run.join("checkpoint-6/trainer_state.json"))).unwrap();
        let lines = state["log_history"].as_array().unwrap().iter();
        lines.filter_map(|line| line["rewards/reward model"].as_f64()).collect()
    });
    // The first answers are the same ones.
    assert!(
        scores[0][0] != 0.0 && (scores[0][0] - scores[1][0]).abs() < 1e-4,
        "{scores:?}"
    );
    let files = [
        "model/model.safetensors",
        "checkpoint-6/critic/adapter_model.safetensors",
        "checkpoint-6/value_head.safetensors",
    ];
    let straight = files.map(|file| read(&runs[1].join(file)));
    fs::remove_dir_all(runs[1].join("checkpoint-6")).unwrap();
    output_of(&["lm", "ppo", "--out", runs[1].to_str().unwrap(), "--resume", "--json"]);
    assert!(straight == files.map(|file| read(&runs[1].join(file))));
    let output = etude(&ppo(
        name,
        &data,
        scratch.path().join("whole").to_str().unwrap(),
        &["--set", &adapters],
    ));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("lora.r"));
}

#[cfg(unix)]
#[test]
fn a_reward_that_fails_ends_the_run_and_names_the_record() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let name = model.path().to_str().unwrap();
    let data = questions(scratch.path());
    for (index, (command, words)) in [
        ("echo no such table >&2; exit 7", "no such table"),
        ("cat > /dev/null", "has not answered for 1 s"),
        ("while read -r l; do echo maybe; done", "maybe"),
        ("while read -r l; do echo '{\\\"reward\\\": NaN}'; done", "NaN"),
        ("while read -r l; do echo '{\\\"reward\\\": 1e999}'; done", "1e999"),
    ]
    .into_iter()
    .enumerate()
    {
        let run = scratch.path().join(index.to_string());
        let command = format!("rewards.command=[\"sh\", \"-c\", \"{command}\"]");
        let more = ["--steps", "2", "--set", &command, "--set", "rewards.timeout=1.0"];
        let output = etude(&ppo(name, &data, run.to_str().unwrap(), &more));
        let notes = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}: {notes}");
        assert!(
            notes.contains("questions.jsonl, record ") && notes.contains(words),
            "{command}: {notes}"
        );
    }
    let run = scratch.path().join("run");
    for (more, words) in [
        (&[][..], "rewards.model"),
        (&["--set", "rewards.command=[\"/nowhere\"]"], "/nowhere"),
        (&["--set", DIGIT, "--set", "rewards.timeout=0"], "rewards.timeout"),
        (&["--set", DIGIT, "--set", "ppo.lam=2"], "ppo.lam"),
        (
            &["--set", DIGIT, "--set", "ppo.value_model=reward_model"],
            "ppo.value_model",
        ),
        (&["--set", DIGIT, "--set", "ppo.response_length=300"], "no examples"),
        (
            &["--set", "rewards.rules=[{rule = \"matches\", pattern = \"(\"}]"],
            "pattern",
        ),
        (&["--set", &format!("rewards.model={name:?}")], "score"),
    ] {
        let output = etude(&ppo(name, &data, run.to_str().unwrap(), more));
        let notes = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{more:?}: {notes}");
        assert!(notes.contains(words), "{more:?}: {notes}");
        assert!(!run.exists(), "{more:?}");
    }
}

/// A command that ends after some answers, in a step or in an evaluation, costs none of the steps before.
#[cfg(unix)]
#[test]
fn a_run_whose_reward_fails_goes_on_once_the_reward_is_mended() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let name = model.path().to_str().unwrap();
    let data = questions(scratch.path());
    let script = scratch.path().join("reward.sh");
    let answers = |count: usize| {
        let text = format!(
            "for i in $(seq {count}); do read -r l || exit 0; echo \"{{\\\"reward\\\": -${{#l}}}}\"; done; exit 7"
        );
        fs::write(&script, text).unwrap();
    };
    let command = format!("rewards.command=[\"sh\", {:?}]", script.to_str().unwrap());
    let more = ["--steps", "4", "--set", &command, "--set", "training.eval_steps=2"];
    let paths: Vec<_> = ["straight", "12", "16", "20", "24"]
        .iter()
        .map(|name| scratch.path().join(name))
        .collect();
    answers(1000);
    output_of(&ppo(name, &data, paths[0].to_str().unwrap(), &more));
    let mut failed_at = Vec::new();
    for run in &paths[1..] {
        answers(run.file_name().unwrap().to_str().unwrap().parse().unwrap());
        let output = etude(&ppo(name, &data, run.to_str().unwrap(), &more));
        let notes = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{notes}");
        assert!(notes.contains("record ") && notes.contains("are kept"), "{notes}");
        let state: Value = serde_json::from_slice(&read(&latest_checkpoint(run).join("trainer_state.json"))).unwrap();
        failed_at.push(state["global_step"].as_u64().unwrap());
        answers(1000);
        output_of(&["lm", "ppo", "--out", run.to_str().unwrap(), "--resume", "--json"]);
        for file in [
            "model/model.safetensors",
            "checkpoint-4/ppo_state.json",
            "best/model.safetensors",
        ] {
            assert!(
                read(&paths[0].join(file)) == read(&run.join(file)),
                "{}: {file}",
                run.display()
            );
        }
        let logged = |run: &Path| {
            let state: Value = serde_json::from_slice(&read(&run.join("checkpoint-4/trainer_state.json"))).unwrap();
            let lines = state["log_history"].as_array().unwrap().iter();
            let scores =
                lines.map(|line| [&line["objective/scores"], &line["eval_objective/scores"]].map(Value::as_f64));
            scores.collect::<Vec<_>>()
        };
        assert_eq!(logged(&paths[0]), logged(run));
    }
    failed_at.sort_unstable();
    failed_at.dedup();
    assert!(failed_at.len() > 1, "{failed_at:?}");
}

fn latest_checkpoint(run: &Path) -> PathBuf {
    let folders = fs::read_dir(run).unwrap().map(|entry| entry.unwrap().path());
    let checkpoints = folders.filter(|path| path.to_string_lossy().contains("checkpoint-"));
    checkpoints.max().unwrap()
}

#[test]
fn a_model_that_knows_nothing_can_be_made_and_trained() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let folder = model.path().to_str().unwrap();
    let out = scratch.path().join("new");
    let arguments = [
        "lm",
        "init",
        folder,
        "--out",
        out.to_str().unwrap(),
        "--seed",
        "3",
        "--json",
    ];
    let found: Value = serde_json::from_str(&output_of(&arguments)).unwrap();
    assert!(found["parameters"].as_u64().unwrap() > 4000);
    let again = etude(&arguments);
    assert_eq!(again.status.code(), Some(2), "what is there is not written over");
    let data = completions(scratch.path());
    let run = scratch.path().join("run");
    let (name, run) = (out.to_str().unwrap(), run.to_str().unwrap());
    output_of(&[
        "lm", "sft", "--model", name, "--data", &data, "--steps", "1", "--out", run, "--json",
    ]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_model_that_no_memory_could_hold_is_refused() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let mut config: Value = serde_json::from_slice(&read(&model.path().join("config.json"))).unwrap();
    config["vocab_size"] = (1_u64 << 30).into();
    config["hidden_size"] = (1_u64 << 10).into();
    let large = scratch.path().join("large");
    fs::create_dir(&large).unwrap();
    fs::write(large.join("config.json"), config.to_string()).unwrap();
    let texts = completions(scratch.path());
    let data = ["--tokenizer-data", &texts];
    let (folder, out) = (large.to_str().unwrap(), scratch.path().join("too-large"));
    let refused = etude(&[&["lm", "init", folder, "--out", out.to_str().unwrap()], &data[..]].concat());
    let notes = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{notes}");
    assert!(
        notes.contains("GB, and this machine does not have so much") && !out.exists(),
        "{notes}"
    );
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_is_told_and_nothing_half_written_stays() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let data = completions(scratch.path());
    let run = scratch.path().join("run");
    // No file may have more than 16 blocks of 512 bytes (or of 1024, where the shell counts so), which the model has.
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_etude")])
        .args(["lm", "sft", "--model", model.path().to_str().unwrap(), "--data", &data])
        .args([
            "--steps",
            "4",
            "--out",
            run.to_str().unwrap(),
            "--set",
            "training.save_steps=1",
        ])
        .output()
        .unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{notes}");
    assert!(
        notes.contains("cannot write the checkpoint; those before are as they were") && notes.contains("large"),
        "{notes}"
    );
    let left: Vec<_> = fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    let half = left.iter().any(|name| name.to_string_lossy().contains("checkpoint"));
    assert!(!half, "{left:?}");
}

/// Of several answers to a prompt the better ones earn more; other stages want pairs.
#[test]
fn ranked_answers_train_a_reward_model() {
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let lines = (0..16).map(|index| {
        let answers = &[" odd", " odd, or even?", " neither.", " neither odd nor even!"][..2 + index % 3];
        format!(
            "{}\n",
            serde_json::json!({ "prompt": format!("{index} is"), "completions": answers })
        )
    });
    let data = scratch.path().join("ranked.jsonl");
    fs::write(&data, lines.collect::<String>()).unwrap();
    let run = scratch.path().join("run");
    let stage = |stage: &str| {
        etude(&[
            "lm",
            stage,
            "--model",
            model.path().to_str().unwrap(),
            "--data",
            data.to_str().unwrap(),
            "--out",
            run.to_str().unwrap(),
            "--set",
            "training={max_steps=12, learning_rate=1e-2, logging_steps=1, per_device_train_batch_size=4}",
            "--set",
            "data.eval_examples=4",
        ])
    };
    let refused = stage("dpo");
    let words = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{words}");
    assert!(
        words.contains("ranked.jsonl, record 1") && words.contains("ranking"),
        "{words}"
    );
    let trained = stage("reward");
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    assert_explained(&run, 12);
    let state: Value = serde_json::from_slice(&read(&run.join("checkpoint-12/trainer_state.json"))).unwrap();
    let logged = state["log_history"].as_array().unwrap();
    let series = |name: &str| logged.iter().filter_map(|line| line[name].as_f64()).collect::<Vec<_>>();
    let (losses, accuracies) = (series("eval_loss"), series("eval_accuracy"));
    assert!(
        losses[1] < losses[0] && accuracies[1] > 0.9,
        "{losses:?}, {accuracies:?}"
    );
}

/// Preferences alone make a model that sorts upwards sort downwards.
#[test]
fn the_tour_turns_a_model_round() {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("tour");
    let told = output_of(&[
        "tour",
        "--only",
        "preferences",
        "--json",
        "--out",
        run.to_str().unwrap(),
    ]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["systems"][0]["system"], "preferences");
    let problem = &told["systems"][0]["problems"][0];
    let number = |name: &str| problem[name].as_f64().unwrap();
    assert!(
        number("upwards_before") > 0.9 && number("downwards_before") < 0.1,
        "{problem}"
    );
    assert!(
        number("downwards_after") > 0.8 && number("upwards_after") < 0.15,
        "{problem}"
    );
    assert!(number("margin") > 0.0 && number("accuracy") > 0.9, "{problem}");
    let page = String::from_utf8(read(&run.join("report.html"))).unwrap();
    assert!(page.contains("How it turns round") && page.contains("sorted downwards"));
    let metrics = String::from_utf8(read(&run.join("metrics.jsonl"))).unwrap();
    assert!(metrics.contains("preferences/downwards"));
}
