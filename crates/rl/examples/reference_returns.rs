//! Prints the table of reference returns in `crates/rl/src/normalized_score.rs`, measured anew:
//! `cargo run --release -p etude-rl --example reference_returns`, or with the names of some tasks.
#![expect(clippy::print_stdout, reason = "it is a program")]

use etude_rl::{References, RlError, environments, measure_references, reference_returns};

/// Episodes of random actions and of the planner.
const EPISODES: [usize; 2] = [100, 20];

fn main() -> Result<(), RlError> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        let all = environments().iter().map(|known| known.id.to_owned());
        names = all.filter(|id| reference_returns(id).is_some()).collect();
    }
    for id in names {
        let References { random, planner } = measure_references(&id, EPISODES[0], EPISODES[1])?;
        println!("    (\"{id}\", {random:.2}, {planner:.2}),");
    }
    Ok(())
}
