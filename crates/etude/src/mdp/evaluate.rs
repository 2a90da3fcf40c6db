//! `etude mdp evaluate`: the values of a given policy.

use std::ops::ControlFlow;
use std::path::Path;

use etude_mdp::optimal::SolveOptions;
use etude_mdp::policy_evaluation::{
    Evaluation, EvaluationMethod, EvaluationOptions, MonteCarloOptions, StateEstimate, evaluate, monte_carlo,
};
use etude_mdp::{ActionValues, Iteration, MdpError, Policy};
use serde::Serialize;

use super::problem::{Problem, with_model};
use super::solve::{residuals, solve_problem};
use super::{reject, view};
use crate::cli::Options;
use crate::error::CommandError;
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{GridMap, Report, Section, Table};
use crate::run_report::Run;
use crate::terminal;

/// States of which a Monte-Carlo estimate is made, spread evenly over all.
const CHECKED_STATES: usize = 8;

/// The most that cutting episodes off may change an estimate, as a fraction of the greatest value.
const TRUNCATION: f64 = 1e-4;

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    method: &'static str,
    reason: &'a str,
    gamma: f64,
    values: &'a [f64],
    action_values: &'a ActionValues,
    iterations: usize,
    residual: f64,
    bound: f64,
    seconds: f64,
    /// Estimates of some values from simulated episodes, with 95 % intervals.
    monte_carlo: &'a [StateEstimate],
}

/// The policy that a recipe or flag names.
pub(super) fn policy(problem: &Problem, name: &str, output: &Output) -> Result<Policy, CommandError> {
    with_model!(&problem.model, model => match name {
        "uniform" => Ok(Policy::uniform(model)),
        "optimal" => {
            let solved = solve_problem(problem, &SolveOptions::default(), "finding the optimal policy", output)?;
            Policy::deterministic(model, solved.solution.policy).map_err(|error| reject(&error))
        }
        file => {
            let path = [Path::new(file).to_path_buf(), problem.path(file)].into_iter().find(|path| path.exists());
            let path = path.ok_or_else(|| {
                CommandError::bad_input(format!("cannot find the policy `{file}`"))
                    .because("it is neither `uniform`, nor `optimal`, nor a file")
            })?;
            Policy::read(model, &path).map_err(|error| {
                CommandError::bad_input(format!("cannot use the policy {}", path.display())).caused_by(&error)
            })
        }
    })
}

