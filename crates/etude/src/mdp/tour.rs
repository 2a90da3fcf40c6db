//! The tour's stops at exact planning.

use etude_mdp::optimal::{Method, SolveOptions};
use etude_mdp::policy_evaluation::{EvaluationMethod, EvaluationOptions, evaluate};
use etude_mdp::{Policy, silent};

use serde_json::json;

use super::compare::{distance, plot, table};
use super::evaluate::evaluation_table;
use super::problem::{Problem, with_model};
use super::solve::{Solved, solve_problem, time};
use super::{reject, view};
use crate::error::CommandError;
use crate::output::Output;
use crate::report::{Code, Section, Table};
use crate::terminal;
use crate::tour::{Curve, Stop};

const GRID: &str = include_str!("../../../../recipes/mdp/grid-5x5.toml");
const LAKE: &str = include_str!("../../../../recipes/mdp/frozenlake-8x8.toml");
const LAKE_MODEL: &str = include_str!("../../../../recipes/mdp/frozenlake-8x8.json");
const MAZE: &str = include_str!("../../../../recipes/mdp/maze-41x81.toml");

/// System 1: the uniform policy on the book's grid, by every method.
pub(crate) fn state_values(output: &Output) -> Result<Stop, CommandError> {
    let problem = Problem::embedded(GRID, None)?;
    let policy = with_model!(&problem.model, model => Policy::uniform(model));
    let evaluations = EvaluationMethod::ALL
        .into_iter()
        .map(|method| {
            let options = EvaluationOptions {
                method,
                ..EvaluationOptions::default()
            };
            with_model!(&problem.model, model => evaluate(model, &policy, problem.gamma, &options, &mut silent))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| reject(&error))?;
    let exact = &evaluations[0];
    let map = view::value_map(&problem, "Values of the uniform policy", &exact.values, &|_| Vec::new());
    output.line("The value of every cell of a 5 x 5 grid when all moves are equally likely:");
    view::show(output, map.as_ref(), &Table::new(["state"]));
    let table = evaluation_table(&evaluations);
    output.line(terminal::table(&table).trim_end());

    let mut section = Section::new("State values: how good is a policy?").text(
        "The Bellman equation v = r + gamma P v, solved for the policy that takes all actions with the same \
         probability: in closed form by a sparse LU factorisation, and by three iterative methods. Each answer carries \
         a guaranteed bound on its error.",
    );
    if let Some(map) = &map {
        section = section.item(map);
    }
    section = section.item(&table).item(&folded_recipe(&problem));
    let methods = evaluations.iter().map(|evaluation| {
        json!({
            "method": evaluation.method.name(),
            "iterations": evaluation.iterations,
            "residual": evaluation.residual,
            "bound": evaluation.bound,
            "seconds": evaluation.seconds,
        })
    });
    Ok(Stop {
        sections: vec![section],
        card: [
            "State values".into(),
            format!("{:.0e}", exact.bound),
            "guaranteed error of the uniform policy's values".into(),
        ],
        results: vec![json!({
            "problem": problem.title,
            "policy": "uniform",
            "values": exact.values,
            "methods": methods.collect::<Vec<_>>(),
        })],
        curves: evaluations
            .iter()
            .map(|evaluation| Curve {
                name: format!("{}/uniform/{}/residual", problem.title, evaluation.method.name()),
                points: evaluation
                    .history
                    .iter()
                    .map(|&(step, residual)| (step as u64, residual))
                    .collect(),
            })
            .collect(),
    })
}

/// System 2: the book's grid, Frozen Lake and a maze, solved and compared.
pub(crate) fn optimal_policies(output: &Output) -> Result<Stop, CommandError> {
    let mut sections = Vec::new();
    let (mut results, mut curves) = (Vec::new(), Vec::new());
    let mut worst: f64 = 0.0;
    for (recipe, file, text) in [
        (
            GRID,
            None,
            "The book's grid: the best paths go round the forbidden cells, and where two are equally good both are drawn.",
        ),
        (
            LAKE,
            Some(LAKE_MODEL),
            "Gymnasium's Frozen Lake: on ice the safest move often points away from the goal.",
        ),
        (
            MAZE,
            None,
            "Rooms and doors, with one move in five slipping to a side: values travel from the target through every door.",
        ),
    ] {
        let problem = Problem::embedded(recipe, file)?;
        let options = SolveOptions::default();
        let solved = solve_problem(&problem, &options, "solving", output)?;
        let actions = |state| solved.optimal_actions(state);
        let map = view::value_map(&problem, &problem.title, &solved.solution.values, &actions);
        output.line(&format!("{}: {}", problem.title, text));
        view::show(output, map.as_ref(), &Table::new(["state"]));
        output.line(&format!(
            "{} to within {:.1e} of the optimum in every state, in {}\n",
            solved.solution.method,
            solved.solution.bound,
            time(solved.solution.seconds)
        ));
        worst = worst.max(solved.solution.bound);
        let mut section = Section::new(problem.title.clone()).text(text);
        if let Some(map) = &map {
            section = section.item(map);
        }
        let methods = compare(&problem, output)?;
        let table = table(&methods, |other| {
            distance(&other.solution.values, &solved.solution.values)
        });
        output.line(terminal::table(&table).trim_end());
        output.line("");
        let comparison = methods.iter().map(|solved| {
            json!({
                "method": solved.solution.method.to_string(),
                "iterations": solved.solution.iterations,
                "sweeps": solved.solution.sweeps,
                "bound": solved.solution.bound,
                "seconds": solved.solution.seconds,
            })
        });
        results.push(json!({
            "problem": problem.title,
            "values": solved.solution.values,
            "bound": solved.solution.bound,
            "methods": comparison.collect::<Vec<_>>(),
        }));
        curves.extend(methods.iter().map(|solved| Curve {
            name: format!("{}/{}/residual", problem.title, solved.solution.method),
            points: (1..).zip(solved.solution.history.iter().copied()).collect(),
        }));
        sections.push(
            section
                .item(&table)
                .item(&plot(&methods))
                .item(&folded_recipe(&problem)),
        );
    }
    Ok(Stop {
        sections,
        card: [
            "Optimal policies".into(),
            format!("{worst:.0e}"),
            "guaranteed error of the optimal values".into(),
        ],
        results,
        curves,
    })
}

/// The problem's recipe, folded away.
fn folded_recipe(problem: &Problem) -> Code {
    Code::toml(problem.config.as_str()).folded("The recipe of this problem")
}

/// The problem by every method.
fn compare(problem: &Problem, output: &Output) -> Result<Vec<Solved>, CommandError> {
    let methods = [
        Method::ValueIteration,
        Method::GaussSeidel,
        Method::TruncatedPolicyIteration { sweeps: 5 },
        Method::PolicyIteration,
        Method::KrylovPolicyIteration,
    ];
    let solve = |method: Method| {
        let options = SolveOptions {
            method,
            ..SolveOptions::default()
        };
        solve_problem(problem, &options, method.name(), output)
    };
    methods.into_iter().map(solve).collect()
}
