//! Several processes train one model over MPI: what they find is what one finds, and nothing is lost where one of them dies.
//!
//! Without the feature `mpi`, or without `mpirun`, the tests say so and pass, unless `ETUDE_REQUIRE_MPI=1` makes that a failure.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::model;

const PROGRAM: &str = env!("CARGO_BIN_EXE_etude");

/// Whether several processes can be started.
fn has_mpi() -> bool {
    let started = Command::new("mpirun").arg("--version").output();
    let found = cfg!(feature = "mpi") && started.is_ok_and(|output| output.status.success());
    if !found {
        let required = env::var("ETUDE_REQUIRE_MPI").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "ETUDE_REQUIRE_MPI=1, but there is no mpirun, or étude is built without the feature `mpi`"
        );
        announce("skipped: there is no mpirun, or étude is built without the feature `mpi`");
    }
    found
}

#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn announce(text: &str) {
    eprintln!("ranks: {text}");
}

/// `mpirun` with what a machine of few cores and the user of a container need.
fn mpirun() -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--oversubscribe", "--timeout", "300", "-n"])
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("RAYON_NUM_THREADS", "1")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

fn two(arguments: &[String]) -> Command {
    let mut command = mpirun();
    command.args(["2", PROGRAM]).args(arguments);
    command
}

fn one(arguments: &[String]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Records whose answers have from one word to eight.
fn data(folder: &Path, stage: &str, count: usize) -> String {
    let line = |index: usize| {
        let (prompt, answer) = (format!("{index} is"), " so".repeat(1 + index * index % 8));
        match stage {
            "sft" => json!({ "prompt": prompt, "completion": answer }),
            _ => json!({ "prompt": prompt, "chosen": answer, "rejected": format!(" not {index}") }),
        }
    };
    let path = folder.join(format!("{stage}.jsonl"));
    let lines: Vec<String> = (0..count).map(|index| line(index).to_string()).collect();
    fs::write(&path, lines.join("\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

fn arguments(stage: &str, model: &TempDir, data: &str, out: &Path, settings: &[&str]) -> Vec<String> {
    let (model, out) = (model.path().to_str().unwrap(), out.to_str().unwrap());
    let first = ["lm", stage, "--model", model, "--data", data, "--out", out, "--json"];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    first.into_iter().chain(settings).map(str::to_owned).collect()
}

fn resumed(stage: &str, out: &Path) -> Vec<String> {
    ["lm", stage, "--out", out.to_str().unwrap(), "--resume", "--json"]
        .map(str::to_owned)
        .to_vec()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What was logged, but for how fast it went.
fn logged(run: &Path) -> Vec<Value> {
    let text = String::from_utf8(read(&run.join("metrics.jsonl"))).unwrap();
    let lines = text.lines().filter(|line| !line.contains("tokens_per_second"));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn parameters(run: &Path) -> Vec<f32> {
    let bytes = read(&run.join("model/model.safetensors"));
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    let numbers = names.into_iter().flat_map(|name| {
        let (numbers, _) = tensors.tensor(name).unwrap().data().as_chunks::<4>();
        numbers.iter().map(|bytes| f32::from_le_bytes(*bytes))
    });
    numbers.collect()
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-5 * expected.abs().max(1.0)
}

/// The number of a line of the logs, and all else of it.
fn split(line: &Value) -> (f64, Value) {
    let mut rest = line.clone();
    (rest["value"].take().as_f64().unwrap(), rest)
}

/// A launcher says that there are two processes, and each would train alone into one folder: by no MPI, or by another one.
#[test]
fn processes_that_do_not_find_each_other_are_told() {
    for size in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"] {
        let mut command = Command::new(PROGRAM);
        command
            .args(["lm", "sft", "--model", "m", "--data", "d.jsonl"])
            .env(size, "2");
        let output = command.stdin(Stdio::null()).output().unwrap();
        let notes = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{size}: {notes}");
        assert!(notes.contains("cannot train in several processes"), "{size}: {notes}");
    }
}

/// Also where the last step of an epoch leaves one of them without a batch, and where they compute activations anew.
#[test]
fn two_processes_are_one_with_twice_the_batch() {
    if !has_mpi() {
        return;
    }
    let (model, scratch) = (model(), TempDir::new().unwrap());
    // Batches of pairs weigh alike, whatever their size, so that these are cut evenly.
    for (stage, more, count) in [
        ("sft", "training.gradient_checkpointing=true", 22),
        ("dpo", "dpo.beta=0.5", 21),
    ] {
        let data = data(scratch.path(), stage, count);
        let settings = |batch: &'static str| {
            [
                batch,
                more,
                "training.max_steps=7",
                "training.learning_rate=1e-3",
                "training.logging_steps=1",
                "training.eval_steps=2",
                "training.early_stopping_patience=9",
                "data.eval_examples=5",
                "samples.count=1",
            ]
        };
        let [apart, alone] = ["apart", "alone"].map(|name| scratch.path().join(format!("{stage}-{name}")));
        let four = settings("training.per_device_train_batch_size=4");
        let printed = run(two(&arguments(stage, &model, &data, &apart, &four))).stdout;
        // The first alone prints.
        let result: Value = serde_json::from_slice(&printed).unwrap();
        assert_eq!(result["steps"], 7);
        let eight = settings("training.per_device_train_batch_size=8");
        run(one(&arguments(stage, &model, &data, &alone, &eight)));

        let (found, expected) = (logged(&apart), logged(&alone));
        assert!(found.len() > 7 * 5, "{found:?}");
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let ((value, rest), (should, of)) = (split(found), split(expected));
            assert!(rest == of && close(value, should), "{found}, expected {expected}");
        }
        let (found, expected) = (parameters(&apart), parameters(&alone));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                close((*found).into(), (*expected).into()),
                "{found}, expected {expected}"
            );
        }
    }
}

/// The process of a rank that `mpirun` has started.
fn process(mpirun: &Child, rank: usize) -> String {
    let children = format!("/proc/{0}/task/{0}/children", mpirun.id());
    let children = fs::read_to_string(children).unwrap();
    let variable = format!("OMPI_COMM_WORLD_RANK={rank}");
    let is_it = |process: &&str| {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == variable.as_bytes())
    };
    children.split_whitespace().find(is_it).unwrap().to_owned()
}

