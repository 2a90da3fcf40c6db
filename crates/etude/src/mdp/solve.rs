//! `etude mdp solve`: optimal values and policies.

use std::ops::ControlFlow;

use etude_mdp::optimal::{FiniteHorizon, Solution, SolveOptions, finite_horizon, solve};
use etude_mdp::{ActionValues, Iteration, MdpError, Model};
use serde::Serialize;

use super::problem::{Problem, with_model};
use super::{reject, view};
use crate::error::CommandError;
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Plot, Report, Section};
use crate::run_report::Run;
use crate::terminal;

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    method: String,
    reason: &'a str,
    gamma: f64,
    values: &'a [f64],
    action_values: &'a ActionValues,
    /// One greedy action a state, by label; null where the state is terminal.
    policy: Vec<Option<u32>>,
    /// All actions that may be optimal, by label.
    optimal_actions: Vec<Vec<u32>>,
    iterations: usize,
    sweeps: usize,
    residual: f64,
    bound: f64,
    contraction: Option<f64>,
    seconds: f64,
}

/// A solution with everything that is told about it.
pub(super) struct Solved {
    pub(super) solution: Solution,
    pub(super) action_values: ActionValues,
}

impl Solved {
    pub(super) fn optimal_actions(&self, state: usize) -> Vec<u32> {
        self.solution.optimal_actions(state, &self.action_values)
    }
}

/// Solves a problem with a progress bar; `label` stands before it.
pub(super) fn solve_problem(
    problem: &Problem,
    options: &SolveOptions,
    label: &str,
    output: &Output,
) -> Result<Solved, CommandError> {
    with_model!(&problem.model, model => solve_model(model, problem.gamma, options, label, output))
}

/// Solves a model with a progress bar that shows how many of the digits asked for are there.
pub(super) fn solve_model<M: Model>(
    model: &M,
    gamma: f64,
    options: &SolveOptions,
    label: &str,
    output: &Output,
) -> Result<Solved, CommandError> {
    let bar = Progress::bar(output, label.to_owned(), 100);
    let mut first = None;
    let mut on_iteration = |iteration: Iteration| {
        let first = *first.get_or_insert(iteration.residual.max(f64::MIN_POSITIVE));
        let target = options.tolerance * (1.0 - gamma).max(f64::EPSILON);
        let done = (first / iteration.residual.max(f64::MIN_POSITIVE)).ln() / (first / target).ln().max(1.0);
        let message = format!("iteration {}, residual {:.1e}", iteration.index, iteration.residual);
        bar.set((100.0 * done).clamp(0.0, 100.0) as u64, message);
        if interrupt::interrupted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let solution = solve(model, gamma, options, &mut on_iteration).map_err(|error| reject(&error))?;
    let action_values = solution.action_values(model);
    Ok(Solved {
        solution,
        action_values,
    })
}

/// The options that the recipe's `[solve]` asks for.
pub(super) fn options(problem: &Problem) -> Result<SolveOptions, CommandError> {
    let solve = &problem.recipe.solve;
    let method = solve.method.parse().map_err(|error: MdpError| reject(&error))?;
    Ok(SolveOptions {
        method,
        tolerance: solve.tolerance.get(),
        max_iterations: solve.max_iterations.get(),
    })
}

pub(super) fn run(problem: &Problem, run: Run<'_>, output: &Output) -> Result<(), CommandError> {
    if let Some(horizon) = problem.recipe.solve.horizon {
        return run_finite_horizon(problem, horizon.get(), run, output);
    }
    let solved = solve_problem(problem, &options(problem)?, "solving", output)?;
    let solution = &solved.solution;
    let labels = |state: usize, actions: Vec<u32>| -> Vec<u32> {
        with_model!(&problem.model, model => actions.into_iter().map(|a| model.action_label(state, a as usize)).collect())
    };
    output.result_json(&Json {
        method: solution.method.to_string(),
        reason: &solution.reason,
        gamma: problem.gamma,
        values: &solution.values,
        action_values: &solved.action_values,
        policy: (0..solution.values.len())
            .map(|state| {
                let terminal = solved.action_values.of(state).is_empty();
                (!terminal).then(|| labels(state, vec![solution.policy[state]])[0])
            })
            .collect(),
        optimal_actions: (0..solution.values.len())
            .map(|s| labels(s, solved.optimal_actions(s)))
            .collect(),
        iterations: solution.iterations,
        sweeps: solution.sweeps,
        residual: solution.residual,
        bound: solution.bound,
        contraction: solution.contraction(),
        seconds: solution.seconds,
    });
    if output.is_json() && !run.writes() {
        return Ok(());
    }

    let actions = |state| solved.optimal_actions(state);
    let map = view::value_map(
        problem,
        "Optimal values and all optimal actions",
        &solution.values,
        &actions,
    );
    let table = view::value_table(problem, &solution.values, &solved.action_values, &actions);
    output.line(&format!("{}: {}", problem.title, problem.describe()));
    view::show(output, map.as_ref(), &table);
    output.line(view::facts(&facts(solution)).trim_end());

    let mut values = Section::new("Optimal values and policy")
        .text("Every action within the guaranteed bound of the best is drawn, so ties show as several arrows.");
    if let Some(map) = &map {
        values = values.item(map);
    }
    let report = Report::new(format!("{}: optimal policy", problem.title)).subtitle(format!(
        "{}, discount {}",
        problem.describe(),
        problem.gamma
    ));
    let report = cards(report, solution).section(values.item(&table)).section(
        Section::new("Convergence")
            .text(format!("Method: {}, because {}.", solution.method, solution.reason))
            .item(&residuals([(solution.method.to_string(), &solution.history[..])])),
    );
    run.finish(
        &format!("mdp-solve-{}", problem.stem),
        &problem.config,
        report,
        |observer| {
            for (step, residual) in (1..).zip(&solution.history) {
                observer.scalar("solve/residual", step, *residual);
            }
        },
    )
}

fn facts(solution: &Solution) -> Vec<(&'static str, String)> {
    vec![
        ("method", format!("{} ({})", solution.method, solution.reason)),
        (
            "iterations",
            format!("{} ({} sweeps)", solution.iterations, solution.sweeps),
        ),
        ("residual", format!("{:.3e}", solution.residual)),
        (
            "error",
            format!("at most {:.3e} in any state, guaranteed", solution.bound),
        ),
        ("time", format!("{:.4} s", solution.seconds)),
        ("residuals", terminal::sparkline(&logarithms(&solution.history), 60)),
    ]
}

/// The logarithms of positive residuals, for a sparkline.
fn logarithms(history: &[f64]) -> Vec<f64> {
    history
        .iter()
        .filter(|&&residual| residual > 0.0)
        .map(|residual| residual.log10())
        .collect()
}

/// The figures at the top of a report.
pub(super) fn cards(report: Report, solution: &Solution) -> Report {
    report
        .card("Method", solution.method.to_string(), "")
        .card(
            "Guaranteed error",
            format!("{:.1e}", solution.bound),
            "in any state, rounding included",
        )
        .card(
            "Iterations",
            solution.iterations.to_string(),
            format!("{} sweeps", solution.sweeps),
        )
        .card("Time", format!("{:.3} s", solution.seconds), "solving only")
}

/// Residuals against iterations, on a logarithmic axis.
pub(super) fn residuals<'a>(histories: impl IntoIterator<Item = (String, &'a [f64])>) -> Plot {
    let plot = Plot::new("Bellman residual by iteration", "iteration", "residual").log_y();
    histories.into_iter().fold(plot, |plot, (name, history)| {
        plot.series(
            name,
            (1..)
                .zip(history)
                .filter(|(_, r)| **r > 0.0)
                .map(|(i, r)| (f64::from(i), *r)),
        )
    })
}

