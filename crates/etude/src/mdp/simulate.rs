//! `etude mdp simulate`: episodes under a policy.

use etude_mdp::simulate::{Step, Trajectory};
use etude_mdp::{Simulation, SimulationOptions, simulate};
use serde::Serialize;

use super::problem::{AnyModel, Problem, with_model};
use super::{reject, view};
use crate::error::CommandError;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Report, Section, Table, number};
use crate::run_report::{Finished, Run};
use crate::terminal;

/// Episodes that are shown step by step.
const SHOWN: usize = 5;

/// Steps of an episode that are shown, equal ones in a row counted once.
const SHOWN_STEPS: usize = 8;

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

pub(super) fn run(problem: &Problem, run: Run<'_>, output: &Output) -> Result<(), CommandError> {
    let recipe = &problem.recipe.simulate;
    let start = match (&recipe.start, &problem.model) {
        (Some(start), _) => Some(start.get()),
        (None, AnyModel::Grid(grid)) => grid.start(),
        (None, AnyModel::Stored(_)) => None,
    };
    let policy = recipe.policy.policy(problem, output)?;
    let simulation_options = SimulationOptions {
        start,
        episodes: recipe.episodes.get(),
        horizon: recipe.horizon.get(),
        trajectories: SHOWN,
        seed: problem.seed(),
    };
    let label = format!("playing {} episodes", simulation_options.episodes);
    let playing = Progress::spinner(output, label);
    let simulation = with_model!(&problem.model, model => simulate(model, &policy, problem.gamma, &simulation_options))
        .map_err(|error| reject(&error))?;
    playing.finish();
    let SimulationOptions {
        episodes,
        horizon,
        seed,
        ..
    } = simulation_options;
    output.result_json(&Json {
        gamma: problem.gamma,
        policy: recipe.policy.name(),
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
        "{}: {}, policy “{}”",
        problem.title,
        problem.describe(),
        recipe.policy.name()
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
        ("returns", view::bars(&simulation.returns)),
    ];
    output.line(view::facts(&facts).trim_end());
    let report = Report::new(format!(
        "{}: episodes under the policy “{}”",
        problem.title,
        recipe.policy.name()
    ))
    .subtitle(format!("{}, discount {}", problem.describe(), problem.gamma))
    .card(
        "Mean return",
        number::short(simulation.mean),
        format!("95 % interval {interval}"),
    )
    .card(
        "Episodes",
        episodes.to_string(),
        format!("{} cut off after {horizon} steps", simulation.truncated),
    )
    .section(Section::new("Returns").item(&view::histogram(
        "Share of episodes by discounted return",
        "return",
        "share",
        &simulation.returns,
    )))
    .section(Section::new("The first episodes").item(&table));
    let finished = Finished {
        command: "mdp simulate",
        name: &problem.stem,
        config: &problem.config,
        seed: Some(seed),
        report,
    };
    run.finish(finished, |observer| {
        observer.histogram("simulate/return", 0, &simulation.returns);
        observer.scalar("simulate/mean_return", 0, simulation.mean);
    })
}

fn episode_table(problem: &Problem, trajectories: &[Trajectory]) -> Table {
    let mut table = Table::new(["episode", "return", "steps", "path"]);
    for (episode, trajectory) in trajectories.iter().enumerate() {
        let path = path(&trajectory.steps, |step| {
            format!("{} {}", step.state, problem.action_name(step.action))
        });
        let discounted = format!("{:.6}", trajectory.discounted_return);
        table = table.row([
            episode.to_string(),
            discounted,
            trajectory.steps.len().to_string(),
            path,
        ]);
    }
    table
}

/// The first steps in words, those that repeat the one before counted: `3 down, 4 stay (198 times)`.
fn path(steps: &[Step], name: impl Fn(&Step) -> String) -> String {
    let mut runs = steps.chunk_by(|a, b| (a.state, a.action) == (b.state, b.action));
    let shown = runs.by_ref().take(SHOWN_STEPS).map(|run| match run.len() {
        1 => name(&run[0]),
        times => format!("{} ({times} times)", name(&run[0])),
    });
    let mut words: Vec<String> = shown.collect();
    if runs.next().is_some() {
        words.push("...".into());
    } else if steps.last().is_some_and(|step| step.ended) {
        words.push("end".into());
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_counts_what_repeats_and_ends() {
        let step = |state: u32, ended: bool| Step {
            state,
            action: 1,
            reward: 0.0,
            next: None,
            ended,
        };
        let name = |step: &Step| step.state.to_string();
        let repeated: Vec<Step> = [3, 4, 4, 4].map(|state| step(state, false)).to_vec();
        assert_eq!(path(&repeated, name), "3, 4 (3 times)");
        assert_eq!(path(&[step(3, false), step(4, true)], name), "3, 4, end");
        let long: Vec<Step> = (0..20).map(|state| step(state, state == 19)).collect();
        assert_eq!(path(&long, name), "0, 1, 2, 3, 4, 5, 6, 7, ...");
        assert_eq!(path(&[], name), "");
    }
}
