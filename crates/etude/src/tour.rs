//! `etude tour`: every system that works, on small tasks, in one report. Everything in it is computed there and then.

use clap::ValueEnum;

use crate::cli::Options;
use crate::error::CommandError;
use crate::interrupt;
use crate::mdp;
use crate::output::Output;
use crate::report::{Report, Section};
use crate::run_report::Run;

/// A system that the tour plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// 1: the Bellman equation and policy evaluation
    StateValues,
    /// 2: the Bellman optimality equation, value and policy iteration
    OptimalPolicies,
}

/// What one system of the tour leaves behind.
pub(crate) struct Stop {
    /// Its part of the report.
    pub(crate) sections: Vec<Section>,
    /// A figure for the top of the report: label, value, note.
    pub(crate) card: [String; 3],
    /// The recipe it ran.
    pub(crate) recipe: String,
}

impl System {
    fn title(self) -> &'static str {
        match self {
            Self::StateValues => "1. State values: how good is a policy?",
            Self::OptimalPolicies => "2. Optimal policies: what is best?",
        }
    }

    fn play(self, output: &Output) -> Result<Stop, CommandError> {
        match self {
            Self::StateValues => mdp::tour::state_values(output),
            Self::OptimalPolicies => mdp::tour::optimal_policies(output),
        }
    }
}

/// Plays the systems `only`, or all of them.
pub(crate) fn run(only: &[System], options: &Options, output: &Output) -> Result<(), CommandError> {
    interrupt::install()?;
    let run = Run::start(options, output);
    let chosen = System::value_variants()
        .iter()
        .filter(|system| only.is_empty() || only.contains(system));
    let mut report = Report::new("étude: the tour")
        .subtitle("Every system that works today, on small tasks. All figures were computed by this run.");
    let mut recipes = String::new();
    for system in chosen {
        output.line(&format!("\n{}\n", system.title()));
        let Stop {
            sections,
            card: [label, value, note],
            recipe,
        } = system.play(output)?;
        report = sections
            .into_iter()
            .fold(report.card(label, value, note), Report::section);
        recipes.extend(["# ", system.title(), "\n\n", &recipe, "\n"]);
    }
    run.finish("tour", &recipes, report, |_| ())
}
