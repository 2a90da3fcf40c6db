//! How often the replay buffer draws what, and what the drawn weigh.

use etude_rl::{Autoreset, Batch, Minibatch, PriorityOptions, Replay, ReplayOptions, Transition};
use etude_train::Seed;
use proptest::prelude::*;

const ALPHA: f64 = 0.6;
const EPSILON: f64 = 0.01;

fn replay(capacity: usize, priorities: bool) -> Replay {
    Replay::new(&ReplayOptions {
        capacity,
        envs: 1,
        observation: 1,
        pixels: false,
        action: 1,
        autoreset: Autoreset::NextStep,
        steps: 1,
        discount: 0.9,
        priorities: priorities.then_some(PriorityOptions {
            alpha: ALPHA,
            epsilon: EPSILON,
        }),
    })
}

fn push(replay: &mut Replay, count: usize) {
    let batch = Batch {
        observations: vec![0.0],
        final_observations: vec![0.0],
        rewards: vec![0.0],
        transitions: vec![Transition::Continues],
    };
    (0..count).for_each(|_| replay.push(&[0.0], &[0.0], &batch));
}

/// With an error for each transition, from the first on.
fn with_errors(errors: &[f32]) -> Replay {
    let mut replay = replay(errors.len(), true);
    push(&mut replay, errors.len());
    let indices: Vec<u32> = (0..errors.len() as u32).collect();
    replay.update_priorities(&indices, errors);
    replay
}

/// P(i) by definition.
fn chances(errors: &[f32]) -> Vec<f64> {
    let powers = errors
        .iter()
        .map(|error| (f64::from(error.abs()) + EPSILON).powf(ALPHA));
    let powers: Vec<f64> = powers.collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// How far the frequencies of `draws` draws, `count` at a time, are from `chances` in units in which they are expected to be 0
/// away and 1 is the standard deviation (chi-square, by the cube root of Wilson and Hilferty 1931).
fn surprise(replay: &Replay, draws: usize, count: usize, chances: &[f64]) -> f64 {
    let mut random = Seed(4).stream("replay");
    let (mut minibatch, mut counts) = (Minibatch::default(), vec![0_u32; chances.len()]);
    for _ in 0..draws / count {
        replay.sample(&mut random, count, 0.5, &mut minibatch);
        minibatch.indices.iter().for_each(|&index| counts[index as usize] += 1);
    }
    let terms = counts.iter().zip(chances).map(|(&count, chance)| {
        let expected = draws as f64 * chance;
        (f64::from(count) - expected).powi(2) / expected
    });
    let freedom = (chances.len() - 1) as f64;
    let spread = 2.0 / (9.0 * freedom);
    ((terms.sum::<f64>() / freedom).cbrt() - (1.0 - spread)) / spread.sqrt()
}

#[test]
fn uniform_draws_are_uniform() {
    let mut replay = replay(64, false);
    push(&mut replay, 50);
    let surprise = surprise(&replay, 200_000, 100, &[1.0 / 50.0; 50]);
    assert!(surprise.abs() < 3.0, "{surprise}");
}

#[test]
fn draws_by_priority_follow_the_priorities() {
    let errors: Vec<f32> = (0..40_u8)
        .map(|index| f32::from(index) * if index % 2 == 0 { 0.1 } else { -0.1 })
        .collect();
    let (replay, expected) = (with_errors(&errors), chances(&errors));
    let one_by_one = surprise(&replay, 200_000, 1, &expected);
    assert!(one_by_one.abs() < 3.0, "{one_by_one}");
    // One from each part: nearer to what is expected than independent draws are.
    let by_parts = surprise(&replay, 200_000, 100, &expected);
    assert!(by_parts < -3.0, "{by_parts}");
    // And the test sees other priorities.
    let shifted: Vec<f32> = errors.iter().map(|error| error.abs() + 0.1).collect();
    let wrong = surprise(&replay, 200_000, 1, &chances(&shifted));
    assert!(wrong > 10.0, "{wrong}");
}

#[test]
fn one_of_each_part_is_drawn() {
    let mut replay = replay(80, true);
    push(&mut replay, 64);
    let mut minibatch = Minibatch::default();
    replay.sample(&mut Seed(1).stream("replay"), 64, 0.5, &mut minibatch);
    assert!(minibatch.indices.iter().copied().eq(0..64));
}

proptest! {
    #[test]
    fn weights_by_definition(
        errors in prop::collection::vec(-10.0..10.0_f32, 1..100),
        beta in 0.0..1.0_f64,
        count in 1..50_usize,
    ) {
        let (replay, chances) = (with_errors(&errors), chances(&errors));
        let mut minibatch = Minibatch::default();
        replay.sample(&mut Seed(1).stream("replay"), count, beta, &mut minibatch);
        let weight = |&index: &u32| (errors.len() as f64 * chances[index as usize]).powf(-beta);
        let greatest = minibatch.indices.iter().map(weight).fold(0.0, f64::max);
        for (index, &ours) in minibatch.indices.iter().zip(&minibatch.weights) {
            let expected = weight(index) / greatest;
            prop_assert!((f64::from(ours) - expected).abs() < 1e-5, "{ours} {expected}");
        }
    }
}

/// (P(rarest) / P(i))^-1 of each transition that is drawn, with all of `count` among them.
fn odds(replay: &Replay, count: usize) -> Vec<f32> {
    let mut minibatch = Minibatch::default();
    replay.sample(&mut Seed(1).stream("replay"), 10_000, 1.0, &mut minibatch);
    let mut odds = vec![f32::NAN; count];
    for (&index, weight) in minibatch.indices.iter().zip(&minibatch.weights) {
        odds[index as usize] = 1.0 / weight;
    }
    odds
}

#[test]
fn what_is_new_has_the_greatest_priority_there_has_been() {
    let mut replay = replay(5, true);
    push(&mut replay, 4);
    // As there was none yet, all are 1.
    replay.update_priorities(&[0], &[1.0 - EPSILON as f32]);
    let close = |ours: Vec<f32>, priorities: &[f64]| {
        let least = priorities.iter().copied().fold(f64::INFINITY, f64::min);
        for (ours, priority) in ours.iter().zip(priorities) {
            let expected = (priority / least).powf(ALPHA);
            assert!((f64::from(*ours) / expected - 1.0).abs() < 1e-5, "{ours} {expected}");
        }
    };
    close(odds(&replay, 4), &[1.0; 4]);
    replay.update_priorities(&[0, 1, 2, 3], &[0.5, -8.0, 3.0, 0.1]);
    push(&mut replay, 1);
    close(odds(&replay, 5), &[0.51, 8.01, 3.01, 0.11, 8.01]);
    // Nor is it forgotten when no transition has it any more; and the oldest gives way.
    replay.update_priorities(&[1, 4], &[0.2, 0.2]);
    push(&mut replay, 1);
    close(odds(&replay, 5), &[8.01, 0.21, 3.01, 0.11, 0.21]);
    // Of two errors for one transition the last counts.
    replay.update_priorities(&[2, 2], &[7.0, 1.0]);
    close(odds(&replay, 5), &[8.01, 0.21, 1.01, 0.11, 0.21]);
}

#[test]
#[should_panic(expected = "of 3 transitions")]
fn transitions_that_are_not_there_are_refused() {
    let mut replay = replay(10, true);
    push(&mut replay, 3);
    replay.update_priorities(&[3], &[1.0]);
}

#[test]
#[should_panic(expected = "TD errors")]
fn errors_that_are_no_numbers_are_refused() {
    with_errors(&[1.0, f32::NAN]);
}
