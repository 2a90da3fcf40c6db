//! `etude rl train`, `eval` and `compare`, as their users see them: small runs that take a second or two.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use etude_rl::{Autoreset, Batch, Dynamics as _, load_policy, registered};
use serde_json::{Value, json};

fn etude() -> Command {
    Command::new(env!("CARGO_BIN_EXE_etude"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A short run with every part that has a state: prioritised replay of three steps, two streams, several environments, and
/// wrappers.
const SHORT: [&str; 22] = [
    "--env",
    "CartPole-v1",
    "--set",
    "steps=6000",
    "--set",
    "environments=2",
    "--set",
    "evaluation.episodes=3",
    "--set",
    "wrappers={ frame_stack = 2, normalize_observations = true, normalize_rewards = true }",
    "--set",
    "dqn.hidden=[32]",
    "--set",
    "dqn.duelling=true",
    "--set",
    "dqn.double=true",
    "--set",
    "dqn.n_steps=3",
    "--set",
    "dqn.priorities={}",
    "--set",
    "evaluation.final_episodes=5",
];

fn train(out: &Path, more: &[&str]) -> Output {
    etude()
        .args(["rl", "train", "dqn", "--json", "--out"])
        .arg(out)
        .args(SHORT)
        .args(more)
        .output()
        .unwrap()
}

/// A run of any algorithm.
fn train_by(algorithm: &str, environment: &str, out: &Path, more: &[&str]) -> Output {
    etude()
        .args(["rl", "train", algorithm, "--env", environment, "--json", "--out"])
        .arg(out)
        .args(more)
        .output()
        .unwrap()
}

fn trained(out: &Path, more: &[&str]) -> Value {
    let output = train(out, more);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// All that a run leaves behind but times: the policies, the checkpoint's end, the episodes, the metrics.
fn traces(run: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let whole = [
        "best/policy.safetensors",
        "best/policy.json",
        "last/policy.safetensors",
        "last/policy.json",
    ];
    let mut traces: Vec<(PathBuf, Vec<u8>)> = whole
        .map(|file| (file.into(), fs::read(run.join(file)).unwrap()))
        .to_vec();
    let episodes = fs::read_to_string(run.join("monitor.csv")).unwrap();
    let episodes: Vec<&str> = episodes
        .lines()
        .skip(1)
        .map(|line| line.rsplit_once(',').unwrap().0)
        .collect();
    traces.push(("monitor.csv".into(), episodes.join("\n").into_bytes()));
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let metrics: Vec<&str> = metrics
        .lines()
        .filter(|line| !line.contains("\"time/fps\"") && !line.contains("\"time/time_elapsed\""))
        .collect();
    assert!(metrics.len() > 100, "{}", metrics.len());
    traces.push(("metrics.jsonl".into(), metrics.join("\n").into_bytes()));
    traces
}

fn assert_same(one: &Path, other: &Path) {
    let card = fs::read_to_string(one.join("last/policy.json")).unwrap();
    for ((file, one), (_, other)) in traces(one).into_iter().zip(traces(other)) {
        assert!(one == other, "{} differs, of {card}", file.display());
    }
}

#[test]
fn a_run_leaves_behind_what_its_users_look_for() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let json = trained(&run, &["--seed", "1"]);
    assert_eq!(
        (&json["algorithm"], &json["environment"]),
        (&"dqn".into(), &"CartPole-v1".into())
    );
    assert_eq!(json["steps"], 6000);
    assert_eq!(json["run"], run.display().to_string());
    assert!(json["seconds"].as_f64().unwrap() > 0.0 && json["steps_per_second"].as_f64().unwrap() > 0.0);
    let evaluation = &json["evaluation"];
    assert_eq!(evaluation["episodes"], 5);
    for name in ["mean", "iqm"] {
        assert!(
            (8.0..=500.0).contains(&evaluation[name].as_f64().unwrap()),
            "{evaluation}"
        );
    }
    assert!(evaluation["interval"][0].as_f64() <= evaluation["interval"][1].as_f64());

    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    for name in [
        "rollout/ep_rew_mean",
        "rollout/ep_len_mean",
        "rollout/exploration_rate",
        "time/fps",
        "time/total_timesteps",
        "train/loss",
        "train/learning_rate",
        "train/n_updates",
        "eval/mean_reward",
    ] {
        assert!(metrics.contains(&format!("\"{name}\"")), "{name}");
    }
    let monitor = fs::read_to_string(run.join("monitor.csv")).unwrap();
    let mut lines = monitor.lines();
    let head: Value = serde_json::from_str(lines.next().unwrap().strip_prefix('#').unwrap()).unwrap();
    assert_eq!(head["env_id"], "CartPole-v1");
    assert_eq!(lines.next(), Some("r,l,t"));
    let lengths: usize = lines
        .map(|line| line.split(',').nth(1).unwrap().parse::<usize>().unwrap())
        .sum();
    assert!((5000..=6000).contains(&lengths), "{lengths}");

    // The recipe that is kept repeats the run.
    let config = run.join("config.toml");
    let again = folder.path().join("again");
    let output = etude()
        .args(["rl", "train", "dqn", "--quiet", "--out"])
        .args([&again, &config])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_same(&run, &again);
}

#[test]
fn one_thread_gives_the_bytes_of_two() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    trained(&one, &["--threads", "1"]);
    trained(&two, &["--threads", "2"]);
    assert_same(&one, &two);
}

#[test]
fn several_seeds_side_by_side_are_the_seeds_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [alone, together] = ["alone", "together"].map(|name| folder.path().join(name));
    trained(&alone, &["--seed", "4"]);
    let json = trained(&together, &["--seed", "3", "--seeds", "2"]);
    let seeds: Vec<u64> = json["seeds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|seed| seed["seed"].as_u64().unwrap())
        .collect();
    assert_eq!(seeds, [3, 4]);
    assert_same(&alone, &together.join("seed-4"));

    // Going on with a run of several seeds goes on with all of them; these have nothing left to do.
    let output = etude()
        .args(["rl", "train", "dqn", "--json", "--resume", "--out"])
        .arg(&together)
        .output()
        .unwrap();
    let resumed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(resumed["seeds"], json["seeds"]);

    // A comparison of the two runs, and of one policy.
    let output = etude()
        .args(["rl", "compare", "--json"])
        .args([&alone, &together])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let compared: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&compared["runs"][0]["seeds"], &compared["runs"][1]["seeds"]),
        (&1.into(), &2.into())
    );
    assert_eq!(compared["runs"][0]["scores"][0], compared["runs"][1]["scores"][1]);
    let probability = compared["improvements"][0]["probability"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&probability));
    let output = etude()
        .args(["rl", "eval", "--json", "--episodes", "5"])
        .arg(&alone)
        .output()
        .unwrap();
    let judged: Value = serde_json::from_slice(&output.stdout).unwrap();
    // The same five episodes as at the end of the run.
    assert_eq!(judged["mean"], compared["runs"][0]["scores"][0]);
}

