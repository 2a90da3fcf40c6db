//! What these tests share: every method at once, a dense reference solution, and the fixtures.

use std::fs;
use std::path::{Path, PathBuf};

use etude_mdp::optimal::{Method, Solution, SolveOptions, solve};
use etude_mdp::{Mdp, Model, read, silent};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// All methods, truncated policy iteration with several counts of sweeps.
pub(crate) fn methods() -> impl Iterator<Item = Method> {
    let truncated = [1, 3, 5, 10].map(|sweeps| Method::TruncatedPolicyIteration { sweeps });
    let named = Method::NAMES.iter().map(|name| name.parse().unwrap());
    named.chain(truncated)
}

/// A method and a tolerance.
pub(crate) fn options(method: Method, tolerance: f64) -> SolveOptions {
    SolveOptions {
        method,
        tolerance,
        ..SolveOptions::default()
    }
}

/// The same problem by every method, each within the tolerance.
pub(crate) fn by_every_method(model: &impl Model, discount: f64, tolerance: f64) -> Vec<Solution> {
    let solve = |method| {
        let solution = solve(model, discount, &options(method, tolerance), &mut silent)
            .unwrap_or_else(|error| panic!("{method}: {error}"));
        assert!(solution.method == method || method == Method::Auto);
        assert!(solution.bound <= tolerance, "{method}: {}", solution.bound);
        solution
    };
    methods().map(solve).collect()
}

/// The greatest difference of two entries.
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |distance, (a, b)| {
        assert!(a.is_finite() && b.is_finite());
        (a - b).abs().max(distance)
    })
}

/// T v.
pub(crate) fn backed_up(model: &impl Model, discount: f64, values: &[f64]) -> Vec<f64> {
    (0..model.states())
        .map(|state| model.backup(state, discount, values).0)
        .collect()
}

/// All optimal actions that a solution names, by state.
pub(crate) fn optimal_actions(model: &impl Model, solution: &Solution) -> Vec<Vec<u32>> {
    let action_values = solution.action_values(model);
    (0..model.states())
        .map(|state| solution.optimal_actions(state, &action_values))
        .collect()
}

/// The actions of a state whose value for `values` lies within `margin` of the best.
pub(crate) fn near_best(model: &impl Model, state: usize, discount: f64, values: &[f64], margin: f64) -> Vec<u32> {
    let q: Vec<_> = (0..model.actions(state))
        .map(|action| model.action_value(state, action, discount, values))
        .collect();
    let best = q.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (0..)
        .zip(q)
        .filter(|(_, q)| *q >= best - margin)
        .map(|(action, _)| action)
        .collect()
}

/// v_pi = (I - gamma P_pi)^-1 r_pi of a deterministic policy, by Gaussian elimination on the dense matrix.
pub(crate) fn dense_policy_values(model: &impl Model, policy: &[u32], discount: f64) -> Vec<f64> {
    let states = model.states();
    let mut rows = vec![vec![0.0; states + 1]; states];
    for (state, row) in rows.iter_mut().enumerate() {
        row[state] = 1.0;
        if model.actions(state) > 0 {
            let action = policy[state] as usize;
            row[states] = model.reward(state, action);
            model.successors(state, action, |next, probability| {
                if (next as usize) < states {
                    row[next as usize] -= discount * probability;
                }
            });
        }
    }
    for pivot in 0..states {
        // The matrix is diagonally dominant, so no rows need to be exchanged.
        let pivot_row = rows[pivot].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            let factor = row[pivot] / pivot_row[pivot];
            if index != pivot && factor != 0.0 {
                row.iter_mut().zip(&pivot_row).for_each(|(x, y)| *x -= factor * y);
            }
        }
    }
    (0..states)
        .map(|state| rows[state][states] / rows[state][state])
        .collect()
}

/// The policies that policy iteration with dense evaluation visits and their values, from `policy` to an optimal one.
/// An action is changed only for one that is better by more than rounding.
pub(crate) fn dense_policy_iteration(
    model: &impl Model,
    discount: f64,
    mut policy: Vec<u32>,
) -> Vec<(Vec<u32>, Vec<f64>)> {
    let mut visited = Vec::new();
    loop {
        let values = dense_policy_values(model, &policy, discount);
        let scale = values.iter().fold(1.0, |scale: f64, value| scale.max(value.abs()));
        let mut improved = policy.clone();
        for (state, action) in improved.iter_mut().enumerate() {
            let (best, greedy) = model.backup(state, discount, &values);
            if best > values[state] + 1e-12 * scale {
                *action = greedy;
            }
        }
        visited.push((std::mem::replace(&mut policy, improved), values));
        if visited.last().is_some_and(|(before, _)| *before == policy) {
            return visited;
        }
    }
}

/// v*, by [`dense_policy_iteration`].
pub(crate) fn dense_optimal_values(model: &impl Model, discount: f64) -> Vec<f64> {
    let visited = dense_policy_iteration(model, discount, vec![0; model.states()]);
    visited.into_iter().next_back().unwrap().1
}

/// SciPy's solution of a fixture for one discount. Actions are given by label.
#[derive(Deserialize)]
pub(crate) struct Known {
    pub(crate) gamma: f64,
    pub(crate) optimal_values: Vec<f64>,
    pub(crate) optimal_actions: Vec<Vec<u32>>,
}

/// The models of a folder of fixtures, each with its name and a `field` of its solution file.
pub(crate) fn fixtures<T: DeserializeOwned>(folder: &str, field: &str) -> Vec<(String, Mdp, T)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .filter_map(|file| {
            let name = file.file_name()?.to_str()?.strip_suffix(".solution.json")?;
            let mut known: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
            let known = serde_json::from_value(known[field].take()).unwrap();
            let model = read::model(&file.with_file_name(format!("{name}.json")), None).unwrap();
            Some((name.to_owned(), model, known))
        })
        .collect()
}

/// Checks values and optimal actions, by every method, against SciPy's.
pub(crate) fn check_against_scipy(name: &str, model: &Mdp, known: &Known) {
    for solution in by_every_method(model, known.gamma, 1e-9) {
        let case = format!("{name}, discount {}, {}", known.gamma, solution.method);
        assert!(distance(&solution.values, &known.optimal_values) <= 1.1e-9, "{case}");
        for (state, optimal) in optimal_actions(model, &solution).iter().enumerate() {
            assert_eq!(
                labels(model, state, optimal),
                known.optimal_actions[state],
                "{case}, state {state}"
            );
            assert!(optimal.contains(&solution.policy[state]), "{case}, state {state}");
        }
    }
}

/// The labels of some actions of a state.
pub(crate) fn labels(model: &Mdp, state: usize, actions: &[u32]) -> Vec<u32> {
    actions
        .iter()
        .map(|&action| model.action_label(state, action as usize))
        .collect()
}
