//! The definition of the return against the equation.

use etude_mdp::policy_evaluation::{EvaluationOptions, MonteCarloOptions, evaluate, monte_carlo};
use etude_mdp::{Policy, silent};

use crate::common::{book, walk};

#[test]
fn simulated_returns_agree_with_the_equation() {
    let model = book();
    let policy = Policy::uniform(&model);
    let values = evaluate(&model, &policy, 0.9, &EvaluationOptions::default(), &mut silent)
        .unwrap()
        .values;
    let episodes = MonteCarloOptions {
        start: None,
        episodes: 2000,
        truncation_bias: 1e-3,
        seed: 3,
    };
    let estimates = monte_carlo(&model, &policy, 0.9, &episodes).unwrap();
    // 0.9^h * 10 <= 1e-3.
    assert_eq!(estimates.horizon, 88);
    let covered = estimates
        .estimates
        .iter()
        .filter(|estimate| {
            assert!((estimate.mean - values[estimate.state]).abs() <= 5.0 * estimate.standard_error + 1e-3);
            (estimate.interval[0]..=estimate.interval[1]).contains(&values[estimate.state])
        })
        .count();
    assert!(covered >= 21, "{covered} of 25");
}

#[test]
fn simulated_returns_agree_with_the_equation_without_discount() {
    let model = walk(8);
    let policy = Policy::uniform(&model);
    let episodes = MonteCarloOptions {
        start: Some(0),
        episodes: 4000,
        truncation_bias: 1e-3,
        seed: 1,
    };
    let estimates = monte_carlo(&model, &policy, 1.0, &episodes).unwrap();
    let [estimate] = estimates.estimates[..] else {
        panic!("one state was asked for")
    };
    assert!(
        (estimate.interval[0]..=estimate.interval[1]).contains(&-72.0),
        "{estimate:?}"
    );
}
