//! `etude mdp`: exact planning on finite Markov decision processes.

mod compare;
mod evaluate;
mod problem;
mod recipe;
mod simulate;
mod solve;
mod sweep;
pub(crate) mod tour;
mod view;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use etude_mdp::MdpError;

use crate::cli::{Options, examples};
use crate::error::CommandError;
use crate::interrupt;
use crate::output::Output;
use crate::recipe::Override;
use crate::run_report::Run;
use problem::Problem;

/// The verbs of `etude mdp`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Find the optimal values and all optimal actions
    #[command(after_help = examples! {
        "etude mdp solve recipes/mdp/grid-5x5.toml"
        "etude mdp solve frozenlake.json --gamma 0.99 --method value-iteration --tolerance 1e-9 --json"
        "etude mdp solve transitions.npz --rewards rewards.npz --gamma 0.99"
        "etude mdp solve recipes/mdp/grid-5x5.toml --horizon 10"
    })]
    Solve {
        #[command(flatten)]
        input: Input,
        /// auto, value-iteration, gauss-seidel, policy-iteration, truncated-policy-iteration[:SWEEPS] or
        /// krylov-policy-iteration
        #[arg(long, value_name = "NAME")]
        method: Option<String>,
        /// The greatest error that may remain in any state; guaranteed
        #[arg(long, value_name = "E")]
        tolerance: Option<String>,
        /// Give up after so many iterations
        #[arg(long, value_name = "N")]
        max_iterations: Option<String>,
        /// Plan for so many steps to go instead of for ever
        #[arg(long, value_name = "STEPS")]
        horizon: Option<String>,
    },

    /// Find the values of a given policy
    #[command(after_help = examples! {
        "etude mdp evaluate recipes/mdp/grid-5x5.toml --policy uniform"
        "etude mdp evaluate frozenlake.json --gamma 0.99 --policy policy.json --method bicgstab --json"
    })]
    Evaluate {
        #[command(flatten)]
        input: Input,
        /// uniform, optimal, or a policy file: one action, list of probabilities or object of probabilities a state
        #[arg(long, value_name = "POLICY")]
        policy: Option<String>,
        /// auto, closed-form, iterative, gauss-seidel or bicgstab
        #[arg(long, value_name = "NAME")]
        method: Option<String>,
        /// The greatest error that may remain in any state; guaranteed
        #[arg(long, value_name = "E")]
        tolerance: Option<String>,
        /// Episodes of the Monte-Carlo cross-check from each state shown; 0 leaves it out
        #[arg(long, value_name = "N")]
        episodes: Option<String>,
    },

    /// Run several methods on one problem and compare sweeps, time and error
    #[command(after_help = examples! {
        "etude mdp compare recipes/mdp/grid-5x5.toml"
        "etude mdp compare frozenlake.json --gamma 0.99 --set 'compare.methods=[\"value-iteration\", \"auto\"]'"
    })]
    Compare {
        #[command(flatten)]
        input: Input,
        /// The greatest error that may remain in any state; guaranteed
        #[arg(long, value_name = "E")]
        tolerance: Option<String>,
    },

    /// See how the discount and the rewards change the optimal policy
    #[command(after_help = examples! {
        "etude mdp sweep recipes/mdp/grid-5x5.toml"
        "etude mdp sweep recipes/mdp/grid-5x5.toml --set 'sweep.gammas=[0.0, 0.3, 0.9]'"
    })]
    Sweep {
        #[command(flatten)]
        input: Input,
    },

    /// Draw episodes under a policy and average their returns
    #[command(after_help = examples! {
        "etude mdp simulate recipes/mdp/grid-5x5.toml --policy optimal --episodes 10000 --seed 1"
        "etude mdp simulate frozenlake.json --gamma 0.99 --policy uniform --start 0"
    })]
    Simulate {
        #[command(flatten)]
        input: Input,
        /// optimal, uniform, or a policy file
        #[arg(long, value_name = "POLICY")]
        policy: Option<String>,
        /// How many episodes
        #[arg(long, value_name = "N")]
        episodes: Option<String>,
        /// The most steps of an episode
        #[arg(long, value_name = "STEPS")]
        horizon: Option<String>,
        /// The state in which every episode starts
        #[arg(long, value_name = "STATE")]
        start: Option<String>,
    },
}

/// What every verb works on.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// A recipe (.toml) or a model file: Gymnasium's `P` (.json), a table (.csv), or NumPy archives (.npz)
    #[arg(value_name = "RECIPE|MODEL")]
    path: PathBuf,
    /// The archive of rewards that belongs to an .npz archive of transitions
    #[arg(long, value_name = "FILE")]
    rewards: Option<PathBuf>,
    /// The discount, from 0 to 1
    #[arg(long, value_name = "G")]
    gamma: Option<String>,
}

/// Runs one verb.
pub(crate) fn run(verb: &Verb, options: &Options, output: &Output) -> Result<(), CommandError> {
    interrupt::install()?;
    let run = Run::start(options, output);
    let load = |input: &Input, flags: &[(&str, &str, &Option<String>)]| {
        let gamma = ("--gamma", "gamma", &input.gamma);
        let flags = flags
            .iter()
            .chain([&gamma])
            .filter_map(|(flag, key, value)| Some(Override::from_flag(flag, key, value.as_ref()?.as_str())))
            .collect();
        Problem::load(&input.path, input.rewards.as_deref(), flags, &options.overrides)
    };
    match verb {
        Verb::Solve {
            input,
            method,
            tolerance,
            max_iterations,
            horizon,
        } => {
            let flags = [
                ("--method", "solve.method", method),
                ("--tolerance", "solve.tolerance", tolerance),
                ("--max-iterations", "solve.max_iterations", max_iterations),
                ("--horizon", "solve.horizon", horizon),
            ];
            solve::run(&load(input, &flags)?, run, output)
        }
        Verb::Evaluate {
            input,
            policy,
            method,
            tolerance,
            episodes,
        } => {
            let flags = [
                ("--policy", "evaluate.policy", policy),
                ("--method", "evaluate.method", method),
                ("--tolerance", "evaluate.tolerance", tolerance),
                ("--episodes", "evaluate.episodes", episodes),
            ];
            evaluate::run(&load(input, &flags)?, options, run, output)
        }
        Verb::Compare { input, tolerance } => compare::run(
            &load(input, &[("--tolerance", "compare.tolerance", tolerance)])?,
            run,
            output,
        ),
        Verb::Sweep { input } => sweep::run(&load(input, &[])?, run, output),
        Verb::Simulate {
            input,
            policy,
            episodes,
            horizon,
            start,
        } => {
            let flags = [
                ("--policy", "simulate.policy", policy),
                ("--episodes", "simulate.episodes", episodes),
                ("--horizon", "simulate.horizon", horizon),
                ("--start", "simulate.start", start),
            ];
            simulate::run(&load(input, &flags)?, options, run, output)
        }
    }
}

/// A solver's error as the user reads it: a run that could not finish failed, everything else is bad input.
pub(crate) fn reject(error: &MdpError) -> CommandError {
    match error {
        MdpError::NotConverged { .. } | MdpError::Factorisation(_) => {
            CommandError::failed_run("the solver did not finish").caused_by(error)
        }
        MdpError::Interrupted(_) => CommandError::failed_run("stopped on request").caused_by(error),
        _ => CommandError::bad_input("cannot solve this problem").caused_by(error),
    }
}
