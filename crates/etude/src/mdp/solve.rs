//! `etude mdp solve`: optimal values and policies.

use std::time::Duration;

use etude_mdp::optimal::{Method, Solution, SolveOptions, solve};
use etude_mdp::{ActionValues, Iteration, Model};
use serde::Serialize;

use super::problem::{Problem, with_model};
use super::watch::watch;
use super::{backward_induction, reject, view};
use crate::error::CommandError;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Plot, Report, Section, duration};
use crate::run_report::{Finished, Run};

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
    /// Bounds on the sup-norm error of the values, iteration by iteration; infinite where none is known.
    pub(super) errors: Vec<f64>,
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
    let mut watched = watch(bar, options.tolerance, gamma);
    let mut errors: Vec<f64> = Vec::new();
    let mut on_iteration = |iteration: Iteration| {
        let before = errors.last().copied().unwrap_or(f64::INFINITY);
        errors.push(error_bound(options.method, gamma, iteration, before));
        watched(iteration)
    };
    let solution = solve(model, gamma, options, &mut on_iteration).map_err(|error| reject(&error))?;
    drop(watched);
    let action_values = solution.action_values(model);
    Ok(Solved {
        solution,
        action_values,
        errors,
    })
}

/// What is known of the error before an iteration, whose predecessor knew the bound `before`. Gauss-Seidel, whose sweeps
/// are no Bellman backups, gives no bound before its end; but its sweep contracts by gamma as well, so that the change
/// that it makes bounds the error likewise, and no error is greater than the one before.
fn error_bound(method: Method, gamma: f64, iteration: Iteration, before: f64) -> f64 {
    if method == Method::GaussSeidel && iteration.bound.is_infinite() && gamma < 1.0 {
        before.min(iteration.residual / (1.0 - gamma))
    } else {
        iteration.bound
    }
}

/// The options that the recipe's `[solve]` asks for.
pub(super) fn options(problem: &Problem) -> SolveOptions {
    let solve = &problem.recipe.solve;
    SolveOptions {
        method: solve.method.0,
        tolerance: solve.tolerance.get(),
        max_iterations: solve.max_iterations.get(),
    }
}

pub(super) fn run(problem: &Problem, run: Run<'_>, output: &Output) -> Result<(), CommandError> {
    if let Some(horizon) = problem.recipe.solve.horizon {
        return backward_induction::run(problem, horizon.get(), run, output);
    }
    let solved = solve_problem(problem, &options(problem), "solving", output)?;
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
    if map.is_none() {
        output.line(&format!("values  {}\n", view::bars(&solution.values)));
    }
    output.line(view::facts(&facts(&solved)).trim_end());

    let mut values = Section::new("Optimal values and policy");
    values = match &map {
        Some(map) => values
            .text("Every action within the guaranteed bound of the best is drawn, so ties show as several arrows.")
            .item(map),
        None => values
            .text("Every action within the guaranteed bound of the best is named, so ties show as several actions.")
            .item(&view::histogram(
                "Share of states by optimal value",
                "value",
                "share",
                &solution.values,
            )),
    };
    let report = Report::new(format!("{}: optimal policy", problem.title)).subtitle(format!(
        "{}, discount {}",
        problem.describe(),
        problem.gamma
    ));
    let report = cards(report, solution).section(values.item(&table)).section(
        Section::new("Convergence")
            .text(format!("Method: {}, because {}.", solution.method, solution.reason))
            .item(&convergence(&solved)),
    );
    let finished = Finished {
        command: "mdp solve",
        name: &problem.stem,
        config: &problem.config,
        seed: None,
        report,
    };
    run.finish(finished, |observer| {
        for (step, residual) in (1..).zip(&solution.history) {
            observer.scalar("solve/residual", step, *residual);
        }
    })
}

fn facts(solved: &Solved) -> Vec<(&'static str, String)> {
    let solution = &solved.solution;
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
        ("time", time(solution.seconds)),
        ("by iteration", view::digits(&solved.errors)),
    ]
}

/// Wall time in the unit that suits it.
pub(super) fn time(seconds: f64) -> String {
    duration(Duration::from_secs_f64(seconds.max(0.0)))
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
        .card("Time", time(solution.seconds), "solving only")
}

/// Residuals and bounds on the error against iterations, on a logarithmic axis.
fn convergence(solved: &Solved) -> Plot {
    Plot::new("Bellman residual and bound on the error by iteration", "iteration", "")
        .log_y()
        .series("residual", by_iteration(&solved.solution.history))
        .series("error at most", by_iteration(&solved.errors))
}

/// Residuals against iterations, on a logarithmic axis.
pub(super) fn residuals(name: &str, history: &[f64]) -> Plot {
    Plot::new("Bellman residual by iteration", "iteration", "residual")
        .log_y()
        .series(name, by_iteration(history))
}

/// Positive finite numbers against iterations: the others have no place on a logarithmic axis.
pub(super) fn by_iteration(history: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    let points = (1..).map(f64::from).zip(history.iter().copied());
    points.filter(|(_, value)| *value > 0.0 && value.is_finite())
}
