//! `etude mdp evaluate`: the values of a given policy.

use etude_mdp::policy_evaluation::{
    Evaluation, EvaluationOptions, MonteCarloOptions, StateEstimate, evaluate, monte_carlo,
};
use etude_mdp::{ActionValues, Policy};
use serde::Serialize;

use super::problem::{Problem, with_model};
use super::solve::{residuals, time};
use super::watch::{check, watch};
use super::{reject, view};
use crate::error::CommandError;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::number::magnitude;
use crate::report::{GridMap, Report, Section, Table};
use crate::run_report::{Finished, Run};
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

pub(super) fn run(problem: &Problem, run: Run<'_>, output: &Output) -> Result<(), CommandError> {
    let recipe = &problem.recipe.evaluate;
    let policy = recipe.policy.policy(problem, output)?;
    let evaluation_options = EvaluationOptions {
        method: recipe.method.0,
        tolerance: recipe.tolerance.get(),
        max_iterations: recipe.max_iterations.get(),
    };
    let bar = Progress::bar(output, "evaluating", 100);
    let mut on_iteration = watch(bar, evaluation_options.tolerance, problem.gamma);
    let evaluation = with_model!(&problem.model, model => {
        evaluate(model, &policy, problem.gamma, &evaluation_options, &mut on_iteration)
    })
    .map_err(|error| reject(&error))?;
    drop(on_iteration);
    let estimates = cross_check(problem, &policy, &evaluation, output)?;

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
    let caption = format!("Values of the policy “{}”", recipe.policy.name());
    let map = view::value_map(problem, &caption, &evaluation.values, &actions);
    let table = view::value_table(problem, &evaluation.values, &evaluation.action_values, &actions);
    output.line(&format!(
        "{}: {}, policy “{}”",
        problem.title,
        problem.describe(),
        recipe.policy.name()
    ));
    view::show(output, map.as_ref(), &table);
    if map.is_none() {
        output.line(&format!("values  {}\n", view::bars(&evaluation.values)));
    }
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
        ("time", time(evaluation.seconds)),
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
    let finished = Finished {
        command: "mdp evaluate",
        name: &problem.stem,
        config: &problem.config,
        seed: (!estimates.is_empty()).then(|| problem.seed()),
        report,
    };
    run.finish(finished, |observer| {
        for (iteration, residual) in &evaluation.history {
            observer.scalar("evaluate/residual", *iteration as u64, *residual);
        }
    })
}

/// The report of an evaluation; `checks` compares it with simulated episodes.
fn report(
    problem: &Problem,
    evaluation: &Evaluation,
    map: Option<&GridMap>,
    table: &Table,
    checks: Option<&Table>,
) -> Report {
    let values = Section::new("State values");
    let values = match map {
        Some(map) => values.item(map),
        None => values.item(&view::histogram(
            "Share of states by value",
            "value",
            "share",
            &evaluation.values,
        )),
    };
    let history: Vec<f64> = evaluation.history.iter().map(|(_, residual)| *residual).collect();
    let mut report = Report::new(format!(
        "{}: values of the policy “{}”",
        problem.title,
        problem.recipe.evaluate.policy.name()
    ))
    .subtitle(format!("{}, discount {}", problem.describe(), problem.gamma))
    .card("Method", evaluation.method.name(), "")
    .card(
        "Guaranteed error",
        format!("{:.1e}", evaluation.bound),
        "in any state, rounding included",
    )
    .card("Iterations", evaluation.iterations.to_string(), "")
    .card("Time", time(evaluation.seconds), "evaluating only")
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
            .item(&residuals(evaluation.method.name(), &history)),
    )
}

/// Monte-Carlo estimates of the values of a few states.
fn cross_check(
    problem: &Problem,
    policy: &Policy,
    evaluation: &Evaluation,
    output: &Output,
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
    let checked = (0..states).step_by(states.div_ceil(CHECKED_STATES));
    let bar = Progress::bar(output, "cross-check by simulation", checked.len() as u64);
    for state in checked {
        check()?;
        let options = MonteCarloOptions {
            start: Some(state),
            episodes,
            truncation_bias: TRUNCATION * greatest.max(f64::MIN_POSITIVE),
            seed: problem.seed(),
        };
        let monte_carlo = with_model!(&problem.model, model => monte_carlo(model, policy, problem.gamma, &options))
            .map_err(|error| reject(&error))?;
        estimates.extend(monte_carlo.estimates);
        bar.set(estimates.len() as u64, "");
    }
    bar.finish();
    Ok(estimates)
}

fn check_table(evaluation: &Evaluation, estimates: &[StateEstimate]) -> Table {
    let mut table = Table::new(["state", "value", "mean return", "95 % from", "to"]);
    let reach = estimates
        .iter()
        .fold(0.0, |reach: f64, estimate| reach.max(estimate.mean.abs()));
    for estimate in estimates {
        let [low, high] = estimate.interval;
        let numbers = [evaluation.values[estimate.state], estimate.mean, low, high];
        let numbers = numbers.map(|number| view::precise(number, reach));
        table = table.row([estimate.state.to_string()].into_iter().chain(numbers));
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
            magnitude(evaluation.residual),
            magnitude(evaluation.bound),
            format!("{:.5}", evaluation.seconds),
        ]);
    }
    table
}
