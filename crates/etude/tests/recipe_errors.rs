//! What the reader of recipes says about recipes that are wrong, word for word.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use etude::recipe::range::{Discount, Finite, Positive, Probability, Whole};
use etude::recipe::{self, Override};
use proptest::prelude::*;
use serde::Deserialize;

/// A recipe with one of each: tables, an enum with values and one without, lists, checked numbers, defaults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde only")]
struct Recipe {
    seed: Option<u64>,
    #[serde(default)]
    quick: bool,
    model: Model,
    solve: Solve,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde only")]
enum Model {
    Grid(Grid),
    File { path: PathBuf },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde only")]
struct Grid {
    size: [Whole<1, 1000>; 2],
    #[serde(default)]
    forbidden: Vec<[usize; 2]>,
    slip: Option<Probability>,
    step: Option<Finite>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde only")]
struct Solve {
    gamma: Discount,
    #[serde(default)]
    method: Method,
    tolerance: Option<Positive>,
    sweeps: Option<Whole<1>>,
    threads: Option<u8>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Method {
    #[default]
    ValueIteration,
    PolicyIteration,
    Truncated,
}

const GOOD: &str = "[model.grid]\nsize = [5, 5]\n\n[solve]\ngamma = 0.9\n";

fn overrides(settings: &[&str]) -> Vec<Override> {
    settings.iter().map(|text| text.parse().unwrap()).collect()
}

/// The report for the recipe `text` in a file of its own, which the report calls `recipe.toml`.
fn report(text: impl AsRef<[u8]>, settings: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    fs::write(&path, text).unwrap();
    let report = match recipe::load::<Recipe>(Some(&path), &overrides(settings)) {
        Ok(_) => "no error\n".into(),
        Err(error) => {
            assert_eq!(error.exit_code(), 2);
            error.to_string()
        }
    };
    report.replace(&format!("{}/", folder.path().display()), "")
}

/// One snapshot of all `cases`, each as its recipe and its report.
fn reports(cases: &[&str]) -> String {
    cases.iter().fold(String::new(), |mut all, text| {
        write!(
            all,
            "{}\n\n{}\n{}\n",
            text.trim_end(),
            report(text, &[]),
            "-".repeat(80)
        )
        .unwrap();
        all
    })
}

#[test]
fn keys() {
    insta::assert_snapshot!(reports(&[
        "[model.grid]\nsize = [5, 5]\n\n[solve]\ngama = 0.9\n",
        "[model.grid]\nsize = [5, 5]\n\n[solve]\ngamma = 0.9\ncolour = 'red'\n",
        "sede = 1\n[model.grid]\nsize = [5, 5]\n",
        "[model.grid]\nsize = [5, 5]\nforbiden = []\n[solve]\ngamma = 0.9\n",
        "[model.grid]\nsize = [5, 5]\n[solve]\nmethod = 'truncated'\n",
        "[model.grid]\nsize = [5, 5]\n",
        "",
        "[model.file]\n[solve]\ngamma = 1\n",
        "[model.gird]\nsize = [5, 5]\n[solve]\ngamma = 0.9\n",
        "[model]\n[solve]\ngamma = 0.9\n",
        "[model.grid]\nsize = [5, 5]\n[model.file]\npath = 'a'\n[solve]\ngamma = 0.9\n",
        "model = 'grid'\n[solve]\ngamma = 0.9\n",
    ]));
}

#[test]
fn values() {
    let solve = |text: &str| format!("[model.grid]\nsize = [5, 5]\n[solve]\n{text}\n");
    let grid = |text: &str| format!("[model.grid]\n{text}\n[solve]\ngamma = 0.9\n");
    let cases = [
        solve("gamma = 1.5"),
        solve("gamma = nan"),
        solve("gamma = -1"),
        solve("gamma = 'high'"),
        solve("gamma = [0.9]"),
        solve("gamma = 0.9\ntolerance = 0"),
        solve("gamma = 0.9\ntolerance = inf"),
        solve("gamma = 0.9\nsweeps = 0"),
        solve("gamma = 0.9\nsweeps = 2.5"),
        solve("gamma = 0.9\nsweeps = 99999999999999999999"),
        solve("gamma = 0.9\ntolerance = 1e999"),
        solve("gamma = 0.9\nthreads = 256"),
        solve("gamma = 0.9\nmethod = 'value-itration'"),
        solve("gamma = 0.9\nmethod = 'simplex'"),
        solve("gamma = 0.9\nmethod = 3"),
        solve("gamma = 2024-01-01"),
        grid("size = [5, 0]"),
        grid("size = [5]"),
        grid("size = [5, 5, 5]"),
        grid("size = 5"),
        grid("size = [\n  5,\n  2000,\n]"),
        grid("size = [5, 5]\nforbidden = [[1, 1], [2, -1]]"),
        grid("size = [5, 5]\nslip = true"),
        grid("size = [5, 5]\nstep = -inf"),
        "quick = 1\n[model.grid]\nsize = [5, 5]\n[solve]\ngamma = 0.9".into(),
        "seed = -1\n[model.grid]\nsize = [5, 5]\n[solve]\ngamma = 0.9".into(),
        "model.file.path = 3\n[solve]\ngamma = 0.9".into(),
        "solve = 3\n[model.grid]\nsize = [5, 5]".into(),
    ];
    insta::assert_snapshot!(reports(&cases.iter().map(String::as_str).collect::<Vec<_>>()));
}

#[test]
fn text_that_is_no_toml() {
    insta::assert_snapshot!(reports(&[
        "[solve]\ngamma = 0.9\nmethod = value-iteration\n",
        "[solve\ngamma = 0.9\n",
        "[solve]\ngamma 0.9\n",
        "[solve]\ngamma =\n",
        "[solve]\ngamma = 0.9\ngamma = 0.8\n",
        "[solve]\n[solve]\n",
        "[solve]\nmethod = 'trunc\n",
        "{\"solve\": {\"gamma\": 0.9}}\n",
    ]));
}

#[test]
fn overrides_name_their_flag() {
    let cases: [&[&str]; 13] = [
        &["solve.gama=0.5"],
        &["sovle.gamma=0.5"],
        &["gamma=0.5"],
        &["solve.gamma=1.5"],
        &["solve.gamma=0.5", "solve.gamma=2"],
        &["solve.gamma=0.9.5"],
        &["solve.gamma="],
        &["solve.method=value_iteration"],
        &["solve.gamma.x=1"],
        &["model.file.path=a.json"],
        &["model.grid.size=[5, 0]"],
        &["solve={gamma=0.5, colour=1}"],
        &["solve.tolerance=99999999999999999999"],
    ];
    let all = cases.iter().fold(String::new(), |mut all, settings| {
        write!(all, "{}\n{}\n", settings.join("  "), report(GOOD, settings)).unwrap();
        all
    });
    insta::assert_snapshot!(all);
}

#[test]
fn no_recipe_at_all() {
    let report = |settings: &[&str]| {
        recipe::load::<Recipe>(None, &overrides(settings))
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(
        [
            report(&[]),
            report(&["model.grid.size=[5, 5]"]),
            report(&["model.grid.size=[5, 5]", "solve.method=truncated"]),
            report(&["model.grid.size=[5, 5]", "solve.gamma=2"]),
        ]
        .join("\n")
    );
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("grid-5x5.toml"), GOOD).unwrap();
    fs::write(at("taxi.toml"), GOOD).unwrap();
    fs::write(at("latin1.toml"), b"# a\n# caf\xe9\n").unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("huge.toml"), vec![b'#'; (4 << 20) + 1]).unwrap();
    let report = |path: PathBuf| recipe::load::<Recipe>(Some(&path), &[]).unwrap_err().to_string();
    let all = [
        "grid-5x6.toml",
        "cliff.toml",
        "nowhere/grid.toml",
        "empty/grid.toml",
        "empty",
        "",
        "latin1.toml",
        "huge.toml",
    ]
    .map(|name| report(at(name)))
    .join("\n");
    insta::assert_snapshot!(all.replace(&format!("{}", folder.path().display()), "recipes"));
}

#[test]
fn a_long_key_or_value_is_cut() {
    let long = "x".repeat(1_000_000);
    for text in [
        format!("{long} = 1"),
        format!("seed = '{long}'"),
        format!("[solve]\n{long}.y = 1"),
        format!("solve = {long}"),
    ] {
        assert!(report(&text, &[]).len() < 300);
    }
    assert!(report(GOOD, &[&format!("solve.gamma={long}")]).len() < 300);
}

#[test]
fn a_value_that_makes_no_sense_can_be_rejected_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    fs::write(&path, GOOD).unwrap();
    let loaded = recipe::load::<Recipe>(Some(&path), &overrides(&["model.grid.forbidden=[[6, 1]]"])).unwrap();
    let all = [
        loaded.reject("model.grid.size", "25 cells are too few").to_string(),
        loaded
            .reject("model.grid.forbidden", "the cell [6, 1] is outside of the 5 x 5 grid")
            .to_string(),
        loaded.reject("solve.tolerance", "1e-300 cannot be reached").to_string(),
        loaded.reject("seed", "no").to_string(),
    ];
    insta::assert_snapshot!(all.join("\n").replace(&format!("{}/", folder.path().display()), ""));
}

#[test]
fn a_good_recipe_is_read_and_resolved_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    let text = "# why\n[solve]\ngamma = 1 # one\nsweeps = 0x10\n[model.grid]\nslip = 1e-1\nsize = [2, 1_000]\nforbidden = [[1, 1]]\n";
    fs::write(&path, format!("\u{feff}{text}")).unwrap();
    let settings = overrides(&["solve.method = policy-iteration", "seed=7", "model.grid.slip=0.25"]);
    let loaded = recipe::load::<Recipe>(Some(&path), &settings).unwrap();
    assert_eq!(loaded.value.solve.gamma.get().to_bits(), 1.0_f64.to_bits());
    assert!(matches!(loaded.value.solve.method, Method::PolicyIteration));
    assert_eq!(loaded.path, Some(path.clone()));
    insta::assert_snapshot!(loaded.resolved);

    fs::write(&path, &loaded.resolved).unwrap();
    assert_eq!(
        recipe::load::<Recipe>(Some(&path), &[]).unwrap().resolved,
        loaded.resolved
    );
}

/// Text that is nearly TOML, so that the generator reaches what lies behind the parser.
fn nearly_toml() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "\n",
        "\"",
        "'",
        "#",
        "solve",
        "model",
        "grid",
        "size",
        "gamma",
        "method",
        "truncated",
        "seed",
        "quick",
        "0.9",
        "5",
        "-1",
        "inf",
        "nan",
        "1e999",
        "true",
        "0x7f",
        "2024-01-01",
        "\u{feff}",
        "é",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_the_reader_panic(text in prop_oneof![any::<String>(), nearly_toml()]) {
        report(&text, &[]);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        report(&bytes, &[]);
    }

    #[test]
    fn no_override_makes_the_reader_panic(key in "[a-z.=\\[\\]\" ]{0,12}", value in prop_oneof![any::<String>(), nearly_toml()]) {
        for text in [format!("{key}={value}"), format!("solve.gamma={value}"), value] {
            if let Ok(given) = text.parse::<Override>() {
                let _ = recipe::load::<Recipe>(None, &[given]);
            }
        }
    }
}
