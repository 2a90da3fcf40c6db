//! Learnt values against the exact ones of linear value function approximation, on the book's grid.

mod common;

use etude_mdp::Policy;
use etude_rl::prediction::{Lstd, MonteCarlo, NStepTd, Predictor, ResidualGradient, Sample, TdLambda, Tdc};
use etude_rl::{Env, FeatureMap, FeatureMatrix, KnownChain, OneHot, Polynomial, Tabular, grid_world};
use etude_train::Seed;
use proptest::prelude::*;
use rand::RngExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use common::{DISCOUNT, grid};

fn cells() -> Vec<Vec<f64>> {
    (0..25)
        .map(|cell| vec![f64::from(cell / 5) / 2.0 - 1.0, f64::from(cell % 5) / 2.0 - 1.0])
        .collect()
}

/// Lets `predictor` see `episodes` of 500 steps of the uniform policy.
fn play(predictor: &mut dyn Predictor, map: &impl FeatureMap, points: &[Vec<f64>], episodes: u64) {
    const STEPS: usize = 500;
    let mut env = Tabular::new(grid_world(&grid()));
    let mut random = Seed(1).stream("policy");
    let (mut features, mut next) = (vec![0.0; map.dimension()], vec![0.0; map.dimension()]);
    let mut observation = [0.0];
    for episode in 0..episodes {
        env.reset(Some(episode), &mut observation);
        map.write(&points[observation[0] as usize], &mut features);
        for step in 1..=STEPS {
            let action = random.random_range(0..5_u8);
            let reward = env.step(&[f32::from(action)], &mut observation).reward;
            map.write(&points[observation[0] as usize], &mut next);
            predictor.learn(Sample {
                features: &features,
                reward,
                next: Some(&next),
                ends: step == STEPS,
            });
            std::mem::swap(&mut features, &mut next);
        }
    }
}

/// ||Phi w - Phi w_0||, in the mean over the states.
fn distance(features: &FeatureMatrix, weights: &[f64], expected: &[f64]) -> f64 {
    let (ours, expected) = (features.values(weights), features.values(expected));
    let squares: f64 = ours.iter().zip(&expected).map(|(a, b)| (a - b) * (a - b)).sum();
    (squares / ours.len() as f64).sqrt()
}

#[test]
fn every_method_ends_near_its_exact_answer() {
    let map = Polynomial::new(2, 2);
    let (grid, features) = (grid(), FeatureMatrix::new(&map, &cells()));
    let chain = KnownChain::new(&grid, &Policy::uniform(&grid), DISCOUNT).unwrap();
    let zero = vec![0.0; map.dimension()];
    let fixed_point = chain.td_fixed_point(&features);
    let projection = chain.projection(&features);
    let far = distance(&features, &zero, &fixed_point);
    assert!(far > 3.0, "{far}");
    let reaches = |name: &str, mut predictor: Box<dyn Predictor>, expected: &[f64], within: f64| {
        play(&mut *predictor, &map, &cells(), 1000);
        let left = distance(&features, predictor.weights(), expected);
        assert!(left < within, "{name}: {left}");
    };
    reaches(
        "TD(0)",
        Box::new(TdLambda::new(zero.clone(), DISCOUNT, 0.001, 0.0)),
        &fixed_point,
        0.08,
    );
    reaches(
        "LSTD",
        Box::new(Lstd::new(zero.len(), DISCOUNT, 1000.0)),
        &fixed_point,
        0.06,
    );
    reaches(
        "TDC",
        Box::new(Tdc::new(zero.clone(), DISCOUNT, 0.001, 0.01)),
        &fixed_point,
        0.1,
    );
    reaches(
        "TD(1)",
        Box::new(TdLambda::new(zero.clone(), DISCOUNT, 0.0003, 1.0)),
        &projection,
        0.15,
    );
    reaches(
        "Monte Carlo",
        Box::new(MonteCarlo::new(zero.clone(), DISCOUNT, 0.0003)),
        &projection,
        0.15,
    );
    reaches(
        "10-step TD",
        Box::new(NStepTd::new(zero.clone(), DISCOUNT, 0.0003, 10)),
        &projection,
        0.15,
    );
}

