//! The small problems of QuantEcon and pymdptoolbox, against the values that their authors printed.

use etude_mdp::optimal::finite_horizon;
use etude_mdp::{Mdp, Model};
use serde::Deserialize;

use crate::common::{
    Known, by_every_method, check_against_scipy, dense_policy_values, distance, fixtures, labels, near_best,
    optimal_actions,
};

/// One published answer. Policies are given by action labels.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Published {
    OptimalValues {
        gamma: f64,
        values: Vec<f64>,
        error: f64,
    },
    OptimalPolicy {
        gamma: f64,
        policy: Vec<u32>,
    },
    PolicyValues {
        gamma: f64,
        policy: Vec<u32>,
        values: Vec<f64>,
        error: f64,
    },
    HorizonValues {
        gamma: f64,
        horizon: usize,
        values: Vec<f64>,
        error: f64,
    },
    HorizonPolicy {
        gamma: f64,
        horizon: usize,
        policy: Vec<u32>,
    },
}

/// What rounding may add to the published error, at the size of these values.
const ROUNDING: f64 = 1e-11;

fn check(name: &str, model: &Mdp, published: Published) {
    match published {
        Published::OptimalValues { gamma, values, error } => {
            for solution in by_every_method(model, gamma, 1e-9) {
                let allowed = error + solution.bound + ROUNDING;
                assert!(
                    distance(&solution.values, &values) <= allowed,
                    "{name}, {}",
                    solution.method
                );
            }
        }
        Published::OptimalPolicy { gamma, policy } => {
            for solution in by_every_method(model, gamma, 1e-9) {
                for (state, optimal) in optimal_actions(model, &solution).iter().enumerate() {
                    let optimal = labels(model, state, optimal);
                    assert!(
                        optimal.contains(&policy[state]),
                        "{name}, {}, state {state}",
                        solution.method
                    );
                    let greedy = labels(model, state, &solution.policy[state..=state]);
                    assert!(
                        optimal.contains(&greedy[0]),
                        "{name}, {}, state {state}",
                        solution.method
                    );
                }
            }
        }
        Published::PolicyValues {
            gamma,
            policy,
            values,
            error,
        } => {
            let found = dense_policy_values(model, &policy, gamma);
            assert!(distance(&found, &values) <= error + ROUNDING, "{name}");
        }
        Published::HorizonValues {
            gamma,
            horizon,
            values,
            error,
        } => {
            let found = finite_horizon(model, gamma, horizon, &vec![0.0; model.states()]).unwrap();
            assert!(
                distance(&found.values[horizon], &values) <= error + ROUNDING,
                "{name}, {horizon} decisions"
            );
        }
        Published::HorizonPolicy { gamma, horizon, policy } => {
            let found = finite_horizon(model, gamma, horizon, &vec![0.0; model.states()]).unwrap();
            for (state, action) in policy.iter().enumerate() {
                let optimal = near_best(model, state, gamma, &found.values[horizon - 1], ROUNDING);
                assert!(
                    labels(model, state, &optimal).contains(action),
                    "{name}, {horizon} decisions, state {state}"
                );
                assert!(
                    optimal.contains(&found.policies[horizon - 1][state]),
                    "{name}, {horizon} decisions"
                );
            }
        }
    }
}

#[test]
fn published_answers_are_found_by_every_method() {
    let problems = fixtures::<Vec<Published>>("published", "published");
    assert_eq!(problems.len(), 9);
    for (name, model, published) in problems {
        for published in published {
            check(&name, &model, published);
        }
    }
}

/// Also those problems of which only a policy was published.
#[test]
fn every_problem_is_solved_to_scipys_values_by_every_method() {
    for (name, model, known) in fixtures::<Vec<Known>>("published", "solutions") {
        for known in known {
            check_against_scipy(&name, &model, &known);
        }
    }
}