/// What `--json` prints for a finite horizon: stage by stage, by steps to go.
#[derive(Serialize)]
struct FiniteJson<'a> {
    method: &'static str,
    gamma: f64,
    horizon: usize,
    values: &'a [Vec<f64>],
    policies: Vec<Vec<Option<u32>>>,
}

fn run_finite_horizon(problem: &Problem, horizon: usize, run: Run<'_>, output: &Output) -> Result<(), CommandError> {
    let FiniteHorizon { values, policies } = with_model!(&problem.model, model => {
        finite_horizon(model, problem.gamma, horizon, &vec![0.0; model.states()])
    })
    .map_err(|error| reject(&error))?;
    let label = |state: usize, action: u32| with_model!(&problem.model, model => (model.actions(state) > 0).then(|| model.action_label(state, action as usize)));
    output.result_json(&FiniteJson {
        method: "backward-induction",
        gamma: problem.gamma,
        horizon,
        values: &values,
        policies: policies
            .iter()
            .map(|policy| {
                policy
                    .iter()
                    .enumerate()
                    .map(|(state, &action)| label(state, action))
                    .collect()
            })
            .collect(),
    });
    if output.is_json() && !run.writes() {
        return Ok(());
    }
    let mut section = Section::new("Values by steps to go");
    let mut shown: Vec<usize> = [1, 2, 3, 5, 10, 20, 50, horizon]
        .into_iter()
        .filter(|&t| t <= horizon)
        .collect();
    shown.sort_unstable();
    shown.dedup();
    for steps in shown {
        let caption = format!("{steps} steps to go");
        let policy = |state: usize| vec![policies[steps - 1][state]];
        if let Some(map) = view::value_map(problem, &caption, &values[steps], &policy) {
            view::show(output, Some(&map), &crate::report::Table::new(["state"]));
            section = section.item(&map);
        } else {
            let q = with_model!(&problem.model, model => ActionValues::from_values(model, problem.gamma, &values[steps - 1]));
            let table = view::value_table(problem, &values[steps], &q, &policy).caption(caption);
            view::show(output, None, &table);
            section = section.item(&table);
        }
    }
    let report = Report::new(format!("{}: finite horizon", problem.title))
        .subtitle(format!(
            "{}, discount {}, {horizon} steps, by backward induction",
            problem.describe(),
            problem.gamma
        ))
        .section(section);
    run.finish(&format!("mdp-solve-{}", problem.stem), &problem.config, report, |_| ())
}
