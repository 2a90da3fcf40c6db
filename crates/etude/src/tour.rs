//! `etude tour`: every system that works, on small tasks, in one report. Everything in it is computed there and then.

use clap::ValueEnum;
use serde::Serialize;

use crate::boxes;
use crate::cli::Folder;
use crate::error::CommandError;
use crate::interrupt;
use crate::lm;
use crate::mdp;
use crate::output::Output;
use crate::report::{Report, Section};
use crate::rl;
use crate::run_report::{Finished, Run};

/// A system that the tour plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// 1: the Bellman equation and policy evaluation
    StateValues,
    /// 2: the Bellman optimality equation, value and policy iteration
    OptimalPolicies,
    /// 3: value function approximation, from the table to DQN
    ValueFunctions,
    /// 4: actor-critic methods
    ActorCritic,
    /// 5: deep deterministic policy gradient
    Ddpg,
    /// 6: boxes, the IoU family and its losses
    Boxes,
    /// What systems 10 to 12 stand on: language models
    LanguageModels,
    /// 10: DPO, a small language model turned round by preferences
    Preferences,
}

/// What one system of the tour leaves behind.
pub(crate) struct Stop {
    /// Its part of the report.
    pub(crate) sections: Vec<Section>,
    /// A figure for the top of the report: label, value, note.
    pub(crate) card: [String; 3],
    /// What it computed, problem by problem, for `--json`.
    pub(crate) results: Vec<serde_json::Value>,
    /// What the run's observers hear.
    pub(crate) curves: Vec<Curve>,
}

/// A scalar as it went from step to step.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(u64, f64)>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json {
    systems: Vec<JsonSystem>,
}

#[derive(Serialize)]
struct JsonSystem {
    system: String,
    problems: Vec<serde_json::Value>,
}

impl System {
    /// The name on the command line.
    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn title(self) -> &'static str {
        match self {
            Self::StateValues => "1. State values: how good is a policy?",
            Self::OptimalPolicies => "2. Optimal policies: what is best?",
            Self::ValueFunctions => "3. Value functions: learning what is best",
            Self::ActorCritic => "4. Actor-critic: learning how to act, and what it is worth",
            Self::Ddpg => "5. DDPG: actions that are numbers",
            Self::Boxes => "6. Boxes: losses that draw them to their targets",
            Self::LanguageModels => "Language models: a small one learns from nothing",
            Self::Preferences => "10. DPO: preferences turn a small model round",
        }
    }

    fn play(self, output: &Output) -> Result<Stop, CommandError> {
        match self {
            Self::StateValues => mdp::tour::state_values(output),
            Self::OptimalPolicies => mdp::tour::optimal_policies(output),
            Self::ValueFunctions => rl::tour::value_functions(output),
            Self::ActorCritic => rl::tour::actor_critic(output),
            Self::Ddpg => rl::tour::ddpg(output),
            Self::Boxes => boxes::tour::boxes(output),
            Self::LanguageModels => lm::tour::language_models(output),
            Self::Preferences => lm::tour::preferences(output),
        }
    }
}

/// Plays the systems `only`, or all of them.
pub(crate) fn run(only: &[System], folder: &Folder, output: &Output) -> Result<(), CommandError> {
    interrupt::install()?;
    let run = Run::start(folder, output)?;
    let chosen = System::value_variants()
        .iter()
        .filter(|system| only.is_empty() || only.contains(system));
    let mut report = Report::new("étude: the tour")
        .subtitle("Every system that works today, on small tasks. All figures were computed by this run.");
    let mut json = Json { systems: Vec::new() };
    let mut curves = Vec::new();
    for system in chosen {
        output.line(&format!("\n{}\n", system.title()));
        let stop = system.play(output)?;
        let [label, value, note] = stop.card;
        report = stop
            .sections
            .into_iter()
            .fold(report.card(label, value, note), Report::section);
        json.systems.push(JsonSystem {
            system: system.name(),
            problems: stop.results,
        });
        curves.extend(stop.curves);
    }
    output.result_json(&json);
    let names: Vec<String> = json
        .systems
        .iter()
        .map(|played| format!("\"{}\"", played.system))
        .collect();
    let finished = Finished {
        command: "tour",
        name: "",
        config: &format!("only = [{}]\n", names.join(", ")),
        seed: None,
        report,
    };
    run.finish(finished, |observer| {
        for curve in &curves {
            for &(step, value) in &curve.points {
                observer.scalar(&curve.name, step, value);
            }
        }
    })
}
