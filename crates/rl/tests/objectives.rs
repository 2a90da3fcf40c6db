//! The exact answers of linear value function approximation, on the book's grid.

mod common;

use etude_mdp::policy_evaluation::{EvaluationOptions, evaluate};
use etude_mdp::{GridWorld, GridWorldSpec, Model, Policy, silent};
use etude_rl::prediction::{Lstd, Predictor, Sample};
use etude_rl::{
    Env, FeatureMap, FeatureMatrix, Fourier, KnownChain, OneHot, Polynomial, StateAggregation, Tabular, random_walk,
};
use proptest::prelude::*;

use common::{DISCOUNT, grid};

fn chain() -> KnownChain {
    let grid = grid();
    KnownChain::new(&grid, &Policy::uniform(&grid), DISCOUNT).unwrap()
}

/// Row and column of every cell between `low` and 1.
fn cells(low: f64) -> Vec<Vec<f64>> {
    let place = |index: usize| low + (1.0 - low) * index as f64 / 4.0;
    (0..25).map(|cell| vec![place(cell / 5), place(cell % 5)]).collect()
}

/// Errors of the three sets of weights as they are known for these features, to six digits.
fn floors(map: &impl FeatureMap, low: f64, expected: [f64; 3]) {
    let (chain, features) = (chain(), FeatureMatrix::new(map, &cells(low)));
    let weights = [
        chain.td_fixed_point(&features),
        chain.projection(&features),
        chain.bellman_residual_minimiser(&features),
    ];
    for (weights, expected) in weights.iter().zip(expected) {
        let error = chain.objectives(&features, weights).value_error;
        assert!((error - expected).abs() < 6e-7, "{error} {expected}");
    }
}

#[test]
fn the_chain_is_the_one_that_is_solved_exactly() {
    let (grid, chain) = (grid(), chain());
    let policy = Policy::uniform(&grid);
    let exact = evaluate(&grid, &policy, DISCOUNT, &EvaluationOptions::default(), &mut silent).unwrap();
    for (ours, exact) in chain.values().iter().zip(&exact.values) {
        assert!((ours - exact).abs() < 1e-8, "{ours} {exact}");
    }
    // As many ways lead into every cell as out of it.
    assert!(chain.distribution().iter().all(|chance| (chance - 0.04).abs() < 1e-12));
}

#[test]
fn floors_of_polynomials() {
    floors(&Polynomial::new(2, 1), -1.0, [0.222_774, 0.221_480, 0.242_532]);
    floors(&Polynomial::new(2, 2), -1.0, [0.193_511, 0.191_923, 0.216_932]);
    floors(&Polynomial::new(2, 3), -1.0, [0.125_149, 0.124_586, 0.129_757]);
    // They do not depend on where the origin is.
    floors(&Polynomial::new(2, 2), 0.0, [0.193_511, 0.191_923, 0.216_932]);
}

#[test]
fn floors_of_cosines() {
    floors(&Fourier::new(2, 1), 0.0, [0.206_704, 0.206_333, 0.213_188]);
    floors(&Fourier::new(2, 2), 0.0, [0.137_421, 0.135_995, 0.145_885]);
    floors(&Fourier::new(2, 3), 0.0, [0.097_347, 0.092_516, 0.145_595]);
    // 36 features of 25 states: everything can be expressed, in many ways.
    floors(&Fourier::new(2, 5), 0.0, [0.0; 3]);
}

#[test]
fn one_hot_features_are_the_table() {
    let states: Vec<Vec<f64>> = (0..25).map(|state| vec![f64::from(state)]).collect();
    let (chain, features) = (chain(), FeatureMatrix::new(&OneHot { states: 25 }, &states));
    let weights = chain.td_fixed_point(&features);
    for (weight, value) in weights.iter().zip(chain.values()) {
        assert!((weight - value).abs() < 1e-9);
    }
    let objectives = chain.objectives(&features, &weights);
    assert!(objectives.value_error < 1e-9 && objectives.bellman_error < 1e-9);
}

#[test]
fn chains_without_one_stationary_distribution_are_refused() {
    let ends = GridWorld::new(&GridWorldSpec {
        map: vec!["..T".into()],
        absorbing: true,
        ..GridWorldSpec::default()
    })
    .unwrap();
    let error = KnownChain::new(&ends, &Policy::uniform(&ends), 0.9)
        .unwrap_err()
        .to_string();
    assert!(error.contains("its episodes end"), "{error}");
    let grid = grid();
    let stay = Policy::deterministic(&grid, vec![4; grid.states()]).unwrap();
    let error = KnownChain::new(&grid, &stay, 0.9).unwrap_err().to_string();
    assert!(error.contains("falls apart"), "{error}");
}

/// The state aggregation of figures 9.1 and 9.2 of Sutton and Barto: ten groups of a hundred states.
const GROUPS: StateAggregation = StateAggregation {
    states: 1000,
    size: 100,
};

fn walk() -> (KnownChain, FeatureMatrix) {
    let model = random_walk();
    let mdp = model.to_mdp().unwrap();
    let states: Vec<Vec<f64>> = (0..1000).map(|state| vec![f64::from(state)]).collect();
    let chain = KnownChain::with_restarts(&mdp, &Policy::uniform(&mdp), 1.0, model.first_states()).unwrap();
    (chain, FeatureMatrix::new(&GROUPS, &states))
}

