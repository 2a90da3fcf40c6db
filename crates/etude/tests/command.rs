//! The built command as a user meets it: what it prints, where, and with which exit code.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The command, in a fixed environment.
fn etude(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etude"));
    command
        .args(arguments)
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    etude(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Everything that a user sees of one run.
fn transcript(arguments: &[&str]) -> String {
    let output = run(arguments);
    let code = output.status.code().unwrap();
    format!(
        "$ etude {}\n{}{}exit code {code}\n",
        arguments.join(" "),
        text(&output.stdout),
        text(&output.stderr)
    )
}

#[test]
fn help() {
    insta::assert_snapshot!("help", transcript(&["--help"]));
    insta::assert_snapshot!("help_doctor", transcript(&["doctor", "--help"]));
    insta::assert_snapshot!("help_completions", transcript(&["completions", "--help"]));
    insta::assert_snapshot!("help_tour", transcript(&["tour", "--help"]));
    insta::assert_snapshot!("help_mdp", transcript(&["mdp", "--help"]));
    for verb in ["solve", "evaluate", "compare", "sweep", "simulate"] {
        insta::assert_snapshot!(format!("help_mdp_{verb}"), transcript(&["mdp", verb, "--help"]));
    }
    insta::assert_snapshot!("help_rl", transcript(&["rl", "--help"]));
    for verb in ["envs", "check-env"] {
        insta::assert_snapshot!(format!("help_rl_{verb}"), transcript(&["rl", verb, "--help"]));
    }
    insta::assert_snapshot!("help_lm", transcript(&["lm", "--help"]));
    for verb in ["generate", "chat", "eval", "inspect", "lint"] {
        insta::assert_snapshot!(format!("help_lm_{verb}"), transcript(&["lm", verb, "--help"]));
    }
    insta::assert_snapshot!("help_boxes", transcript(&["boxes", "--help"]));
    for verb in ["iou", "nms", "assign", "simulate"] {
        insta::assert_snapshot!(format!("help_boxes_{verb}"), transcript(&["boxes", verb, "--help"]));
    }
}

#[test]
fn the_command_alone_shows_its_help_and_fails() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr), text(&run(&["--help"]).stdout));
}

#[test]
fn version() {
    let output = run(&["--version"]);
    assert_eq!(text(&output.stdout), concat!("etude ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn wrong_usage() {
    let cases: [&[&str]; 11] = [
        &["doctr"],
        &["mdp", "solve", "grid.toml", "--sed", "3"],
        &["mdp", "solve", "grid.toml", "--set", "gamma"],
        &["mdp", "solve", "grid.toml", "--set", "=3"],
        &["mdp", "solve", "grid.toml", "--set", "solve..method=3"],
        &["mdp", "solve", "grid.toml", "--seed", "-1"],
        &["mdp", "solve", "grid.toml", "--seed", "99999999999999999999"],
        &["doctor", "--seed", "3"],
        &["tour", "--set", "gamma=0.5"],
        &["doctor", "--threads", "2000"],
        &["completions", "tcsh"],
    ];
    insta::assert_snapshot!(cases.map(transcript).join("\n"));
    for arguments in cases {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
    }
}

/// The doctor's text with what differs from machine to machine left out.
#[test]
fn doctor() {
    let output = run(&["doctor", "--threads", "3"]);
    let machine_dependent = ["system", "cores", "SIMD", "memory"];
    let mut lines: Vec<String> = Vec::new();
    for line in text(&output.stdout).lines() {
        let label = line.split_whitespace().next().unwrap_or_default();
        lines.push(match label {
            "étude" => "étude [version] ([profile] build)".into(),
            label if machine_dependent.contains(&label) => format!("  {label:<11}[...]"),
            // The advice from here on depends on the build and on what is installed.
            "Missing" => break,
            _ => line.to_owned(),
        });
    }
    insta::assert_snapshot!(lines.join("\n"));
    assert!(output.stderr.is_empty());
}

#[test]
fn doctor_for_a_program() {
    let output = run(&["doctor", "--json", "--threads", "3"]);
    assert_eq!(text(&output.stdout).lines().count(), 1);
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(findings["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(findings["devices"][0], "cpu");
    assert_eq!(findings["cores"]["threads"], 3);
    assert!(findings["cores"]["logical"].as_u64().unwrap() >= 1);
    assert_eq!(findings["allocator"], "mimalloc");
    for advice in findings["advice"].as_array().unwrap() {
        assert!(advice["action"].as_str().is_some_and(|action| !action.is_empty()));
    }
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completions", shell]);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("doctor"), "{shell}");
        assert!(output.stderr.is_empty());
        assert_eq!(run(&["completions", shell, "--json", "--quiet"]).stdout, output.stdout);
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    for arguments in [
        &["completions", "zsh"][..],
        &["doctor"],
        &["doctor", "--json"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = etude(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = etude(&["doctor"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output.stderr));
}

#[test]
fn nothing_is_coloured_where_nobody_looks() {
    for arguments in [&["--help"][..], &["doctor"], &["doctor", "--threads", "a"], &["doctr"]] {
        let output = run(arguments);
        assert!(
            !output.stdout.contains(&b'\x1b') && !output.stderr.contains(&b'\x1b'),
            "{arguments:?}"
        );
    }
}
