//! `etude mdp sweep`: how the discount and the rewards change the optimal policy, and how an affine map of the rewards
//! does not.

use etude_mdp::optimal::SolveOptions;
use etude_mdp::{AffineRewards, GridWorld, GridWorldSpec, Model};
use serde::Serialize;

use super::compare::distance;
use super::problem::{Problem, with_model};
use super::recipe::ModelRecipe;
use super::solve::{Solved, options, solve_model};
use super::{reject, view};
use crate::error::CommandError;
use crate::output::Output;
use crate::report::{Report, Section, Table};
use crate::run_report::Run;
use crate::terminal;

/// One setting and its solution.
struct Case {
    name: String,
    solved: Solved,
}

#[derive(Serialize)]
struct Json {
    cases: Vec<JsonCase>,
    affine: Vec<JsonAffine>,
}

#[derive(Serialize)]
struct JsonCase {
    name: String,
    values: Vec<f64>,
    optimal_actions: Vec<Vec<u32>>,
    /// States whose optimal actions differ from those of the case before.
    changed: usize,
    bound: f64,
}

/// What an affine map of the rewards did.
#[derive(Serialize)]
struct JsonAffine {
    scale: f64,
    shift: f64,
    /// The sup norm of v' - (a v* + b / (1 - gamma)).
    error: f64,
    /// What that may be at most by the two guaranteed bounds.
    allowed: f64,
    /// Whether some optimal action is the same in every state.
    same_policy: bool,
}

pub(super) fn run(problem: &Problem, run: Run<'_>, output: &Output) -> Result<(), CommandError> {
    let options = options(problem)?;
    let gammas = cases_of_discount(problem, &options, output)?;
    let rewards = cases_of_reward(problem, &options, output)?;
    let affine = affine_maps(problem, &options, output)?;
    let all: Vec<&Case> = gammas.iter().chain(&rewards).collect();
    output.result_json(&Json {
        cases: changes(&gammas)
            .into_iter()
            .chain(changes(&rewards))
            .zip(&all)
            .map(|(changed, case)| JsonCase {
                name: case.name.clone(),
                values: case.solved.solution.values.clone(),
                optimal_actions: action_sets(&case.solved),
                changed,
                bound: case.solved.solution.bound,
            })
            .collect(),
        affine: affine.iter().map(JsonAffine::copy).collect(),
    });
    if output.is_json() && !run.writes() {
        return Ok(());
    }

    output.line(&format!("{}: {}", problem.title, problem.describe()));
    let mut report =
        Report::new(format!("{}: what changes the optimal policy", problem.title)).subtitle(problem.describe());
    for (heading, text, cases) in [
        (
            "The discount",
            "A small discount sees only what is near; a large one goes far for a reward.",
            &gammas,
        ),
        (
            "The cost of forbidden cells",
            "When entering costs little, the way through them pays.",
            &rewards,
        ),
    ] {
        if cases.is_empty() {
            continue;
        }
        let mut table = Table::new([
            "case",
            "least value",
            "greatest value",
            "states whose optimal actions changed",
        ]);
        let mut section = Section::new(heading).text(text);
        for (case, changed) in cases.iter().zip(changes(cases)) {
            let values = &case.solved.solution.values;
            let actions = |state| case.solved.optimal_actions(state);
            if let Some(map) = view::value_map(problem, &case.name, values, &actions) {
                view::show(output, Some(&map), &Table::new(["state"]));
                section = section.item(&map);
            }
            let (low, high) = values
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
            table = table.row([
                case.name.clone(),
                format!("{low:.6}"),
                format!("{high:.6}"),
                changed.to_string(),
            ]);
        }
        output.line(terminal::table(&table).trim_end());
        report = report.section(section.item(&table));
    }
    let table = affine_table(&affine);
    output.line(terminal::table(&table).trim_end());
    let note = if affine.is_empty() {
        "Episodes can end here, so adding to every reward would change how long to play: the theorem does not apply."
    } else {
        "Rewards a r + b with a > 0 leave the optimal policies as they are, and v' = a v* + b / (1 - gamma)."
    };
    report = report.section(Section::new("Affine maps of the rewards").text(note).item(&table));
    run.finish(&format!("mdp-sweep-{}", problem.stem), &problem.config, report, |_| ())
}

