//! `etude rl`, as its users see it.

use std::process::{Command, Output};
use std::{env, fs};

use etude_rl::Interpreter;
use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_etude"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn environments_are_listed() {
    insta::assert_snapshot!(text(&run(&["rl", "envs"]).stdout));
    let list: Value = serde_json::from_slice(&run(&["rl", "envs", "--json"]).stdout).unwrap();
    let cart_pole = list
        .as_array()
        .unwrap()
        .iter()
        .find(|known| known["id"] == "CartPole-v1")
        .unwrap();
    assert_eq!(cart_pole["max_episode_steps"], 500);
    assert_eq!(cart_pole["reward_threshold"], 475.0);
}

#[test]
fn a_sound_environment_passes() {
    let output = run(&["rl", "check-env", "Pendulum-v1"]);
    insta::assert_snapshot!(text(&output.stdout));
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&run(&["rl", "check-env", "Taxi-v4", "--json"]).stdout).unwrap();
    assert_eq!(
        (&report["environment"], &report["sound"]),
        (&"Taxi-v4".into(), &true.into())
    );
}

#[test]
fn an_unknown_environment_gets_the_nearest_name() {
    let output = run(&["rl", "check-env", "CartPole-v2"]);
    insta::assert_snapshot!(text(&output.stderr));
    assert_eq!(output.status.code(), Some(2));
    let unlike = text(&run(&["rl", "check-env", "xyz"]).stderr);
    assert!(unlike.contains("`etude rl envs` lists the environments"), "{unlike}");
}

#[test]
fn without_python_there_is_no_gymnasium() {
    let output = Command::new(env!("CARGO_BIN_EXE_etude"))
        .args(["rl", "check-env", "gym:CartPole-v1"])
        .env("ETUDE_PYTHON", "/no/such/python")
        .output()
        .unwrap();
    insta::assert_snapshot!(text(&output.stderr));
    assert_eq!(output.status.code(), Some(2));
}

/// Whether there is Gymnasium. Where there is none, tests say so and pass, unless `ETUDE_REQUIRE_GYMNASIUM=1` makes its
/// absence a failure.
fn has_gymnasium() -> bool {
    let output = Interpreter::find().command(&["-c", "import gymnasium"]).output();
    let found = output.is_ok_and(|output| output.status.success());
    if !found {
        let required = env::var("ETUDE_REQUIRE_GYMNASIUM").is_ok_and(|value| value == "1");
        assert!(!required, "ETUDE_REQUIRE_GYMNASIUM=1, but there is no Gymnasium");
        announce("skipped: there is no Gymnasium");
    }
    found
}

#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn announce(text: &str) {
    eprintln!("rl: {text}");
}

#[test]
fn environments_of_gymnasium_are_checked_too() {
    if !has_gymnasium() {
        return;
    }
    let output = run(&["rl", "check-env", "gym:CartPole-v1", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["environment"], &report["sound"]),
        (&"gym:CartPole-v1".into(), &true.into())
    );
    let unknown = run(&["rl", "check-env", "gym:CardPole-v1"]);
    assert_eq!(unknown.status.code(), Some(2));
    let unknown = text(&unknown.stderr);
    assert!(unknown.contains("Did you mean: `CartPole`?"), "{unknown}");
}

#[test]
fn it_learns_in_environments_of_gymnasium() {
    if !has_gymnasium() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("run").display().to_string();
    let settings = [
        "steps=500",
        "environments=2",
        "dqn.hidden=[8]",
        "evaluation.episodes=2",
        "evaluation.final_episodes=3",
    ];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let arguments = [
        "rl",
        "train",
        "dqn",
        "--env",
        "gym:CartPole-v1",
        "--json",
        "--out",
        &out,
    ];
    let output = run(&arguments.into_iter().chain(settings).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let trained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&trained["environment"], &trained["steps"]),
        (&"gym:CartPole-v1".into(), &500.into())
    );
    let judged = run(&["rl", "eval", &out, "--episodes", "3", "--json"]);
    assert_eq!(judged.status.code(), Some(0), "{}", text(&judged.stderr));

    let gif = scratch.path().join("play.gif");
    let played = run(&["rl", "play", &out, "--gif", &gif.display().to_string()]);
    if played.status.success() {
        assert!(fs::read(&gif).unwrap().starts_with(b"GIF89a"));
        // The page allows the pictures that it holds, and nothing else.
        let page = fs::read_to_string(scratch.path().join("run/report.html")).unwrap();
        assert!(page.contains("data:image/png;base64,") && page.contains("img-src data:;"));
    } else {
        let told = text(&played.stderr);
        assert!(told.contains("cannot be drawn") && told.contains("pygame"), "{told}");
        announce("skipped: no pygame, so Gymnasium draws nothing");
    }
}
