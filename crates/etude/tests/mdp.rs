//! `etude mdp` and `etude tour` as a user runs them: what they print, what they write, and what they refuse.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The root of the workspace, where recipes lie.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the command in an empty folder.
fn etude(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_etude"))
        .args(arguments)
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .output()
        .expect("the command starts")
}

fn recipe(name: &str) -> String {
    root().join("recipes/mdp").join(name).display().to_string()
}

fn json(folder: &TempDir, arguments: &[&str]) -> Value {
    let output = etude(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(|x| x.as_f64().expect("a number"))
        .collect()
}

/// Table (d) of the book: gamma 0.9, forbidden cells cost 10.
const BOOK: [f64; 25] = [
    3.486_784, 3.874_205, 4.304_672, 4.782_969, 5.314_410, 3.138_106, 3.486_784, 4.782_969, 5.314_410, 5.904_900,
    2.824_295, 2.541_866, 10.0, 5.904_900, 6.561_000, 2.541_866, 10.0, 10.0, 10.0, 7.290_000, 2.287_679, 9.0, 10.0,
    9.0, 8.100_000,
];

#[test]
fn solve_prints_one_object_with_everything_in_it() {
    let folder = TempDir::new().expect("a folder");
    for method in [
        "auto",
        "value-iteration",
        "gauss-seidel",
        "policy-iteration",
        "truncated-policy-iteration:3",
    ] {
        let solved = json(
            &folder,
            &["mdp", "solve", &recipe("grid-5x5.toml"), "--method", method, "--json"],
        );
        for (value, book) in numbers(&solved["values"]).iter().zip(BOOK) {
            assert!((value - book).abs() < 1e-6, "{method}: {value} and {book}");
        }
        assert_eq!(solved["action_values"].as_array().map(Vec::len), Some(25));
        assert_eq!(solved["policy"].as_array().map(Vec::len), Some(25));
        assert_eq!(
            solved["optimal_actions"][3],
            serde_json::json!([1, 2]),
            "two ways are equally good: right and down"
        );
        for field in ["iterations", "residual", "bound", "seconds"] {
            assert!(solved[field].is_number(), "{field}");
        }
        assert!(solved["bound"].as_f64() <= Some(1e-9));
    }
    assert_eq!(
        folder.path().read_dir().expect("a folder").count(),
        0,
        "--json alone writes nothing"
    );
}

#[test]
fn a_model_file_is_solved_and_its_solution_evaluated() {
    let folder = TempDir::new().expect("a folder");
    let lake = recipe("frozenlake-8x8.json");
    let arguments = [
        "--gamma",
        "0.99",
        "--method",
        "value-iteration",
        "--tolerance",
        "1e-9",
        "--json",
    ];
    let solved = etude(&folder, &[&["mdp", "solve", &lake][..], &arguments].concat());
    assert!(solved.status.success());
    std::fs::write(folder.path().join("solution.json"), &solved.stdout).expect("a file");
    let solved: Value = serde_json::from_slice(&solved.stdout).expect("one JSON object");
    let arguments = [
        "--gamma",
        "0.99",
        "--policy",
        "solution.json",
        "--episodes",
        "0",
        "--json",
    ];
    let evaluated = json(&folder, &[&["mdp", "evaluate", &lake][..], &arguments].concat());
    let (best, own) = (numbers(&solved["values"]), numbers(&evaluated["values"]));
    assert_eq!(best.len(), 64);
    for (best, own) in best.iter().zip(&own) {
        assert!((best - own).abs() < 1e-7, "{best} and {own}");
    }
}

#[test]
fn evaluate_agrees_with_its_own_simulation() {
    let folder = TempDir::new().expect("a folder");
    let lake = recipe("frozenlake-8x8.json");
    let arguments = [
        "--gamma",
        "0.9",
        "--policy",
        "uniform",
        "--episodes",
        "2000",
        "--seed",
        "3",
        "--json",
    ];
    let evaluated = json(&folder, &[&["mdp", "evaluate", &lake][..], &arguments].concat());
    let values = numbers(&evaluated["values"]);
    let estimates = evaluated["monte_carlo"].as_array().expect("a list");
    let outside = estimates.iter().filter(|estimate| {
        let interval = numbers(&estimate["interval"]);
        let value = values[estimate["state"].as_u64().expect("a state") as usize];
        !(interval[0]..=interval[1]).contains(&value)
    });
    assert_eq!(estimates.len(), 8);
    assert!(outside.count() <= 2, "95 % intervals of 8 states");
}

#[test]
fn compare_sweep_and_simulate_report_what_the_book_says() {
    let folder = TempDir::new().expect("a folder");
    let grid = recipe("grid-5x5.toml");
    let compared = json(&folder, &["mdp", "compare", &grid, "--json"]);
    for method in compared["methods"].as_array().expect("a list") {
        let (error, bound) = (method["error"].as_f64(), method["bound"].as_f64());
        assert!(error <= bound.map(|bound| bound + 1e-10), "{method}");
    }
    let swept = json(&folder, &["mdp", "sweep", &grid, "--json"]);
    for map in swept["affine"].as_array().expect("a list") {
        assert_eq!(map["same_policy"], true);
        assert!(map["error"].as_f64() <= map["allowed"].as_f64(), "{map}");
    }
    let simulate = |threads| {
        json(
            &folder,
            &[
                "mdp",
                "simulate",
                &grid,
                "--seed",
                "1",
                "--start",
                "0",
                "--threads",
                threads,
                "--json",
            ],
        )
    };
    let simulated = simulate("1");
    assert!(
        (simulated["mean"].as_f64().expect("a number") - BOOK[0]).abs() < 1e-6,
        "nothing here is random"
    );
    assert_eq!(simulated, simulate("2"), "the same bytes on one and two threads");
}

#[test]
fn a_run_leaves_a_folder_that_repeats_it() {
    let folder = TempDir::new().expect("a folder");
    let output = etude(
        &folder,
        &[
            "mdp",
            "solve",
            &recipe("grid-5x5.toml"),
            "--gamma",
            "0.5",
            "--out",
            "run",
        ],
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains('→') && !text.contains('\u{1b}'), "plain arrows: {text}");
    let run = folder.path().join("run");
    for file in ["config.toml", "metrics.jsonl", "report.html"] {
        assert!(run.join(file).exists(), "{file}");
    }
    let report = std::fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(report.contains("<svg") && report.contains("0.5"));
    let config = run.join("config.toml").display().to_string();
    let again = json(&folder, &["mdp", "solve", &config, "--json"]);
    assert_eq!(again["gamma"], 0.5);
    let taken = etude(&folder, &["mdp", "solve", &config, "--out", "run"]);
    assert_eq!(taken.status.code(), Some(2), "a run is never overwritten");
    assert!(taken.stdout.is_empty(), "and nothing is computed in vain");
}

#[test]
fn bad_input_is_one_readable_report_and_writes_nothing() {
    let folder = TempDir::new().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let sum = file(
        "sum.json",
        r#"{"0": {"0": [[0.5, 0, 1.0, false], [0.4, 0, 1.0, false]]}}"#,
    );
    let next = file("next.csv", "state,action,next,probability,reward\n0,0,7,1.0,0.0\n");
    let empty = file("empty.json", "");
    let endless = file("endless.json", r#"{"0": {"0": [[1.0, 0, 1.0, false]]}}"#);
    let slip = file(
        "slip.toml",
        "gamma = 0.9\n[model.grid]\nrows = 2\ncolumns = 2\nslip = 2\n",
    );
    let method = file(
        "method.toml",
        "gamma = 0.9\n[model.grid]\nrows = 2\ncolumns = 2\n[solve]\nmethod = \"value-iteratoin\"\n",
    );
    let key = file("key.toml", "gama = 0.9\n[model.grid]\nrows = 2\ncolumns = 2\n");
    file("big.toml", "gamma = 0.9\n[model.grid]\nrows = 1000\ncolumns = 1000\n");
    let before = folder.path().read_dir().expect("a folder").count();
    let cases: [(&[&str], &[&str]); 21] = [
        (&[&sum, "--gamma", "0.9"], &["state 0", "action 0", "0.9"]),
        (&[&next, "--gamma", "0.9"], &["7"]),
        (&[&empty, "--gamma", "0.9"], &["empty"]),
        (&[&endless, "--gamma", "1"], &["discount 1", "state 0"]),
        (&[&endless, "--gamma", "1.5"], &["1.5", "[0, 1]"]),
        (&[&endless, "--gamma", "-1"], &["--gamma -1", "[0, 1]"]),
        (&[&endless, "--gamma", "nan"], &["--gamma nan", "[0, 1]"]),
        (&[&endless], &["--gamma"]),
        (&["missing.json", "--gamma", "0.9"], &["missing.json", "No such file"]),
        (&["sun.json", "--gamma", "0.9"], &["did you mean ./sum.json?"]),
        (&["transitions.npz", "--gamma", "0.9"], &["--rewards FILE"]),
        (&[&slip], &["line 5", "`model.grid.slip`", "found 2", "[0, 1]"]),
        (
            &[&method],
            &["line 6", "`solve.method`", "did you mean `value-iteration`?"],
        ),
        (
            &[&endless, "--gamma", "0.9", "--method", "truncated-policy-iteration:0"],
            &["--method", "sweeps, 1 or more", "iteration:0"],
        ),
        (
            &[&endless, "--gamma", "0.9", "--set", "simulate.start=7"],
            &["--set simulate.start=7", "states 0 to 0"],
        ),
        (
            &[&endless, "--gamma", "0.9", "--set", "draw.columns=3"],
            &["`draw.columns`", "divisor of the 1 states"],
        ),
        (
            &[&endless, "--gamma", "0.9", "--set", "sweep.forbidden=[-1]"],
            &["`sweep.forbidden`", "only a grid world"],
        ),
        (
            &[&endless, "--gamma", "0.9", "--set", "compare.methods=[]"],
            &["`compare.methods`", "one method at least"],
        ),
        (
            &[&endless, "--gamma", "0.9", "--out", &empty],
            &["cannot write", "--out"],
        ),
        (
            &["big.toml", "--horizon", "1000000"],
            &["1000000 steps for 1000000 states", "fewer steps"],
        ),
        (&[&key], &["gama", "gamma"]),
    ];
    for (arguments, expected) in cases {
        let output = etude(&folder, &[&["mdp", "solve"], arguments].concat());
        let report = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{report}");
        assert!(output.stdout.is_empty());
        assert!(report.starts_with("error: "), "{report}");
        assert!(!report.contains("panicked"), "{report}");
        for word in expected {
            assert!(report.contains(word), "{word} in {report}");
        }
    }
    assert_eq!(
        folder.path().read_dir().expect("a folder").count(),
        before,
        "nothing is written"
    );
}

/// A folder with a model file in a folder of its own, which is not where the command runs.
fn with_lake() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    std::fs::create_dir(folder.path().join("models")).expect("a folder");
    std::fs::copy(recipe("frozenlake-8x8.json"), folder.path().join("models/läke.json")).expect("a file");
    folder
}

#[test]
fn a_run_of_a_model_file_can_be_repeated_from_its_folder() {
    let folder = with_lake();
    let policy = json(
        &folder,
        &["mdp", "solve", "models/läke.json", "--gamma", "0.9", "--json"],
    );
    std::fs::write(folder.path().join("policy.json"), policy.to_string()).expect("a file");
    let run = |verb: &str, input: &str, more: &[&str]| {
        let arguments = [&["mdp", verb, input, "--json", "--out", verb][..], more].concat();
        let mut result = json(&folder, &arguments);
        // The time differs, and so may the words for the same file.
        result["seconds"] = Value::Null;
        result["policy"] = Value::Null;
        result
    };
    let flags = [
        "--gamma",
        "0.9",
        "--policy",
        "policy.json",
        "--seed",
        "7",
        "--episodes",
        "20",
    ];
    for verb in ["evaluate", "simulate"] {
        let first = run(verb, "models/läke.json", &flags);
        let config = folder.path().join(verb).join("config.toml");
        let text = std::fs::read_to_string(&config).expect("a recipe");
        assert!(text.starts_with("# Written by étude"), "{text}");
        assert!(
            text.contains(&format!("`etude mdp {verb} config.toml` repeats the run")),
            "{text}"
        );
        let config = config.display().to_string();
        let again = format!("{verb}-again");
        let mut second = json(&folder, &["mdp", verb, &config, "--json", "--out", &again]);
        second["seconds"] = Value::Null;
        second["policy"] = Value::Null;
        assert!(first == second, "{verb}: {first} and {second}");
    }
}

#[test]
fn a_finite_horizon_is_planned_backwards() {
    let folder = with_lake();
    let grid = recipe("grid-5x5.toml");
    let planned = json(&folder, &["mdp", "solve", &grid, "--horizon", "3", "--json"]);
    assert_eq!(planned["method"], "backward-induction");
    let best: Vec<f64> = planned["values"]
        .as_array()
        .expect("stages")
        .iter()
        .map(|stage| numbers(stage)[17])
        .collect();
    for (value, expected) in best.iter().zip([0.0, 1.0, 1.9, 2.71]) {
        assert!((value - expected).abs() < 1e-12, "{best:?}");
    }
    assert_eq!(planned["policies"].as_array().map(Vec::len), Some(3));
    let text = etude(
        &folder,
        &["mdp", "solve", "models/läke.json", "--gamma", "1", "--horizon", "2"],
    );
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("1 step to go") && text.contains("2 steps to go"),
        "{text}"
    );
}