#[test]
fn the_residual_gradient_finds_the_least_bellman_error_where_nothing_is_left_to_chance() {
    // A deterministic policy: one way through the grid and round again, without a choice. Three features cannot express it.
    let states = 8;
    let map = Polynomial::new(1, 2);
    let points: Vec<Vec<f64>> = (0..states).map(|state| vec![state as f64 / 4.0 - 1.0]).collect();
    let mut builder = etude_mdp::MdpBuilder::new(states);
    let reward = |state: usize| if state == 5 { 1.0 } else { 0.0 };
    for state in 0..states {
        builder.transition(
            state,
            0,
            etude_mdp::Next::State((state + 1) % states),
            1.0,
            reward(state),
        );
    }
    let cycle = builder.build().unwrap();
    let chain = KnownChain::new(&cycle, &Policy::uniform(&cycle), DISCOUNT).unwrap();
    let features = FeatureMatrix::new(&map, &points);
    let mut predictor = ResidualGradient::new(vec![0.0; 3], DISCOUNT, 0.02);
    let (mut here, mut next) = (vec![0.0; 3], vec![0.0; 3]);
    for step in 0..400_000 {
        map.write(&points[step % states], &mut here);
        map.write(&points[(step + 1) % states], &mut next);
        predictor.learn(Sample {
            features: &here,
            reward: reward(step % states),
            next: Some(&next),
            ends: false,
        });
    }
    let expected = chain.bellman_residual_minimiser(&features);
    let left = distance(&features, predictor.weights(), &expected);
    assert!(left < 0.02, "{left}");
}

/// An episode of a few states: features one-hot, terminated or truncated.
type Episode = (Vec<(usize, f64)>, bool);

fn feed(predictor: &mut impl Predictor, episodes: &[Episode]) {
    const STATES: usize = 5;
    let (mut features, mut next) = ([0.0; STATES], [0.0; STATES]);
    let map = OneHot { states: STATES };
    for (steps, terminated) in episodes {
        for (index, &(state, reward)) in steps.iter().enumerate() {
            let last = index + 1 == steps.len();
            map.write(&[state as f64], &mut features);
            // Truncated in the state where it began.
            map.write(&[steps[(index + 1) % steps.len()].0 as f64], &mut next);
            predictor.learn(Sample {
                features: &features,
                reward,
                next: (!(last && *terminated)).then_some(&next[..]),
                ends: last,
            });
        }
    }
}

#[test]
fn a_saved_predictor_goes_on_to_the_same_bytes() {
    fn check<P: Predictor + Clone + Serialize + DeserializeOwned>(predictor: P) {
        let episodes: Vec<Episode> = vec![
            (vec![(0, 0.5), (3, -0.25), (1, 0.125)], false),
            (vec![(4, 0.3), (2, 1.0)], true),
        ];
        let cut = 4;
        let (mut straight, mut resumed) = (predictor.clone(), predictor);
        // Steps of an episode that goes on, so that traces and windows are not empty.
        let steps = |predictor: &mut dyn Predictor, from: usize, to: usize| {
            for index in from..to {
                let (mut features, mut next) = ([0.0; 5], [0.0; 5]);
                features[index % 5] = 1.0;
                next[(index * 3 + 1) % 5] = 1.0;
                predictor.learn(Sample {
                    features: &features,
                    reward: index as f64 / 7.0,
                    next: Some(&next),
                    ends: false,
                });
            }
        };
        feed(&mut straight, &episodes);
        steps(&mut straight, 0, 2 * cut);
        feed(&mut straight, &episodes);
        feed(&mut resumed, &episodes);
        steps(&mut resumed, 0, cut);
        let json = serde_json::to_string(&resumed).unwrap();
        let mut resumed: P = serde_json::from_str(&json).unwrap();
        steps(&mut resumed, cut, 2 * cut);
        feed(&mut resumed, &episodes);
        assert_eq!(straight.weights(), resumed.weights());
    }
    check(TdLambda::new(vec![0.0; 5], 0.9, 0.1, 0.7));
    check(NStepTd::new(vec![0.0; 5], 0.9, 0.1, 3));
    check(MonteCarlo::new(vec![0.0; 5], 0.9, 0.1));
    check(Lstd::new(5, 0.9, 10.0));
    check(ResidualGradient::new(vec![0.0; 5], 0.9, 0.1));
    check(Tdc::new(vec![0.0; 5], 0.9, 0.1, 0.2));
}

