//! Microseconds to draw 256 of a million cart-pole transitions on one thread, uniformly and by priority.
//!
//! `cargo build --release -p etude-rl --example rl_replay && target/release/examples/rl_replay` prints one JSON object.
#![expect(clippy::print_stdout, reason = "the script that starts it reads the answer there")]

use std::time::Instant;

use etude_rl::{Autoreset, Batch, Minibatch, PriorityOptions, Replay, ReplayOptions, Transition};
use etude_train::Seed;
use rand::RngExt;
use serde_json::json;

const TRANSITIONS: usize = 1_000_000;
const COUNT: usize = 256;

/// Calls in a round, of which the best counts, and seconds of all rounds: short ones, so that some are left alone by whatever
/// else the machine does.
const CALLS: u32 = 100;
const SECONDS: f64 = 3.0;

fn main() {
    let (uniform, _) = measure(None);
    let (drawing, updating) = measure(Some(PriorityOptions {
        alpha: 0.6,
        epsilon: 1e-6,
    }));
    println!(
        "{}",
        json!({ "uniform": uniform, "prioritised": drawing, "updating": updating })
    );
}

/// Microseconds to draw, and to draw and set the priorities of what was drawn.
fn measure(priorities: Option<PriorityOptions>) -> (f64, f64) {
    let mut replay = Replay::new(&ReplayOptions {
        capacity: TRANSITIONS,
        envs: 1,
        observation: 4,
        pixels: false,
        action: 1,
        autoreset: Autoreset::NextStep,
        steps: 1,
        discount: 0.99,
        priorities,
    });
    let mut random = Seed(0).stream("transitions");
    let mut batch = Batch {
        observations: vec![0.0; 4],
        final_observations: vec![0.0; 4],
        rewards: vec![1.0],
        transitions: vec![Transition::Continues],
    };
    let mut minibatch = Minibatch::default();
    for _ in 0..TRANSITIONS {
        let before = batch.observations.clone();
        batch.observations.fill_with(|| random.random());
        replay.push(&before, &[f32::from(random.random::<bool>())], &batch);
    }
    // Priorities are as different from each other as in learning.
    let mut errors = [0.0; COUNT];
    for _ in 0..TRANSITIONS / COUNT {
        replay.sample(&mut random, COUNT, 0.4, &mut minibatch);
        errors.fill_with(|| random.random());
        replay.update_priorities(&minibatch.indices, &errors);
    }
    let drawing = best(|| replay.sample(&mut random, COUNT, 0.4, &mut minibatch));
    let both = best(|| {
        replay.sample(&mut random, COUNT, 0.4, &mut minibatch);
        replay.update_priorities(&minibatch.indices, &errors);
    });
    (drawing, both)
}

fn best(mut call: impl FnMut()) -> f64 {
    let (begin, mut best) = (Instant::now(), f64::INFINITY);
    while begin.elapsed().as_secs_f64() < SECONDS {
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        best = best.min(start.elapsed().as_secs_f64());
    }
    best / f64::from(CALLS) * 1e6
}
