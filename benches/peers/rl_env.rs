//! Steps a second of many cart poles on one thread, with random actions.
//!
//! `cargo build --release -p etude-rl --example rl_env && target/release/examples/rl_env 1024` prints one JSON object.
#![expect(clippy::print_stdout, reason = "the script that starts it reads the answer there")]

use std::error::Error;
use std::time::Instant;

use etude_rl::classic_control::CartPole;
use etude_rl::{Autoreset, Batch, Simulators, VectorEnv};
use etude_train::Seed;
use rand::Rng;
use serde_json::json;

/// Rounds, of which the best counts, and seconds of each.
const ROUNDS: usize = 5;
const SECONDS: f64 = 0.5;

fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = std::env::args().nth(1).ok_or("expected how many cart poles")?.parse()?;
    let mut envs = Simulators::new(CartPole, count, Some(500), Autoreset::NextStep);
    let mut batch = Batch::for_envs(&envs);
    let mut random = Seed(0).stream("actions");
    let mut actions = vec![0.0; count];
    envs.reset(Some(0), &mut batch)?;
    let (mut best, mut episodes) = (0.0_f64, 0_u64);
    for _ in 0..ROUNDS {
        let (start, mut steps) = (Instant::now(), 0);
        while start.elapsed().as_secs_f64() < SECONDS {
            for _ in 0..100 {
                for actions in actions.chunks_mut(64) {
                    let bits = random.next_u64();
                    for (bit, action) in actions.iter_mut().enumerate() {
                        *action = (bits >> bit & 1) as f32;
                    }
                }
                envs.step(&actions, &mut batch)?;
                episodes += batch.transitions.iter().filter(|transition| transition.ends()).count() as u64;
                steps += count;
            }
        }
        best = best.max(steps as f64 / start.elapsed().as_secs_f64());
    }
    let answer = json!({ "envs": count, "steps_per_second": best, "episodes": episodes });
    println!("{answer}");
    Ok(())
}
