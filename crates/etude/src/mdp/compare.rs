//! `etude mdp compare`: several methods on one problem.

use etude_mdp::optimal::{Method, SolveOptions};
use serde::Serialize;

use super::problem::Problem;
use super::solve::{Solved, by_iteration, solve_problem};
use super::view;
use crate::error::CommandError;
use crate::output::Output;
use crate::report::number::magnitude;
use crate::report::{Plot, Report, Section, Table};
use crate::run_report::{Finished, Run};
use crate::terminal;

/// The accuracy of the solution that the others are measured against.
const REFERENCE_TOLERANCE: f64 = 1e-10;

#[derive(Serialize)]
struct Json<'a> {
    gamma: f64,
    tolerance: f64,
    methods: Vec<JsonMethod<'a>>,
}

#[derive(Serialize)]
struct JsonMethod<'a> {
    method: String,
    iterations: usize,
    sweeps: usize,
    seconds: f64,
    residual: f64,
    bound: f64,
    /// The sup-norm distance to the reference solution.
    error: f64,
    contraction: Option<f64>,
    /// The Bellman residual, iteration by iteration.
    history: &'a [f64],
    /// Bounds on the error, iteration by iteration; null where none is known.
    errors: &'a [f64],
}

pub(super) fn run(problem: &Problem, run: Run<'_>, output: &Output) -> Result<(), CommandError> {
    let compare = &problem.recipe.compare;
    let tolerance = compare.tolerance.get();
    let options = |method, tolerance| SolveOptions {
        method,
        tolerance,
        ..SolveOptions::default()
    };
    let reference = solve_problem(
        problem,
        &options(Method::Auto, tolerance.min(REFERENCE_TOLERANCE)),
        "reference",
        output,
    )
    .or_else(|_| solve_problem(problem, &options(Method::Auto, tolerance), "reference", output))?;
    let solved = compare
        .methods
        .iter()
        .map(|method| solve_problem(problem, &options(method.0, tolerance), method.0.name(), output))
        .collect::<Result<Vec<Solved>, _>>()?;

    let error = |solved: &Solved| distance(&solved.solution.values, &reference.solution.values);
    output.result_json(&Json {
        gamma: problem.gamma,
        tolerance,
        methods: solved
            .iter()
            .map(|solved| JsonMethod {
                method: solved.solution.method.to_string(),
                iterations: solved.solution.iterations,
                sweeps: solved.solution.sweeps,
                seconds: solved.solution.seconds,
                residual: solved.solution.residual,
                bound: solved.solution.bound,
                error: error(solved),
                contraction: solved.solution.contraction(),
                history: &solved.solution.history,
                errors: &solved.errors,
            })
            .collect(),
    });
    if output.is_json() && !run.writes() {
        return Ok(());
    }
    let table = table(&solved, error).caption(format!("All to a guaranteed error of {tolerance:e}"));
    output.line(&format!(
        "{}: {}, discount {}",
        problem.title,
        problem.describe(),
        problem.gamma
    ));
    output.line(terminal::table(&table).trim_end());
    let names: Vec<String> = solved.iter().map(|solved| solved.solution.method.to_string()).collect();
    let curves: Vec<_> = names
        .iter()
        .zip(&solved)
        .map(|(name, solved)| (name.as_str(), view::digits(&solved.errors)))
        .collect();
    output.line("\nThe error by iteration, from its first digit to its last:");
    output.line(&view::facts(&curves));

    let actions = |state| reference.optimal_actions(state);
    let values = &reference.solution.values;
    let map = view::value_map(problem, "Optimal values and all optimal actions", values, &actions);
    let values = view::value_table(problem, values, &reference.action_values, &actions);
    view::show(output, map.as_ref(), &values);
    let answer = Section::new("The answer they agree on");
    let answer = map.iter().fold(answer, Section::item).item(&values);
    let report = Report::new(format!("{}: methods compared", problem.title))
        .subtitle(format!("{}, discount {}", problem.describe(), problem.gamma))
        .section(
            Section::new("Methods")
                .text(
                    "An iteration is one pass of value iteration, or one policy of policy iteration with whatever its \
                     evaluation takes; a sweep is one pass over the transitions of all actions or of one policy.",
                )
                .item(&table)
                .item(&plot(&solved)),
        )
        .section(answer);
    let finished = Finished {
        command: "mdp compare",
        name: &problem.stem,
        config: &problem.config,
        seed: None,
        report,
    };
    run.finish(finished, |observer| {
        for solved in &solved {
            let method = &solved.solution.method;
            for (quantity, history) in [("residual", &solved.solution.history), ("error", &solved.errors)] {
                let name = format!("{method}/{quantity}");
                for (step, value) in (1..).zip(history).filter(|(_, value)| value.is_finite()) {
                    observer.scalar(&name, step, *value);
                }
            }
        }
    })
}

/// One row a method.
pub(crate) fn table(solved: &[Solved], error: impl Fn(&Solved) -> f64) -> Table {
    let mut table = Table::new([
        "method",
        "iterations",
        "sweeps",
        "seconds",
        "error",
        "guaranteed",
        "contraction",
    ]);
    for solved in solved {
        let solution = &solved.solution;
        table = table.row([
            solution.method.to_string(),
            solution.iterations.to_string(),
            solution.sweeps.to_string(),
            format!("{:.5}", solution.seconds),
            magnitude(error(solved)),
            magnitude(solution.bound),
            solution
                .contraction()
                .map_or_else(|| "-".into(), |factor| format!("{factor:.4}")),
        ]);
    }
    table
}

/// The bound on the error against iteration, one curve a method.
pub(crate) fn plot(solved: &[Solved]) -> Plot {
    let plot = Plot::new(
        "Bound on the error in any state by iteration, where a method knows one",
        "iteration",
        "error at most",
    );
    solved.iter().fold(plot.log_y(), |plot, solved| {
        plot.series(solved.solution.method.to_string(), by_iteration(&solved.errors))
    })
}

/// The sup norm of the difference.
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sup: f64, (a, b)| sup.max((a - b).abs()))
}
