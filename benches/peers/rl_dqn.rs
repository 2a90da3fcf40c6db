//! Steps a second of DQN on CartPole with the settings of Stable-Baselines3's zoo, learning included and evaluation not.
//!
//! `cargo build --release -p etude-rl --example rl_dqn && target/release/examples/rl_dqn 50000 1` learns for 50,000 steps from
//! seed 1 and prints one JSON object.
#![expect(clippy::print_stdout, reason = "the script that starts it reads the answer there")]

use std::error::Error;
use std::time::Instant;

use etude_rl::dqn::{Dqn, DqnOptions};
use etude_rl::{Autoreset, Schedule, Training, make_envs};
use etude_train::Seed;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |what| {
        arguments
            .next()
            .ok_or(what)?
            .parse::<u64>()
            .map_err(Box::<dyn Error>::from)
    };
    let (steps, seed) = (number("expected how many steps")?, number("expected a seed")?);
    // recipes/rl/dqn/CartPole-v1.toml.
    let options = DqnOptions {
        hidden: vec![256, 256],
        learning_rate: Schedule::Constant(2.3e-3),
        batch: 64,
        capacity: 100_000,
        learning_starts: 1000,
        train_frequency: 256,
        gradient_steps: Some(128),
        target_update_interval: 10,
        exploration: Schedule::Linear {
            from: 1.0,
            to: 0.04,
            over: 0.16,
        },
        ..DqnOptions::default()
    };
    let envs = make_envs("CartPole-v1", 1, Autoreset::SameStep)?;
    let spaces = (envs.observation_space(), envs.action_space());
    let agent = Dqn::new(options, spaces, (1, Autoreset::SameStep), steps, Seed(seed))?;
    let mut training = Training::new(envs, Box::new(agent), seed)?;
    let start = Instant::now();
    training.run_until(steps)?;
    let seconds = start.elapsed().as_secs_f64();
    let answer = json!({
        "steps": steps,
        "seconds": seconds,
        "steps_per_second": steps as f64 / seconds,
        "recent_return": training.recent_return(),
    });
    println!("{answer}");
    Ok(())
}