#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let [straight, killed] = ["straight", "killed"].map(|name| folder.path().join(name));
    let often = ["--set", "checkpoint_every=500"];
    trained(&straight, &often);

    // Killed twice, at moments that nobody chose: some time after the first checkpoint.
    for (resume, moment) in [(false, 30), (true, 170)] {
        let mut command = etude();
        command.args(["rl", "train", "dqn", "--quiet", "--out"]).arg(&killed);
        if resume {
            command.arg("--resume");
        } else {
            command.args(SHORT).args(often);
        }
        let mut child = command.spawn().unwrap();
        let started = Instant::now();
        while !killed.join("checkpoints/latest").exists() {
            assert!(started.elapsed() < Duration::from_mins(2));
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(moment));
        // SIGKILL, which no process can catch.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = etude()
        .args(["rl", "train", "dqn", "--json", "--resume", "--out"])
        .arg(&killed)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_same(&straight, &killed);
}

/// Every actor-critic method, where it learns, and what makes its run short.
const ACTOR_CRITICS: [(&str, &str, &[&str]); 13] = [
    ("qac", "CartPole-v1", &["steps=4000", "qac.hidden=[16]"]),
    ("off-policy-actor-critic", "CartPole-v1", &["steps=4000"]),
    (
        "off-policy-actor-critic",
        "Taxi-v4",
        &["steps=4000", "wrappers={ action_mask = true }"],
    ),
    ("reinforce", "CartPole-v1", &["steps=6000", "reinforce.hidden=[16]"]),
    (
        "a2c",
        "CartPole-v1",
        &[
            "steps=8000",
            "environments=4",
            "wrappers={ normalize_observations = true, normalize_rewards = true }",
        ],
    ),
    (
        "a2c",
        "Blackjack-v1",
        &[
            "steps=8000",
            "environments=2",
            "a2c.hidden=[]",
            "a2c.features=\"one-hot\"",
        ],
    ),
    (
        "ppo",
        "Pendulum-v1",
        &[
            "steps=6000",
            "environments=2",
            "ppo.n_steps=64",
            "ppo.squashed=true",
            "ppo.deviation=\"of-state\"",
        ],
    ),
    (
        "ppo",
        "Taxi-v4",
        &[
            "steps=6000",
            "environments=2",
            "ppo.n_steps=64",
            "wrappers={ action_mask = true, normalize_rewards = true }",
        ],
    ),
    ("dpg", "Pendulum-v1", &["steps=4000", "dpg.critic_step_size=1e-5"]),
    (
        "ddpg",
        "Pendulum-v1",
        &[
            "steps=2000",
            "ddpg.hidden=[24, 16]",
            "ddpg.action_layer=\"second\"",
            "ddpg.learning_starts=300",
            "ddpg.noise={ ornstein-uhlenbeck = { theta = 0.15, sigma = 0.2, dt = 1.0 } }",
        ],
    ),
    (
        "ddpg",
        "Pendulum-v1",
        &[
            "steps=1200",
            "ddpg.hidden=[24, 16]",
            "ddpg.batch_normalization=true",
            "ddpg.learning_starts=300",
        ],
    ),
    (
        "td3",
        "Cart-v0",
        &[
            "steps=600",
            "environments=2",
            "wrappers={ pixels = 16, action_repeat = 3, frame_stack = 3 }",
            "td3.hidden=[16, 16]",
            "td3.batch_size=4",
            "td3.learning_starts=100",
        ],
    ),
    (
        "td3",
        "Pendulum-v1",
        &[
            "steps=2000",
            "environments=2",
            "td3.hidden=[24, 16]",
            "td3.batch_size=32",
            "td3.learning_starts=300",
        ],
    ),
];

