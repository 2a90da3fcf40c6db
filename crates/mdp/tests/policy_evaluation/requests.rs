//! What can be asked for, and what is said to what cannot.

use std::ops::ControlFlow;
use std::path::Path;

use etude_mdp::policy_evaluation::{EvaluationMethod, EvaluationOptions, evaluate};
use etude_mdp::{AffineRewards, Iteration, MdpError, Policy, silent};

use crate::common::{book, options, walk};

const UP: u32 = 0;
const LEFT: u32 = 3;

#[test]
fn the_automatic_choice_goes_by_size() {
    for (states, expected) in [(10, EvaluationMethod::ClosedForm), (5000, EvaluationMethod::BiCgStab)] {
        let model = walk(states);
        let options = EvaluationOptions::default();
        let evaluation = evaluate(&model, &Policy::uniform(&model), 0.9, &options, &mut silent).unwrap();
        assert_eq!(evaluation.method, expected);
        assert!(
            evaluation.reason.starts_with(&format!("{states} states")),
            "{}",
            evaluation.reason
        );
    }
}

fn error(discount: f64, options: &EvaluationOptions) -> MdpError {
    let model = book();
    evaluate(&model, &Policy::uniform(&model), discount, options, &mut silent).unwrap_err()
}

#[test]
fn what_cannot_be_done_is_said() {
    let default = EvaluationOptions::default();
    assert!(matches!(error(1.0, &default), MdpError::EndlessPolicy { state: 0 }));
    assert!(matches!(error(1.5, &default), MdpError::Discount(_)));
    for tolerance in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            error(0.9, &EvaluationOptions { tolerance, ..default }),
            MdpError::Setting { .. }
        ));
    }
    assert!(matches!(
        error(
            0.9,
            &EvaluationOptions {
                max_iterations: 0,
                ..default
            }
        ),
        MdpError::Setting { .. }
    ));
    let too_few = EvaluationOptions {
        max_iterations: 3,
        ..options(EvaluationMethod::Iterative, 1e-9)
    };
    assert!(matches!(
        error(0.9, &too_few),
        MdpError::NotConverged { iterations: 3, .. }
    ));
    for method in EvaluationMethod::ALL {
        let MdpError::BelowRounding { rounding, .. } = error(0.9, &options(method, 1e-15)) else {
            panic!("{method} claims an error below rounding")
        };
        let model = book();
        let feasible = options(method, 2.0 * rounding);
        evaluate(&model, &Policy::uniform(&model), 0.9, &feasible, &mut silent).unwrap();
    }
    assert!(matches!(
        error(1.0 - f64::EPSILON / 2.0, &default),
        MdpError::BelowRounding { .. }
    ));
    let model = book();
    let other = Policy::uniform(&walk(3));
    assert!(matches!(
        evaluate(&model, &other, 0.9, &default, &mut silent),
        Err(MdpError::Policy(_))
    ));
    assert!(
        "newton"
            .parse::<EvaluationMethod>()
            .unwrap_err()
            .to_string()
            .contains("method is newton")
    );
}

#[test]
fn an_evaluation_can_be_interrupted() {
    let model = book();
    let mut seen = Vec::new();
    let mut stop_at_three = |iteration: Iteration| {
        seen.push(iteration.index);
        if iteration.index == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let options = options(EvaluationMethod::Iterative, 1e-9);
    let result = evaluate(&model, &Policy::uniform(&model), 0.9, &options, &mut stop_at_three);
    assert!(matches!(result, Err(MdpError::Interrupted(3))));
    assert_eq!(seen, [1, 2, 3]);
}

#[test]
fn what_solve_prints_can_be_evaluated() {
    let model = book();
    let labels = [UP, LEFT].repeat(13);
    let json = serde_json::json!({ "method": "policy-iteration", "values": [0.0], "policy": &labels[..25] });
    let policy = Policy::parse(&model, Path::new("solution.json"), json.to_string().as_bytes()).unwrap();
    assert_eq!(policy, Policy::deterministic(&model, labels[..25].to_vec()).unwrap());
}

/// Episodes that end soon keep rounding small, however near to 1 the discount is.
#[test]
fn a_discount_near_1_costs_no_digits_where_episodes_end() {
    let model = walk(10);
    for discount in [0.999_999, 1.0 - 1e-12] {
        for method in EvaluationMethod::ALL {
            let evaluation = evaluate(
                &model,
                &Policy::uniform(&model),
                discount,
                &options(method, 1e-9),
                &mut silent,
            )
            .unwrap();
            assert!((evaluation.values[0] + 110.0).abs() <= 0.1, "{method}");
        }
    }
}

/// Values that overflow are no values; those that just fit are.
#[test]
fn rewards_as_large_as_numbers_get() {
    let model = walk(10);
    let policy = Policy::uniform(&model);
    for method in EvaluationMethod::ALL {
        let fits = AffineRewards::new(&model, 1e300, 0.0);
        let evaluation = evaluate(&fits, &policy, 1.0, &options(method, 1e290), &mut silent).unwrap();
        assert!((evaluation.values[0] / 110e300 + 1.0).abs() <= 1e-9, "{method}");
        let overflows = AffineRewards::new(&model, 1e307, 0.0);
        let result = evaluate(&overflows, &policy, 1.0, &options(method, 1e290), &mut silent);
        assert!(
            matches!(
                result,
                Err(MdpError::NotConverged { .. } | MdpError::BelowRounding { .. } | MdpError::Stalled { .. })
            ),
            "{method}: {result:?}"
        );
    }
}