/// Sends a signal to the second rank as soon as there is a checkpoint, and returns what `mpirun` says of it.
fn struck(mut command: Command, signal: &str, checkpoint: &Path) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = Instant::now();
    while !checkpoint.exists() {
        assert!(since.elapsed() < Duration::from_mins(2), "no checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    let killed = Command::new("kill").args([signal, &process(&child, 1)]).status();
    assert!(killed.unwrap().success());
    child.wait_with_output().unwrap()
}

#[test]
fn where_a_rank_is_killed_or_asked_to_stop_all_go_on_from_the_last_checkpoint() {
    if !has_mpi() {
        return;
    }
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let data = data(scratch.path(), "sft", 30);
    let settings = [
        "training.max_steps=300",
        "training.save_steps=20",
        "training.logging_steps=7",
        "training.learning_rate=1e-3",
        "training.per_device_train_batch_size=2",
        "samples.count=0",
    ];
    let [straight, broken] = ["straight", "broken"].map(|name| scratch.path().join(name));
    run(two(&arguments("sft", &model, &data, &straight, &settings)));

    let first = two(&arguments("sft", &model, &data, &broken, &settings));
    let output = struck(first, "-KILL", &broken.join("checkpoint-20"));
    assert!(!output.status.success());
    let told = stderr(&output);
    assert!(told.contains("rank 1") && told.contains("signal 9 (Killed)"), "{told}");

    let alone = one(&resumed("sft", &broken)).output().unwrap();
    assert_eq!(alone.status.code(), Some(2));
    assert!(
        stderr(&alone).contains("it began with 2 processes"),
        "{}",
        stderr(&alone)
    );

    let output = struck(two(&resumed("sft", &broken)), "-TERM", &broken.join("checkpoint-60"));
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("rank 0 of 2: stopped on request"),
        "{}",
        stderr(&output)
    );
    assert!(
        !broken.join("model").exists(),
        "it had ended before it was asked to stop"
    );

    run(two(&resumed("sft", &broken)));
    assert_eq!(logged(&straight), logged(&broken));
    for file in ["model/model.safetensors", "checkpoint-300/optimizer.safetensors"] {
        assert!(read(&straight.join(file)) == read(&broken.join(file)), "{file}");
    }
}

#[test]
fn what_goes_wrong_ends_all_ranks_and_is_told_with_the_rank() {
    if !has_mpi() {
        return;
    }
    let (model, scratch) = (model(), TempDir::new().unwrap());
    let data = data(scratch.path(), "sft", 8);
    let settings = [
        "training.learning_rate=1e30",
        "training.max_grad_norm=0.0",
        "samples.count=0",
    ];
    let good = arguments("sft", &model, &data, &scratch.path().join("diverged"), &settings);
    let output = two(&good).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let told = stderr(&output);
    assert!(told.contains("rank 0 of 2: training has broken down"), "{told}");
    assert!(!told.contains("rank 1 of 2"), "{told}");

    // One of them finds no data where it is.
    let run = scratch.path().join("run");
    let mut command = mpirun();
    command
        .args(["1", PROGRAM])
        .args(arguments("sft", &model, &data, &run, &settings));
    command
        .args([":", "-n", "1", PROGRAM])
        .args(arguments("sft", &model, "nowhere.jsonl", &run, &settings));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("rank 1 of 2: cannot read the data"),
        "{}",
        stderr(&output)
    );
}