#[test]
fn the_random_walk_of_sutton_and_barto() {
    let (chain, features) = walk();
    // Section 9.3: 1.37 % of the time in the first state, 0.17 % in those one step away, 0.0147 % at the ends.
    let share = |state: usize| 100.0 * chain.distribution()[state];
    assert!((share(499) - 1.37).abs() < 0.005, "{}", share(499));
    for near in [399, 498, 500, 599] {
        assert!((share(near) - 0.17).abs() < 0.015, "{near}: {}", share(near));
    }
    for end in [0, 999] {
        assert!((share(end) - 0.0147).abs() < 0.00005, "{}", share(end));
    }
    let values = chain.values();
    let of_group =
        |weights: &[f64], group: usize| weights[group] - values[100 * group..][..100].iter().sum::<f64>() / 100.0;
    // Figure 9.1: a staircase, the leftmost steps higher than the mean of their states and the rightmost lower, since the inner
    // states of a group are seen more often.
    let projection = chain.projection(&features);
    assert!(projection.windows(2).all(|pair| pair[0] < pair[1]));
    for group in 0..4 {
        assert!(of_group(&projection, group) > 0.0 && of_group(&projection, 9 - group) < 0.0);
    }
    assert!(of_group(&projection, 0) > 0.01);
    // Figure 9.2: temporal differences end further from the values than Monte Carlo, and flatter.
    let fixed_point = chain.td_fixed_point(&features);
    let [near, far] = [&projection, &fixed_point].map(|weights| chain.objectives(&features, weights));
    assert!(
        near.value_error < 0.06 && far.value_error > 1.2 * near.value_error,
        "{near:?} {far:?}"
    );
    assert!(fixed_point[0] > projection[0] + 0.02 && fixed_point[9] < projection[9] - 0.02);
    assert!(far.projected_bellman_error < 1e-9);
}

#[test]
fn the_share_of_time_and_the_end_of_td_are_those_of_played_episodes() {
    let (chain, features) = walk();
    let mut env = Tabular::new(random_walk());
    let (mut counts, mut steps) = ([0.0; 10], 0.0);
    let mut lstd = Lstd::new(10, 1.0, 1e6);
    let (mut here, mut next) = ([0.0; 10], [0.0; 10]);
    let mut observation = [0.0];
    for episode in 0..2000 {
        env.reset((episode == 0).then_some(1), &mut observation);
        loop {
            GROUPS.write(&[f64::from(observation[0])], &mut here);
            counts[observation[0] as usize / 100] += 1.0;
            steps += 1.0;
            let step = env.step(&[0.0], &mut observation);
            GROUPS.write(&[f64::from(observation[0])], &mut next);
            lstd.learn(Sample {
                features: &here,
                reward: step.reward,
                next: (!step.terminated).then_some(&next[..]),
                ends: step.terminated,
            });
            if step.terminated {
                break;
            }
        }
    }
    for (group, count) in counts.iter().enumerate() {
        let expected: f64 = chain.distribution()[100 * group..][..100].iter().sum();
        assert!(
            (count / steps - expected).abs() < 0.01,
            "{group}: {} {expected}",
            count / steps
        );
    }
    for (learnt, expected) in lstd.weights().iter().zip(chain.td_fixed_point(&features)) {
        assert!((learnt - expected).abs() < 0.08, "{learnt} {expected}");
    }
}

#[test]
fn an_episode_is_over_in_a_state_without_actions() {
    // A corridor that is left to the right: one step in each cell, and the target is no part of the time.
    let corridor = GridWorld::new(&GridWorldSpec {
        map: vec!["S..T".into()],
        absorbing: true,
        ..GridWorldSpec::default()
    })
    .unwrap();
    let right = Policy::deterministic(&corridor, vec![1; 4]).unwrap();
    let chain = KnownChain::with_restarts(&corridor, &right, 0.5, &[0]).unwrap();
    for (share, expected) in chain.distribution().iter().zip([1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0]) {
        assert!((share - expected).abs() < 1e-12);
    }
    for (value, expected) in chain.values().iter().zip([0.25, 0.5, 1.0, 0.0]) {
        assert!((value - expected).abs() < 1e-12);
    }
}

proptest! {
    #[test]
    fn each_set_of_weights_is_best_at_its_own_objective(
        size in 1..9_usize, noise in prop::collection::vec(-1.0..1.0_f64, 25),
    ) {
        let map = StateAggregation { states: 25, size };
        let states: Vec<Vec<f64>> = (0..25).map(|state| vec![f64::from(state)]).collect();
        let (chain, features) = (chain(), FeatureMatrix::new(&map, &states));
        let projection = chain.projection(&features);
        let fixed_point = chain.td_fixed_point(&features);
        let minimiser = chain.bellman_residual_minimiser(&features);
        let near = |weights: &[f64]| -> Vec<f64> {
            weights.iter().zip(&noise).map(|(weight, noise)| weight + noise).collect()
        };
        let at = |weights: &[f64]| chain.objectives(&features, weights);
        prop_assert!(at(&projection).value_error <= at(&near(&projection)).value_error + 1e-12);
        prop_assert!(at(&minimiser).bellman_error <= at(&near(&minimiser)).bellman_error + 1e-12);
        prop_assert!(at(&fixed_point).projected_bellman_error < 1e-9);
        // No further from v than 1 / (1 - gamma) times the best (Zhao, chapter 8).
        prop_assert!(at(&fixed_point).value_error <= at(&projection).value_error / (1.0 - DISCOUNT) + 1e-12);
    }
}
