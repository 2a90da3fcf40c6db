//! What is asked of `solve` and `finite_horizon`, what they report on the way, and when they refuse.

use std::ops::ControlFlow;

use etude_mdp::optimal::{Method, Solution, SolveOptions, finite_horizon, solve};
use etude_mdp::{GridWorld, GridWorldSpec, Iteration, Mdp, MdpBuilder, MdpError, Next, silent};

use crate::common::{by_every_method, methods, options};

/// A corridor of 40 cells to the target, which is not absorbing.
fn corridor() -> GridWorld {
    let map = vec![format!("{}T", ".".repeat(39))];
    GridWorld::new(&GridWorldSpec {
        map,
        slip: 0.2,
        ..GridWorldSpec::default()
    })
    .unwrap()
}

/// One state, which action 0 leaves for ever and action 1 may stay in.
fn leave_or_linger(linger: f64) -> Mdp {
    let mut builder = MdpBuilder::new(1);
    builder.transition(0, 0, Next::End, 1.0, 1.0);
    builder.transition(0, 1, Next::State(0), linger, 2.0);
    builder.transition(0, 1, Next::End, 1.0 - linger, 2.0);
    builder.build().unwrap()
}

#[test]
fn bounds_hold_where_a_row_sums_to_one_but_for_rounding() {
    // The value of all states is found in one step, as a constant that is added to v: 1 / (1 - gamma p) for p = 1.
    let (probability, discount) = (1.0 + f64::EPSILON, 0.999);
    let mut builder = MdpBuilder::new(1);
    builder.transition(0, 0, Next::State(0), probability, 1e4);
    let model = builder.build().unwrap();
    // 1 - gamma p to first order, since 1 - discount * probability would be rounded.
    let expected = 1e4 / ((1.0 - discount) - discount * f64::EPSILON);
    for solution in by_every_method(&model, discount, 1e-3) {
        let error = (solution.values[0] - expected).abs();
        assert!(
            error <= solution.bound,
            "{}: {error:e} {:e}",
            solution.method,
            solution.bound
        );
    }
}

fn refusal(discount: f64, options: &SolveOptions) -> String {
    let result = solve(&corridor(), discount, options, &mut silent);
    result.unwrap_err().to_string()
}

#[test]
fn tolerances_that_are_not_positive_are_refused() {
    for method in methods() {
        for tolerance in [0.0, -1e-9, f64::NAN, f64::INFINITY] {
            let refusal = refusal(0.9, &options(method, tolerance));
            let expected = format!("tolerance is {tolerance}; expected a positive number");
            assert_eq!(refusal, expected, "{method}");
        }
    }
}

#[test]
fn discounts_out_of_range_are_refused() {
    for method in methods() {
        for discount in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let refusal = refusal(discount, &options(method, 1e-6));
            assert!(
                refusal.starts_with(&format!("the discount is {discount}; expected")),
                "{method}: {refusal}"
            );
        }
    }
}

#[test]
fn without_discount_every_policy_must_end() {
    for method in methods() {
        let refusal = refusal(1.0, &options(method, 1e-6));
        assert!(
            refusal.starts_with("with discount 1 every policy must reach a terminal state"),
            "{method}: {refusal}"
        );
    }
    // Lingering earns 2 a step for two steps on average.
    for solution in by_every_method(&leave_or_linger(0.5), 1.0, 1e-9) {
        assert!(
            (solution.values[0] - 4.0).abs() <= solution.bound,
            "{}",
            solution.method
        );
        assert_eq!(solution.policy, [1], "{}", solution.method);
    }
    let endless = leave_or_linger(1.0);
    let error = solve(&endless, 1.0, &SolveOptions::default(), &mut silent).unwrap_err();
    assert!(matches!(error, MdpError::Improper { state: 0, action: 1 }), "{error}");
}

#[test]
fn tolerances_below_rounding_are_refused_at_once() {
    for method in methods() {
        let error = solve(&corridor(), 0.99, &options(method, 1e-16), &mut silent).unwrap_err();
        let MdpError::BelowRounding { tolerance, rounding } = error else {
            panic!("{method}: {error}");
        };
        assert!(tolerance < rounding && rounding < 1e-9, "{method}: {rounding}");
    }
}

#[test]
fn the_iteration_limit_is_kept_and_reported() {
    for method in methods() {
        let options = SolveOptions {
            max_iterations: 1,
            ..options(method, 1e-9)
        };
        let error = solve(&corridor(), 0.99, &options, &mut silent).unwrap_err();
        let MdpError::NotConverged {
            iterations,
            bound,
            tolerance,
            ..
        } = error
        else {
            panic!("{method}: {error}");
        };
        assert!(
            iterations == 1 && bound > tolerance,
            "{method}: {iterations} iterations, bound {bound}"
        );
    }
}

