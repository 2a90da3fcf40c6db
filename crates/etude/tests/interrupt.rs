//! Ctrl-C, once and twice, on a process of its own: this test program starts itself again as that process.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Set for the process that is interrupted: what it does at the first Ctrl-C.
const ROLE: &str = "ETUDE_TEST_INTERRUPT";

#[test]
fn once_stops_in_good_order() {
    let (mut child, mut lines) = start("obedient");
    interrupt(&child);
    assert_eq!(next(&mut lines), "stopped in good order");
    assert!(child.wait().unwrap().success());
}

#[test]
fn twice_stops_at_once() {
    let (mut child, mut lines) = start("stubborn");
    interrupt(&child);
    assert_eq!(next(&mut lines), "not yet");
    interrupt(&child);
    let status: ExitStatus = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
}

/// The long run that the other tests interrupt; it does nothing when it is run among them.
#[test]
fn long_run() {
    let Ok(role) = std::env::var(ROLE) else { return };
    etude::interrupt::install().unwrap();
    assert!(!etude::interrupt::interrupted());
    let output = etude::output::Output::new(false, false);
    output.line("started");
    while !etude::interrupt::interrupted() {
        std::thread::sleep(Duration::from_millis(1));
    }
    if role == "stubborn" {
        output.line("not yet");
        std::thread::sleep(Duration::from_mins(1));
    }
    output.line("stopped in good order");
}

type Lines = std::io::Lines<BufReader<std::process::ChildStdout>>;

fn start(role: &str) -> (Child, Lines) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "long_run", "--nocapture"])
        .env(ROLE, role)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().map(Result::unwrap).any(|line| line.ends_with("started")));
    (child, lines)
}

fn next(lines: &mut Lines) -> String {
    lines.next().unwrap().unwrap()
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}