#[test]
fn rewards_of_a_model_that_ends_are_scaled_only() {
    let folder = with_lake();
    let swept = json(
        &folder,
        &["mdp", "sweep", "models/läke.json", "--gamma", "0.9", "--json"],
    );
    assert_eq!(swept["cases"][0]["changed"], Value::Null);
    let maps = swept["affine"].as_array().expect("a list");
    assert_eq!(maps.len(), 2);
    for map in maps {
        assert_eq!(map["shift"], 0.0);
        assert_eq!(map["same_policy"], true);
        assert!(map["error"].as_f64() <= map["allowed"].as_f64(), "{map}");
    }
}

#[test]
fn compare_bounds_the_error_of_every_method_by_iteration() {
    let folder = TempDir::new().expect("a folder");
    let compared = json(&folder, &["mdp", "compare", &recipe("grid-5x5.toml"), "--json"]);
    for method in compared["methods"].as_array().expect("a list") {
        let errors = method["errors"].as_array().expect("a list");
        assert_eq!(Some(errors.len() as u64), method["iterations"].as_u64(), "{method}");
        assert_eq!(errors.last(), Some(&method["bound"]), "{method}");
    }
}

#[test]
fn large_models_are_shown_in_part() {
    let folder = TempDir::new().expect("a folder");
    let header = "state,action,next,probability,reward".to_owned();
    let rows = (0..1000).map(|state| format!("{state},0,{},1,{state}", (state + 1) % 1000));
    let text = std::iter::once(header).chain(rows).collect::<Vec<_>>().join("\n");
    std::fs::write(folder.path().join("ring.csv"), text).expect("a file");
    let output = etude(&folder, &["mdp", "solve", "ring.csv", "--gamma", "0.9", "--out", "run"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("The first 20 of 1,000 states") && text.lines().count() < 40,
        "{text}"
    );
    let report = std::fs::read_to_string(folder.path().join("run/report.html")).expect("a report");
    assert!(report.contains("Share of states by optimal value") && report.len() < 100_000);
}

#[test]
fn the_tour_plays_both_systems() {
    let folder = TempDir::new().expect("a folder");
    let output = etude(&folder, &["tour", "--only", "state-values,optimal-policies"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = std::fs::read_to_string(folder.path().join("runs/tour/report.html")).expect("a report");
    for heading in [
        "State values",
        "The 5 x 5 grid of the book",
        "Frozen Lake 8 x 8",
        "A slippery maze",
    ] {
        assert!(report.contains(heading), "{heading}");
    }
    let run = folder.path().join("runs/tour");
    let config = std::fs::read_to_string(run.join("config.toml")).expect("a configuration");
    assert!(
        config.ends_with("only = [\"state-values\", \"optimal-policies\"]\n"),
        "{config}"
    );
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    assert!(metrics.contains("A slippery maze/policy-iteration/residual"));
    let played = json(&folder, &["tour", "--only", "optimal-policies", "--json"]);
    assert_eq!(played["systems"][0]["system"], "optimal-policies");
    for (value, book) in numbers(&played["systems"][0]["problems"][0]["values"]).iter().zip(BOOK) {
        assert!((value - book).abs() < 1e-6, "{value} and {book}");
    }
    let only = etude(&folder, &["tour", "--only", "state-values"]);
    assert!(!String::from_utf8_lossy(&only.stdout).contains("Frozen Lake"));
}

#[test]
fn a_misspelt_policy_is_told_its_neighbour() {
    let folder = with_lake();
    let arguments = [
        "mdp",
        "evaluate",
        "models/läke.json",
        "--gamma",
        "0.9",
        "--policy",
        "unifrom",
    ];
    let output = etude(&folder, &arguments);
    assert_eq!(output.status.code(), Some(2));
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(report.contains("did you mean `uniform`?"), "{report}");
}

#[test]
fn a_policy_is_given_in_the_recipe() {
    let folder = TempDir::new().expect("a folder");
    let corridor = |policy: &str| {
        let text = format!(
            "gamma = 0.5\n[model.grid]\nmap = [\"..T\"]\nabsorbing = true\n[evaluate]\nepisodes = 0\npolicy = {policy}\n"
        );
        std::fs::write(folder.path().join("corridor.toml"), text).expect("a recipe");
    };
    for (policy, first) in [
        (r#"["right", "right", "right"]"#, 0.5),
        ("[1, 1, 1]", 0.5),
        // v(0) = 0.5 (0 + v(0) / 2) + 0.5 (0 + v(1) / 2) with v(1) = 1.
        (r#"[{ stay = 0.5, right = 0.5 }, "right", 1]"#, 1.0 / 3.0),
        ("[[0, 0.5, 0, 0, 0.5], 1, 1]", 1.0 / 3.0),
    ] {
        corridor(policy);
        let evaluated = json(&folder, &["mdp", "evaluate", "corridor.toml", "--json"]);
        let value = numbers(&evaluated["values"])[0];
        assert!((value - first).abs() < 1e-9, "{policy}: {value}");
    }
    for (policy, complaint) in [
        (r#"["rihgt", 1, 1]"#, "rihgt"),
        ("[1, 1]", "2"),
        ("[[0.5, 0, 0, 0, 0], 1, 1]", "sum to 0.5"),
        ("3", "`evaluate.policy` must be `uniform`, `optimal`"),
    ] {
        corridor(policy);
        let output = etude(&folder, &["mdp", "evaluate", "corridor.toml"]);
        let report = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{report}");
        assert!(report.contains(complaint), "{report}");
    }
}

#[test]
fn every_reward_of_a_grid_world_can_be_swept() {
    let folder = TempDir::new().expect("a folder");
    let swept = |key: &str, values: &str| {
        let set = format!("sweep.{key}={values}");
        json(
            &folder,
            &["mdp", "sweep", &recipe("grid-5x5.toml"), "--set", &set, "--json"],
        )
    };
    let names = |swept: &Value| -> Vec<String> {
        let cases = swept["cases"].as_array().expect("a list");
        cases
            .iter()
            .map(|case| case["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    for (key, values) in [("boundary", "[-1, 0]"), ("target", "[1, 2]"), ("step", "[0, -1]")] {
        let swept = swept(key, values);
        assert!(names(&swept).iter().any(|name| name.starts_with(key)), "{key}: {swept}");
    }
    // The agent stays on the target, which is worth its reward over 1 - gamma.
    let swept = swept("target", "[1, 2]");
    let cases = swept["cases"].as_array().expect("a list");
    let at_target: Vec<f64> = cases
        .iter()
        .filter(|case| case["name"].as_str().is_some_and(|name| name.starts_with("target")))
        .map(|case| numbers(&case["values"])[17])
        .collect();
    assert!(
        (at_target[0] - 10.0).abs() < 1e-6 && (at_target[1] - 20.0).abs() < 1e-6,
        "{at_target:?}"
    );
}