proptest! {
    #[test]
    fn one_step_is_td_and_one_hot_td_is_the_table(
        episodes in prop::collection::vec((prop::collection::vec((0..5_usize, -1.0..1.0_f64), 1..8), any::<bool>()), 1..6),
    ) {
        let mut td = TdLambda::new(vec![0.0; 5], 0.9, 0.1, 0.0);
        let mut one_step = NStepTd::new(vec![0.0; 5], 0.9, 0.1, 1);
        feed(&mut td, &episodes);
        feed(&mut one_step, &episodes);
        prop_assert_eq!(td.weights(), one_step.weights());
        // The table, as it is written in every book.
        let mut table = [0.0; 5];
        for (steps, terminated) in &episodes {
            for (index, &(state, reward)) in steps.iter().enumerate() {
                let last = index + 1 == steps.len();
                let next = if last && *terminated { 0.0 } else { table[steps[(index + 1) % steps.len()].0] };
                table[state] += 0.1 * (reward + 0.9 * next - table[state]);
            }
        }
        for (weight, value) in td.weights().iter().zip(table) {
            prop_assert!((weight - value).abs() < 1e-12);
        }
    }

    #[test]
    fn monte_carlo_and_more_steps_than_an_episode_has_move_to_returns(
        episodes in prop::collection::vec((prop::collection::vec((0..5_usize, -1.0..1.0_f64), 1..8), any::<bool>()), 1..6),
    ) {
        let mut monte_carlo = MonteCarlo::new(vec![0.0; 5], 0.9, 0.1);
        let mut eight_steps = NStepTd::new(vec![0.0; 5], 0.9, 0.1, 8);
        feed(&mut monte_carlo, &episodes);
        feed(&mut eight_steps, &episodes);
        prop_assert_eq!(monte_carlo.weights(), eight_steps.weights());
        let mut table = [0.0; 5];
        for (steps, terminated) in &episodes {
            let cut_off_in = if *terminated { 0.0 } else { table[steps[0].0] };
            let returns: Vec<f64> = (0..steps.len())
                .map(|from| steps[from..].iter().rev().fold(cut_off_in, |value, (_, reward)| reward + 0.9 * value))
                .collect();
            for (&(state, _), target) in steps.iter().zip(returns) {
                table[state] += 0.1 * (target - table[state]);
            }
        }
        for (weight, value) in monte_carlo.weights().iter().zip(table) {
            prop_assert!((weight - value).abs() < 1e-12);
        }
    }

    #[test]
    fn lstd_is_the_solution_of_its_equations(
        episodes in prop::collection::vec((prop::collection::vec((0..5_usize, -1.0..1.0_f64), 1..8), any::<bool>()), 1..6),
    ) {
        let mut lstd = Lstd::new(5, 0.9, 10.0);
        feed(&mut lstd, &episodes);
        // sigma^-1 w + sum of phi (phi - gamma phi')^T w - r phi = 0.
        let w = lstd.weights();
        let mut residual: Vec<f64> = w.iter().map(|weight| weight / 10.0).collect();
        for (steps, terminated) in &episodes {
            for (index, &(state, reward)) in steps.iter().enumerate() {
                let last = index + 1 == steps.len();
                let next = if last && *terminated { 0.0 } else { w[steps[(index + 1) % steps.len()].0] };
                residual[state] += w[state] - 0.9 * next - reward;
            }
        }
        prop_assert!(residual.iter().all(|entry| entry.abs() < 1e-8), "{:?}", residual);
    }
}