#[cfg(unix)]
#[test]
fn every_actor_critic_that_is_killed_goes_on_to_the_same_bytes_on_one_thread_as_on_two() {
    for (algorithm, environment, settings) in ACTOR_CRITICS {
        let folder = tempfile::tempdir().unwrap();
        let [straight, killed] = ["straight", "killed"].map(|name| folder.path().join(name));
        let always = [
            "evaluation.episodes=3",
            "evaluation.final_episodes=4",
            "checkpoint_every=200",
        ];
        let flags: Vec<&str> = settings
            .iter()
            .chain(&always)
            .flat_map(|setting| ["--set", setting])
            .collect();
        let output = train_by(algorithm, environment, &straight, &flags);
        assert!(output.status.success(), "{algorithm}: {}", text(&output.stderr));

        let mut child = etude()
            .args(["rl", "train", algorithm, "--env", environment, "--quiet", "--out"])
            .arg(&killed)
            .args(&flags)
            .spawn()
            .unwrap();
        let started = Instant::now();
        while !killed.join("checkpoints/latest").exists() {
            assert!(started.elapsed() < Duration::from_mins(2));
            std::thread::sleep(Duration::from_millis(1));
        }
        // SIGKILL, which no process can catch.
        child.kill().unwrap();
        child.wait().unwrap();
        let output = etude()
            .args([
                "rl",
                "train",
                algorithm,
                "--json",
                "--resume",
                "--threads",
                "1",
                "--out",
            ])
            .arg(&killed)
            .output()
            .unwrap();
        assert!(output.status.success(), "{algorithm}: {}", text(&output.stderr));
        assert_same(&straight, &killed);

        // The policy on disk is judged as it was at the end of the run.
        let output = etude()
            .args(["rl", "eval", "--json", "--episodes", "4"])
            .arg(&straight)
            .output()
            .unwrap();
        assert!(output.status.success(), "{algorithm}: {}", text(&output.stderr));
        let judged: Value = serde_json::from_slice(&output.stdout).unwrap();
        let result: Value = serde_json::from_slice(&fs::read(straight.join("result.json")).unwrap()).unwrap();
        let returns = result["best_returns"].as_array().unwrap();
        let mean = returns.iter().map(|value| value.as_f64().unwrap()).sum::<f64>() / 4.0;
        assert!(
            (judged["mean"].as_f64().unwrap() - mean).abs() <= 1e-9 * mean.abs(),
            "{algorithm}: {judged}"
        );
    }
}

