//! A trained policy in a program of its own: it balances a pole.
//!
//! `cargo run --release -p embed`, or with a folder that `etude rl train` has written: `... -- runs/rl-train-dqn-CartPole-v1/best`.
#![expect(clippy::print_stdout, reason = "it is a program")]

use std::path::PathBuf;

use etude_rl::{Env, RlError, load_policy, make};

fn main() -> Result<(), RlError> {
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/policy");
    let folder = std::env::args().nth(1).map_or_else(|| ours.into(), PathBuf::from);
    let (card, mut policy) = load_policy(&folder)?;

    let mut env = make(&card.environment)?;
    let mut observation = vec![0.0; card.observations.length()];
    let mut action = vec![0.0; card.actions.length()];
    env.reset(Some(1), &mut observation);
    let (mut total, mut steps) = (0.0, 0);
    loop {
        policy.act(&observation, &mut action);
        let step = env.step(&action, &mut observation);
        total += step.reward;
        steps += 1;
        if step.ends() {
            break;
        }
    }
    println!("{}: return {total} after {steps} steps", card.environment);
    Ok(())
}
