//! The command line: which commands there are, and the options that they share.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::RangedI64ValueParser;
use clap::{Args, Parser, Subcommand, value_parser};
use clap_complete::Shell;

use crate::error::{CommandError, Context as _};
use crate::output::{self, Output};
use crate::recipe::Override;
use crate::{boxes, bug, completions, doctor, lm, mdp, rl, tour};

/// The examples below a command's help, under a heading that looks like clap's own.
macro_rules! examples {
    ($($line:literal)+) => { concat!("\x1b[1;4mExamples:\x1b[0m", $("\n  ", $line),+) };
}
pub(crate) use examples;

/// Train, align, evaluate and serve twelve learning systems, from the Bellman equation to Kimi-VL.
#[derive(Debug, Parser)]
#[command(
    name = "etude",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = examples! {
        "etude tour                                      everything that works, in one report"
        "etude mdp solve recipes/mdp/grid-5x5.toml       the optimal policy of a grid world"
        "etude mdp solve frozenlake.json --gamma 0.99    and of a model of your own"
    }
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

/// The options that every command takes.
#[derive(Debug, Args)]
struct Options {
    /// Use this many threads; 0 stands for all cores
    #[arg(long, value_name = "N", global = true, help_heading = "Run options", default_value_t = 0, value_parser = value_parser!(u16).range(..=1024))]
    threads: u16,

    /// Print the result as one JSON object (errors stay readable text on standard error)
    #[arg(long, global = true, help_heading = "Output options")]
    json: bool,

    /// Print the result only: no progress, no notes
    #[arg(long, global = true, help_heading = "Output options")]
    quiet: bool,
}

/// The options of a command that runs a recipe.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// Set one value of the recipe, such as `solve.tolerance=1e-9`; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE", help_heading = "Run options")]
    pub(crate) overrides: Vec<Override>,

    /// Start the random numbers from this seed; the same seed gives the same bytes
    #[arg(long, value_name = "N", help_heading = "Run options")]
    #[arg(allow_negative_numbers = true, value_parser = RangedI64ValueParser::<u64>::new().range(0..))]
    pub(crate) seed: Option<u64>,

    #[command(flatten)]
    pub(crate) folder: Folder,
}

impl RunOptions {
    /// Whether anything is set beside the folder.
    pub(crate) fn are_given(&self) -> bool {
        self.seed.is_some() || !self.overrides.is_empty()
    }
}

/// Where a run goes.
#[derive(Debug, Args)]
pub(crate) struct Folder {
    /// Write the run into this folder, which must not hold one yet
    #[arg(long, value_name = "DIR", help_heading = "Run options")]
    pub(crate) out: Option<PathBuf>,
}

// Domains come first, in the order of the twelve systems. A domain's arguments and its `run` live in its own module.
#[derive(Debug, Subcommand)]
enum Command {
    /// Play every system that works, on small tasks, and write one report
    #[command(after_help = examples! {
        "etude tour                        some seconds on two cores"
        "etude tour --only state-values    one system alone"
    })]
    Tour {
        /// Play only these systems, separated by commas
        #[arg(long, value_name = "SYSTEM", value_delimiter = ',')]
        only: Vec<tour::System>,
        #[command(flatten)]
        folder: Folder,
    },

    /// Plan exactly on finite Markov decision processes: state values and optimal policies
    #[command(subcommand, after_help = examples! {
        "etude mdp solve recipes/mdp/grid-5x5.toml"
        "etude mdp solve frozenlake.json --gamma 0.99 --json"
    })]
    Mdp(mdp::Verb),

    /// Learn by trying: environments, value functions, deep Q-learning
    #[command(subcommand, after_help = examples! {
        "etude rl train dqn --env CartPole-v1 --seed 1"
        "etude rl envs"
    })]
    Rl(rl::Verb),

    /// Measure, suppress and assign boxes: the IoU family and its losses
    #[command(subcommand, after_help = examples! {
        "etude boxes iou --metric ciou predicted.csv targets.csv --json"
        "etude boxes simulate"
    })]
    Boxes(boxes::Verb),

    /// Talk to language models, let them write, judge them, look them over
    #[command(subcommand, after_help = examples! {
        "etude lm chat smollm2.gguf"
        "etude lm generate smollm2.gguf 'The capital of France is' --json"
    })]
    Lm(lm::Verb),

    /// See what this machine offers, and what is missing
    #[command(after_help = examples! {
        "etude doctor"
        "etude doctor --threads 4     with the threads that a run would use"
        "etude doctor --json | jq .simd"
    })]
    Doctor,

    /// Print a shell's completions for this command
    #[command(after_help = examples! {
        "etude completions bash > ~/.local/share/bash-completion/completions/etude"
        "etude completions zsh > ~/.zfunc/_etude"
        "etude completions fish > ~/.config/fish/completions/etude.fish"
    })]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Runs the command that `arguments` (the program's name first) ask for.
///
/// The exit code is 0 for success, 1 for a failed run and 2 for bad input. Whatever goes wrong is one report on standard
/// error, under `--json` too; standard output then stays empty or holds what was printed before.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::from(bug::guard(|| match Cli::try_parse_from(arguments) {
        Ok(cli) => execute(&cli).map_or_else(
            |error| {
                output::report(&error);
                error.exit_code()
            },
            |()| 0,
        ),
        Err(usage) => {
            // Nobody is left to tell when even the help cannot be printed.
            let _ = usage.print();
            u8::try_from(usage.exit_code()).unwrap_or(2)
        }
    }))
}

fn execute(cli: &Cli) -> Result<(), CommandError> {
    let options = &cli.options;
    let output = Output::new(options.json, options.quiet);
    rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads.into())
        .build_global()
        .failed_run(|| "cannot start the worker threads".into())?;

    match &cli.command {
        Command::Tour { only, folder } => tour::run(only, folder, &output)?,
        Command::Mdp(verb) => mdp::run(verb, &output)?,
        Command::Rl(verb) => rl::run(verb, &output)?,
        Command::Boxes(verb) => boxes::run(verb, &output)?,
        Command::Lm(verb) => lm::run(verb, &output)?,
        Command::Doctor => doctor::run(&output),
        Command::Completions { shell } => completions::run::<Cli>(*shell, &output),
    }
    output.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