fn cases_of_discount(problem: &Problem, options: &SolveOptions, output: &Output) -> Result<Vec<Case>, CommandError> {
    let solve = |gamma: f64| {
        let name = format!("gamma = {gamma}");
        let solved = with_model!(&problem.model, model => solve_model(model, gamma, options, &name, output))?;
        Ok(Case { name, solved })
    };
    problem
        .recipe
        .sweep
        .gammas
        .iter()
        .map(|gamma| solve(gamma.get()))
        .collect()
}

fn cases_of_reward(problem: &Problem, options: &SolveOptions, output: &Output) -> Result<Vec<Case>, CommandError> {
    let ModelRecipe::Grid(spec) = &problem.recipe.model else {
        return Ok(Vec::new());
    };
    let solve = |forbidden: f64| {
        let name = format!("forbidden = {forbidden}");
        let mut spec: GridWorldSpec = spec.clone();
        spec.rewards.forbidden = forbidden;
        let grid = GridWorld::new(&spec).map_err(|error| reject(&error))?;
        Ok(Case {
            solved: solve_model(&grid, problem.gamma, options, &name, output)?,
            name,
        })
    };
    problem
        .recipe
        .sweep
        .forbidden
        .iter()
        .map(|forbidden| solve(forbidden.get()))
        .collect()
}

fn affine_maps(problem: &Problem, options: &SolveOptions, output: &Output) -> Result<Vec<JsonAffine>, CommandError> {
    with_model!(&problem.model, model => {
        if model.has_terminal() {
            return Ok(Vec::new());
        }
        let gamma = problem.gamma;
        let original = solve_model(model, gamma, options, "rewards r", output)?;
        problem.recipe.sweep.affine.iter().map(|&(scale, shift)| {
            let (scale, shift) = (scale.get(), shift.get());
            let label = format!("rewards {scale} r + {shift}");
            let mapped = solve_model(&AffineRewards::new(model, scale, shift), gamma, options, &label, output)?;
            let predicted: Vec<f64> =
                original.solution.values.iter().map(|value| scale * value + shift / (1.0 - gamma)).collect();
            let same_policy = (0..predicted.len()).all(|state| {
                let mapped = mapped.optimal_actions(state);
                original.optimal_actions(state).iter().any(|action| mapped.contains(action))
            });
            Ok(JsonAffine {
                scale,
                shift,
                error: distance(&mapped.solution.values, &predicted),
                allowed: mapped.solution.bound + scale * original.solution.bound,
                same_policy,
            })
        }).collect()
    })
}

impl JsonAffine {
    fn copy(&self) -> Self {
        Self { ..*self }
    }
}

fn affine_table(affine: &[JsonAffine]) -> Table {
    let mut table = Table::new([
        "rewards",
        "max |v' - (a v* + b / (1 - gamma))|",
        "allowed by the bounds",
        "same policy",
    ]);
    for map in affine {
        table = table.row([
            format!("{} r + {}", map.scale, map.shift),
            format!("{:.1e}", map.error),
            format!("{:.1e}", map.allowed),
            if map.same_policy { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table
}

fn action_sets(solved: &Solved) -> Vec<Vec<u32>> {
    (0..solved.solution.values.len())
        .map(|state| solved.optimal_actions(state))
        .collect()
}

/// For each case the states whose sets of optimal actions differ from the case before; 0 for the first.
fn changes(cases: &[Case]) -> Vec<usize> {
    let sets: Vec<_> = cases.iter().map(|case| action_sets(&case.solved)).collect();
    let mut changes = vec![0; cases.len().min(1)];
    changes.extend(
        sets.windows(2)
            .map(|pair| pair[0].iter().zip(&pair[1]).filter(|(a, b)| a != b).count()),
    );
    changes
}
