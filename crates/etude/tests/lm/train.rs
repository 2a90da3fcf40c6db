//! `etude lm sft`, `reward`, `dpo` and its kin: what a run leaves behind, and that one which is killed goes on as if it had not been.

use std::fs;
use std::path::Path;
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