/// The report of a run that must be refused with `code`.
fn refused(code: i32, arguments: &[&str]) -> String {
    let output = etude().args(["rl", "train"]).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
    text(&output.stderr)
}

#[test]
fn bad_input_is_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let out_folder = out.to_str().unwrap();
    let to = |arguments: &[&'static str]| [arguments, &["--out", out_folder]].concat();
    let errors = [
        refused(2, &to(&["dqm", "--env", "CartPole-v1"])),
        refused(2, &to(&["dqn", "--env", "CartPole-v2"])),
        refused(2, &to(&["dqn"])),
        refused(2, &to(&["dqn", "--env", "Pendulum-v1"])),
        refused(2, &to(&["dqn", "--env", "CartPole-v1", "--set", "dqn.gama=0.9"])),
        refused(2, &to(&["dqn", "--env", "CartPole-v1", "--set", "dqn.gamma=1.5"])),
        refused(
            2,
            &to(&["dqn", "--env", "CartPole-v1", "--set", "dqn.learning_rate=fast"]),
        ),
        refused(2, &to(&["dqn", "--env", "CartPole-v1", "--steps", "0"])),
    ];
    insta::assert_snapshot!(errors.join("\n"));
    assert!(!out.exists());
}

#[test]
fn a_run_that_cannot_go_on_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    trained(&run, &[]);
    let resume = ["dqn", "--resume", "--out", run.to_str().unwrap()];
    let latest = run.join("checkpoints/latest");
    let whole = fs::read(&latest).unwrap();
    let policy = fs::read(run.join("best/policy.safetensors")).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&latest, &damaged).unwrap();
    let mut errors = vec![refused(2, &resume)];
    fs::write(&latest, &whole[..35]).unwrap();
    errors.push(refused(2, &resume));
    fs::remove_file(&latest).unwrap();
    errors.push(refused(2, &resume));
    errors.push(refused(2, &[&resume[..], &["--steps", "7000"]].concat()));
    // Another run must not be written over this one.
    errors.push(refused(
        2,
        &["dqn", "--env", "CartPole-v1", "--out", run.to_str().unwrap()],
    ));
    let errors = errors.join("\n").replace(folder.path().to_str().unwrap(), "FOLDER");
    insta::assert_snapshot!(errors);
    assert_eq!(fs::read(run.join("best/policy.safetensors")).unwrap(), policy);
}

/// A disk that is full, as far as a process can tell: files may not grow beyond a limit.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_last_checkpoint_whole() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    // 1024 blocks of 512 or 1024 bytes: the first checkpoints fit, and those of a fuller memory do not.
    let script = "trap '' XFSZ; ulimit -f 400; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args([
            "-c",
            script,
            env!("CARGO_BIN_EXE_etude"),
            "rl",
            "train",
            "dqn",
            "--json",
            "--out",
        ])
        .arg(&run)
        .args(["--env", "CartPole-v1", "--steps", "20000", "--set", "dqn.hidden=[8]"])
        .args([
            "--set",
            "checkpoint_every=1000",
            "--set",
            "dqn.gradient_steps=1",
            "--set",
            "dqn.train_frequency=16",
        ])
        .output()
        .unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("cannot write the checkpoint; the one before is as it was"),
        "{error}"
    );
    assert!(run.join("checkpoints/latest").exists());
    // With room again, the run goes on from there.
    let resumed = etude()
        .args(["rl", "train", "dqn", "--json", "--resume", "--out"])
        .arg(&run)
        .output()
        .unwrap();
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
}

