//! Policy evaluation under stress: every method, on chains that are hard in different ways, against the exact values.
//!
//! An answer must lie within its own bound. An error must be one that the problem forces: a tolerance that rounding
//! forbids, or too few iterations for a method whose error shrinks by no more than gamma a sweep.

use etude_mdp::policy_evaluation::{EvaluationMethod, EvaluationOptions, evaluate};
use etude_mdp::{
    AffineRewards, MdpError, Model, check_discount, check_proper, longest_episode, longest_episode_under, silent,
};
use proptest::prelude::*;

use crate::exact;
use crate::problems::{Problem, Shape};

fn any_shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Random),
        Just(Shape::Dense),
        Just(Shape::Cycle),
        Just(Shape::Map),
        Just(Shape::Walk),
        Just(Shape::BiasedWalk),
        Just(Shape::Forward),
        (1..10).prop_map(Shape::Sticky),
        (1..10).prop_map(Shape::Blocks),
    ]
}

fn any_problem() -> impl Strategy<Value = Problem> {
    let states = prop_oneof![1_usize..8, 1_usize..60, 1_usize..200];
    let ends = prop_oneof![Just(0.0), Just(0.3), Just(1e-3), Just(1e-6)];
    let rewards = prop::sample::select(vec![1.0, 1e12, 1e-12, 1e200, 1e-200]);
    (any_shape(), states, ends, rewards, any::<bool>(), any::<u64>()).prop_map(
        |(shape, states, ends, rewards, sparse, seed)| Problem {
            shape,
            states,
            ends,
            rewards,
            sparse,
            seed,
        },
    )
}

fn any_discount() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.999_999, 1.0])
}

/// Few enough that the slowest sweeps take a fraction of a second.
const MAX_ITERATIONS: usize = 20_000;

/// Every method keeps its promises; `digits` of the largest value are asked for.
fn check(problem: Problem, discount: f64, digits: i32) {
    let (model, policy) = problem.build();
    let Some(exact) = exact::values(&model, &policy, discount) else {
        return;
    };
    let scale = exact
        .iter()
        .fold(problem.rewards, |scale, value| value.abs().max(scale));
    let steps = if discount < 1.0 {
        1.0 / (1.0 - discount)
    } else {
        let Some(steps) = exact::values(&AffineRewards::new(&model, 0.0, 1.0), &policy, discount) else {
            return;
        };
        steps.into_iter().fold(1.0, f64::max)
    };
    let operations = (model.max_successors() + 10) as f64;
    let rounding = 6.0 * operations * f64::EPSILON * scale * steps;
    let tolerance = scale * 10.0_f64.powi(-digits);
    for method in EvaluationMethod::ALL {
        let options = EvaluationOptions {
            method,
            tolerance,
            max_iterations: MAX_ITERATIONS,
        };
        match evaluate(&model, &policy, discount, &options, &mut silent) {
            Ok(evaluation) => {
                let distances = evaluation.values.iter().zip(&exact).map(|(v, exact)| (v - exact).abs());
                let error = distances.fold(0.0, f64::max);
                assert!(
                    error <= evaluation.bound && evaluation.bound <= tolerance,
                    "{method}: an error of {error:e}, a bound of {:e}, {tolerance:e} asked for",
                    evaluation.bound
                );
            }
            Err(error) => assert!(
                is_forced(&error, method, &problem, discount, rounding),
                "{method}, {tolerance:e} asked for: {error}"
            ),
        }
    }
}

/// Whether no other answer could be expected, where rounding must not cost more than `most_rounding`.
fn is_forced(error: &MdpError, method: EvaluationMethod, problem: &Problem, discount: f64, most_rounding: f64) -> bool {
    let sweeps = [EvaluationMethod::Iterative, EvaluationMethod::GaussSeidel].contains(&method);
    match *error {
        MdpError::BelowRounding { rounding, .. } => rounding <= most_rounding,
        MdpError::NotConverged { iterations, .. } => sweeps && discount >= 0.999 && iterations == MAX_ITERATIONS,
        MdpError::EndlessPolicy { .. } => discount >= 1.0 && problem.ends == 0.0,
        _ => false,
    }
}

proptest! {
    #[test]
    fn every_method_keeps_its_promises(problem in any_problem(), discount in any_discount(), digits in 0_i32..17) {
        check(problem, discount, digits);
    }
}

/// Chains of parts that are hardly ever left have as many eigenvalues near 1 as parts: there the recurrences of
/// BiCGSTAB are lost, and GMRES takes over.
#[test]
fn parts_that_are_hardly_ever_left() {
    for (exponent, states, discount, digits, seed) in [
        (7, 73, 1.0, 7, 11_279_435_729_540_296_158),
        (5, 137, 0.999_999, 11, 4_250_572_313_190_768_414),
        (7, 39, 1.0, 9, 12_706_331_236_706_565_985),
        (8, 35, 0.999_999, 12, 5_374_793_832_377_172_032),
        (5, 88, 1.0, 5, 15_582_287_469_802_556_440),
        (9, 163, 0.999_999, 11, 2_720_314_339_566_786_030),
    ] {
        let problem = Problem {
            shape: Shape::Blocks(exponent),
            states,
            ends: if discount < 1.0 { 0.0 } else { 1e-6 },
            rewards: 1.0,
            sparse: false,
            seed,
        };
        check(problem, discount, digits);
    }
}

proptest! {
    /// What stands for 1 / (1 - gamma) without discount.
    #[test]
    fn the_longest_episode_is_bounded_from_above(problem in any_problem()) {
        let (model, policy) = problem.build();
        let Some(steps) = exact::values(&AffineRewards::new(&model, 0.0, 1.0), &policy, 1.0) else {
            return Ok(());
        };
        let steps = steps.into_iter().fold(0.0, f64::max);
        if check_proper(&model, &policy).is_ok() {
            let bound = longest_episode_under(&model, &policy).unwrap();
            prop_assert!(bound >= steps && bound <= 1.01 * steps, "{} {}", bound, steps);
        }
        if check_discount(&model, 1.0).is_ok() {
            let bound = longest_episode(&model).unwrap();
            prop_assert!(bound >= steps, "{} {}", bound, steps);
        }
    }
}
