//! `etude mdp simulate`: episodes under a policy.

use etude_mdp::simulate::Trajectory;
use etude_mdp::{Simulation, SimulationOptions, simulate};
use serde::Serialize;

use super::problem::{AnyModel, Problem, with_model};
use super::{evaluate, reject, view};
use crate::cli::Options;
use crate::error::CommandError;
use crate::output::Output;
use crate::report::{Plot, Report, Section, Table};
use crate::run_report::Run;
use crate::terminal;

/// Episodes that are shown step by step.
const SHOWN: usize = 5;

/// Steps of an episode that are shown.
const SHOWN_STEPS: usize = 30;

/// Bars of the histogram of returns.
const BINS: usize = 40;

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    gamma: f64,
    policy: &'a str,
    episodes: usize,
    horizon: usize,
    seed: u64,
    #[serde(flatten)]
    simulation: &'a Simulation,
}

pub(super) fn run(problem: &Problem, options: &Options, run: Run<'_>, output: &Output) -> Result<(), CommandError> {
    let recipe = &problem.recipe.simulate;
    let start = match (&recipe.start, &problem.model) {
        (Some(start), _) => Some(start.get()),
        (None, AnyModel::Grid(grid)) => grid.start(),
        (None, AnyModel::Stored(_)) => None,
    };
    let policy = evaluate::policy(problem, &recipe.policy, output)?;
    let simulation_options = SimulationOptions {
        start,
        episodes: recipe.episodes.get(),
        horizon: recipe.horizon.get(),
        trajectories: SHOWN,
        seed: options.seed.unwrap_or(0),
    };
    let simulation = with_model!(&problem.model, model => simulate(model, &policy, problem.gamma, &simulation_options))
        .map_err(|error| reject(&error))?;
    let SimulationOptions {
        episodes,
        horizon,
        seed,
        ..
    } = simulation_options;
    output.result_json(&Json {
        gamma: problem.gamma,
        policy: &recipe.policy,
        episodes,
        horizon,
        seed,
        simulation: &simulation,
    });
    if output.is_json() && !run.writes() {
        return Ok(());
    }

    let interval = simulation
        .interval
        .map_or_else(|| "-".into(), |[low, high]| format!("[{low:.6}, {high:.6}]"));
    output.line(&format!(
        "{}: {}, policy `{}`",
        problem.title,
        problem.describe(),
        recipe.policy
    ));
    let table = episode_table(problem, &simulation.trajectories);
    output.line(terminal::table(&table).trim_end());
    let facts = [
        (
            "episodes",
            format!(
                "{episodes}, of which {} cut off after {horizon} steps",
                simulation.truncated
            ),
        ),
        ("mean return", format!("{:.6}", simulation.mean)),
        ("95 % interval", interval.clone()),
    ];
    output.line(view::facts(&facts).trim_end());
    let report = Report::new(format!(
        "{}: episodes under the policy `{}`",
        problem.title, recipe.policy
    ))
    .subtitle(format!("{}, discount {}", problem.describe(), problem.gamma))
    .card("Mean return", format!("{:.4}", simulation.mean), interval)
    .card(
        "Episodes",
        episodes.to_string(),
        format!("{} cut off after {horizon} steps", simulation.truncated),
    )
    .section(Section::new("Returns").item(&histogram(&simulation.returns)))
    .section(Section::new("The first episodes").item(&table));
    run.finish(
        &format!("mdp-simulate-{}", problem.stem),
        &problem.config,
        report,
        |observer| {
            observer.histogram("simulate/return", 0, &simulation.returns);
            observer.scalar("simulate/mean_return", 0, simulation.mean);
        },
    )
}

fn episode_table(problem: &Problem, trajectories: &[Trajectory]) -> Table {
    let mut table = Table::new(["episode", "return", "steps", "path"]);
    for (episode, trajectory) in trajectories.iter().enumerate() {
        let mut path: Vec<String> = trajectory
            .steps
            .iter()
            .take(SHOWN_STEPS)
            .map(|step| format!("{} {}", step.state, problem.action_name(step.action)))
            .collect();
        if trajectory.steps.len() > SHOWN_STEPS {
            path.push("...".into());
        } else if trajectory.steps.last().is_some_and(|step| step.ended) {
            path.push("end".into());
        }
        let discounted = format!("{:.6}", trajectory.discounted_return);
        table = table.row([
            episode.to_string(),
            discounted,
            trajectory.steps.len().to_string(),
            path.join(", "),
        ]);
    }
    table
}

/// The distribution of the returns, as a curve over equal bins.
fn histogram(returns: &[f64]) -> Plot {
    let low = returns.iter().copied().fold(f64::INFINITY, f64::min);
    let high = returns.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = ((high - low) / BINS as f64).max(f64::MIN_POSITIVE);
    let mut counts = [0.0; BINS];
    for value in returns {
        counts[(((value - low) / width) as usize).min(BINS - 1)] += 1.0;
    }
    let points = (0..BINS).map(|bin| (low + (bin as f64 + 0.5) * width, counts[bin] / returns.len() as f64));
    Plot::new("Share of episodes by discounted return", "return", "share").series("episodes", points)
}