pub(super) fn run(problem: &Problem, options: &Options, run: Run<'_>, output: &Output) -> Result<(), CommandError> {
    let recipe = &problem.recipe.evaluate;
    let method: EvaluationMethod = recipe.method.parse().map_err(|error: MdpError| reject(&error))?;
    let policy = policy(problem, &recipe.policy, output)?;
    let evaluation_options = EvaluationOptions {
        method,
        tolerance: recipe.tolerance.get(),
        max_iterations: recipe.max_iterations.get(),
    };
    let bar = Progress::bar(output, "evaluating", 100);
    let mut on_iteration = |iteration: Iteration| {
        bar.set(
            0,
            format!("iteration {}, residual {:.1e}", iteration.index, iteration.residual),
        );
        if interrupt::interrupted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let evaluation = with_model!(&problem.model, model => {
        evaluate(model, &policy, problem.gamma, &evaluation_options, &mut on_iteration)
    })
    .map_err(|error| reject(&error))?;
    bar.finish();
    let estimates = cross_check(problem, &policy, &evaluation, options.seed.unwrap_or(0))?;

    output.result_json(&Json {
        method: evaluation.method.name(),
        reason: &evaluation.reason,
        gamma: problem.gamma,
        values: &evaluation.values,
        action_values: &evaluation.action_values,
        iterations: evaluation.iterations,
        residual: evaluation.residual,
        bound: evaluation.bound,
        seconds: evaluation.seconds,
        monte_carlo: &estimates,
    });
    if output.is_json() && !run.writes() {
        return Ok(());
    }
    let actions = |state| {
        let mut taken = Vec::new();
        policy.for_each(state, |action, _| taken.push(action as u32));
        taken
    };
    let caption = format!("Values of the policy `{}`", recipe.policy);
    let map = view::value_map(problem, &caption, &evaluation.values, &actions);
    let table = view::value_table(problem, &evaluation.values, &evaluation.action_values, &actions);
    output.line(&format!(
        "{}: {}, policy `{}`",
        problem.title,
        problem.describe(),
        recipe.policy
    ));
    view::show(output, map.as_ref(), &table);
    let facts = [
        (
            "method",
            format!("{} ({})", evaluation.method.name(), evaluation.reason),
        ),
        ("iterations", evaluation.iterations.to_string()),
        ("residual", format!("{:.3e}", evaluation.residual)),
        (
            "error",
            format!("at most {:.3e} in any state, guaranteed", evaluation.bound),
        ),
        ("time", format!("{:.4} s", evaluation.seconds)),
    ];
    output.line(view::facts(&facts).trim_end());
    let checks = check_table(&evaluation, &estimates);
    if !estimates.is_empty() {
        output.line(terminal::table(&checks).trim_end());
    }

    let report = report(
        problem,
        &evaluation,
        map.as_ref(),
        &table,
        (!estimates.is_empty()).then_some(&checks),
    );
    run.finish(
        &format!("mdp-evaluate-{}", problem.stem),
        &problem.config,
        report,
        |observer| {
            for (iteration, residual) in &evaluation.history {
                observer.scalar("evaluate/residual", *iteration as u64, *residual);
            }
        },
    )
}

/// The report of an evaluation; `checks` compares it with simulated episodes.
fn report(
    problem: &Problem,
    evaluation: &Evaluation,
    map: Option<&GridMap>,
    table: &Table,
    checks: Option<&Table>,
) -> Report {
    let mut values = Section::new("State values");
    if let Some(map) = map {
        values = values.item(map);
    }
    let history: Vec<f64> = evaluation.history.iter().map(|(_, residual)| *residual).collect();
    let mut report = Report::new(format!(
        "{}: values of the policy `{}`",
        problem.title, problem.recipe.evaluate.policy
    ))
    .subtitle(format!("{}, discount {}", problem.describe(), problem.gamma))
    .card("Method", evaluation.method.name(), "")
    .card(
        "Guaranteed error",
        format!("{:.1e}", evaluation.bound),
        "in any state, rounding included",
    )
    .card("Iterations", evaluation.iterations.to_string(), "")
    .card("Time", format!("{:.3} s", evaluation.seconds), "evaluating only")
    .section(values.item(table));
    if let Some(checks) = checks {
        report = report.section(
            Section::new("Cross-check by simulation")
                .text("The mean return of simulated episodes, which knows nothing of the Bellman equation.")
                .item(checks),
        );
    }
    report.section(
        Section::new("Convergence")
            .text(format!(
                "Method: {}, because {}.",
                evaluation.method.name(),
                evaluation.reason
            ))
            .item(&residuals([(evaluation.method.name().to_owned(), &history[..])])),
    )
}

/// Monte-Carlo estimates of the values of a few states.
fn cross_check(
    problem: &Problem,
    policy: &Policy,
    evaluation: &Evaluation,
    seed: u64,
) -> Result<Vec<StateEstimate>, CommandError> {
    let episodes = problem.recipe.evaluate.episodes.get();
    if episodes == 0 {
        return Ok(Vec::new());
    }
    let greatest = evaluation
        .values
        .iter()
        .fold(0.0, |greatest: f64, value| greatest.max(value.abs()));
    let states = evaluation.values.len();
    let mut estimates = Vec::new();
    for state in (0..states).step_by(states.div_ceil(CHECKED_STATES)) {
        let options = MonteCarloOptions {
            start: Some(state),
            episodes,
            truncation_bias: TRUNCATION * greatest.max(f64::MIN_POSITIVE),
            seed,
        };
        let monte_carlo = with_model!(&problem.model, model => monte_carlo(model, policy, problem.gamma, &options))
            .map_err(|error| reject(&error))?;
        estimates.extend(monte_carlo.estimates);
    }
    Ok(estimates)
}

fn check_table(evaluation: &Evaluation, estimates: &[StateEstimate]) -> Table {
    let mut table = Table::new(["state", "value", "mean return", "95 % from", "to"]);
    for estimate in estimates {
        let [low, high] = estimate.interval;
        table = table.row([
            estimate.state.to_string(),
            format!("{:.6}", evaluation.values[estimate.state]),
            format!("{:.6}", estimate.mean),
            format!("{low:.6}"),
            format!("{high:.6}"),
        ]);
    }
    table
}

/// One row a method.
pub(super) fn evaluation_table(evaluations: &[Evaluation]) -> Table {
    let mut table = Table::new(["method", "iterations", "residual", "guaranteed error", "seconds"]);
    for evaluation in evaluations {
        table = table.row([
            evaluation.method.name().to_owned(),
            evaluation.iterations.to_string(),
            format!("{:.1e}", evaluation.residual),
            format!("{:.1e}", evaluation.bound),
            format!("{:.5}", evaluation.seconds),
        ]);
    }
    table
}
