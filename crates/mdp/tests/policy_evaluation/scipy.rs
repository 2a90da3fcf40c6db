//! The uniform policy of every fixture, against what SciPy found.

use std::fs;
use std::path::{Path, PathBuf};

use etude_mdp::Policy;

use crate::common::{by_every_method, distance};

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(".solution.json"));
    paths.sort();
    paths
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap())
        .collect()
}

#[test]
fn uniform_policies_agree_with_scipy() {
    let mut checked = 0;
    for folder in ["gymnasium", "published"] {
        for path in fixtures(folder) {
            let model = path.to_str().unwrap().replace(".solution.json", ".json");
            let model = etude_mdp::read::gymnasium::read(model.as_ref()).unwrap();
            let solutions: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            for solution in solutions["solutions"].as_array().unwrap() {
                let discount = solution["gamma"].as_f64().unwrap();
                let expected = numbers(&solution["uniform_values"]);
                for evaluation in by_every_method(&model, &Policy::uniform(&model), discount, 8e-9) {
                    let error = distance(&evaluation.values, &expected);
                    assert!(
                        error <= 1e-8,
                        "{}, {discount}, {}: {error:e}",
                        path.display(),
                        evaluation.method
                    );
                    checked += 1;
                }
            }
        }
    }
    assert!(checked >= 4 * 16, "{checked}");
}
