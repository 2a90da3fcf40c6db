//! No process is left behind, and none ends too early.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use etude_rl::VectorEnv;

use super::{announce, begun, python};

/// Whether there is such a process that has not ended.
fn alive(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = status.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| !"ZX".contains(state))
}

#[test]
fn no_process_is_left_behind() {
    let Some(python) = python() else { return };
    for id in ["bridge_envs:Env-v0", "bridge_envs:HangsInTheEnd-v0"] {
        let (mut envs, mut batch) = begun(&python, id);
        let process = batch.observations[0] as u32;
        assert!(alive(process));
        // Ctrl-C goes to all processes of a terminal, and some more steps may be wanted before the end.
        let sent = Command::new("kill")
            .args(["-INT", &process.to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        envs.step(&[0.0], &mut batch).unwrap();
        drop(envs);
        // Nor is it a zombie.
        assert!(!Path::new(&format!("/proc/{process}")).exists(), "{id}");
    }
}

/// Set for the process that is killed: the environment that it steps.
const ROLE: &str = "ETUDE_TEST_BRIDGE";

/// What [`a_killed_process_leaves_none_behind`] kills; it does nothing when it is run among the other tests.
#[test]
fn steps_until_it_is_killed() {
    let Ok(id) = env::var(ROLE) else { return };
    let (mut envs, mut batch) = begun(&python().unwrap(), &id);
    announce(&format!("process {}", batch.observations[0]));
    loop {
        envs.step(&[0.0], &mut batch).unwrap();
    }
}

#[test]
fn a_killed_process_leaves_none_behind() {
    if python().is_none() {
        return;
    }
    for id in ["bridge_envs:Env-v0", "bridge_envs:Hangs-v0"] {
        let mut parent = Command::new(env::current_exe().unwrap())
            .args(["--exact", "processes::steps_until_it_is_killed", "--nocapture"])
            .env(ROLE, id)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(parent.stderr.take().unwrap()).lines();
        let process = lines
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix("bridge: process ")?.parse().ok())
            .unwrap();
        assert!(alive(process));
        // With SIGKILL, which it cannot answer.
        parent.kill().unwrap();
        parent.wait().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while alive(process) {
            assert!(Instant::now() < deadline, "process {process} of {id} is left behind");
            thread::sleep(Duration::from_millis(5));
        }
    }
}
