//! Policy evaluation on random models, against a dense solution and against itself, and on hard chains.

use etude_mdp::policy_evaluation::{Evaluation, EvaluationMethod, MonteCarloOptions, evaluate, monte_carlo};
use etude_mdp::{Mdp, MdpBuilder, Model, Next, Policy, SimulationOptions, silent, simulate};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::{by_every_method, distance, options, walk};

/// A model with up to 4 actions and 4 successors, and rewards of size up to 1; each transition ends the episode with
/// probability `ends`.
fn random_model(seed: u64, states: usize, ends: f64) -> Mdp {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut builder = MdpBuilder::new(states);
    for state in 0..states {
        for action in 0..random.random_range(1..=4_u32) {
            let weights: Vec<f64> = (0..random.random_range(1..=4)).map(|_| random.random()).collect();
            let total: f64 = weights.iter().sum::<f64>() / (1.0 - ends);
            for weight in weights {
                let next = Next::State(random.random_range(0..states));
                builder.transition(state, action, next, weight / total, random.random_range(-1.0..1.0));
            }
            builder.transition(state, action, Next::End, ends, 0.0);
        }
    }
    builder.build().unwrap()
}

/// A policy that takes only some of the actions.
fn random_policy(seed: u64, model: &Mdp) -> Policy {
    let mut random = ChaCha8Rng::seed_from_u64(!seed);
    let row = |state| {
        let mut weights: Vec<f64> = (0..model.actions(state))
            .map(|_| random.random_range(-0.5_f64..1.0).max(0.0))
            .collect();
        weights[0] += 0.1;
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
    };
    Policy::stochastic(model, &(0..model.states()).map(row).collect::<Vec<_>>()).unwrap()
}

/// (I - gamma P_pi)^-1 r_pi by Gaussian elimination on the dense matrix.
fn dense_values(model: &Mdp, policy: &Policy, discount: f64) -> Vec<f64> {
    let states = model.states();
    let mut rows = vec![vec![0.0; states + 1]; states];
    for (state, row) in rows.iter_mut().enumerate() {
        row[state] = 1.0;
        policy.for_each(state, |action, chance| {
            row[states] += chance * model.reward(state, action);
            model.successors(state, action, |next, probability| {
                if (next as usize) < states {
                    row[next as usize] -= discount * chance * probability;
                }
            });
        });
    }
    for pivot in 0..states {
        let largest = (pivot..states)
            .max_by(|&a, &b| rows[a][pivot].abs().total_cmp(&rows[b][pivot].abs()))
            .unwrap();
        rows.swap(pivot, largest);
        let pivot_row = rows[pivot].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            if index != pivot {
                let factor = row[pivot] / pivot_row[pivot];
                row.iter_mut()
                    .zip(&pivot_row)
                    .for_each(|(entry, above)| *entry -= factor * above);
            }
        }
    }
    rows.iter()
        .enumerate()
        .map(|(state, row)| row[states] / row[state])
        .collect()
}

fn any_discount() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(0.5), Just(0.9), Just(0.99), Just(0.999), 0.0..0.99]
}

fn any_ending() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(0.05), Just(0.5)]
}

proptest! {
    #[test]
    fn all_methods_give_the_dense_solution(
        seed: u64, states in 1_usize..40, ends in any_ending(), discount in any_discount(),
    ) {
        let model = random_model(seed, states, ends);
        for policy in [Policy::uniform(&model), random_policy(seed, &model)] {
            let dense = dense_values(&model, &policy, discount);
            for evaluation in by_every_method(&model, &policy, discount, 1e-8) {
                let error = distance(&evaluation.values, &dense);
                prop_assert!(error <= evaluation.bound + 1e-9, "{}: {:e}", evaluation.method, error);
            }
        }
    }

    #[test]
    fn the_bound_bounds_however_rough_the_answer(
        seed: u64, states in 1_usize..40, ends in any_ending(), discount in any_discount(), tolerance in 1e-3..10.0,
    ) {
        let model = random_model(seed, states, ends);
        let policy = random_policy(seed, &model);
        let dense = dense_values(&model, &policy, discount);
        for evaluation in by_every_method(&model, &policy, discount, tolerance) {
            let error = distance(&evaluation.values, &dense);
            prop_assert!(error <= evaluation.bound + 1e-10, "{}: {:e}", evaluation.method, error);
        }
    }

    #[test]
    fn without_discount_proper_policies_have_values(
        seed: u64, states in 1_usize..40, ends in 0.05..0.9, tolerance in prop_oneof![Just(1e-9), 1e-3..1.0],
    ) {
        let model = random_model(seed, states, ends);
        let policy = random_policy(seed, &model);
        let dense = dense_values(&model, &policy, 1.0);
        for evaluation in by_every_method(&model, &policy, 1.0, tolerance) {
            let error = distance(&evaluation.values, &dense);
            prop_assert!(error <= evaluation.bound + 1e-11, "{}: {:e}", evaluation.method, error);
        }
    }

    #[test]
    fn each_sweep_contracts_by_the_discount(seed: u64, states in 2_usize..40, discount in 0.1..0.95) {
        let model = random_model(seed, states, 0.1);
        let options = options(EvaluationMethod::Iterative, 1e-9);
        let evaluation = evaluate(&model, &random_policy(seed, &model), discount, &options, &mut silent).unwrap();
        for pair in evaluation.history.windows(2) {
            prop_assert!(pair[1].1 <= discount * pair[0].1 + 1e-14);
        }
    }
}