#[test]
fn a_policy_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    trained(&run, &[]);
    let eval = |arguments: &[&str]| {
        let output = etude()
            .args(["rl", "eval", run.to_str().unwrap()])
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr).replace(folder.path().to_str().unwrap(), "FOLDER")
    };
    let mut errors = vec![eval(&["--env", "Acrobot-v1"])];
    let path = run.join("best/policy.safetensors");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    errors.push(eval(&[]));
    fs::remove_file(run.join("best/policy.json")).unwrap();
    errors.push(eval(&[]));
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn a_policy_plays_in_the_terminal_and_into_a_gif() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    trained(&run, &[]);
    let gif = folder.path().join("pole.gif");
    let play = |more: &[&str]| {
        let output = etude()
            .args(["rl", "play", run.to_str().unwrap(), "--seed", "3"])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let json: Value = serde_json::from_str(&play(&["--json", "--gif", gif.to_str().unwrap()])).unwrap();
    let length = json["lengths"][0].as_u64().unwrap();
    assert_eq!(json["pictures"], length + 1);
    assert_eq!(json["returns"][0], length as f64);
    assert!(fs::read(&gif).unwrap().starts_with(b"GIF89a"));
    // Without a terminal there are two pictures, and the result.
    let drawn = play(&[]);
    assert!(
        drawn.contains(&format!("episode 1: return {length}, {length} steps")),
        "{drawn}"
    );
    assert!(drawn.lines().count() > 20, "{drawn}");
}

/// The zoo's own file, of which only what it could not map is told.
#[test]
fn hyperparameters_of_the_zoo_are_a_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = folder.path().join("dqn.yml");
    let settings = "CartPole-v1:\n  n_timesteps: !!float 2e3\n  policy: 'MlpPolicy'\n  learning_starts: 100\n  \
                    optimize_memory_usage: True\n  policy_kwargs: \"dict(net_arch=[16])\"\n";
    fs::write(&zoo, settings).unwrap();
    let output = etude()
        .args(["rl", "train", "dqn", zoo.to_str().unwrap(), "--json", "--out"])
        .arg(folder.path().join("run"))
        .output()
        .unwrap();
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("left out, for want of a counterpart: optimize_memory_usage: true"),
        "{told}"
    );
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["steps"], 2000);

    // The same file for another algorithm that the zoo knows, and for one that it does not.
    let output = etude()
        .args(["rl", "train", "ppo", zoo.to_str().unwrap(), "--json", "--out"])
        .arg(folder.path().join("ppo"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("left out, for want of a counterpart: learning_starts: 100"));
    let told = refused(2, &["sarsa", zoo.to_str().unwrap()]);
    assert!(told.contains("Stable-Baselines3 has no sarsa"), "{told}");
}

