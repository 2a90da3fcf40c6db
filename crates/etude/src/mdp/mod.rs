//! `etude mdp`: exact planning on finite Markov decision processes.

mod backward_induction;
mod compare;
mod evaluate;
mod method;
mod policy;
mod problem;
mod recipe;
mod simulate;
mod solve;
mod sweep;
pub(crate) mod tour;
mod view;
mod watch;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use etude_mdp::MdpError;

use crate::cli::{RunOptions, examples};
use crate::error::CommandError;
use crate::interrupt;
use crate::output::Output;
use crate::recipe::Override;
use crate::run_report::Run;
use problem::Problem;
pub(crate) use view::cell_kind;

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
        #[arg(long, value_name = "E", allow_negative_numbers = true)]
        tolerance: Option<String>,
        /// Give up after so many iterations
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        max_iterations: Option<String>,
        /// Plan for so many steps to go instead of for ever
        #[arg(long, value_name = "STEPS", allow_negative_numbers = true)]
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
        #[arg(long, value_name = "E", allow_negative_numbers = true)]
        tolerance: Option<String>,
        /// Episodes of the Monte-Carlo cross-check from each state shown; 0 leaves it out
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
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
        #[arg(long, value_name = "E", allow_negative_numbers = true)]
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
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        episodes: Option<String>,
        /// The most steps of an episode
        #[arg(long, value_name = "STEPS", allow_negative_numbers = true)]
        horizon: Option<String>,
        /// The state in which every episode starts
        #[arg(long, value_name = "STATE", allow_negative_numbers = true)]
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
    #[arg(long, value_name = "G", allow_negative_numbers = true)]
    gamma: Option<String>,
    #[command(flatten)]
    options: RunOptions,
}

/// Runs one verb.
pub(crate) fn run(verb: &Verb, output: &Output) -> Result<(), CommandError> {
    let run = Run::start(&verb.input().options.folder, output)?;
    let problem = verb.load(output)?;
    if !matches!(verb, Verb::Simulate { .. }) {
        // Not while a model is read or episodes are played, which ask nobody whether to go on: there Ctrl-C ends the
        // command at once. Nothing has been written yet.
        interrupt::install()?;
    }
    match verb {
        Verb::Solve { .. } => solve::run(&problem, run, output),
        Verb::Evaluate { .. } => evaluate::run(&problem, run, output),
        Verb::Compare { .. } => compare::run(&problem, run, output),
        Verb::Sweep { .. } => sweep::run(&problem, run, output),
        Verb::Simulate { .. } => simulate::run(&problem, run, output),
    }
}

impl Verb {
    fn input(&self) -> &Input {
        match self {
            Self::Solve { input, .. }
            | Self::Evaluate { input, .. }
            | Self::Compare { input, .. }
            | Self::Sweep { input }
            | Self::Simulate { input, .. } => input,
        }
    }

    /// Reads the problem, with the flags on top. A flag is nothing but a short name for `--set KEY=VALUE`.
    fn load(&self, output: &Output) -> Result<Problem, CommandError> {
        let input = self.input();
        let seed = input.options.seed.map(|seed| seed.to_string());
        let flags = self.flags();
        let flags = flags
            .iter()
            .chain([&("--gamma", "gamma", &input.gamma), &("--seed", "seed", &seed)])
            .filter_map(|(flag, key, value)| Some(Override::from_flag(flag, key, value.as_ref()?.as_str())))
            .collect();
        let rewards = input.rewards.as_deref();
        Problem::load(&input.path, rewards, flags, &input.options.overrides, output)
    }

    /// The flags of this verb, the keys that they stand for, and their values.
    fn flags(&self) -> Vec<(&'static str, &'static str, &Option<String>)> {
        match self {
            Self::Solve {
                input: _,
                method,
                tolerance,
                max_iterations,
                horizon,
            } => vec![
                ("--method", "solve.method", method),
                ("--tolerance", "solve.tolerance", tolerance),
                ("--max-iterations", "solve.max_iterations", max_iterations),
                ("--horizon", "solve.horizon", horizon),
            ],
            Self::Evaluate {
                input: _,
                policy,
                method,
                tolerance,
                episodes,
            } => vec![
                ("--policy", "evaluate.policy", policy),
                ("--method", "evaluate.method", method),
                ("--tolerance", "evaluate.tolerance", tolerance),
                ("--episodes", "evaluate.episodes", episodes),
            ],
            Self::Compare { input: _, tolerance } => vec![("--tolerance", "compare.tolerance", tolerance)],
            Self::Sweep { input: _ } => Vec::new(),
            Self::Simulate {
                input: _,
                policy,
                episodes,
                horizon,
                start,
            } => vec![
                ("--policy", "simulate.policy", policy),
                ("--episodes", "simulate.episodes", episodes),
                ("--horizon", "simulate.horizon", horizon),
                ("--start", "simulate.start", start),
            ],
        }
    }
}

/// A solver's error as the user reads it: a run that could not finish failed, everything else is bad input.
pub(crate) fn reject(error: &MdpError) -> CommandError {
    match error {
        MdpError::NotConverged { .. } | MdpError::Stalled { .. } | MdpError::Factorisation(_) => {
            CommandError::failed_run("the solver did not finish").caused_by(error)
        }
        MdpError::Interrupted(_) => CommandError::failed_run("stopped on request").caused_by(error),
        _ => CommandError::bad_input("cannot solve this problem").caused_by(error),
    }
}
