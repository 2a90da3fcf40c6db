//! `etude rl`: reinforcement learning.

mod check_env;
mod envs;

use clap::Subcommand;
use etude_rl::Space;

use crate::cli::examples;
use crate::error::CommandError;
use crate::output::Output;

/// The verbs of `etude rl`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the environments that there are
    #[command(after_help = examples! {
        "etude rl envs"
        "etude rl envs --json | jq '.[].id'"
    })]
    Envs,

    /// Look an environment over: its spaces, its rewards, and that a seed decides everything
    #[command(after_help = examples! {
        "etude rl check-env CartPole-v1"
        "etude rl check-env Taxi-v4 --json"
    })]
    CheckEnv {
        /// The environment's name, as `etude rl envs` lists it
        #[arg(value_name = "NAME")]
        env: String,
    },
}

/// Runs one verb.
pub(crate) fn run(verb: &Verb, output: &Output) -> Result<(), CommandError> {
    match verb {
        Verb::Envs => envs::run(output),
        Verb::CheckEnv { env } => check_env::run(env, output),
    }
}

/// A space in a few words.
fn describe(space: &Space) -> String {
    match space {
        Space::Discrete(count) => format!("one of {count}"),
        Space::MultiDiscrete(counts) => {
            let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
            format!("one of {}", counts.join(" x "))
        }
        Space::Box { low, .. } if low.len() == 1 => "1 number".into(),
        Space::Box { low, .. } => format!("{} numbers", low.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_in_words() {
        assert_eq!(describe(&Space::Discrete(500)), "one of 500");
        assert_eq!(describe(&Space::MultiDiscrete(vec![32, 11, 2])), "one of 32 x 11 x 2");
        assert_eq!(describe(&Space::symmetric(vec![2.0])), "1 number");
        assert_eq!(describe(&Space::symmetric(vec![1.0; 6])), "6 numbers");
    }
}