#[test]
fn callers_can_interrupt() {
    for method in methods() {
        let mut stop_at_two = |iteration: Iteration| match iteration.index {
            1 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        let error = solve(&corridor(), 0.99, &options(method, 1e-9), &mut stop_at_two).unwrap_err();
        assert!(matches!(error, MdpError::Interrupted(2)), "{method}: {error}");
    }
}

#[test]
fn every_iteration_is_reported_once() {
    for method in methods() {
        let mut reports = Vec::new();
        let mut keep = |iteration| {
            reports.push(iteration);
            ControlFlow::Continue(())
        };
        let solution = solve(&corridor(), 0.99, &options(method, 1e-9), &mut keep).unwrap();
        let Solution {
            iterations,
            history,
            bound,
            residual,
            sweeps,
            ..
        } = solution;
        assert!(reports.iter().map(|report| report.index).eq(1..=iterations), "{method}");
        assert!(reports.iter().map(|report| report.residual).eq(history), "{method}");
        assert!(
            sweeps >= iterations,
            "{method}: {sweeps} sweeps in {iterations} iterations"
        );
        let last = reports[iterations - 1];
        assert_eq!(
            (last.residual.to_bits(), last.bound.to_bits()),
            (residual.to_bits(), bound.to_bits()),
            "{method}"
        );
        assert!(
            reports[..iterations - 1].iter().all(|report| report.bound > 1e-9),
            "{method}"
        );
    }
}

#[test]
fn the_automatic_choice_is_explained() {
    let chosen = |discount| {
        let solution = solve(&corridor(), discount, &SolveOptions::default(), &mut silent).unwrap();
        (solution.method, solution.reason)
    };
    for discount in [0.0, 0.1, 0.9, 0.99] {
        let (method, reason) = chosen(discount);
        assert_ne!(method, Method::Auto);
        assert!(reason.contains(&format!("discount {discount}")), "{reason}");
    }
    assert_eq!(chosen(0.0).0, Method::ValueIteration);
    assert_eq!(chosen(0.99).0, Method::KrylovPolicyIteration);
}

/// Rewards as large as numbers get, and values beyond: an answer is right or it is refused.
#[test]
fn overflow_gives_no_answer_rather_than_a_wrong_one() {
    for (reward, tolerance) in [
        (1e30, 1e20),
        (1e40, 1e30),
        (1e150, 1e140),
        (1e307, 1e297),
        (f64::MAX, 1e300),
    ] {
        let mut builder = MdpBuilder::new(2);
        builder.transition(0, 0, Next::State(1), 1.0, reward);
        builder.transition(0, 1, Next::State(0), 1.0, 0.0);
        builder.transition(1, 0, Next::State(0), 0.5, reward);
        builder.transition(1, 0, Next::State(1), 0.5, reward);
        let model = builder.build().unwrap();
        for method in methods() {
            let options = SolveOptions {
                max_iterations: 10_000,
                ..options(method, tolerance)
            };
            if let Ok(solution) = solve(&model, 0.99, &options, &mut silent) {
                let expected = 100.0 * reward;
                for value in &solution.values {
                    assert!(
                        ((value - expected) / expected).abs() < 1e-9,
                        "{method}, reward {reward}: {value}"
                    );
                }
            }
        }
    }
}

/// Where values are much smaller than the greatest rewards would make them if they lasted.
#[test]
fn rewards_that_do_not_last_are_no_reason_to_refuse() {
    // All states but the last earn 1 on the way to the last, where nothing happens.
    let mut builder = MdpBuilder::new(5);
    for state in 0..4 {
        builder.transition(state, 0, Next::State(4), 1.0, 1.0);
    }
    builder.transition(4, 0, Next::State(4), 1.0, 0.0);
    builder.transition(4, 1, Next::State(0), 1.0, -2.0);
    let model = builder.build().unwrap();
    for solution in by_every_method(&model, 0.9999, 1e-9) {
        assert!(
            (solution.values[0] - 1.0).abs() <= solution.bound,
            "{}",
            solution.method
        );
    }
}

#[test]
fn finite_horizons_need_no_discount_but_final_values() {
    let endless = leave_or_linger(1.0);
    let three = finite_horizon(&endless, 1.0, 3, &[10.0]).unwrap();
    assert_eq!(three.values, [[10.0], [12.0], [14.0], [16.0]]);
    assert_eq!(three.policies, [[1], [1], [1]]);
    assert_eq!(finite_horizon(&endless, 1.0, 0, &[10.0]).unwrap().values, [[10.0]]);
    for discount in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(
            finite_horizon(&endless, discount, 1, &[0.0]),
            Err(MdpError::Discount(_))
        ));
    }
    for final_values in [&[][..], &[0.0, 0.0], &[f64::NAN], &[f64::INFINITY]] {
        let error = finite_horizon(&endless, 1.0, 1, final_values).unwrap_err();
        assert!(error.to_string().starts_with("final values is a list of"), "{error}");
    }
}