#[test]
fn without_discount_a_long_walk_is_as_long_as_theory_says() {
    let states = 3000;
    let model = walk(states);
    let policy = Policy::uniform(&model);
    // From s, n (n + 1) - s (s + 1) expected steps.
    let expected: Vec<f64> = (0..states)
        .map(|s| (s * (s + 1)) as f64 - (states * (states + 1)) as f64)
        .collect();
    for method in [EvaluationMethod::ClosedForm, EvaluationMethod::BiCgStab] {
        let evaluation = evaluate(&model, &policy, 1.0, &options(method, 0.5), &mut silent).unwrap();
        assert!(distance(&evaluation.values, &expected) <= evaluation.bound, "{method}");
    }
}

#[test]
fn deterministic_cycles_of_many_lengths_are_no_trouble() {
    let states = 20_000;
    let mut builder = MdpBuilder::new(states);
    for state in 0..states {
        builder.transition(
            state,
            0,
            Next::State((7 * state + 3) % states),
            1.0,
            (state % 11) as f64,
        );
    }
    let model = builder.build().unwrap();
    let policy = Policy::uniform(&model);
    let direct = evaluate(
        &model,
        &policy,
        0.999,
        &options(EvaluationMethod::ClosedForm, 1e-6),
        &mut silent,
    )
    .unwrap();
    for method in [EvaluationMethod::GaussSeidel, EvaluationMethod::BiCgStab] {
        let evaluation = evaluate(&model, &policy, 0.999, &options(method, 1e-6), &mut silent).unwrap();
        assert!(
            distance(&evaluation.values, &direct.values) <= evaluation.bound + direct.bound,
            "{method}"
        );
    }
}

#[test]
fn one_sweep_evaluates_a_deterministic_policy_that_ends() {
    // Cells of a 40 x 40 grid; down and then right to the last, which ends the episode.
    let side = 40;
    let mut builder = MdpBuilder::new(side * side);
    for state in 0..side * side {
        let next = match (state / side + 1 < side, state % side + 1 < side) {
            (true, _) => Next::State(state + side),
            (false, true) => Next::State(state + 1),
            (false, false) => Next::End,
        };
        builder.transition(state, 0, next, 1.0, -1.0);
    }
    let model = builder.build().unwrap();
    for method in [EvaluationMethod::GaussSeidel, EvaluationMethod::BiCgStab] {
        let evaluation = evaluate(
            &model,
            &Policy::uniform(&model),
            1.0,
            &options(method, 1e-9),
            &mut silent,
        )
        .unwrap();
        assert!(evaluation.iterations <= 3, "{method}: {}", evaluation.iterations);
        assert!((evaluation.values[0] + 79.0).abs() <= evaluation.bound);
    }
}

#[test]
fn one_thread_and_two_give_the_same_bytes() {
    let on_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let model = random_model(5, 20_000, 0.0);
            let policy = random_policy(5, &model);
            let mut bits = Vec::new();
            for mut evaluation in by_every_method_but_closed_form(&model, &policy) {
                evaluation.seconds = 0.0;
                bits.push(serde_json::to_string(&evaluation).unwrap());
            }
            let episodes = MonteCarloOptions {
                start: None,
                episodes: 3,
                truncation_bias: 0.1,
                seed: 9,
            };
            let mut estimates = monte_carlo(&model, &policy, 0.9, &episodes).unwrap();
            estimates.seconds = 0.0;
            bits.push(serde_json::to_string(&estimates).unwrap());
            let episodes = SimulationOptions {
                start: None,
                episodes: 5000,
                horizon: 20,
                trajectories: 9,
                seed: 9,
            };
            bits.push(serde_json::to_string(&simulate(&model, &policy, 0.9, &episodes).unwrap()).unwrap());
            bits
        })
    };
    assert!(on_threads(1) == on_threads(2));
}

/// The factors of a large random model fill in completely, and are computed by one thread in any case.
fn by_every_method_but_closed_form(model: &Mdp, policy: &Policy) -> Vec<Evaluation> {
    [
        EvaluationMethod::Iterative,
        EvaluationMethod::GaussSeidel,
        EvaluationMethod::BiCgStab,
    ]
    .map(|method| evaluate(model, policy, 0.9, &options(method, 1e-6), &mut silent).unwrap())
    .into()
}
