//! `etude rl`, as its users see it.

use std::process::{Command, Output};

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