/// Where the model is known, every learner is measured against the exact answer.
#[test]
fn the_exact_answer_stands_beside_what_is_learnt() {
    let folder = tempfile::tempdir().unwrap();
    for (algorithm, errors) in [
        (
            "td-linear",
            &[
                "truth/value_error",
                "truth/bellman_error",
                "truth/projected_bellman_error",
            ][..],
        ),
        ("lstd", &["truth/value_error"]),
        ("q-learning", &["truth/rmse", "truth/sup_error", "truth/bellman_error"]),
        ("dqn", &["truth/rmse"]),
    ] {
        let run = folder.path().join(algorithm);
        let output = etude()
            .args([
                "rl",
                "train",
                algorithm,
                "--env",
                "GridWorld-v0",
                "--steps",
                "4000",
                "--quiet",
                "--out",
            ])
            .arg(&run)
            .args(["--set", "evaluation.final_episodes=2", "--set", "evaluation.episodes=2"])
            .args(["--set", "dqn.hidden=[16]"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{algorithm}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("against the exact answer"), "{algorithm}");
        let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        for error in errors {
            assert!(metrics.contains(&format!("\"{error}\"")), "{algorithm}: {error}");
        }
        let page = fs::read_to_string(run.join("report.html")).unwrap();
        assert!(
            page.contains("Exact values") && page.contains("Learnt values"),
            "{algorithm}"
        );
    }
}

#[test]
fn the_tour_learns_by_table_linear_function_and_network() {
    let folder = tempfile::tempdir().unwrap();
    let output = etude()
        .args(["tour", "--only", "value-functions", "--json", "--out"])
        .arg(folder.path().join("tour"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = json["systems"][0]["problems"].as_array().unwrap();
    for (problem, (form, most)) in problems
        .iter()
        .zip([("table", 0.2), ("linear function", 0.6), ("network", 0.1)])
    {
        assert_eq!(problem["form"], form);
        assert!(problem["rmse"].as_f64().unwrap() < most, "{problem}");
    }
    assert_eq!(problems[3]["returns"].as_array().unwrap().len(), 25);
    assert!(problems[3]["best_return"].as_f64().unwrap() > 195.0, "{}", problems[3]);
    let page = fs::read_to_string(folder.path().join("tour/report.html")).unwrap();
    assert!(page.contains("Learnt as a network") && page.contains("One episode in 8 pictures"));
}

/// What stood between a policy and its environment goes with it, from the recipe to a film.
#[test]
fn a_wrapped_policy_is_judged_and_played_as_it_has_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let output = train_by(
        "sarsa",
        "MountainCar-v0",
        &run,
        &[
            "--steps",
            "2000",
            "--set",
            "control={ hidden = [16], step_size = 0.002 }",
            "--set",
            "evaluation.final_episodes=5",
            "--set",
            "wrappers={ action_repeat = 4, normalize_observations = true, normalize_rewards = true }",
        ],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    // 200 steps of the car are 50 of such an agent, of which each earns -4.
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mean = json["evaluation"]["mean"].as_f64().unwrap();
    assert!((-200.0..0.0).contains(&mean), "{mean}");
    let card: Value = serde_json::from_slice(&fs::read(run.join("best/policy.json")).unwrap()).unwrap();
    assert_eq!(card["wrapping"]["action_repeat"], 4);
    assert_eq!(card["normalization"]["moments"]["mean"].as_array().unwrap().len(), 2);

    let eval = etude()
        .args(["rl", "eval", "--episodes", "3", "--json"])
        .arg(&run)
        .output()
        .unwrap();
    assert!(eval.status.success(), "{}", text(&eval.stderr));
    let eval: Value = serde_json::from_slice(&eval.stdout).unwrap();
    assert!(eval["mean_length"].as_f64().unwrap() <= 50.0, "{eval}");
    let gif = folder.path().join("play.gif");
    let play = etude()
        .args(["rl", "play", "--json", "--gif"])
        .arg(&gif)
        .arg(&run)
        .output()
        .unwrap();
    assert!(play.status.success(), "{}", text(&play.stderr));
    let play: Value = serde_json::from_slice(&play.stdout).unwrap();
    assert!(play["lengths"][0].as_u64().unwrap() <= 50, "{play}");
    assert!(fs::read(&gif).unwrap().starts_with(b"GIF89a"));
}

#[test]
fn a_policy_of_pixels_is_judged_and_played_beside_one_of_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let [pixels, numbers] = ["pixels", "numbers"].map(|name| folder.path().join(name));
    let short = [
        "ddpg.hidden=[16, 16]",
        "ddpg.batch_size=4",
        "ddpg.learning_starts=100",
        "evaluation.final_episodes=2",
    ];
    let short: Vec<&str> = short.iter().flat_map(|set| ["--set", set]).collect();
    let sees = "wrappers={ pixels = 16, action_repeat = 3, frame_stack = 3 }";
    for (out, more) in [
        (&pixels, &["--steps", "150", "--set", sees][..]),
        (&numbers, &["--steps", "600", "--set", "ddpg.batch_normalization=true"]),
    ] {
        let output = train_by("ddpg", "Cart-v0", out, &[&short, more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let card: Value = serde_json::from_slice(&fs::read(pixels.join("best/policy.json")).unwrap()).unwrap();
    assert_eq!(card["observations"]["pixels"]["channels"], 9);

    let eval = etude()
        .args(["rl", "eval", "--episodes", "2", "--json"])
        .arg(&pixels)
        .output()
        .unwrap();
    let eval: Value = serde_json::from_slice(&eval.stdout).unwrap();
    let compare = etude()
        .args(["rl", "compare", "--json"])
        .args([&pixels, &numbers])
        .output()
        .unwrap();
    let compare: Value = serde_json::from_slice(&compare.stdout).unwrap();
    // The same two episodes.
    assert_eq!(eval["normalized_score"], compare["runs"][0]["normalized_score"]);
    assert!(eval["normalized_score"].is_number() && compare["runs"][1]["normalized_score"].is_number());

    let gif = folder.path().join("play.gif");
    let play = etude()
        .args(["rl", "play", "--json", "--gif"])
        .arg(&gif)
        .arg(&pixels)
        .output()
        .unwrap();
    assert!(play.status.success(), "{}", text(&play.stderr));
    assert!(fs::read(&gif).unwrap().starts_with(b"GIF89a"));

    // What its networks cannot be made of.
    for (wrong, reason) in [
        ("wrappers.pixels=8", "15 times 15 pixels"),
        ("ddpg.linear_actor=true", "hidden layers"),
        ("wrappers.normalize_observations=true", "expected a box"),
    ] {
        let never = folder.path().join("never");
        let output = train_by("ddpg", "Cart-v0", &never, &["--set", sees, "--set", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(text(&output.stderr).contains(reason), "{}", text(&output.stderr));
        assert!(!never.exists());
    }
}

#[test]
fn wrappers_that_do_not_fit_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let refused = |environment: &str, set: &str| {
        let output = train_by("q-learning", environment, &run, &["--set", set]);
        assert_eq!(output.status.code(), Some(2), "{set}");
        assert!(!run.exists());
        text(&output.stderr)
    };
    let error = refused("FrozenLake-v1", "wrappers.normalize_observations=true");
    assert!(error.contains("expected a box"), "{error}");
    let error = refused("FrozenLake-v1", "wrappers.reward_range=[1.0, 0.0]");
    assert!(error.contains("lesser number first"), "{error}");
    let error = refused("FrozenLake-v1", "wrappers.frame_stack=0");
    assert!(error.contains("frame_stack"), "{error}");
    let error = refused("FrozenLake-v1", "wrappers.frames=2");
    assert!(error.contains("frame_stack"), "{error}");
    let error = refused("FrozenLake-v1", "wrappers.action_mask=true");
    assert!(error.contains("does not say which actions may be taken"), "{error}");
    let error = refused("Taxi-v4", "wrappers={ action_mask = true, frame_stack = 2 }");
    assert!(error.contains("expected none with a mask of actions"), "{error}");
}

/// The others would take what they may not.
#[test]
fn only_stochastic_policies_among_choices_heed_a_mask() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let masked = |algorithm: &str, environment: &str, more: &[&str]| {
        let flags = [&["--set", "wrappers.action_mask=true"], more].concat();
        let output = train_by(algorithm, environment, &run, &flags);
        assert_eq!(output.status.code(), Some(2), "{algorithm}");
        assert!(!run.exists());
        text(&output.stderr)
    };
    for algorithm in [
        "monte-carlo",
        "td-linear",
        "n-step-td",
        "td-lambda",
        "lstd",
        "residual-gradient",
        "tdc",
        "sarsa",
        "expected-sarsa",
        "n-step-sarsa",
        "q-learning",
        "off-policy-q-learning",
        "dqn",
        "dpg",
        "ddpg",
        "td3",
    ] {
        let error = masked(algorithm, "Taxi-v4", &[]);
        let told = "which only qac, off-policy-actor-critic, reinforce, a2c, ppo heed";
        assert!(error.contains(told), "{algorithm}: {error}");
    }
    let error = masked("ppo", "Pendulum-v1", &[]);
    assert!(
        error.contains("an action is 1 number; expected one of so many"),
        "{error}"
    );
    let error = masked("a2c", "Taxi-v4", &["--set", "a2c.features=\"one-hot\""]);
    assert!(error.contains("no features show which actions may be taken"), "{error}");
    let error = masked("a2c", "Taxi-v4", &["--set", "wrappers.normalize_observations=true"]);
    assert!(error.contains("expected a box"), "{error}");
}

/// From the recipe to the policy on disk: what the mask forbids is not done.
#[test]
fn a_masked_policy_never_does_what_it_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let flags = ["--steps", "2000", "--set", "evaluation.final_episodes=5"];
    let output = train_by("ppo", "Taxi-v4", &run, &flags);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let eval = |run: &Path| {
        let output = etude().args(["rl", "eval", "--json"]).arg(run).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    // -1 for a step, and 20 in place of it in the last one; nothing costs 10.
    let judged = eval(&run);
    let [mean, length] = ["mean", "mean_length"].map(|name| judged[name].as_f64().unwrap());
    assert!(mean >= -length, "{judged}");

    let (card, mut policy) = load_policy(&run.join("best")).unwrap();
    assert!(card.wrapping.action_mask);
    let mut envs = card.wrapping.make_envs("Taxi-v4", 20, Autoreset::NextStep).unwrap();
    let (mut batch, mut actions) = (Batch::for_envs(&*envs), [f32::NAN; 20]);
    envs.reset(Some(1), &mut batch).unwrap();
    for _ in 0..300 {
        policy.act(&batch.observations, &mut actions);
        for (row, action) in batch.observations.chunks_exact(7).zip(actions) {
            assert!(row[1 + action as usize] > 0.0, "{row:?}: {action}");
        }
        envs.step(&actions, &mut batch).unwrap();
    }
    // If it were told that everything may be done, it would do things that may not.
    let rows: Vec<f32> = (0..500)
        .flat_map(|state| [state as f32, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
        .collect();
    let mut actions = [f32::NAN; 500];
    policy.act(&rows, &mut actions);
    let model = registered("Taxi-v4").unwrap().model().unwrap().unwrap();
    let mut mask = [0.0; 6];
    let forbidden = actions.iter().zip(0..).filter(|&(&action, state)| {
        assert!(model.action_mask(&state, &mut mask));
        mask[action as usize] <= 0.0
    });
    assert!(forbidden.count() > 0);

    // A card by which the mask would be taken for something else.
    let path = run.join("best/policy.json");
    let whole: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let refused = |key: &str, value: Value, told: &str| {
        let mut card = whole.clone();
        *card.pointer_mut(key).unwrap() = value;
        fs::write(&path, card.to_string()).unwrap();
        let error = load_policy(&run.join("best")).err().unwrap().to_string();
        assert!(error.contains(told), "{error}");
    };
    let masked = "/network/outputs/distribution/categorical/masked";
    refused(
        masked,
        json!(false),
        "it heeds a mask of 0 actions; observations are one of 500, and which of 6",
    );
    refused(
        "/observations",
        json!({ "discrete": 500 }),
        "it heeds a mask of 6 actions; observations are one of 500",
    );
    refused("/observations/masked/actions", json!(5), "it heeds a mask of 6 actions");
    refused(
        "/observations/masked/actions",
        json!(u64::MAX),
        "it heeds a mask of 6 actions",
    );
    refused("/network", Value::Null, "it heeds a mask of 0 actions");
    let mut card = whole.clone();
    let moments = json!({ "mean": vec![0.0; 7], "variance": vec![1.0; 7], "count": 1.0 });
    card["normalization"] = json!({ "moments": moments, "clip": 10.0 });
    fs::write(&path, card.to_string()).unwrap();
    let error = load_policy(&run.join("best")).err().unwrap().to_string();
    assert!(error.contains("normalised, and with them the mask"), "{error}");
}

/// A step size far too great.
#[test]
fn a_network_that_diverges_stops_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["--set", "control={ hidden = [32], step_size = 50.0 }"];
    let output = train_by("sarsa", "CartPole-v1", &folder.path().join("run"), &settings);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains("an action value") && error.contains("smaller learning rate"),
        "{error}"
    );
}

/// What is written in a card may be anything.
#[test]
fn a_card_that_was_tampered_with_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let settings = ["--steps", "500", "--set", "evaluation.final_episodes=2"];
    let output = train_by("q-learning", "Blackjack-v1", &run, &settings);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let path = run.join("best/policy.json");
    let whole: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let numbered = |counts: Value, states: u64| json!({ "numbered": { "counts": counts, "map": { "one-hot": { "states": states } } } });
    for (key, value, told) in [
        (
            "wrapping",
            json!({ "action_repeat": 1, "frame_stack": u64::MAX }),
            "expected 1 to 1000",
        ),
        (
            "wrapping",
            json!({ "action_repeat": 0, "frame_stack": 1 }),
            "`action_repeat` is 0",
        ),
        ("features", numbered(json!([32, 11, 2]), 703), "know fewer states"),
        ("features", numbered(json!([64, 11]), 704), "of other observations"),
        ("observations", json!({ "discrete": 704 }), "of other observations"),
        ("environment", json!("CartPole-v1"), "does not fit CartPole-v1"),
        (
            "normalization",
            json!({ "moments": { "mean": [0.0], "variance": [1.0], "count": 1.0 }, "clip": 10.0 }),
            "1 means",
        ),
    ] {
        let mut card = whole.clone();
        card[key] = value;
        fs::write(&path, card.to_string()).unwrap();
        for verb in ["eval", "play"] {
            let output = etude().args(["rl", verb, "--json"]).arg(&run).output().unwrap();
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{verb} {card}: {error}");
            assert!(error.contains(told), "{verb} {card}: {error}");
        }
    }
}
