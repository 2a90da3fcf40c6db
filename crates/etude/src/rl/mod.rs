//! `etude rl`: reinforcement learning.

mod check_env;
mod compare;
mod envs;
mod eval;
mod features;
mod film;
mod play;
mod recipe;
mod reproduce;
mod result;
pub(crate) mod tour;
mod train;
mod zoo;

use clap::Subcommand;
use etude_rl::{RlError, environments};

use crate::cli::examples;
use crate::error::CommandError;
use crate::output::Output;
use crate::recipe::nearest;

/// The verbs of `etude rl`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the environments that there are
    #[command(after_help = examples! {
        "etude rl envs"
        "etude rl envs --json | jq '.[].id'"
    })]
    Envs,

    /// Learn to act in an environment
    #[command(after_help = examples! {
        "etude rl train dqn --env CartPole-v1 --seed 1"
        "etude rl train dqn --env CartPole-v1 --seeds 5 --out runs/poles"
        "etude rl train dqn recipes/rl/dqn/Acrobot-v1.toml --set dqn.double=true"
        "etude rl train dqn --out runs/poles --resume     go on where it was stopped, or killed"
    })]
    Train(Box<train::Arguments>),

    /// Judge a saved policy in fresh episodes
    #[command(after_help = examples! {
        "etude rl eval runs/rl-train-dqn-CartPole-v1"
        "etude rl eval runs/poles/seed-2/last --episodes 1000 --json"
    })]
    Eval(eval::Arguments),

    /// Watch a saved policy: in the terminal, or as a GIF
    #[command(after_help = examples! {
        "etude rl play runs/rl-train-dqn-CartPole-v1"
        "etude rl play runs/rl-train-dqn-CartPole-v1 --gif pole.gif"
    })]
    Play(play::Arguments),

    /// Compare runs: interquartile means, chances of improvement, performance profiles
    #[command(after_help = examples! {
        "etude rl compare runs/dqn runs/double-dqn"
        "etude rl compare runs/dqn runs/double-dqn --json | jq .improvements"
    })]
    Compare(compare::Arguments),

    /// Compute a book's figures again and hold them to what they should show
    #[command(after_help = examples! {
        "etude rl reproduce zhao"
        "etude rl reproduce zhao --seed 7 --runs 40 --out runs/zhao"
        "etude rl reproduce zhao --json | jq '.checks[] | select(.passes | not)'"
    })]
    Reproduce(reproduce::Arguments),

    /// Look an environment over: its spaces, its rewards, and that a seed decides everything
    #[command(after_help = examples! {
        "etude rl check-env CartPole-v1"
        "etude rl check-env Taxi-v4 --json"
        "etude rl check-env gym:LunarLander-v3"
        "etude rl check-env gym:my_module:MyEnv-v0"
    })]
    CheckEnv {
        /// The environment's name: as `etude rl envs` lists it, or `gym:` and a name that Gymnasium knows
        #[arg(value_name = "NAME")]
        env: String,
    },
}

/// Runs one verb.
pub(crate) fn run(verb: &Verb, output: &Output) -> Result<(), CommandError> {
    match verb {
        Verb::Envs => envs::run(output),
        Verb::Eval(arguments) => eval::run(arguments, output),
        Verb::Play(arguments) => play::run(arguments, output),
        Verb::Compare(arguments) => compare::run(arguments, output),
        Verb::Train(arguments) => train::run(arguments, output),
        Verb::Reproduce(arguments) => reproduce::run(arguments, output),
        Verb::CheckEnv { env } => check_env::run(env, output),
    }
}

/// What went wrong in an environment, and whose turn it is.
fn failed(error: &RlError, environment: &str) -> CommandError {
    match error {
        RlError::NotFinite { .. } => CommandError::failed_run("learning has broken down")
            .caused_by(error)
            .hint("the last checkpoint is as it was; a smaller learning rate often helps"),
        RlError::WorkerDied { .. } | RlError::WorkerReply { .. } => {
            CommandError::failed_run(format!("{environment} has failed")).caused_by(error)
        }
        RlError::Run(_) | RlError::Policy { .. } => CommandError::failed_run("cannot write the run").caused_by(error),
        RlError::SavedState(_) => CommandError::bad_input("cannot go on with this run").caused_by(error),
        RlError::UnknownEnvironment(name) => unknown(name, error),
        _ => CommandError::bad_input(format!("cannot use {environment}")).caused_by(error),
    }
}

/// There is no environment called `name`.
fn unknown(name: &str, error: &RlError) -> CommandError {
    let ids: Vec<&str> = environments().iter().map(|known| known.id).collect();
    let hint = nearest(name, &ids).map_or_else(
        || format!("`etude rl envs` lists the environments that there are; write `gym:{name}` for Gymnasium's"),
        |id| format!("did you mean `{id}`? `etude rl envs` lists all"),
    );
    CommandError::bad_input("cannot use this environment")
        .caused_by(error)
        .hint(hint)
}
